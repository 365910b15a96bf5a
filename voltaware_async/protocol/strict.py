"""Readers of single JSON values: each takes exactly one kind of value, and coerces nothing.

A reader is called with the value and, as cattrs does, with the type that is wanted, which it needs not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from voltaware_async.protocol.malformed import MISSING, Unfit

__all__ = [
    "SCALARS",
    "Reader",
    "array",
    "day",
    "flag",
    "instant",
    "json_object",
    "local_time",
    "member",
    "number",
    "one_of",
    "text",
    "text_in",
    "whole",
    "write_instant",
    "write_local_time",
]

# The second argument is the type that is wanted: only `member` reads it.
Reader: TypeAlias = Callable[[object, Any], object]

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# Seconds may be missing: Java, which the samples look like, drops them from a local time where they are 0.
_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2})(?:(:\d{2})(?:\.(\d{1,9}))?)?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)
_WHOLE_MS: Final = 1000


def number(value: object, _: object = None) -> float:
    """Read a number: JSON's 12 and 12.0 are one to an API that says float."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise Unfit("a number", value)


def whole(value: object, _: object = None) -> int:
    """Read a whole number: 7.0 is none."""
    if type(value) is int:
        return value
    raise Unfit("a whole number", value)


def text(value: object, _: object = None) -> str:
    """Read a text."""
    if type(value) is str:
        return value
    raise Unfit("a text", value)


def text_in(record: Mapping[str, object], name: str) -> str:
    """Read a required field that is a text."""
    value = record.get(name, MISSING)
    if type(value) is str:
        return value
    raise Unfit("a text", value, f".{name}")


def flag(value: object, _: object = None) -> bool:
    """Read true or false."""
    if value is True or value is False:
        return value
    raise Unfit("true or false", value)


def array(value: object, _: object = None) -> list[object]:
    """Read an array."""
    if type(value) is list:
        return value
    raise Unfit("an array", value)


def json_object(value: object, _: object = None) -> dict[str, object]:
    """Read an object."""
    if type(value) is dict:
        return value
    raise Unfit("an object", value)


def day(value: object, _: object = None) -> date:
    """Read a day, YYYY-MM-DD and nothing else: Python's own reader takes more."""
    if type(value) is str and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # such as 2024-02-30
    raise Unfit("a day as YYYY-MM-DD", value)


def local_time(value: object, _: object = None) -> datetime:
    """Read a date and time as its clock showed it; an offset, where there is one, is kept."""
    if type(value) is str and (match := _TIME.fullmatch(value)):
        on, minutes, seconds, fraction, zone = match.groups("")
        # More than microseconds are cut off: Python has no room for them.
        clock = f"{on}T{minutes}{seconds or ':00'}.{fraction[:6].ljust(6, '0')}"
        try:
            return datetime.fromisoformat(clock + zone.upper())
        except ValueError:
            pass  # such as 24:00:00 or an offset of a day
    raise Unfit("a date and time as 2024-07-12T00:32:53", value)


def instant(value: object, _: object = None) -> datetime:
    """Read an instant, in UTC; one without an offset is taken to be UTC, as the documentation says."""
    time = local_time(value)
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise Unfit("an instant within the years 1 to 9999", value) from None


def write_instant(value: datetime) -> str:
    """Write an instant as the API does: in UTC, with a Z, and no more digits than it needs."""
    utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    is_short = utc.microsecond and utc.microsecond % _WHOLE_MS == 0
    return utc.isoformat(timespec="milliseconds" if is_short else "auto").replace("+00:00", "Z")


def write_local_time(value: datetime) -> str:
    """Write a date and time as its clock showed it, with its offset if it has one."""
    return value.isoformat()


def one_of(members: Mapping[str, StrEnum], *, nullable: bool = False) -> Reader:
    """Make a reader of an open set: a text that is no member passes as it is."""

    def read(value: object, _: object = None) -> StrEnum | str | None:
        if type(value) is str:
            return members.get(value, value)
        if nullable and value is None:
            return None
        raise Unfit("a text or null" if nullable else "a text", value)

    return read


def member(value: object, kind: Callable[[str], StrEnum]) -> StrEnum | str:
    """Read a member of a closed set, or leave a text that is none to the record, which will refuse it."""
    word = text(value)
    try:
        return kind(word)
    except ValueError:
        return word


# For subclasses too, of which the closest counts: an enum of texts is also a str.
SCALARS: Final[Mapping[type, Reader]] = MappingProxyType(
    {
        float: number,
        int: whole,
        str: text,
        bool: flag,
        date: day,
        datetime: instant,
        StrEnum: member,
    }
)
