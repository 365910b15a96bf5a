"""Disaggregation: what a home's consumption was spent on, for a month or a week.

Energies are Wh, as floats. `appliances` holds only what was found: an appliance that is missing is not
known to have used nothing, and must not be read as zero. The sum of the appliances need not be the total:
the documentation's own examples differ by up to 6 %.

Source: Disaggregation.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Final

from attrs import frozen

from voltaware_async.records.local_clock import LocalizedCycle, localized

__all__ = [
    "ApplianceConsumption",
    "ApplianceCycles",
    "ApplianceKey",
    "Cycle",
    "Disaggregation",
    "MonthByWeeks",
    "WeekOfMonth",
]

_FULL_WEEK_DAYS: Final = 7


class ApplianceKey(StrEnum):
    """Name a disaggregated appliance; a key of a later API passes as its text.

    `cooking_heating` stands instead of `cooking` and `heating` where the user named no appliances:
    never add them up over devices as if they were three things. The keys of the metadata's appliances
    are others (`records.appliances`), and not one to one: an AC in winter shows as `heating`.

    Source: Disaggregation, Month, the table of appliances.
    """

    BOILER = "boiler"
    COOKING = "cooking"
    COOKING_HEATING = "cooking_heating"
    COOLING = "cooling"
    ELECTRIC_VEHICLE = "electric_vehicle"
    FRIDGE = "fridge"
    HEATING = "heating"
    LIGHTS = "lights"
    OTHERS = "others"
    STANDBY = "standby"
    WASHING = "washing"


@frozen
class ApplianceConsumption:
    """Tell what one appliance used: `consumption` in Wh.

    A value may be 0, or a rounding trace such as 2.3e-13.
    """

    appliance_key: ApplianceKey | str
    consumption: float


@frozen
class Disaggregation:
    """Tell a month's or a week's consumption per appliance.

    `total_consumption` is in Wh; `disconnection_percentage` is 0 to 100, how much of the period is missing.

    Source: Disaggregation, Month and Week.
    """

    total_consumption: float
    disconnection_percentage: float
    appliances: tuple[ApplianceConsumption, ...]

    def consumption_of(self, appliance_key: str) -> float | None:
        """Return one appliance's Wh, or None where it was not found."""
        return next((a.consumption for a in self.appliances if a.appliance_key == appliance_key), None)

    @property
    def unattributed(self) -> float:
        """The Wh of the total that no appliance accounts for; below zero where they exceed it."""
        return self.total_consumption - sum(a.consumption for a in self.appliances)


@frozen
class WeekOfMonth:
    """Tell one week of a month, clipped to the month: the first and last are often partial.

    `start` and `end` are inclusive days; `total_consumption` is in Wh.

    Source: Disaggregation, Month by Weeks.
    """

    start: date
    end: date
    total_consumption: float
    appliances: tuple[ApplianceConsumption, ...]

    @property
    def is_partial(self) -> bool:
        """Whether the month's edge cut it: then it is no week that the week endpoints know."""
        return (self.end - self.start).days + 1 < _FULL_WEEK_DAYS


@frozen
class MonthByWeeks:
    """Tell a month's total, in Wh, and its weeks.

    `disconnection_percentage` (0 to 100) is of the month; the API gives none per week.

    Source: Disaggregation, Month by Weeks.
    """

    total_consumption: float
    disconnection_percentage: float
    weeks: tuple[WeekOfMonth, ...]


@frozen
class Cycle:
    """Tell one run of an appliance, such as a charge of a car: `consumption` in Wh.

    `start` and `end` are readings of the device's local clock, naive as the API sends them: the zone is
    `Locale.time_zone_id` of the device. An offset, should the API ever send one, is kept. When clocks go
    back an `end` may read earlier than its `start`.

    Source: Disaggregation, Appliance Cycles.
    """

    start: datetime
    end: datetime
    consumption: float

    def localized(self, zone: tzinfo) -> LocalizedCycle:
        """Return when it took place, in UTC; `zone` is the device's, such as `Locale.tz`.

        The instants are the likeliest ones where a change of the clock leaves a choice; ValueError where a
        reading is too near the first or the last day of the calendar.
        """
        return localized(self.start, self.end, zone)


@frozen
class ApplianceCycles:
    """Tell the cycles of one appliance in a month or a week; `total_consumption` in Wh.

    The API has cycles for `electric_vehicle` only, so far. A cycle that crosses the period's edge may
    appear in both periods.

    Source: Disaggregation, Appliance Cycles.
    """

    appliance_key: ApplianceKey | str
    total_consumption: float
    cycles: tuple[Cycle, ...]
