"""Units of reports: the documentation's table says Wh, its example shows kWh; only the totals tell. T85."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.protocol.codec import MONTH_REPORT, WEEK_REPORT
from voltaware_async.records import DayByDayMetrics, Disaggregation, Report, ReportedUnit

SAMPLES = Path(__file__).parent.parent / "samples"
MONTH = MONTH_REPORT.decode((SAMPLES / "month_report.json").read_bytes())
WEEK = WEEK_REPORT.decode((SAMPLES / "week_report.json").read_bytes())


def report(reported: float, wh: float) -> Report:
    return Report(DayByDayMetrics(0, 0.0, 0.0, reported, ()), Disaggregation(wh, 0.0, ()))


@pytest.mark.parametrize("example", [MONTH, WEEK], ids=["month", "week"])
def test_the_documentations_examples_are_in_kwh(example: Report) -> None:
    factor = example.wh_per_reported_unit

    assert example.reported_unit is ReportedUnit.KWH
    assert factor == 1000
    assert example.total_consumption * factor == pytest.approx(13706.71, abs=0.005)
    assert example.disaggregation_metrics.total_consumption == 13706.82


def test_what_was_reported_stays_as_it_was_sent() -> None:
    assert MONTH.total_consumption == 13.70671
    assert MONTH.days[0].total_consumption == 0.43057


@pytest.mark.parametrize(
    ("reported", "wh", "unit", "factor"),
    [
        (13706.71, 13706.82, ReportedUnit.WH, 1),
        (100.0, 100.0, ReportedUnit.WH, 1),
        (100.0, 101.9, ReportedUnit.WH, 1),
        (100.0, 98.1, ReportedUnit.WH, 1),
        (100.0, 102.1, ReportedUnit.UNKNOWN, None),
        (100.0, 97.9, ReportedUnit.UNKNOWN, None),
        (0.1, 101.9, ReportedUnit.KWH, 1000),
        (0.1, 98.1, ReportedUnit.KWH, 1000),
        (0.1, 102.1, ReportedUnit.UNKNOWN, None),
        (0.1, 97.9, ReportedUnit.UNKNOWN, None),
        (100.0, 1700.0, ReportedUnit.UNKNOWN, None),
        (100_000.0, 100.0, ReportedUnit.UNKNOWN, None),
        (1e-300, 1e300, ReportedUnit.UNKNOWN, None),
        (5e-324, 5e-324, ReportedUnit.WH, 1),
    ],
)
def test_the_unit_is_the_one_that_makes_the_totals_agree_within_two_per_cent(
    reported: float, wh: float, unit: ReportedUnit, factor: float | None
) -> None:
    assert report(reported, wh).reported_unit is unit
    assert report(reported, wh).wh_per_reported_unit == factor


@pytest.mark.parametrize(
    ("reported", "wh"),
    [(0.0, 0.0), (-0.0, 0.0), (0.0, 100.0), (100.0, 0.0), (-5.0, -5.0), (-5.0, -5000.0), (-5.0, 5.0)],
)
def test_totals_that_are_zero_or_negative_tell_no_unit(reported: float, wh: float) -> None:
    assert report(reported, wh).reported_unit is ReportedUnit.UNKNOWN
    assert report(reported, wh).wh_per_reported_unit is None


def test_the_days_say_nothing_of_the_unit() -> None:
    """T87: they do not add up to their total even in the documentation."""
    without_days = evolve(MONTH, day_by_day_metrics=evolve(MONTH.day_by_day_metrics, days=()))

    assert without_days.reported_unit is ReportedUnit.KWH


@given(st.floats(), st.floats())
def test_any_two_totals_tell_a_unit_or_none(reported: float, wh: float) -> None:
    """And one that is told makes them agree, within a little more than 2 %."""
    factor = report(reported, wh).wh_per_reported_unit

    if factor is None:
        assert report(reported, wh).reported_unit is ReportedUnit.UNKNOWN
    else:
        assert wh == pytest.approx(reported * factor, rel=0.0205, abs=0)


@given(st.floats(1e-3, 1e9), st.floats(-0.0199, 0.0199))
def test_the_unit_is_found_again_whatever_the_size_of_the_home(reported: float, off: float) -> None:
    assert report(reported, reported * (1 + off)).reported_unit is ReportedUnit.WH
    assert report(reported, reported * 1000 * (1 + off)).reported_unit is ReportedUnit.KWH
