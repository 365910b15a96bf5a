"""Rows of reports: the days as they were sent, in Wh only where the report's unit is known."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve
from store_cases import JULY, WEEK_28, batch, fetched_as, rows

from voltaware_async.cells import Dataset
from voltaware_async.protocol.codec import MONTH_REPORT, WEEK_REPORT
from voltaware_async.records.disaggregation import ApplianceConsumption, Disaggregation
from voltaware_async.records.reports import CarbonFootprint, DayByDayMetrics, DayConsumption, Report
from voltaware_async.stores.tables import REPORT_DAYS, REPORTS

if TYPE_CHECKING:
    from voltaware_async.stores.batches import Batch

SAMPLES: Final = Path(__file__).parents[1] / "samples"
MONTH: Final = MONTH_REPORT.decode((SAMPLES / "month_report.json").read_bytes())
WEEK: Final = WEEK_REPORT.decode((SAMPLES / "week_report.json").read_bytes())


def report(*daily: float, total: float, wh: float) -> Report:
    """Make a report of the first days of July, with nothing that may be missing."""
    days = tuple(
        DayConsumption(date(2024, 7, 1) + timedelta(days=number), consumption, weekend=number in {5, 6})
        for number, consumption in enumerate(daily)
    )
    appliances = (ApplianceConsumption("fridge", wh),)
    return Report(DayByDayMetrics(0, total, 0.0, total, days), Disaggregation(wh, 0.0, appliances))


def landed(record: Report) -> Batch:
    return batch(fetched_as(Dataset.MONTH_REPORT, JULY, record))


def only_row(of: Batch) -> dict[str, object]:
    [row] = of.tables["reports"].to_pylist()
    return {name: value for name, value in row.items() if name not in REPORTS.names[:4]}


def days_of(of: Batch) -> list[tuple[object, object]]:
    """Return what was reported of each day beside its Wh."""
    table = of.tables["report_days"]
    return [(row["reported_consumption"], row["consumption_wh"]) for row in table.to_pylist()]


def test_the_documentations_monthly_report_is_one_row_in_kwh() -> None:
    found = landed(MONTH)
    assert rows(found, "reports")[0][:4] == ("0001", "month_report", JULY.start, JULY.end)
    assert only_row(found) == {
        "reported_unit": "kWh",
        "reported_total_consumption": 13.70671,
        "total_consumption_wh": pytest.approx(13706.71, abs=0.005),
        "reported_average_consumption": 0.44215,
        "reported_max_consumption": 0.46071,
        "max_day": date(2024, 7, 23),
        "reported_min_consumption": 0.40534,
        "min_day": date(2024, 7, 24),
        "reported_week_days_consumption": 10.12829,
        "reported_weekend_days_consumption": 3.57842,
        "days_without_consumption": 0,
        "kgco2": 7.11378249,
        "trees": 3.803064,
        "version": 1,
    }


def test_the_documentations_monthly_report_has_a_row_for_each_of_its_days() -> None:
    key = "0001", "month_report", JULY.start, JULY.end
    found = rows(landed(MONTH), "report_days")
    assert len(found) == 31
    assert found[0] == (*key, date(2024, 7, 1), 0.43057, pytest.approx(430.57), False)
    assert found[5] == (*key, date(2024, 7, 6), 0.44847, pytest.approx(448.47), True)
    assert [row[5] for row in found] == [day.total_consumption for day in MONTH.days]


def test_a_weekly_report_has_its_week_as_its_period() -> None:
    found = batch(fetched_as(Dataset.WEEK_REPORT, WEEK_28, WEEK))
    assert rows(found, "reports")[0][:4] == ("0001", "week_report", WEEK_28.start, WEEK_28.end)
    assert {row[:4] for row in rows(found, "report_days")} == {rows(found, "reports")[0][:4]}
    assert len(rows(found, "report_days")) == 7


@pytest.mark.parametrize(
    ("total", "wh", "unit", "day_wh", "total_wh"),
    [
        (12.5, 12500.0, "kWh", 5000.0, 12500.0),
        (12.5, 12.5, "Wh", 5.0, 12.5),
        (12.5, 170.0, "unknown", None, None),
        (0.0, 0.0, "unknown", None, None),
        (0.0, 12500.0, "unknown", None, None),
        (12.5, 0.0, "unknown", None, None),
        (-12.5, -12500.0, "unknown", None, None),
    ],
)
def test_what_was_reported_is_kept_and_becomes_wh_where_the_totals_tell_the_unit(
    total: float, wh: float, unit: str, day_wh: float | None, total_wh: float | None
) -> None:
    found = landed(report(5.0, total=total, wh=wh))
    row = only_row(found)
    assert (row["reported_unit"], row["total_consumption_wh"]) == (unit, total_wh)
    assert row["reported_total_consumption"] == total
    assert days_of(found) == [(5.0, day_wh)]


def test_the_appliances_and_the_total_of_a_report_are_wh_whatever_its_days_are_in() -> None:
    for total in (12.5, 12500.0, 1.0):
        found = landed(report(total, total=total, wh=12500.0))
        assert rows(found, "consumption") == [
            ("0001", "month_report", JULY.start, JULY.end, "fridge", 12500.0)
        ]
        assert rows(found, "totals")[0][4:] == (12500.0, 0.0)
        assert found.ledger.column("total_consumption_wh").to_pylist() == [12500.0]


def test_a_report_without_extremes_average_carbon_footprint_or_version_has_nulls_there() -> None:
    missing = {
        name for name, value in only_row(landed(report(5.0, total=5.0, wh=5.0))).items() if value is None
    }
    assert missing == {
        "reported_average_consumption",
        "reported_max_consumption",
        "max_day",
        "reported_min_consumption",
        "min_day",
        "kgco2",
        "trees",
        "version",
    }


def test_half_a_carbon_footprint_is_half_kept() -> None:
    footprint = CarbonFootprint(kgco2=0.0)
    row = only_row(landed(evolve(MONTH, carbon_footprint=footprint)))
    assert (row["kgco2"], row["trees"]) == (0.0, None)


def test_an_extreme_day_without_consumption_is_a_day_and_not_missing() -> None:
    lowest = DayConsumption(date(2024, 7, 9), 0.0, weekend=False)
    metrics = evolve(MONTH.day_by_day_metrics, min_consumption=lowest)
    row = only_row(landed(evolve(MONTH, day_by_day_metrics=metrics)))
    assert (row["min_day"], row["reported_min_consumption"]) == (date(2024, 7, 9), 0.0)


def test_a_report_without_days_is_still_a_row() -> None:
    found = landed(report(total=5.0, wh=5.0))
    assert days_of(found) == []
    assert only_row(found)["reported_unit"] == "Wh"


def test_a_day_that_is_sent_twice_stays_two_rows_in_the_order_sent() -> None:
    day = DayConsumption(date(2024, 7, 2), 1.0, weekend=False)
    earlier = evolve(day, day=date(2024, 7, 1), total_consumption=3.0)
    metrics = evolve(MONTH.day_by_day_metrics, days=(day, evolve(day, total_consumption=2.0), earlier))
    found = landed(evolve(MONTH, day_by_day_metrics=metrics))
    assert [day for day, _ in days_of(found)] == [1.0, 2.0, 3.0]


def test_nulls_first_do_not_decide_a_type() -> None:
    bare, full = report(5.0, total=5.0, wh=100.0), MONTH
    for records in ((bare, full), (full, bare), (bare,), ()):
        found = batch(*(fetched_as(Dataset.MONTH_REPORT, JULY, record) for record in records))
        assert found.tables["reports"].schema == REPORTS
        assert found.tables["report_days"].schema == REPORT_DAYS
        assert found.tables["reports"].num_rows == len(records)


def test_a_day_whose_wh_are_beyond_all_numbers_has_none() -> None:
    """It must not make every sum over days infinite."""
    found = landed(report(1e306, 5.0, total=5.0, wh=5000.0))
    assert days_of(found) == [(1e306, None), (5.0, 5000.0)]
