"""How texts of the API and instants are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["instant", "shown"]


def instant(at: datetime) -> str:
    """Return an instant in UTC to the second, such as `2024-09-15T02:00:05Z`."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def shown(text: str) -> str:
    r"""Return the text with its control characters written out, such as `\x1b`."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)
