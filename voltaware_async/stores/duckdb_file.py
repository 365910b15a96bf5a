"""Opening a DuckDB file: made whole or not at all, looked at before it is written to, locked by DuckDB.

Hazard: DuckDB's lock is a POSIX one, which the process loses when it closes *any* descriptor of the file.
So nothing here, and nobody else in the process, may open the file by itself.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import duckdb

from voltaware_async.errors import StoreError
from voltaware_async.stores.duckdb_errors import store_errors
from voltaware_async.stores.duckdb_session import transaction
from voltaware_async.stores.tables import TABLES, create_table_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["FORMAT_VERSION", "connect_store"]

FORMAT_VERSION: Final = 1
_MARKER: Final = "voltaware_store"
_HEADERS_SIZE: Final = 3 * 4096

# One thread: commits of some thousand rows gain nothing from more, and their CPU time grows.
_SETTINGS: Final[dict[str, str | bool | int]] = {
    "memory_limit": "64MB",
    # The default, 16 MB, writes half-filled row groups more often: a fifth more CPU per cell.
    "checkpoint_threshold": "32MB",
    "threads": 1,
    # A file of another kind must not make DuckDB fetch an extension from the internet.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}


def connect_store(target: str, path: Path, *, read_only: bool) -> DuckDBPyConnection:
    """Open a store's file, and create it where there is none; a file that cannot be used stays as it is.

    `path` is absolute: to DuckDB, other texts may name something else than a file.
    """
    with store_errors(target):
        _refuse_place(target, path)
        return _open_to_read(target, path) if read_only else _open_to_write(target, path)


def _refuse_place(target: str, path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(f"{target} cannot be created: there is no directory {path.parent}")
    if path.is_dir():
        raise StoreError(f"{target} is a directory, not a store")


def _open_to_read(target: str, path: Path) -> DuckDBPyConnection:
    if not path.exists():
        raise StoreError(f"there is no store {target} yet: a pull creates it")
    with ExitStack() as on_error:
        connection = on_error.enter_context(_connect(path, read_only=True))
        if not _is_store(target, path, connection):
            raise StoreError(f"{target} is an empty database: a pull makes it a store")
        on_error.pop_all()
    return connection


def _open_to_write(target: str, path: Path) -> DuckDBPyConnection:
    """Look first, without writing: to open a file for writing may change it."""
    if not path.exists():
        _create(target, path)
    with _connect(path, read_only=True) as looking:
        is_store = _is_store(target, path, looking)
    connection = _connect(path, read_only=False)
    if not is_store:
        _create_tables(connection)
    return connection


def _connect(path: Path, *, read_only: bool) -> DuckDBPyConnection:
    # DuckDB lets a process open a file twice if the settings are the same: a name of its own makes
    # every writer different from any other connection.
    name = "voltaware" if read_only else f"voltaware {uuid4().hex}"
    connection = duckdb.connect(path, read_only=read_only, config={**_SETTINGS, "custom_user_agent": name})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _create(target: str, path: Path) -> None:
    """Make the file beside its place and link it there: a kill leaves no half-made store.

    A link, unlike a rename, never replaces a store that another process made meanwhile.
    """
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        raise StoreError(f"{log} belongs to a store that is gone: move it away, then {target} can be created")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".voltaware-") as folder:
        draft = Path(folder, "new.duckdb")
        with _connect(draft, read_only=False) as connection:
            _create_tables(connection)
        with suppress(FileExistsError):
            os.link(draft, path)


def _create_tables(connection: DuckDBPyConnection) -> None:
    with transaction(connection):
        for name, schema in TABLES.items():
            connection.execute(create_table_sql(name, schema))
        connection.execute(f"CREATE TABLE {_MARKER} (version BIGINT NOT NULL)")
        connection.execute("INSERT INTO voltaware_store VALUES (?)", [FORMAT_VERSION])
    connection.execute("CHECKPOINT")


def _is_store(target: str, path: Path, connection: DuckDBPyConnection) -> bool:
    """Tell a store from an empty database; refuse anything else."""
    _refuse_cut_off(target, path, connection)
    tables = connection.execute(_TABLES_AND_VIEWS).fetchall()
    if not tables:
        return False
    if (_MARKER,) not in tables:
        raise StoreError(f"{target} is a database of something else: its tables are not a store's")
    [(version,)] = connection.execute("SELECT max(version) FROM voltaware_store").fetchall()
    if version != FORMAT_VERSION:
        raise StoreError(
            f"{target} has format {version} and this release knows {FORMAT_VERSION}: upgrade voltaware-async"
        )
    return True


_TABLES_AND_VIEWS: Final = """
SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()
UNION ALL
SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal
"""


def _refuse_cut_off(target: str, path: Path, connection: DuckDBPyConnection) -> None:
    """Compare the size with the blocks in use: DuckDB itself finds a missing block only when it reads it."""
    [(used,)] = connection.execute("SELECT used_blocks * block_size FROM pragma_database_size()").fetchall()
    if path.stat().st_size < _HEADERS_SIZE + used:
        raise StoreError(f"{target} is cut off: it is shorter than its own header says; restore a copy")
