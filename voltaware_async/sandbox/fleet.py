"""The synthetic fleet: what the API would answer for any device and period, as plain values."""

from datetime import date
from functools import lru_cache

from voltaware_async.sandbox import devices
from voltaware_async.sandbox.charging import appliance_cycles
from voltaware_async.sandbox.consumption import Consumption, Daily, number
from voltaware_async.sandbox.hashing import mix
from voltaware_async.sandbox.households import Household, household
from voltaware_async.sandbox.reports import REPORT_VERSION, DayByDay, ReportUnit, carbon_footprint
from voltaware_async.sandbox.shapes import (
    ApplianceCycles,
    Device,
    Disaggregation,
    MonthReport,
    MonthWeeks,
    Number,
    Share,
    WeekReport,
    WeekShare,
)
from voltaware_async.sandbox.spans import Dataset, Span, iso

_REMEMBERED = 4096
"""Households kept at a time: the requests for one device come close together."""


class Fleet:
    """The expected values: each function returns the JSON-ready body of a reply, or None without a result.

    Everything follows from the seed, the number of the device and the day. Ids run from "0001" to the number
    of devices, then through the devices registered since. `today` decides which results exist already.
    """

    def __init__(
        self, *, devices: int, seed: int, today: date, late_share: float = 0.0, report_unit: str = "kWh"
    ) -> None:
        self.today = today
        self._count = devices
        self._seed = seed
        self._anchor = today.toordinal()
        self._late_share = late_share
        self._unit = ReportUnit(report_unit)
        self._joined: list[int] = []
        self._consumption = Consumption(seed)
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._household_at)

    def device_ids(self) -> devices.DeviceIds:
        """Return the ids in the order of GET /sensors, as a sequence that is computed, not stored."""
        return devices.DeviceIds(first=1, count=self._count + len(self._joined))

    def device(self, device_id: str) -> Device | None:
        """Return the device, or None for an unknown id."""
        known = self.household(device_id)
        return devices.view(known, self.today) if known else None

    def household(self, device_id: str) -> Household | None:
        """Return the traits behind the device, or None for an unknown id; "1" is not "0001"."""
        index = self.index(device_id)
        return self._remembered(index) if index else None

    def index(self, device_id: str) -> int | None:
        """Return the number of the device, from 1, or None for an unknown id."""
        if not (device_id.isascii() and device_id.isdigit() and len(device_id) < _LONGEST_ID):
            return None
        index = int(device_id)
        known = 0 < index <= self._count + len(self._joined) and devices.device_id(index) == device_id
        return index if known else None

    def register(self) -> str:
        """Add a device whose first event comes today; return its id."""
        self._joined.append(self.today.toordinal())
        return devices.device_id(self._count + len(self._joined))

    @property
    def registered(self) -> int:
        """How many devices were registered since the start."""
        return len(self._joined)

    def known_to(self, device_id: str, registered_at_login: int) -> bool:
        """Return whether a login that saw so many registered devices may touch the metadata of this one."""
        index = self.index(device_id)
        return index is not None and index <= self._count + registered_at_login

    def month(self, device_id: str, year: int, month: int) -> Disaggregation | None:
        """Return the disaggregation of a month, in Wh."""
        span = Span.month(year, month)
        home = self._home_with(Dataset.MONTH, device_id, span)
        return self._disaggregation(home, self._consumption.daily(home, span)) if home else None

    def week(self, device_id: str, start: date) -> Disaggregation | None:
        """Return the disaggregation of the week from the Monday `start`, in Wh."""
        span = Span.week(start)
        home = self._home_with(Dataset.WEEK, device_id, span)
        return self._disaggregation(home, self._consumption.daily(home, span)) if home else None

    def month_weeks(self, device_id: str, year: int, month: int) -> MonthWeeks | None:
        """Return the disaggregation of a month by its weeks, cut off at its ends, in Wh."""
        span = Span.month(year, month)
        home = self._home_with(Dataset.MONTH_WEEKS, device_id, span)
        if home is None:
            return None
        daily = self._consumption.daily(home, span)
        return {
            "total_consumption": number(daily.total()),
            "disconnection_percentage": _disconnection(home, daily),
            "weeks": [_week_share(home, daily, *piece) for piece in span.clipped_weeks()],
        }

    def month_cycles(self, device_id: str, year: int, month: int) -> list[ApplianceCycles] | None:
        """Return the charging cycles of a month, in Wh; empty without an electric vehicle."""
        return self._cycles(Dataset.MONTH_CYCLES, device_id, Span.month(year, month))

    def week_cycles(self, device_id: str, start: date) -> list[ApplianceCycles] | None:
        """Return the charging cycles of the week from the Monday `start`, in Wh."""
        return self._cycles(Dataset.WEEK_CYCLES, device_id, Span.week(start))

    def month_report(self, device_id: str, year: int, month: int) -> MonthReport | None:
        """Return the report of a month; its days are in the report unit, its disaggregation in Wh."""
        span = Span.month(year, month)
        home = self._home_with(Dataset.MONTH_REPORT, device_id, span)
        if home is None:
            return None
        daily = self._consumption.daily(home, span)
        return {
            "day_by_day_metrics": DayByDay.of(daily, self._unit).month(),
            "disaggregation_metrics": self._disaggregation(home, daily),
            "carbon_footprint": carbon_footprint(daily),
            "version": REPORT_VERSION,
        }

    def week_report(self, device_id: str, start: date) -> WeekReport | None:
        """Return the report of the week from the Monday `start`."""
        span = Span.week(start)
        home = self._home_with(Dataset.WEEK_REPORT, device_id, span)
        if home is None:
            return None
        daily = self._consumption.daily(home, span)
        return {
            "day_by_day_metrics": DayByDay.of(daily, self._unit).week(),
            "disaggregation_metrics": self._disaggregation(home, daily),
            "carbon_footprint": carbon_footprint(daily),
            "version": REPORT_VERSION,
        }

    def has_result(self, dataset: Dataset, device_id: str, span: Span) -> bool:
        """Return whether the calculation is done; cycles may be done and have nothing to say (204)."""
        return self._home_with(dataset, device_id, span) is not None

    def _household_at(self, index: int) -> Household:
        joined = self._joined[index - self._count - 1] if index > self._count else None
        return household(self._seed, index, self._anchor, joined)

    def _home_with(self, dataset: Dataset, device_id: str, span: Span) -> Household | None:
        """Return the household if its result for the span exists today."""
        home = self.household(device_id)
        if home is None or home.first_day is None or span.last < home.first_day:
            return None
        if mix(home.key, span.first, span.days, 5) % _ONE_LACKING_IN == 0:
            return None
        published = span.published + self._lateness(home, dataset, span)
        return home if self.today.toordinal() >= published else None

    def _lateness(self, home: Household, dataset: Dataset, span: Span) -> int:
        """Return how many days later than the rule the result appears: 0, or 1 to 4 for the late share."""
        if not self._late_share:
            return 0
        draw = mix(home.key, span.first, span.days, 6, *dataset.encode())
        return 1 + (draw >> 32) % 4 if draw % 10_000 < self._late_share * 10_000 else 0

    def _disaggregation(self, home: Household, daily: Daily) -> Disaggregation:
        return {
            "total_consumption": number(daily.total()),
            "disconnection_percentage": _disconnection(home, daily),
            "appliances": _shares(home, {key: sum(days) for key, days in daily.appliances.items()}),
        }

    def _cycles(self, dataset: Dataset, device_id: str, span: Span) -> list[ApplianceCycles] | None:
        home = self._home_with(dataset, device_id, span)
        if home is None or home.silent_cycles:
            return None
        return appliance_cycles(home, self._consumption.daily(home, span))


_ONE_LACKING_IN = 150
"""One in so many results of ordinary devices was never calculated."""

_LONGEST_ID = 20
"""Longer runs of digits are no id; int() of a very long one would take its time."""


def _shares(home: Household, totals: dict[str, int]) -> list[Share]:
    """Return the appliances found; an appliance that used nothing is left out, or a bare 0."""
    return [
        {"appliance_key": appliance, "consumption": number(units)}
        for appliance, units in totals.items()
        if units or home.prints_zeros
    ]


def _week_share(home: Household, daily: Daily, offset: int, days: int) -> WeekShare:
    totals = {key: sum(units[offset : offset + days]) for key, units in daily.appliances.items()}
    start = daily.span.first + offset
    return {
        "from": iso(start),
        "to": iso(start + days - 1),
        "total_consumption": number(sum(totals.values())),
        "appliances": _shares(home, totals),
    }


def _disconnection(home: Household, daily: Daily) -> Number:
    """Return the percentage of the span without connection: days away, or some hours now and then."""
    if daily.days_away:
        return round(100 * daily.days_away / daily.span.days, 1)
    draw = mix(home.key, daily.span.first, daily.span.days, 7)
    return (draw >> 8) % 200 / 10 if draw % 4 == 0 else 0
