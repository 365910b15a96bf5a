from __future__ import annotations

import hashlib
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sql_rows import (
    AUGUST,
    JULY,
    WEEK_28,
    InDuckDB,
    asked,
    create,
    cycle,
    expected,
    fill,
    in_order,
    known_device,
    read,
    total,
    used,
    view,
)

from voltaware_async.stores.sql.format import FORMAT_VERSION
from voltaware_async.stores.sql.views import VIEWS, view_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sql_rows import Database

WEEK_29: Final = date(2024, 7, 15), date(2024, 7, 21)


def charging(database: Database) -> dict[int, tuple[int, float]]:
    """Return cycles and kWh of the hours in which cars were charged."""
    return {hour: (cycles, kwh) for hour, cycles, kwh in view(database, "ev_charging_by_hour") if cycles}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_the_columns_and_types_that_are_pinned(database: Database, name: str) -> None:
    columns = read(database, name).schema

    assert {it.name: it.type for it in columns} == {it.name: it.type for it in VIEWS[name]}


def test_a_view_of_any_other_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="monthly"):
        view_sql("monthly")


def test_an_empty_store_has_nothing_to_show_but_the_hours_of_the_day(database: Database) -> None:
    assert view(database, "monthly_kwh") == []
    assert view(database, "coverage") == []
    assert view(database, "checks") == []
    assert view(database, "ev_charging_by_hour") == [(hour, 0, 0.0) for hour in range(24)]


def test_a_month_tells_the_results_and_kwh_of_each_appliance(database: Database) -> None:
    fill(
        database,
        used("fridge", 45_081.25, device="1"),
        used("fridge", 20_000.0, device="2"),
        used("washing", 0.0, device="2"),
        used("fridge", 30_000.0, device="1", days=AUGUST),
    )
    assert view(database, "monthly_kwh") == [
        (JULY[0], "fridge", 2, 65.08125),
        (JULY[0], "washing", 1, 0.0),
        (AUGUST[0], "fridge", 1, 30.0),
    ]


def test_an_appliance_that_stands_twice_in_a_result_counts_twice_and_is_added_up(database: Database) -> None:
    fill(database, used("fridge", 1000.0), used("fridge", 500.0))

    assert view(database, "monthly_kwh") == [(JULY[0], "fridge", 2, 1.5)]


@pytest.mark.parametrize("dataset", ["month_weeks", "month_report", "month_cycles", "week"])
def test_kwh_of_a_month_are_of_the_dataset_month_alone(database: Database, dataset: str) -> None:
    fill(database, used("fridge", 1000.0), used("fridge", 1000.0, of=dataset))

    assert view(database, "monthly_kwh") == [(JULY[0], "fridge", 1, 1.0)]


def test_a_charge_is_spread_evenly_over_its_duration(database: Database) -> None:
    fill(database, cycle("2024-07-12T20:30", "2024-07-12T23:15", 11_000.0))

    assert charging(database) == {20: (1, 2.0), 21: (1, 4.0), 22: (1, 4.0), 23: (1, 1.0)}


def test_an_hour_that_a_charge_only_reaches_is_none_of_its_hours(database: Database) -> None:
    fill(database, cycle("2024-07-12T20:00", "2024-07-12T22:00", 8000.0))

    assert charging(database) == {20: (1, 4.0), 21: (1, 4.0)}


def test_a_charge_within_an_hour_is_all_of_that_hour(database: Database) -> None:
    fill(database, cycle("2024-07-12T20:10", "2024-07-12T20:40", 3500.0))

    assert charging(database) == {20: (1, 3.5)}


def test_a_charge_over_midnight_goes_on_in_the_first_hours_of_the_day(database: Database) -> None:
    fill(database, cycle("2024-07-12T23:00", "2024-07-13T01:30", 10_000.0))

    assert charging(database) == {23: (1, 4.0), 0: (1, 4.0), 1: (1, 2.0)}


def test_a_charge_of_more_than_a_day_counts_once_in_an_hour_that_it_meets_twice(database: Database) -> None:
    fill(database, cycle("2024-07-12T00:30", "2024-07-13T02:30", 26_000.0))

    once = dict.fromkeys(range(3, 24), (1, 1.0))
    assert charging(database) == {0: (1, 1.5), 1: (1, 2.0), 2: (1, 1.5), **once}


