"""Exit codes: what a scheduler may rely on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from voltaware_async.errors import (
    AuthenticationError,
    ConfigurationError,
    DeviceIdError,
    OutageError,
    StoreError,
    UnavailableError,
    VoltawareError,
)

if TYPE_CHECKING:
    from voltaware_async.fleet.summary import Summary

__all__ = ["Exit", "of_error", "of_summary"]


class Exit(IntEnum):
    """Tell how a command ended."""

    COMPLETE = 0
    BUG = 1
    USAGE = 2
    INCOMPLETE = 3
    REFUSED = 4
    STORE = 5
    UNREACHABLE = 6
    INTERRUPTED = 130
    TERMINATED = 143


def of_error(error: VoltawareError) -> Exit:
    """Choose the code of a command that an error ended."""
    match error:
        case ConfigurationError() | DeviceIdError():
            return Exit.USAGE
        case AuthenticationError():
            return Exit.REFUSED
        case StoreError():
            return Exit.STORE
        case UnavailableError() | OutageError():
            return Exit.UNREACHABLE
        case _:
            return Exit.INCOMPLETE


def of_summary(summary: Summary) -> Exit:
    """Choose the code of a run that reached its end."""
    return Exit.COMPLETE if summary.is_complete else Exit.INCOMPLETE
