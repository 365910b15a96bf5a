from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from sql_rows import (
    AUGUST,
    DAY_1,
    DAY_2,
    FIRST_WEEK,
    JULY,
    WEEK_28,
    asked,
    cycle,
    fill,
    found,
    in_order,
    report,
    report_day,
    total,
    tuples,
    used,
    view,
    week,
)

from voltaware_async.records.disaggregation import ApplianceKey
from voltaware_async.stores.sql.checks import CHECKS_SUMMARY, FINDINGS

if TYPE_CHECKING:
    from sql_rows import Database, Row


# Values.


@pytest.mark.parametrize(
    ("percentage", "findings"),
    [
        (0.0, []),
        (10.0, []),
        (10.1, [("disconnection", None, 10.0, 10.1)]),
        (100.0, [("disconnection", None, 10.0, 100.0)]),
        (100.1, [("disconnection_range", None, 100.0, 100.1)]),
        (-0.1, [("disconnection_range", None, 0.0, -0.1)]),
    ],
)
def test_a_disconnection_of_more_than_a_tenth_is_flagged(
    database: Database, percentage: float, findings: list[tuple[object, ...]]
) -> None:
    assert found(database, total(0.0, percentage)) == findings


def test_what_is_below_zero_is_flagged_wherever_it_stands(database: Database) -> None:
    assert found(
        database,
        total(-1.0),
        used("fridge", -1.0),
        used("electric_vehicle", -2.0, of="month_cycles"),
        cycle("2024-07-12T20:00", "2024-07-12T22:00", -2.0),
        report("Wh", reported_total_consumption=-3.0),
        report_day(DAY_1, -3.0, -3.0),
    ) == [
        ("negative", None, -0.5, -1.0),
        ("negative", "fridge", -0.5, -1.0),
        ("negative", "electric_vehicle", -0.5, -2.0),
        ("negative", "electric_vehicle", -0.5, -2.0),
        ("negative", "2024-07-01", -0.5, -3.0),
    ]


def test_a_rounding_trace_below_zero_is_fine(database: Database) -> None:
    assert found(database, total(-2.3e-13), used("fridge", -0.4)) == []


def test_a_mean_power_of_more_than_100_kw_is_flagged_over_the_days_of_the_period(database: Database) -> None:
    week_limit, month_limit = 16_800_000.0, 74_400_000.0
    assert found(
        database,
        total(month_limit),
        used("fridge", month_limit),
        total(week_limit + 1.0, of="week", days=WEEK_28),
        used("fridge", week_limit + 1.0, of="week", days=WEEK_28),
        report("Wh", reported_total_consumption=4_800_001.0),
        report_day(DAY_1, 2_400_001.0, 2_400_001.0),
        report_day(DAY_2, 2_400_000.0, 2_400_000.0),
    ) == [
        ("absurd", "2024-07-01", 2_400_000.0, 2_400_001.0),
        ("absurd", None, week_limit, week_limit + 1.0),
        ("absurd", "fridge", week_limit, week_limit + 1.0),
    ]


def test_a_week_that_ends_before_it_starts_counts_as_a_day(database: Database) -> None:
    backwards = date(2024, 7, 14), date(2024, 7, 8)
    rows = (
        total(2_400_000.0, of="week", days=backwards),
        used("fridge", 2_400_000.0, of="week", days=backwards),
    )

    assert found(database, *rows) == []


def test_no_period_is_too_long_to_be_judged(database: Database) -> None:
    ever = date.min, date.max
    rows = total(1.0, of="week", days=ever), used("fridge", 1.0, of="week", days=ever)

    assert found(database, *rows) == []


def test_a_cycle_of_more_than_500_kw_is_flagged(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 501_000.0, of="month_cycles"),
        cycle("2024-07-12T20:00", "2024-07-12T20:30", 251_000.0),
        cycle("2024-07-12T21:00", "2024-07-12T21:30", 250_000.0),
    ) == [("absurd", "electric_vehicle", 250_000.0, 251_000.0)]