def test_charges_of_several_devices_add_up(database: Database) -> None:
    fill(
        database,
        cycle("2024-07-12T20:00", "2024-07-12T22:00", 8000.0, device="1"),
        cycle("2024-07-12T20:00", "2024-07-12T22:00", 4000.0, device="2"),
        cycle("2024-07-13T21:30", "2024-07-13T22:00", 1000.0, device="1"),
    )
    assert charging(database) == {20: (2, 6.0), 21: (3, 7.0)}


def test_a_charge_that_stands_in_months_and_weeks_counts_once(database: Database) -> None:
    charge = ("2024-07-14T23:00", "2024-07-15T01:00", 8000.0)
    fill(
        database,
        cycle(*charge),
        cycle(*charge, of="week_cycles", days=WEEK_28),
        cycle(*charge, of="week_cycles", days=WEEK_29),
    )
    assert charging(database) == {23: (1, 4.0), 0: (1, 4.0)}


def test_a_charge_whose_instants_are_known_in_one_period_lasts_as_long_as_they_tell(
    database: Database,
) -> None:
    charge = ("2024-10-27T02:30", "2024-10-27T02:10", 4000.0)
    fill(
        database,
        cycle(*charge, offset=(2, 1)),
        cycle(*charge, offset=None, of="week_cycles", days=WEEK_28),
    )
    assert charging(database) == {2: (1, 3.0), 3: (1, 1.0)}


def test_a_charge_lasts_as_long_as_it_did_and_not_as_its_clock_reads(database: Database) -> None:
    fill(database, cycle("2024-03-31T01:30", "2024-03-31T03:30", 6000.0, offset=(1, 2)))

    assert charging(database) == {1: (1, 3.0), 2: (1, 3.0)}


def test_a_charge_without_instants_lasts_as_long_as_its_clock_reads(database: Database) -> None:
    fill(database, cycle("2024-07-12T20:00", "2024-07-12T22:00", 8000.0, offset=None))

    assert charging(database) == {20: (1, 4.0), 21: (1, 4.0)}


@pytest.mark.parametrize("end", ["2024-07-12T20:10", "2024-07-12T18:00"])
@pytest.mark.parametrize("offset", [0.0, None])
def test_a_charge_of_no_duration_or_less_is_of_the_hour_of_its_start(
    database: Database, end: str, offset: float | None
) -> None:
    fill(database, cycle("2024-07-12T20:10", end, 8000.0, offset=offset))

    assert charging(database) == {20: (1, 8.0)}


def test_only_cars_are_charged(database: Database) -> None:
    fill(database, cycle("2024-07-12T20:00", "2024-07-12T22:00", 8000.0, key="washing"))

    assert charging(database) == {}


Charge = tuple[int, int, float]
CHARGES: Final = st.lists(
    st.tuples(st.integers(0, 10**5), st.integers(0, 3 * 10**5), st.floats(0, 10**5)), max_size=8
)


