"""What is wrong with a reply, and where.

`Unfit` is raised by whoever reads one value, who knows not where it stands; `Malformed` is what leaves the
codec: a sentence and a path, and nothing that holds the reply itself.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MISSING", "Malformed", "Unfit"]

MISSING: Final = object()  # found where a field was expected
_LONGEST_QUOTE: Final = 40


class Malformed(ValueError):  # noqa: N818  replies.py makes a DecodeError of it
    """Say that a reply is not what the documentation promises.

    `json_path` is in the words of the wire, as `$.weeks[3].total_consumption`; `$` is the whole reply.
    """

    def __init__(self, json_path: str, reason: str) -> None:
        super().__init__(json_path, reason)
        self.json_path = json_path
        self.reason = reason

    def __str__(self) -> str:
        """Say what is wrong, then where."""
        return f"{self.reason} @ {self.json_path}"


class Unfit(ValueError):  # noqa: N818  never leaves the codec
    """Say that a value is not what was expected; `at` is its path below what was being read."""

    def __init__(self, expected: str, found: object, at: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found
        self.at = at

    def reason(self, *, private: bool) -> str:
        """Word it for people; a private value is only named by its kind."""
        if self.found is MISSING:
            return f"the field {self.at[1:]!r} is missing"
        kind = _kind(self.found)
        quote = "" if private else _quote(self.found)
        return f"expected {self.expected}, got {kind}{quote}"


def _kind(value: object) -> str:
    # bool is an int to Python: it must come first.
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "an array"}
    if value is None:
        return "null"
    return kinds.get(type(value), "an object")


def _quote(value: object) -> str:
    if isinstance(value, bool):
        return f" ({str(value).lower()})"
    if isinstance(value, int | float):
        return f" ({value})"
    if not isinstance(value, str):
        return ""
    cut = value if len(value) <= _LONGEST_QUOTE else f"{value[: _LONGEST_QUOTE - 1]}…"
    return f" ({cut!r})"
