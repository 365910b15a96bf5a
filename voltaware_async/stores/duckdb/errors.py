"""DuckDB's errors as ours: one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb

from voltaware_async.errors import StoreError, StoreLockedError
from voltaware_async.stores.holder import describe_process

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["store_errors"]

# Of a holder on another machine, or in another container, the system tells no number above 0.
_HOLDER: Final = re.compile(r"\(PID ([1-9]\d*)\)")

# DuckDB has no error of its own for a full disk: it passes on what the system says.
_FULL: Final = {
    os.strerror(errno.ENOSPC): "the disk is full: make room",
    os.strerror(errno.EDQUOT): "the disk quota is used up: make room",
    os.strerror(errno.EFBIG): "its file may not grow any more: lift the limit (ulimit -f)",
    "max_temp_directory_size": "the disk is full: make room",
}


@contextmanager
def store_errors(target: str) -> Iterator[None]:
    """Raise what DuckDB and the file system raise as StoreError or StoreLockedError, about a target."""
    try:
        yield
    except OSError as error:
        raise _unusable(target, error.strerror or str(error)) from error
    except duckdb.Error as error:
        raise _as_store_error(target, error) from error


def _as_store_error(target: str, error: duckdb.Error) -> StoreError:
    text = " ".join(str(error).split())
    if isinstance(error, duckdb.IOException) and "set lock" in text:
        return StoreLockedError(f"{target} is in use by {_holder(text)}: wait until it ends, or stop it")
    if isinstance(error, duckdb.ConnectionException) and "different configuration" in text:
        ourselves = describe_process(os.getpid())
        return StoreLockedError(
            f"{target} is in use by this very process ({ourselves}): close that store first"
        )
    return _unusable(target, text)


def _holder(text: str) -> str:
    found = _HOLDER.search(text)
    return describe_process(int(found[1])) if found else "another process"


def _unusable(target: str, text: str) -> StoreError:
    for sign, what_to_do in _FULL.items():
        if sign in text:
            return StoreError(
                f"{target} cannot be written: {what_to_do}, then run the same again;"
                f" what had landed is safe ({text})"
            )
    return StoreError(f"{target} cannot be used: {text}")
