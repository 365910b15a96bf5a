"""What runs tell a store beyond outcomes: which devices are listed, and which parts are to be asked."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from store_cases import (
    EVERYTHING,
    JULY,
    MONTH_OF_JULY,
    NOW,
    TODAY,
    WEEK_28,
    absent,
    batch,
    failed,
    fetched,
    ids,
    seen,
    to_ask,
)

from voltaware_async.cells import Dataset
from voltaware_async.errors import StoreError
from voltaware_async.periods import Month, Week
from voltaware_async.records.devices import ConnectionState
from voltaware_async.stores import Coverage, open_store
from voltaware_async.stores.agenda import Agenda, Turn
from voltaware_async.stores.sql import run_devices

if TYPE_CHECKING:
    from voltaware_async.periods import Period
    from voltaware_async.stores import Store

NEVER: Final = ConnectionState.NEVER_CONNECTED
NIGHT: Final = Agenda(as_of=TODAY, minds_first_event=True)
TOMORROW: Final = TODAY + timedelta(days=1)
MONTH_OF_AUGUST: Final = (Dataset.MONTH, JULY.next())
WEEK_OF_28: Final = (Dataset.WEEK, WEEK_28)


@pytest.fixture(params=["duckdb", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Leave out Parquet stores, which keep all of this in a DuckDB file; see `test_store_laws` for them."""
    name: str = request.param
    return name


def list_devices(store: Store, *names: str, day: date | None = TODAY) -> int:
    """Do as a run does whose devices are all that are listed on a day; None for a run of chosen ones."""
    store.consider(ids(*names), NIGHT)
    return store.take_stock(day)


def look_up(store: Store, *names: str, day: date = TODAY) -> None:
    store.see(seen(*names, state="connected", day="2024-08-01", as_of=day))


def known(store: Store) -> dict[str, dict[str, object]]:
    rows = store.table("devices").to_pylist()
    found = {row.pop("device_id"): row for row in rows}
    assert len(found) == len(rows)
    return found


def unlisted(store: Store) -> dict[str, date]:
    return {name: it["unlisted_since"] for name, it in known(store).items() if it["unlisted_since"]}


def expected(store: Store) -> dict[tuple[str, date, date], date | None]:
    """Return the night of each expected part."""
    rows = [tuple(row.values()) for row in store.table("expected").to_pylist()]
    found = {part: night for *part, night in rows for part in [tuple(part)]}
    assert len(found) == len(rows)
    return found


def missing(store: Store) -> dict[Period, int]:
    return {one.period: one.never_asked for one in store.coverage()}


# --- listed devices ------------------------------------------------------------------------------


def test_listed_devices_are_known_by_their_ids_once_and_keep_what_was_seen(store: Store) -> None:
    look_up(store, "2")
    before = known(store)
    for _ in range(2):
        list_devices(store, "1", "2", "1", "3")
    nothing = dict.fromkeys(before["2"])
    assert known(store) == {**before, "1": nothing, "3": nothing}


def test_a_fleet_that_is_written_in_portions_is_written_as_a_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_devices, "_PORTION", 3)
    names = [f"{n}" for n in range(20)]
    look_up(store, *names[4:9], names[19])
    list_devices(store, *names)
    assert set(known(store)) == set(names)
    assert [it for it in names if known(store)[it]["first_day"]] == [*names[4:9], names[19]]


def test_devices_that_a_run_was_given_by_name_are_neither_written_nor_mark_the_others(store: Store) -> None:
    list_devices(store, "1", "2")
    list_devices(store, "2", "3", day=None)
    assert set(known(store)) == {"1", "2"}
    assert unlisted(store) == {}


def test_a_store_knows_devices_once_some_were_listed_or_looked_up(store: Store) -> None:
    store.commit(batch(fetched("1")))
    list_devices(store, "1", day=None)
    assert not store.knows_devices()
    list_devices(store, "1")
    assert store.knows_devices()


def test_a_store_knows_a_device_that_was_only_looked_up(store: Store) -> None:
    look_up(store, "1")
    assert store.knows_devices()