def kwh_by_hour(charges: Sequence[Charge]) -> list[float]:
    """Spread charges hour by hour, as one would by hand."""
    hours = [0.0] * 24
    for start, seconds, wh in charges:
        if not seconds:
            hours[start // 3600 % 24] += wh / 1000
        for hour in range(start // 3600, (start + seconds) // 3600 + 1):
            within = min(start + seconds, 3600 * (hour + 1)) - max(start, 3600 * hour)
            hours[hour % 24] += wh / 1000 * within / seconds if seconds else 0.0
    return hours


def cycles_by_hour(charges: Sequence[Charge]) -> list[int]:
    """Count the charges that an hour of the day has a second of, or the start."""
    met = [
        {
            second // 3600 % 24
            for second in (*range(start, start + seconds, 3600), start + max(seconds - 1, 0))
        }
        for start, seconds, _ in charges
    ]
    return [sum(hour in hours for hours in met) for hour in range(24)]


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Database]:
    with closing(InDuckDB()) as database:
        create(database)
        yield database


@given(CHARGES)
def test_whatever_is_charged_is_spread_as_one_would_by_hand(
    in_memory: Database, charges: list[Charge]
) -> None:
    midnight = datetime(2024, 7, 12)  # noqa: DTZ001  a clock's reading
    in_memory.execute("DELETE FROM cycles")
    for number, (start, seconds, wh) in enumerate(charges):
        began = midnight + timedelta(seconds=start)
        fill(in_memory, cycle(str(began), str(began + timedelta(seconds=seconds)), wh, device=str(number)))

    found = view(in_memory, "ev_charging_by_hour")
    assert [cycles for _, cycles, _ in found] == cycles_by_hour(charges)
    assert [kwh for _, _, kwh in found] == pytest.approx(kwh_by_hour(charges), abs=1e-6)


def test_coverage_counts_how_the_cells_of_a_dataset_and_period_ended(database: Database) -> None:
    fill(
        database,
        *(known_device(name) for name in "123456"),
        asked("landed", device="1"),
        asked("landed", device="2"),
        asked("absent", device="3"),
        asked("failed", device="4"),
        asked("landed", device="1", of="week", days=WEEK_28),
    )
    assert view(database, "coverage") == [
        ("month", *JULY, 2, 1, 1, 2),
        ("week", *WEEK_28, 1, 0, 0, 5),
    ]


def test_coverage_shows_what_was_expected_and_never_asked(database: Database) -> None:
    fill(database, known_device("1"), known_device("2"), expected("month", JULY))

    assert view(database, "coverage") == [("month", *JULY, 0, 0, 0, 2)]


def test_a_period_that_ended_before_a_devices_first_day_lacks_nothing(database: Database) -> None:
    fill(
        database,
        known_device("1", first_day=date(2024, 8, 1)),
        known_device("2", first_day=date(2024, 7, 31)),
        expected("month", JULY),
        expected("month", AUGUST),
    )
    assert view(database, "coverage") == [("month", *JULY, 0, 0, 0, 1), ("month", *AUGUST, 0, 0, 0, 2)]


def test_a_device_that_is_no_longer_listed_or_was_never_connected_lacks_nothing(database: Database) -> None:
    fill(
        database,
        known_device("1", unlisted_since=date(2024, 8, 1)),
        known_device("2", connection_state="never_connected"),
        known_device("3", connection_state="online"),
        expected("month", JULY),
    )
    assert view(database, "coverage") == [("month", *JULY, 0, 0, 0, 1)]


def test_a_device_that_need_not_have_been_asked_is_not_missing_twice(database: Database) -> None:
    fill(
        database,
        known_device("1", unlisted_since=date(2024, 8, 1)),
        known_device("2", first_day=date(2024, 8, 1)),
        known_device("3"),
        asked("landed", device="1"),
        asked("absent", device="2"),
    )
    assert view(database, "coverage") == [("month", *JULY, 1, 1, 0, 1)]


def test_a_store_without_devices_takes_those_of_its_ledger(database: Database) -> None:
    fill(database, asked(device="1"), asked(device="2"), asked(device="1", days=AUGUST))

    assert view(database, "coverage") == [("month", *JULY, 2, 0, 0, 0), ("month", *AUGUST, 1, 0, 0, 1)]


@pytest.mark.parametrize("name", VIEWS)
def test_a_file_that_is_attached_under_another_name_has_its_views(tmp_path: Path, name: str) -> None:
    path = tmp_path / "fleet.duckdb"
    database = InDuckDB(str(path))
    create(database)
    fill(
        database,
        asked(),
        total(1000.0),
        used("fridge", 500.0),
        cycle("2024-07-12T20:00", "2024-07-12T22:00", 8000.0),
    )
    rows = view(database, name)
    database.close()

    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS other (READ_ONLY)")
        attached = in_order(connection.execute(f"SELECT * FROM other.{name}").fetchall())
    assert rows
    assert attached == rows


@pytest.mark.parametrize("name", VIEWS)
def test_what_a_view_shows_does_not_depend_on_the_time_zone_of_its_reader(
    database: Database, name: str
) -> None:
    fill(
        database,
        asked(of="month_weeks"),
        total(1000.0, None, of="month_weeks", days=(date(2024, 7, 1), date(2024, 7, 7))),
        total(900.0, of="month_weeks"),
        used("fridge", 500.0),
        cycle("2024-03-31T01:30", "2024-03-31T03:30", 6_000_000.0, offset=(1, 2)),
    )
    here = view(database, name)

    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"):
        database.execute(f"SET TimeZone = '{zone}'")
        assert view(database, name) == here


def test_views_change_only_with_the_format() -> None:
    """A view of a store is made once: raise FORMAT_VERSION with them, so that older stores get them too."""
    words = "".join(f"{name}{schema.names}{view_sql(name)}" for name, schema in VIEWS.items())
    assert (FORMAT_VERSION, hashlib.sha256(words.encode()).hexdigest()[:16]) == (3, "99797ff35d582799")
