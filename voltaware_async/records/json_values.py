"""JSON that is kept as it came, for fields that this version does not know."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeAlias

from voltaware_async.records.argument_checks import is_sendable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["JsonObject", "kept"]

JsonObject: TypeAlias = Mapping[str, object]

# orjson reads 1024 levels but writes 254: what is kept must be writable, and cheap to compare and print.
_MAX_DEPTH: Final = 100


def kept(value: JsonObject) -> JsonObject:
    """Return a copy of a JSON object; ValueError or TypeError where JSON cannot say it.

    The copy is of the first level: treat it, as every part of a record, as not to be changed.
    """
    level: list[object] = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return dict(value)
    raise ValueError(f"the JSON is nested deeper than {_MAX_DEPTH} levels")


def _inside(value: object) -> Iterable[object]:
    """Return what a value contains, once it is known to be JSON itself."""
    if isinstance(value, Mapping):
        _check_keys(value)
        return value.values()
    if isinstance(value, list):
        return value
    _check_scalar(value)
    return ()


def _check_keys(value: Mapping[object, object]) -> None:
    if not all(isinstance(key, str) and is_sendable(key) for key in value):
        raise TypeError("the keys of a JSON object must be texts")


def _check_scalar(value: object) -> None:
    if not isinstance(value, str | int | float | None):
        raise TypeError(f"JSON has no {type(value).__name__}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("JSON has no number that is not finite")
    if isinstance(value, str) and not is_sendable(value):
        raise ValueError("a text holds half a character (a lone surrogate), which cannot be sent")