def test_a_cycle_without_duration_may_use_nothing(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 800.0, of="month_cycles"),
        cycle("2024-07-12T20:00", "2024-07-12T20:00", 800.0),
        cycle("2024-07-12T21:00", "2024-07-12T21:00", 2.3e-13),
    ) == [("absurd", "electric_vehicle", 0.0, 800.0)]


def test_a_cycle_that_outlasts_its_period_by_more_than_two_days_is_flagged(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 2000.0, of="week_cycles", days=WEEK_28),
        cycle("2024-07-07T00:00", "2024-07-16T00:00", 1000.0, of="week_cycles", days=WEEK_28),
        cycle("2024-07-07T00:00", "2024-07-16T01:00", 1000.0, of="week_cycles", days=WEEK_28),
    ) == [("absurd_duration", "electric_vehicle", 216.0, 217.0)]


def test_a_cycle_that_ends_before_it_starts_is_flagged_by_its_instants(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 8000.0, of="month_cycles"),
        cycle("2024-10-27T02:30", "2024-10-27T02:15", 4000.0, offset=(2, 1)),
        cycle("2024-10-28T02:30", "2024-10-28T02:15", 4000.0, offset=1),
    ) == [("cycle_ends_before_start", "electric_vehicle", 0.0, -0.25)]


def test_a_cycle_without_instants_goes_by_its_clock(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 4000.0, of="month_cycles"),
        cycle("2024-10-27T02:30", "2024-10-27T02:15", 4000.0, offset=None),
    ) == [
        ("cycle_ends_before_start", "electric_vehicle", 0.0, -0.25),
        ("zone_unknown", None, 0.0, 1.0),
    ]


def test_a_cycle_of_an_ambiguous_time_is_flagged(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 4000.0, of="month_cycles"),
        cycle("2024-10-27T02:15", "2024-10-27T04:00", 4000.0, offset=(2, 1), ambiguous=True),
    ) == [("ambiguous_time", "electric_vehicle", None, None)]


def test_cycles_without_instants_are_one_finding_of_their_cell(database: Database) -> None:
    assert found(
        database,
        used("electric_vehicle", 12_000.0, of="month_cycles"),
        cycle("2024-07-12T20:00", "2024-07-12T22:00", 4000.0, offset=None),
        cycle("2024-07-13T20:00", "2024-07-13T22:00", 4000.0, offset=None),
        cycle("2024-07-14T20:00", "2024-07-14T22:00", 4000.0),
    ) == [("zone_unknown", None, 0.0, 2.0)]


# Keys.


def test_every_documented_appliance_is_known_and_any_other_is_flagged(database: Database) -> None:
    keys = [*ApplianceKey, "tumble_dryer"]

    assert found(database, total(12.0), *(used(key, 1.0) for key in keys)) == [
        ("unknown_appliance", "tumble_dryer", None, None)
    ]


def test_an_appliance_that_stands_twice_in_a_result_is_flagged(database: Database) -> None:
    assert found(
        database,
        total(300.0),
        used("fridge", 100.0),
        used("fridge", 200.0),
        total(100.0, device="2"),
        used("fridge", 100.0, device="2"),
        used("fridge", 100.0, days=AUGUST),
        total(100.0, days=AUGUST),
    ) == [("duplicate_appliance", "fridge", 1.0, 2.0)]


def test_a_week_outside_of_any_month_that_was_asked_is_flagged(database: Database) -> None:
    over_the_edge = date(2024, 7, 29), date(2024, 8, 4)
    of_june = date(2024, 6, 24), date(2024, 6, 30)
    fill(
        database,
        asked(of="month_weeks"),
        asked(of="month", days=(date(2024, 6, 1), date(2024, 6, 30))),
        asked(of="month_weeks", days=(date(2024, 6, 1), date(2024, 6, 30)), device="2"),
        total(0.0, of="month_weeks"),
        week(0.0, FIRST_WEEK),
        week(0.0, over_the_edge),
        week(0.0, of_june),
    )
    assert view(database, "checks") == [
        ("1", "month_weeks", *of_june, "week_outside_month", None, None, None),
        ("1", "month_weeks", *over_the_edge, "week_outside_month", None, None, None),
    ]


