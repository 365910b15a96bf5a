"""DuckDB's errors as ours: one sentence that says what to do."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb

from voltaware_async.errors import StoreError, StoreLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["store_errors"]

_HOLDER: Final = re.compile(r"\(PID (\d+)\)")


@contextmanager
def store_errors(target: str) -> Iterator[None]:
    """Raise what DuckDB and the file system raise as StoreError or StoreLockedError, about a target."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{target} cannot be used: {error.strerror}") from error
    except duckdb.Error as error:
        raise _as_store_error(target, error) from error


def _as_store_error(target: str, error: duckdb.Error) -> StoreError:
    text = str(error)
    if isinstance(error, duckdb.IOException) and "set lock" in text:
        holder = _HOLDER.search(text)
        who = f"process {holder[1]}" if holder else "another process"
        return StoreLockedError(f"{target} is in use by {who}: wait until it ends, or stop it")
    if isinstance(error, duckdb.ConnectionException) and "different configuration" in text:
        return StoreLockedError(f"{target} is in use by this very process: close that store first")
    return StoreError(f"{target} cannot be used: {' '.join(text.split())}")
