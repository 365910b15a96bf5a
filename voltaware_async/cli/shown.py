"""Texts of the API on a terminal: as they are, but for what would paint it."""

from __future__ import annotations

__all__ = ["shown"]


def shown(text: str) -> str:
    r"""Return the text with its control characters written out, such as `\x1b`."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)