def test_a_store_knows_devices_also_where_all_of_them_are_unlisted(store: Store) -> None:
    list_devices(store, "1")
    list_devices(store)
    assert unlisted(store) == {"1": TODAY}
    assert store.knows_devices()


# --- devices that are listed no more -------------------------------------------------------------


def test_a_device_that_is_listed_no_more_is_marked_with_the_day_and_keeps_what_is_known(store: Store) -> None:
    look_up(store, "1", "2")
    list_devices(store, "1", "2", "3")
    before = known(store)
    list_devices(store, "1", day=TOMORROW)
    assert unlisted(store) == {"2": TOMORROW, "3": TOMORROW}
    marked = {name: {**before[name], "unlisted_since": TOMORROW} for name in ("2", "3")}
    assert known(store) == {**before, **marked}


def test_an_unlisted_device_keeps_the_first_day_of_its_absence_from_the_list(store: Store) -> None:
    list_devices(store, "1", "2", "3")
    list_devices(store, "1", "2", day=TODAY)
    list_devices(store, "1", day=TOMORROW)
    assert unlisted(store) == {"2": TOMORROW, "3": TODAY}


def test_taking_stock_tells_how_many_devices_are_listed_no_more_since_now(store: Store) -> None:
    assert list_devices(store, *"12345") == 0
    assert list_devices(store, *"126") == 3
    assert list_devices(store, *"12") == 1
    assert list_devices(store, *"12") == 0
    assert list_devices(store, *"2", day=None) == 0
    assert list_devices(store, *"345", day=TOMORROW) == 2


def test_a_device_that_is_listed_again_is_no_longer_marked(store: Store) -> None:
    list_devices(store, "1", "2", "3")
    list_devices(store, "1")
    list_devices(store, "3", "1", day=TOMORROW)
    assert unlisted(store) == {"2": TODAY}


def test_a_device_that_comes_and_goes_is_unlisted_since_it_went_last(store: Store) -> None:
    for days, names in enumerate(["12", "1", "12", "1"]):
        list_devices(store, *names, day=TODAY + timedelta(days=days))
    assert unlisted(store) == {"2": TODAY + timedelta(days=3)}


@pytest.mark.parametrize("lists_them", [False, True])
def test_a_look_up_does_not_list_a_device_and_a_list_does(store: Store, *, lists_them: bool) -> None:
    """A run of named devices may look one up that the API does not list any more."""
    list_devices(store, "1", "2", "3")
    list_devices(store, "1")
    look_up(store, "3", "1", day=TOMORROW)
    assert unlisted(store) == {"2": TODAY, "3": TODAY}
    assert known(store)["3"]["asked_on"] == TOMORROW
    list_devices(store, "1", "3", day=TOMORROW if lists_them else None)
    assert unlisted(store) == ({"2": TODAY} if lists_them else {"2": TODAY, "3": TODAY})


def test_an_unlisted_device_that_a_run_names_is_asked_like_any_other(store: Store) -> None:
    list_devices(store, "1", "2")
    list_devices(store, "1")
    list_devices(store, "1", "2", day=None)
    assert to_ask(store, Turn.FIRST) == ["1", "2"]
    assert unlisted(store) == {"2": TODAY}


def test_an_unlisted_device_lacks_nothing_and_what_it_had_landed_stays_covered(store: Store) -> None:
    list_devices(store, "1", "2", "3", "4")
    store.expect([MONTH_OF_JULY, MONTH_OF_AUGUST], None)
    store.commit(batch(fetched("1"), fetched("2"), failed("3")))
    assert store.coverage() == [
        Coverage(*MONTH_OF_JULY, landed=2, absent=0, failed=1, never_asked=1),
        Coverage(*MONTH_OF_AUGUST, landed=0, absent=0, failed=0, never_asked=4),
    ]
    list_devices(store, "1")
    assert store.coverage() == [
        Coverage(*MONTH_OF_JULY, landed=2, absent=0, failed=1, never_asked=0),
        Coverage(*MONTH_OF_AUGUST, landed=0, absent=0, failed=0, never_asked=1),
    ]
    list_devices(store, "1", "2", "3", "4")
    assert missing(store) == {JULY: 1, JULY.next(): 4}


