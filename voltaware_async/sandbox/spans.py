"""The periods of results and the day on which a result appears."""

import calendar
from datetime import date, timedelta
from enum import StrEnum

from attrs import frozen


class Dataset(StrEnum):
    """The seven kinds of result, one per endpoint."""

    MONTH = "month"
    MONTH_WEEKS = "month_weeks"
    WEEK = "week"
    MONTH_CYCLES = "month_cycles"
    WEEK_CYCLES = "week_cycles"
    MONTH_REPORT = "month_report"
    WEEK_REPORT = "week_report"


@frozen
class Span:
    """Consecutive days, counted as `date.toordinal` counts, and the first day on which their result exists.

    Ordinals, not dates: the results of December 9999 would appear in a year that `date` cannot name.
    """

    first: int
    days: int
    published: int

    @classmethod
    def month(cls, year: int, month: int) -> "Span":
        """Return a calendar month, whose results appear on the third day of the next one."""
        first = date(year, month, 1).toordinal()
        days = calendar.monthrange(year, month)[1]
        return cls(first, days, published=first + days + 2)

    @classmethod
    def week(cls, monday: date) -> "Span":
        """Return the seven days from `monday`, whose results appear once the Sunday has passed."""
        first = monday.toordinal()
        return cls(first, 7, published=first + 7)

    @property
    def last(self) -> int:
        """The last day."""
        return self.first + self.days - 1

    def clipped_weeks(self) -> list[tuple[int, int]]:
        """Return (offset, days) of each week, Monday to Sunday, cut off at the ends of the span."""
        pieces: list[tuple[int, int]] = []
        offset = 0
        while offset < self.days:
            # Ordinal 1 is a Monday.
            until_sunday = 7 - (self.first + offset - 1) % 7
            length = min(until_sunday, self.days - offset)
            pieces.append((offset, length))
            offset += length
        return pieces


def iso(ordinal: int) -> str:
    """Return the day as YYYY-MM-DD."""
    return date.fromordinal(ordinal).isoformat()


def is_weekend(ordinal: int) -> bool:
    """Return whether the day is a Saturday or a Sunday."""
    return ordinal % 7 in {6, 0}


def monday_of(day: date) -> date:
    """Return the Monday of the week that `day` falls in."""
    return day - timedelta(days=day.weekday())
