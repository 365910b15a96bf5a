"""Arguments: texts of the command line, read as what they mean, or refused with what is accepted."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

import click

from voltaware_async.cells import Dataset
from voltaware_async.periods import Month, Period, Week

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DATASET", "DAY", "DURATION", "MONTH", "PERIOD", "RATE", "WEEK"]

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# At most nine digits a unit: what float and clock can count.
_DURATION: Final = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in "dhms"))
_UNITS_S: Final = (86_400, 3600, 60, 1)


class _Read(click.ParamType[object]):
    """Read a text by a function whose ValueError says what is accepted."""

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the value, or end the command with exit code 2."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _dataset(text: str) -> Dataset:
    try:
        return Dataset(text)
    except ValueError:
        raise ValueError(f"{text!r} is no dataset; there are {', '.join(Dataset)}") from None


def _week(text: str) -> Week:
    """Read a week; the calendar's own refusals, such as `Invalid week: 60`, do not say what is accepted."""
    try:
        return Week.parse(text)
    except ValueError as error:
        form = "a week is written 2024-W28, or as its Monday, 2024-07-08"
        raise ValueError(str(error) if str(error).startswith("a week") else f"{error}; {form}") from None


def _period(text: str) -> Period:
    """Read a month or a week, told apart by their form."""
    if "W" in text or text.count("-") > 1:
        return _week(text)
    try:
        return Month.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}; a week is written 2024-W28") from None


def _rate(text: str) -> float | None:
    """Read requests per second; `none` is no limit."""
    if text == "none":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ValueError(f"{text!r} is no rate: give requests per second, over 0, or `none` for no limit")
    return rate


def _duration(text: str) -> float:
    """Read a duration, in seconds."""
    match = _DURATION.fullmatch(text)
    counts = match.groups(default="0") if match else ()
    seconds = sum(int(count) * unit for count, unit in zip(counts, _UNITS_S, strict=False))
    if not seconds:
        raise ValueError(f"{text!r} is no duration: write it as 2d, 8h, 90m, 30s or 1h30m, over 0")
    return float(seconds)


def _day(text: str) -> date:
    # Not fromisoformat alone: it also reads 20240712 and 2024-W28-5.
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no day: {error}; it is written YYYY-MM-DD, as 2024-09-15") from None
    raise ValueError(f"a day is written YYYY-MM-DD, as 2024-09-15, not {text!r}")


DATASET: Final = _Read("dataset", _dataset)
DAY: Final = _Read("YYYY-MM-DD", _day)
DURATION: Final = _Read("duration", _duration)
MONTH: Final = _Read("YYYY-MM", Month.parse)
PERIOD: Final = _Read("period", _period)
RATE: Final = _Read("requests/s", _rate)
WEEK: Final = _Read("YYYY-Www", _week)
