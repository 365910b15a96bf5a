"""Checks of what a caller hands over, made when a record is built; their messages never quote a value.

The records that use them describe a home: a message with the value in it would carry personal data into logs.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum

    from attrs import Attribute

    # attrs hands over the record and the field in forms that only it knows.
    Check: TypeAlias = Callable[[Any, Attribute[Any], Any], None]

__all__ = ["each", "flag", "member_of", "number", "text", "whole"]


def whole(minimum: int | None = None) -> Check:
    """Make a check for an int (no bool, no 1.0) of at least `minimum`."""

    def check(_record: object, field: Attribute[int], value: object) -> None:
        if type(value) is not int:
            raise TypeError(f"{field.name} must be an int, not {type(value).__name__}")
        if minimum is not None and value < minimum:
            raise ValueError(f"{field.name} must be at least {minimum}")

    return check


def number(low: float | None = None, high: float | None = None) -> Check:
    """Make a check for a finite int or float (no bool), within `low` to `high` where given."""

    def check(_record: object, field: Attribute[float], value: object) -> None:
        if type(value) is not int and type(value) is not float:
            raise TypeError(f"{field.name} must be a number, not {type(value).__name__}")
        if type(value) is float and not isfinite(value):
            raise ValueError(f"{field.name} must be finite")
        if low is not None and high is not None and not low <= value <= high:
            raise ValueError(f"{field.name} must be {low:g} to {high:g}")

    return check


def member_of(*enums: type[Enum]) -> Check:
    """Make a check for a member of one of the enums: its mere text is refused."""

    def check(_record: object, field: Attribute[Enum], value: object) -> None:
        if not isinstance(value, enums):
            names = " or ".join(enum.__name__ for enum in enums)
            raise TypeError(f"{field.name} must be a member of {names}, not {type(value).__name__}")

    return check


def text(_record: object, field: Attribute[str], value: object) -> None:
    """Refuse all but a str that can be sent: a lone surrogate cannot."""
    if not isinstance(value, str):
        raise TypeError(f"{field.name} must be a str, not {type(value).__name__}")
    if not is_sendable(value):
        raise ValueError(f"{field.name} holds half a character (a lone surrogate), which cannot be sent")


def is_sendable(value: str) -> bool:
    """Tell whether a text can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def flag(_record: object, field: Attribute[bool], value: object) -> None:
    """Refuse all but True and False."""
    if not isinstance(value, bool):
        raise TypeError(f"{field.name} must be True or False, not {type(value).__name__}")


def each(check: Check) -> Check:
    """Make a check that applies another to every item of a tuple."""

    def check_items(record: object, field: Attribute[Any], value: tuple[object, ...]) -> None:
        for item in value:
            check(record, field, item)

    return check_items
