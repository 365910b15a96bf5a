from __future__ import annotations

from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sql_rows import (
    AUGUST,
    DAY_1,
    DAY_2,
    DAY_3,
    FIRST_WEEK,
    JULY,
    WEEK_28,
    InDuckDB,
    asked,
    create,
    cycle,
    found,
    report,
    report_day,
    total,
    used,
    week,
)

from voltaware_async.records.disaggregation import ApplianceKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sql_rows import Database


# Sums.


@pytest.mark.parametrize("dataset", ["month", "week", "month_report", "week_report"])
def test_appliances_that_do_not_add_up_to_the_total_are_flagged(database: Database, dataset: str) -> None:
    assert found(
        database,
        total(10_000.0, of=dataset),
        used("fridge", 6000.0, of=dataset),
        used("others", 3000.0, of=dataset),
    ) == [("appliances_sum", None, 10_000.0, 9000.0)]


@pytest.mark.parametrize(
    ("stated", "added_up", "is_flagged"),
    [
        (100_000.0, 99_900.0, False),
        (100_000.0, 99_899.0, True),
        (100_000.0, 100_100.0, False),
        (100_000.0, 100_101.0, True),
        (10.0, 11.0, False),
        (10.0, 11.1, True),
        (0.0, 2.3e-13, False),
    ],
)
def test_a_sum_may_be_off_by_a_thousandth_and_by_1_wh(
    database: Database, stated: float, added_up: float, *, is_flagged: bool
) -> None:
    findings = found(database, total(stated), used("fridge", added_up))

    assert findings == ([("appliances_sum", None, stated, added_up)] if is_flagged else [])


def test_a_total_of_no_appliances_at_all_has_nothing_found(database: Database) -> None:
    assert found(database, total(10_000.0)) == [("appliances_sum", None, 10_000.0, None)]


def test_a_home_that_used_nothing_adds_up(database: Database) -> None:
    assert found(database, total(0.0), total(0.0, device="2"), used("others", 0.0)) == []


def test_weeks_that_do_not_add_up_to_their_month_are_flagged(database: Database) -> None:
    assert found(
        database,
        asked(of="month_weeks"),
        total(3000.0, of="month_weeks"),
        week(1000.0, FIRST_WEEK),
        week(500.0, WEEK_28),
        used("fridge", 1000.0, of="month_weeks", days=FIRST_WEEK),
        used("fridge", 500.0, of="month_weeks", days=WEEK_28),
    ) == [("weeks_sum", None, 3000.0, 1500.0)]


def test_weeks_add_up_to_their_own_month(database: Database) -> None:
    first_of_august = date(2024, 8, 1), date(2024, 8, 4)
    assert (
        found(
            database,
            asked(of="month_weeks"),
            asked(of="month_weeks", days=AUGUST),
            total(0.0, of="month_weeks"),
            week(0.0, FIRST_WEEK),
            total(1000.0, of="month_weeks", days=AUGUST),
            week(1000.0, first_of_august),
            used("fridge", 1000.0, of="month_weeks", days=first_of_august),
        )
        == []
    )


def test_a_month_without_weeks_has_nothing_found(database: Database) -> None:
    assert found(database, asked(of="month_weeks"), total(3000.0, of="month_weeks")) == [
        ("weeks_sum", None, 3000.0, None)
    ]


def test_a_month_by_weeks_of_another_total_than_the_month_is_flagged(database: Database) -> None:
    assert found(
        database,
        asked(of="month_weeks"),
        total(3000.0),
        used("fridge", 3000.0),
        total(3100.0, of="month_weeks"),
        week(3100.0, FIRST_WEEK),
        used("fridge", 3100.0, of="month_weeks", days=FIRST_WEEK),
        total(0.0, of="month", days=AUGUST),
    ) == [("weeks_against_month", None, 3000.0, 3100.0)]


def test_cycles_that_do_not_add_up_to_their_appliance_are_flagged(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 9000.0, of="month_cycles"),
        cycle("2024-07-12T20:00", "2024-07-12T22:00", 4000.0),
        cycle("2024-07-13T20:00", "2024-07-13T22:00", 4000.0),
        used("washing", 500.0, of="month_cycles"),
        cycle("2024-07-13T20:00", "2024-07-13T22:00", 500.0, key="washing"),
        used("boiler", 70.0, of="month_cycles"),
    ) == [("cycles_sum", "boiler", 70.0, None), ("cycles_sum", "electric_vehicle", 9000.0, 8000.0)]


@pytest.mark.parametrize(("dataset", "days"), [("month", JULY), ("week", WEEK_28)])
def test_cycles_are_compared_with_the_same_appliance_of_the_same_period(
    database: Database, dataset: str, days: tuple[date, date]
) -> None:
    cycles = {"of": f"{dataset}_cycles", "days": days}
    assert found(
        database,
        used("electric_vehicle", 8000.0, **cycles),
        cycle("2024-07-12T20:00", "2024-07-12T22:00", 8000.0, **cycles),
        used("electric_vehicle", 8500.0, of=dataset, days=days),
        used("electric_vehicle", 8500.0, of=dataset, days=days, device="2"),
        used("electric_vehicle", 8500.0, of=dataset, days=AUGUST),
        used("fridge", 100.0, of=dataset, days=days),
    ) == [("cycles_against_appliance", "electric_vehicle", 8500.0, 8000.0)]


