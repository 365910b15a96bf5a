"""Reports: a month or a week day by day, with its disaggregation and carbon footprint.

Hazard: the documentation's table gives the daily figures in Wh, its example shows kWh. The records keep
what was sent: `Report.reported_unit` tells which of the two it was. Nor does the documentation's example add
up: its extremes are not among its days, and its days do not sum to its total.

Source: Reports.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import frozen

from voltaware_async.records.disaggregation import Disaggregation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CarbonFootprint", "DayByDayMetrics", "DayConsumption", "Report", "ReportedUnit"]


class ReportedUnit(StrEnum):
    """Name the unit of a report's daily figures, as far as it can be told."""

    WH = "Wh"
    KWH = "kWh"
    UNKNOWN = "unknown"


_WH_PER_UNIT: Final[Mapping[ReportedUnit, float]] = MappingProxyType(
    {ReportedUnit.WH: 1.0, ReportedUnit.KWH: 1000.0}
)
# Of the ratio: the documentation's own example is 0.0008 % off.
_TOLERANCE: Final = 0.02


@frozen
class DayConsumption:
    """Tell one day: `total_consumption` in the report's own unit (see the module), `weekend` by the API."""

    day: date
    total_consumption: float
    weekend: bool


@frozen
class DayByDayMetrics:
    """Tell a period day by day, in the report's own unit (see the module), in the order sent.

    Averages and extremes may be missing for a period without data. The wire's `total_month_consumption`
    and `total_week_consumption` are both `total_consumption` here; so too average, max and min.

    Source: Reports, Monthly and Weekly.
    """

    days_without_consumption: int
    total_consumed_on_week_days: float
    total_consumed_on_weekend_days: float
    total_consumption: float
    days: tuple[DayConsumption, ...]
    average_consumption: float | None = None
    max_consumption: DayConsumption | None = None
    min_consumption: DayConsumption | None = None


@frozen
class CarbonFootprint:
    """Tell the CO2 emitted, in kg, and the trees that would absorb it."""

    kgco2: float | None = None
    trees: float | None = None


@frozen
class Report:
    """Report a month or a week.

    Its daily figures are in the unit that `reported_unit` names.

    Source: Reports.
    """

    day_by_day_metrics: DayByDayMetrics
    disaggregation_metrics: Disaggregation
    carbon_footprint: CarbonFootprint | None = None
    version: int | None = None

    @property
    def reported_unit(self) -> ReportedUnit:
        """The unit of the daily figures: the one that makes their total the disaggregation's, within 2 %.

        Hazard: the documentation's table says Wh, its example shows kWh, and no field tells. The
        disaggregation's total is Wh for certain. Unknown where the two totals fit neither unit, or where
        one of them is zero or below.

        Source: Reports, Monthly.
        """
        wh, reported = self.disaggregation_metrics.total_consumption, self.total_consumption
        if wh <= 0 or reported <= 0:
            return ReportedUnit.UNKNOWN
        ratio = wh / reported
        fitting = (unit for unit, each in _WH_PER_UNIT.items() if abs(ratio / each - 1) <= _TOLERANCE)
        return next(fitting, ReportedUnit.UNKNOWN)

    @property
    def wh_per_reported_unit(self) -> float | None:
        """The factor that makes daily figures Wh: 1, 1000, or None where the unit is unknown."""
        return _WH_PER_UNIT.get(self.reported_unit)

    @property
    def total_consumption(self) -> float:
        """The sum over the days as reported: Wh or kWh, see the module."""
        return self.day_by_day_metrics.total_consumption

    @property
    def average_consumption(self) -> float | None:
        """The average of a day as reported."""
        return self.day_by_day_metrics.average_consumption

    @property
    def max_consumption(self) -> DayConsumption | None:
        """The day of most consumption as reported."""
        return self.day_by_day_metrics.max_consumption

    @property
    def min_consumption(self) -> DayConsumption | None:
        """The day of least consumption as reported."""
        return self.day_by_day_metrics.min_consumption

    @property
    def days(self) -> tuple[DayConsumption, ...]:
        """The days in the order sent."""
        return self.day_by_day_metrics.days
