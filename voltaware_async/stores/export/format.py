"""Format: what a file of rows can be."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from voltaware_async.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Format"]


class Format(StrEnum):
    """Tell the formats apart; the value is the end of a file's name."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"

    @classmethod
    def of(cls, path: Path) -> Format:
        """Tell a file's format by its name, or raise ConfigurationError."""
        try:
            return cls(path.suffix.removeprefix(".").lower())
        except ValueError:
            names = ", ".join(f".{it}" for it in cls)
            raise ConfigurationError(
                f"the name {path} does not tell the format: end it in one of {names}, or name the format"
            ) from None