def test_an_appliance_whose_cycles_were_none_is_compared_as_well(database: Database) -> None:
    assert found(
        database, used("electric_vehicle", 0.0, of="month_cycles"), used("electric_vehicle", 8500.0)
    ) == [("cycles_against_appliance", "electric_vehicle", 8500.0, 0.0)]


# Reports.


def test_the_days_of_a_report_are_added_up_in_its_own_unit(database: Database) -> None:
    assert (
        found(
            database,
            report("kWh", reported_total_consumption=10.0),
            report_day(DAY_1, 4.0),
            report_day(DAY_2, 5.998),
            report("Wh", reported_total_consumption=10.0, of="week_report", days=WEEK_28),
            report_day(date(2024, 7, 8), 9.5, of="week_report", days=WEEK_28),
        )
        == []
    )
    assert found(database, report_day(DAY_3, 0.013)) == [("days_sum", None, 10.0, pytest.approx(10.011))]


def test_a_small_report_in_kwh_may_be_off_by_1_wh_and_not_by_1_kwh(database: Database) -> None:
    assert found(database, report("kWh", reported_total_consumption=0.5), report_day(DAY_1, 0.502)) == [
        ("days_sum", None, 0.5, 0.502)
    ]


def test_a_report_without_days_has_nothing_found(database: Database) -> None:
    assert found(database, report("Wh", reported_total_consumption=500.0)) == [
        ("days_sum", None, 500.0, None)
    ]


def test_week_days_and_weekends_that_do_not_add_up_are_flagged(database: Database) -> None:
    assert found(
        database,
        report(
            "kWh",
            reported_total_consumption=10.0,
            reported_week_days_consumption=7.0,
            reported_weekend_days_consumption=2.5,
        ),
        report_day(DAY_1, 10.0),
    ) == [("week_days_and_weekends", None, 10.0, 9.5)]


def test_an_extreme_of_another_value_than_its_day_is_flagged(database: Database) -> None:
    assert found(
        database,
        report(
            "Wh",
            reported_total_consumption=900.0,
            max_day=DAY_1,
            reported_max_consumption=650.0,
            min_day=DAY_2,
            reported_min_consumption=250.0,
        ),
        report_day(DAY_1, 600.0, 600.0),
        report_day(DAY_2, 300.0, 300.0),
    ) == [("max_day", "2024-07-01", 650.0, 600.0), ("min_day", "2024-07-02", 250.0, 300.0)]


def test_an_extreme_whose_day_is_missing_is_flagged(database: Database) -> None:
    assert found(
        database,
        report(
            "Wh",
            reported_total_consumption=600.0,
            max_day=DAY_3,
            reported_max_consumption=600.0,
            min_day=DAY_2,
            reported_min_consumption=0.0,
        ),
        report_day(DAY_1, 600.0, 600.0),
    ) == [("max_day", "2024-07-03", 600.0, None), ("min_day", "2024-07-02", 0.0, None)]


def test_a_report_in_wh_of_another_total_than_its_disaggregation_is_flagged(database: Database) -> None:
    assert found(
        database,
        report("kWh", reported_total_consumption=10.0, total_consumption_wh=10_000.0),
        report_day(DAY_1, 10.0, 10_000.0),
        total(10_050.0, of="month_report"),
        used("fridge", 10_050.0, of="month_report"),
    ) == [("report_total", None, 10_050.0, 10_000.0)]


def test_a_report_of_an_unknown_unit_is_flagged(database: Database) -> None:
    assert found(
        database,
        report("unknown", reported_total_consumption=600.0),
        report_day(DAY_1, 600.0),
        total(10_000.0, of="month_report"),
        used("fridge", 10_000.0, of="month_report"),
    ) == [("unit_unknown", None, 10_000.0, 600.0)]


@pytest.mark.parametrize(
    ("wh", "reported", "is_flagged"), [(0.0, 0.0, False), (0.6, 0.0, True), (0.0, 0.6, True)]
)
def test_a_report_of_nothing_needs_no_unit(
    database: Database, wh: float, reported: float, *, is_flagged: bool
) -> None:
    findings = found(
        database,
        report("unknown", reported_total_consumption=reported),
        report_day(DAY_1, reported),
        total(wh, of="month_report"),
    )
    assert findings == ([("unit_unknown", None, wh, reported)] if is_flagged else [])


def test_a_day_outside_of_its_report_is_flagged(database: Database) -> None:
    assert found(
        database,
        report("Wh", reported_total_consumption=900.0),
        report_day(date(2024, 6, 30), 300.0),
        report_day(DAY_1, 200.0),
        report_day(date(2024, 7, 31), 100.0),
        report_day(date(2024, 8, 1), 300.0),
    ) == [("day_outside_period", "2024-06-30", None, None), ("day_outside_period", "2024-08-01", None, None)]


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Database]:
    with closing(InDuckDB()) as database:
        create(database)
        yield database


WH: Final = st.floats(0, 1e6)


@given(st.lists(st.tuples(st.sampled_from(ApplianceKey), WH), unique_by=lambda pair: pair[0]), WH)
def test_a_sum_is_flagged_where_it_is_off_by_more_than_a_thousandth_and_1_wh(
    in_memory: Database, appliances: list[tuple[ApplianceKey, float]], stated: float
) -> None:
    for table in ("totals", "consumption"):
        in_memory.execute(f"DELETE FROM {table}")
    findings = found(in_memory, total(stated), *(used(key, wh) for key, wh in appliances))

    added_up = sum(wh for _, wh in appliances)
    is_off = abs(added_up - stated) > max(1.0, stated / 1000)
    assert [finding for finding, *_ in findings] == ["appliances_sum"] * is_off