# All of them.


def test_rows_that_are_right_are_not_flagged(database: Database) -> None:
    assert (
        found(
            database,
            asked(of="month_weeks"),
            total(9000.0, 9.9),
            used("electric_vehicle", 8000.0),
            used("others", 1000.0),
            total(9000.0, 9.9, of="month_weeks"),
            week(9000.0, FIRST_WEEK),
            used("others", 9000.0, of="month_weeks", days=FIRST_WEEK),
            used("electric_vehicle", 8000.0, of="month_cycles"),
            cycle("2024-07-12T20:00", "2024-07-12T22:00", 8000.0),
            report(
                "kWh",
                reported_total_consumption=9.0,
                total_consumption_wh=9000.0,
                max_day=DAY_1,
                reported_max_consumption=6.0,
                min_day=DAY_2,
                reported_min_consumption=3.0,
                reported_week_days_consumption=9.0,
                reported_weekend_days_consumption=0.0,
            ),
            report_day(DAY_1, 6.0, 6000.0),
            report_day(DAY_2, 3.0, 3000.0),
            total(9000.0, of="month_report"),
            used("others", 9000.0, of="month_report"),
        )
        == []
    )


def broken() -> list[Row]:
    """Return rows in which there is everything to find."""
    wrong = {"device": "2", "days": (date(2024, 6, 24), date(2024, 6, 30))}
    return [
        asked(of="month_weeks"),
        total(1000.0, 50.0),
        total(500.0, 101.0, of="month_weeks"),
        week(-5.0, (date(2024, 6, 24), date(2024, 6, 30))),
        used("toaster", 1.0, of="week", **wrong),
        used("toaster", 1.0, of="week", **wrong),
        used("fridge", 1e12, of="week", **wrong),
        used("electric_vehicle", 77.0),
        used("electric_vehicle", 90.0, of="month_cycles"),
        cycle("2024-07-01T00:00", "2024-08-07T00:00", 5.0, offset=None),
        cycle("2024-07-02T00:00", "2024-07-01T00:00", 5.0, ambiguous=True),
        report(
            "unknown",
            reported_total_consumption=5.0,
            reported_week_days_consumption=1.0,
            reported_weekend_days_consumption=1.0,
            max_day=DAY_1,
            min_day=DAY_1,
        ),
        report(
            "Wh",
            of="week_report",
            days=WEEK_28,
            reported_total_consumption=5.0,
            total_consumption_wh=5.0,
        ),
        report_day(date(2024, 1, 1), 3.0),
        total(9.0, of="month_report"),
        total(9.0, of="week_report", days=WEEK_28),
    ]


def test_every_finding_is_explained_and_can_be_found(database: Database) -> None:
    assert {row[0] for row in found(database, *broken())} == set(FINDINGS)


def test_each_finding_can_be_asked_for_by_itself(database: Database) -> None:
    fill(database, *broken())
    rows = view(database, "checks")

    for finding in FINDINGS:
        alone = tuples(database, f"SELECT * FROM checks WHERE finding = '{finding}'")
        assert in_order(alone) == [row for row in rows if row[4] == finding]


def test_the_summary_counts_cells_and_names_a_device_to_look_at(database: Database) -> None:
    fill(
        database,
        total(10_000.0, device="0002"),
        total(10_000.0, 11.0, device="0001"),
        total(10_000.0, device="0003", days=AUGUST),
        used("nothing", -1.0, device="0003", days=AUGUST),
        used("nowhere", -2.0, device="0003", days=AUGUST),
    )
    assert tuples(database, CHECKS_SUMMARY) == [
        ("month", JULY[0], "appliances_sum", 2, "0001"),
        ("month", JULY[0], "disconnection", 1, "0001"),
        ("month", AUGUST[0], "appliances_sum", 1, "0003"),
        ("month", AUGUST[0], "negative", 1, "0003"),
        ("month", AUGUST[0], "unknown_appliance", 1, "0003"),
    ]
