"""The day by day metrics of the reports."""

from enum import StrEnum

from attrs import frozen

from voltaware_async.sandbox.consumption import Daily
from voltaware_async.sandbox.households import WHOLE_WH
from voltaware_async.sandbox.shapes import CarbonFootprint, Day, MonthMetrics, Number, WeekMetrics
from voltaware_async.sandbox.spans import is_weekend, iso

REPORT_VERSION = 1

_KGCO2_PER_KWH = 0.519
_TREES_PER_KGCO2 = 0.5346
"""Both are the ratios of the documentation's example."""


class ReportUnit(StrEnum):
    """The unit of the day by day metrics: the documentation's example shows kWh, its table says Wh."""

    KWH = "kWh"
    WH = "Wh"

    def of(self, units: float) -> Number:
        """Return units of 0.0001 Wh in this unit; nothing is a bare 0."""
        per_unit = WHOLE_WH * 1000 if self is ReportUnit.KWH else WHOLE_WH
        return units / per_unit if units else 0


@frozen
class DayByDay:
    """The metrics of a span, under names that fit a month and a week."""

    days_without_consumption: int
    on_week_days: Number
    on_weekend_days: Number
    total: Number
    average: Number
    highest: Day
    lowest: Day
    days: list[Day]

    @classmethod
    def of(cls, daily: Daily, unit: ReportUnit) -> "DayByDay":
        """Return the metrics; of equal days the earliest is the highest, or the lowest."""
        by_day = daily.by_day()
        weekend = [is_weekend(daily.span.first + offset) for offset in range(daily.span.days)]
        total = sum(by_day)
        at_weekends = sum(units for units, free in zip(by_day, weekend, strict=True) if free)
        days: list[Day] = [
            {"day": iso(daily.span.first + offset), "total_consumption": unit.of(units), "weekend": free}
            for offset, (units, free) in enumerate(zip(by_day, weekend, strict=True))
        ]
        return cls(
            days_without_consumption=by_day.count(0),
            on_week_days=unit.of(total - at_weekends),
            on_weekend_days=unit.of(at_weekends),
            total=unit.of(total),
            average=unit.of(total / len(by_day)),
            highest=days[by_day.index(max(by_day))],
            lowest=days[by_day.index(min(by_day))],
            days=days,
        )

    def month(self) -> MonthMetrics:
        """Return the metrics under the names of the monthly report."""
        return {
            "days_without_consumption": self.days_without_consumption,
            "total_consumed_on_week_days": self.on_week_days,
            "total_consumed_on_weekend_days": self.on_weekend_days,
            "total_month_consumption": self.total,
            "average_month_consumption": self.average,
            "max_month_consumption": self.highest,
            "min_month_consumption": self.lowest,
            "days": self.days,
        }

    def week(self) -> WeekMetrics:
        """Return the metrics under the names of the weekly report."""
        return {
            "days_without_consumption": self.days_without_consumption,
            "total_consumed_on_week_days": self.on_week_days,
            "total_consumed_on_weekend_days": self.on_weekend_days,
            "total_week_consumption": self.total,
            "average_week_consumption": self.average,
            "max_week_consumption": self.highest,
            "min_week_consumption": self.lowest,
            "days": self.days,
        }


def carbon_footprint(daily: Daily) -> CarbonFootprint:
    """Return the CO2 that the consumption of the span stands for."""
    kgco2 = ReportUnit.KWH.of(daily.total()) * _KGCO2_PER_KWH
    return {"kgco2": kgco2, "trees": kgco2 * _TREES_PER_KGCO2}
