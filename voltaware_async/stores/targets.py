"""From the text that names a store to the store."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from voltaware_async.errors import ConfigurationError, NoStoreError, StoreError
from voltaware_async.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voltaware_async.stores.sql.database import Database
    from voltaware_async.stores.store import Store

__all__ = ["holds", "open_store", "open_to_plan", "require_store"]

_SUFFIX: Final = ".duckdb"
_POSTGRES: Final = ("postgresql://", "postgres://")


class _Kind(Enum):
    """The kinds of store; the value is the extra that brings its libraries."""

    DUCKDB = "duckdb"
    PARQUET = "parquet"
    POSTGRES = "postgres"


_WORDED: Final = {
    _Kind.DUCKDB: "a DuckDB store",
    _Kind.PARQUET: "a Parquet store",
    _Kind.POSTGRES: "a PostgreSQL store",
}
_LIBRARIES: Final = frozenset({"duckdb", "pyarrow", "adbc_driver_postgresql", "adbc_driver_manager"})


def open_store(target: str | os.PathLike[str], *, read_only: bool = False) -> Store:
    """Open a store, and create it where there is none.

    `fleet.duckdb`, or `duckdb:PATH` for any file name; `parquet:DIR`, a folder; `postgresql://…`, a database,
    its schema the first of the search path. A relative path is of the current folder.

    Raises ConfigurationError for a target that is not known here or whose libraries are not installed,
    StoreError for a store that cannot be used, StoreLockedError while another process writes to it.
    """
    target = _hidden(os.fspath(target))
    kind, place = _read(target)
    with _libraries(kind):
        from voltaware_async.stores.sql.sql_store import SqlStore  # noqa: PLC0415 - an extra

        with ExitStack() as on_error:
            database = _open(kind, target, place, read_only=read_only)
            on_error.callback(database.close)
            store = SqlStore(database)
            on_error.pop_all()
        return store


def open_to_plan(target: str | None) -> Store:
    """Open a store to read; where there is none of that name yet, or no name, an empty one in memory."""
    if target is None:
        return _empty("an empty store")
    target = _hidden(target)
    try:
        return open_store(target, read_only=True)
    except NoStoreError:
        return _empty(target if _read(target)[0] is not _Kind.POSTGRES else "an empty store")


def require_store(target: str) -> None:
    """Raise NoStoreError where there is no store yet; whether it can be used shows when it is opened."""
    target = _hidden(target)
    try:
        open_store(target, read_only=True).close()
    except NoStoreError:
        raise
    except StoreError:
        return


def holds(target: str, file: Path) -> bool:
    """Tell whether a file, behind all links, is a store's own or lies among the files of one."""
    store = _absolute(target.removeprefix("duckdb:").removeprefix("parquet:"))
    return store in {file, *file.parents}


def _hidden(target: str) -> str:
    """Return the same text; a URL, which may hold a password, hides from reports that print variables."""
    return Secret(target).reveal() if "://" in target else target


def _empty(target: str) -> Store:
    with _libraries(_Kind.DUCKDB):
        from voltaware_async.stores.duckdb.file import empty_database  # noqa: PLC0415 - an extra
        from voltaware_async.stores.sql.sql_store import SqlStore  # noqa: PLC0415 - an extra

        return SqlStore(empty_database(target))


def _open(kind: _Kind, target: str, place: str, *, read_only: bool) -> Database:
    match kind:
        case _Kind.DUCKDB:
            from voltaware_async.stores.duckdb.file import open_database  # noqa: PLC0415 - an extra

            return open_database(target, _absolute(place), read_only=read_only)
        case _Kind.PARQUET:
            from voltaware_async.stores.parquet.folder import open_folder  # noqa: PLC0415 - an extra

            return open_folder(target, _absolute(place), read_only=read_only)
        case _Kind.POSTGRES:
            from voltaware_async.stores.postgres.opening import open_schema  # noqa: PLC0415 - an extra

            return open_schema(place, read_only=read_only)


def _absolute(path: str) -> Path:
    # Not Path.resolve, which raises for links that go round in circles.
    return Path(os.path.realpath(path))


@contextmanager
def _libraries(kind: _Kind) -> Iterator[None]:
    """Say which extra brings a library that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _LIBRARIES:
            raise
        raise ConfigurationError(
            f"{_WORDED[kind]} needs {error.name}: run  pip install 'voltaware-async[{kind.value}]'"
        ) from error


def _read(target: str) -> tuple[_Kind, str]:
    """Tell the kind of store, and its path or URL."""
    if target.startswith(_POSTGRES) and "\0" not in target:
        return _Kind.POSTGRES, target
    for kind in (_Kind.DUCKDB, _Kind.PARQUET):
        prefix = f"{kind.value}:"
        if target.startswith(prefix) and target != prefix and "\0" not in target:
            return kind, target.removeprefix(prefix)
    if target.endswith(_SUFFIX) and "://" not in target and "\0" not in target:
        return _Kind.DUCKDB, target
    raise ConfigurationError(
        f"a store is named fleet{_SUFFIX}, duckdb:PATH, parquet:DIR or postgresql://…,"
        f" not {_without_secrets(target)!r}"
    )


def _without_secrets(target: str) -> str:
    """Keep of a URL its scheme only: the rest may hold a password."""
    scheme, separator, _ = target.partition("://")
    return f"{scheme}{separator}…" if separator else target
