"""From the text that names a store to the store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from voltaware_async.errors import ConfigurationError

if TYPE_CHECKING:
    from voltaware_async.stores.duckdb_store import DuckDBStore
    from voltaware_async.stores.store import Store

__all__ = ["open_store", "open_to_plan"]

_PREFIX: Final = "duckdb:"
_SUFFIX: Final = ".duckdb"
_LATER: Final = ("parquet:", "postgresql:", "postgres:")
_EXTRA: Final = frozenset({"duckdb", "pyarrow"})


def open_store(target: str | os.PathLike[str], *, read_only: bool = False) -> Store:
    """Open a store, and create it where there is none: `fleet.duckdb`, or `duckdb:PATH` for any file name.

    Raises ConfigurationError for a target that is not known here or whose libraries are not installed,
    StoreError for a file that cannot be used, StoreLockedError while another process writes to it.
    """
    name = os.fspath(target)
    path = _duckdb_path(name)
    return _duckdb_store().open(name, path, read_only=read_only)


def _duckdb_store() -> type[DuckDBStore]:
    try:
        from voltaware_async.stores.duckdb_store import DuckDBStore  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise ConfigurationError(
            f"a DuckDB store needs {error.name}: run  pip install 'voltaware-async[duckdb]'"
        ) from error
    return DuckDBStore


def open_to_plan(target: str | None) -> Store:
    """Open a store to read; where there is none of that name yet, or no name, an empty one in memory."""
    if target is not None and os.path.lexists(_duckdb_path(target)):
        return open_store(target, read_only=True)
    return _duckdb_store().empty(target or "an empty store")


def _duckdb_path(target: str) -> str:
    if target.startswith(_PREFIX) and target != _PREFIX and "\0" not in target:
        return target.removeprefix(_PREFIX)
    if target.startswith(_LATER):
        raise ConfigurationError(
            f"{target.partition(':')[0]} stores come with a later release; use a DuckDB file: fleet.duckdb"
        )
    if target.endswith(_SUFFIX) and "://" not in target and "\0" not in target:
        return target
    raise ConfigurationError(
        f"a store is named fleet{_SUFFIX} or {_PREFIX}PATH, not {_without_secrets(target)!r}"
    )


def _without_secrets(target: str) -> str:
    """Keep of a URL its scheme only: the rest may hold a password."""
    scheme, separator, _ = target.partition("://")
    return f"{scheme}{separator}…" if separator else target
