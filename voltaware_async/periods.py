"""The periods that results exist for, and the calendar of when they become available."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final, TypeAlias

from attrs import field, frozen

__all__ = ["Month", "Period", "Week"]

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999
_MONTHS: Final = 12
_AVAILABLE_ON_DAY: Final = 3
_MONTH_TEXT: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_ISO_WEEK_TEXT: Final = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)
_DAY_TEXT: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)


def _whole(name: str, value: int, low: int, high: int) -> None:
    """Refuse all but an int (and not a bool) of the range: `"07"` would reach the wire as it is."""
    if type(value) is not int:
        raise TypeError(f"{name} must be an int, not {type(value).__name__} {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low} to {high}, not {value}")


@frozen(order=True)
class Month:
    """Name a calendar month, 1970-01 to 2999-12; prints as `2024-07`.

    Source: Disaggregation.
    """

    year: int
    month: int

    def __attrs_post_init__(self) -> None:
        """Refuse what is not a month."""
        _whole("year", self.year, _FIRST_YEAR, _LAST_YEAR)
        _whole("month", self.month, 1, _MONTHS)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2024-07`; anything else is a ValueError that says so."""
        match = _MONTH_TEXT.fullmatch(text)
        if match is None or not 1 <= int(match[2]) <= _MONTHS:
            raise ValueError(f"a month is written YYYY-MM, as 2024-07, with MM from 01 to 12; not {text!r}")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, day: date) -> Month:
        """Return the month that holds a day; of a datetime, its own calendar day counts."""
        return cls(day.year, day.month)

    def previous(self) -> Month:
        """Return the month before."""
        return Month.of(self.start - timedelta(days=1))

    def next(self) -> Month:
        """Return the month after."""
        return Month.of(self.end + timedelta(days=1))

    @property
    def start(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def end(self) -> date:
        """The last day, inclusive."""
        following = self.year + self.month // _MONTHS, self.month % _MONTHS + 1
        return date(*following, 1) - timedelta(days=1)

    @property
    def available_from(self) -> date:
        """The day from which results are promised: the third of the next month.

        The documentation names no time zone, so that a day more or less is possible.
        Nothing here keeps you from asking earlier: the API decides.
        Source: Disaggregation, first paragraph.
        """
        return self.end + timedelta(days=_AVAILABLE_ON_DAY)

    def weeks(self) -> tuple[Week, ...]:
        """Return the full weeks whose Sunday falls in this month, oldest first: four or five."""
        first_sunday = self.start + timedelta(days=6 - self.start.weekday())
        sundays = (first_sunday + timedelta(weeks=n) for n in range(5))
        return tuple(Week.of(sunday) for sunday in sundays if sunday <= self.end)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@frozen(order=True)
class Week:
    """Name a week by its Monday; it ends on its Sunday, inclusive, and prints as `2024-W28`.

    `Week.of` takes any day of the week; the constructor takes the Monday only, so that a wrong
    pair of dates cannot be written.
    Source: Disaggregation, Week.
    """

    start: date = field()

    @start.validator
    def _is_a_monday(self, _attribute: object, value: date) -> None:
        if type(value) is not date:
            raise TypeError(f"a week starts on a date, not {type(value).__name__} {value!r}")
        if value.weekday() != 0:
            monday = value - timedelta(days=value.weekday())
            raise ValueError(f"a week starts on a Monday: {value} is a {value:%A}; its week starts {monday}")
        _whole("the week's year", value.isocalendar().year, _FIRST_YEAR, _LAST_YEAR)

    @classmethod
    def parse(cls, text: str) -> Week:
        """Read an ISO week, `2024-W28`, or its Monday, `2024-07-08`."""
        if match := _ISO_WEEK_TEXT.fullmatch(text):
            return cls.iso(int(match[1]), int(match[2]))
        if match := _DAY_TEXT.fullmatch(text):
            return cls(date(int(match[1]), int(match[2]), int(match[3])))
        raise ValueError(
            f"a week is written YYYY-Www, as 2024-W28, or as its Monday, 2024-07-08, not {text!r}"
        )

    @classmethod
    def iso(cls, year: int, week: int) -> Week:
        """Return a week by its ISO year and number, 1 to 52 or 53."""
        return cls(date.fromisocalendar(year, week, 1))

    @classmethod
    def of(cls, day: date) -> Week:
        """Return the week that holds a day; of a datetime, its own calendar day counts."""
        monday = day - timedelta(days=day.weekday())
        return cls(date(monday.year, monday.month, monday.day))

    def previous(self) -> Week:
        """Return the week before."""
        return Week(self.start - timedelta(weeks=1))

    def next(self) -> Week:
        """Return the week after."""
        return Week(self.start + timedelta(weeks=1))

    @property
    def end(self) -> date:
        """The Sunday, inclusive."""
        return self.start + timedelta(days=6)

    @property
    def available_from(self) -> date:
        """The first day on which the week is over: its next Monday.

        The documentation names no day for weeks; nothing here keeps you from asking earlier.
        """
        return self.start + timedelta(days=7)

    def __str__(self) -> str:
        year, week, _ = self.start.isocalendar()
        return f"{year:04d}-W{week:02d}"


Period: TypeAlias = Month | Week