def test_an_unlisted_devices_cell_is_not_taken_for_one_that_a_listed_device_lacks(store: Store) -> None:
    list_devices(store, "1", "2")
    store.commit(batch(absent("2")))
    list_devices(store, "1")
    assert missing(store) == {JULY: 1}


def test_a_fleet_of_which_nobody_is_listed_any_more_lacks_nothing(store: Store) -> None:
    list_devices(store, "1", "2")
    store.commit(batch(fetched("1")))
    list_devices(store)
    assert missing(store) == {JULY: 0}


def test_once_devices_are_known_those_that_only_the_ledger_has_lack_nothing(store: Store) -> None:
    """A pull of a chosen few beside a nightly sync does not make them part of its fleet."""
    store.commit(batch(fetched("chosen")))
    store.expect([MONTH_OF_AUGUST], None)
    assert missing(store) == {JULY: 0, JULY.next(): 1}
    list_devices(store, "1", "2")
    assert missing(store) == {JULY: 2, JULY.next(): 2}


def test_a_list_that_cannot_be_written_is_a_broken_store(store: Store) -> None:
    store.consider(ids("1"), EVERYTHING)
    store.close()
    for broken in (lambda: store.take_stock(TODAY), lambda: store.take_stock(None), store.knows_devices):
        with pytest.raises(StoreError, match="closed"):
            broken()


# --- expected parts ------------------------------------------------------------------------------


def test_expected_parts_stand_in_their_table_once_however_often_they_are_expected(store: Store) -> None:
    store.expect([MONTH_OF_JULY, WEEK_OF_28], None)
    store.expect([WEEK_OF_28, MONTH_OF_AUGUST, MONTH_OF_AUGUST], TODAY)
    store.expect([], TODAY)
    assert expected(store) == {
        ("month", date(2024, 7, 1), date(2024, 7, 31)): None,
        ("month", date(2024, 8, 1), date(2024, 8, 31)): TODAY,
        ("week", date(2024, 7, 8), date(2024, 7, 14)): TODAY,
    }


def test_a_part_keeps_the_first_night_that_expected_it_whatever_run_comes_after(store: Store) -> None:
    for night in (None, TODAY, None, TOMORROW):
        store.expect([MONTH_OF_JULY], night)
        store.expect([MONTH_OF_AUGUST], None)
    assert set(expected(store).values()) == {None, TODAY}
    assert store.expected_until() == {Dataset.MONTH: JULY.end}


def test_a_night_takes_over_only_the_parts_that_it_names(store: Store) -> None:
    april = Month(2024, 4)
    alike = [(Dataset.MONTH, april), (Dataset.MONTH_CYCLES, april), (Dataset.WEEK, Week(april.start))]
    store.expect([*alike, MONTH_OF_JULY], None)
    store.expect([(Dataset.MONTH, april)], TODAY)
    assert [it for it, night in expected(store).items() if night] == [("month", april.start, april.end)]


def test_the_newest_period_that_a_night_expected_is_told_per_dataset(store: Store) -> None:
    assert store.expected_until() == {}
    store.expect([MONTH_OF_JULY, MONTH_OF_AUGUST, WEEK_OF_28, (Dataset.WEEK, Week(date(2024, 7, 1)))], TODAY)
    store.expect([(Dataset.MONTH, Month(2024, 6))], TOMORROW)
    store.expect([(Dataset.MONTH, Month(2024, 9)), (Dataset.WEEK_CYCLES, WEEK_28)], None)
    assert store.expected_until() == {Dataset.MONTH: JULY.next().end, Dataset.WEEK: WEEK_28.end}


def test_what_is_expected_is_covered_before_anything_of_it_was_asked(store: Store) -> None:
    store.commit(batch(fetched("1"), failed("2")))
    store.expect([MONTH_OF_AUGUST, MONTH_OF_JULY], None)
    july, august = store.coverage()
    assert july == Coverage(*MONTH_OF_JULY, landed=1, absent=0, failed=1, never_asked=0)
    assert august == Coverage(*MONTH_OF_AUGUST, landed=0, absent=0, failed=0, never_asked=2)
    assert (july.missing, august.missing) == (1, 2)


def test_what_was_asked_without_being_expected_is_covered_as_well(store: Store) -> None:
    store.expect([MONTH_OF_AUGUST], None)
    store.commit(batch(fetched("1")))
    assert [one.period for one in store.coverage()] == [JULY, JULY.next()]


def test_a_device_that_is_listed_and_was_never_asked_is_missing(store: Store) -> None:
    store.commit(batch(fetched("1")))
    list_devices(store, "1", "2", "3")
    [july] = store.coverage()
    assert (july.landed, july.never_asked) == (1, 2)


def test_parts_that_begin_on_one_day_are_expected_each_for_itself(store: Store) -> None:
    april = Month(2024, 4)
    list_devices(store, "1")
    store.expect(
        [(Dataset.MONTH, april), (Dataset.MONTH_CYCLES, april), (Dataset.WEEK, Week(april.start))], None
    )
    assert [(one.dataset, one.period, one.never_asked) for one in store.coverage()] == [
        (Dataset.MONTH, april, 1),
        (Dataset.WEEK, Week(april.start), 1),
        (Dataset.MONTH_CYCLES, april, 1),
    ]


def test_expected_parts_of_a_store_without_devices_are_covered_with_nobody(store: Store) -> None:
    store.expect([MONTH_OF_JULY], None)
    assert store.coverage() == [Coverage(*MONTH_OF_JULY, landed=0, absent=0, failed=0, never_asked=0)]


def test_what_a_killed_run_was_to_ask_is_missing_when_the_store_is_opened_again(target: str) -> None:
    with open_store(target) as store:
        store.begin("run-1", "sync", NOW)
        list_devices(store, "1", "2", "3")
        store.expect([MONTH_OF_JULY, MONTH_OF_AUGUST], None)
        store.commit(batch(fetched("1")))
    with open_store(target, read_only=True) as store:
        assert missing(store) == {JULY: 2, JULY.next(): 3}
        last = store.last_run()
    assert last is not None
    assert last.outcome is None


def test_expecting_needs_a_store_that_may_be_written(target: str) -> None:
    with open_store(target, read_only=True) as store, pytest.raises(StoreError, match="read-only"):
        store.expect([MONTH_OF_JULY], None)


# --- what is missing -----------------------------------------------------------------------------


def test_a_period_that_ended_before_a_devices_first_day_is_not_missing(store: Store) -> None:
    store.see(seen("old", day="2024-07-31"))
    store.see(seen("new", day="2024-08-01"))
    store.see(seen("unknown"))
    store.expect([MONTH_OF_JULY, (Dataset.MONTH, JULY.next())], None)
    july, august = store.coverage()
    assert (july.never_asked, august.never_asked) == (2, 3)


def test_a_sensor_that_was_never_connected_lacks_nothing_until_it_sends_something(store: Store) -> None:
    store.see(seen("dormant", state=NEVER))
    store.see(seen("awake", state=NEVER, day="2024-07-01"))
    store.expect([MONTH_OF_JULY], None)
    [july] = store.coverage()
    assert july.never_asked == 1


def test_a_cell_of_a_device_that_has_no_data_yet_is_covered_and_is_not_taken_for_one_of_another(
    store: Store,
) -> None:
    """Somebody asked for it all the same: `land` does not mind first events."""
    store.see(seen("dormant", state=NEVER))
    store.see(seen("new", day="2024-08-01"))
    store.see(seen("old", day="2024-01-01"))
    store.commit(batch(absent("dormant"), absent("new")))
    assert store.coverage() == [
        Coverage(Dataset.MONTH, JULY, landed=0, absent=2, failed=0, never_asked=1),
    ]


def test_a_store_of_nothing_but_sensors_that_were_never_connected_is_covered(store: Store) -> None:
    store.see(seen("dormant", state=NEVER))
    store.commit(batch(failed("dormant")))
    assert store.coverage() == [
        Coverage(Dataset.MONTH, JULY, landed=0, absent=0, failed=1, never_asked=0),
    ]
