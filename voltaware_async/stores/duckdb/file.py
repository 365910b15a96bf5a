"""Opening a DuckDB file: made whole or not at all, looked at before it is written to, locked by DuckDB.

Hazard: DuckDB's lock is a POSIX one, which the process loses when it closes *any* descriptor of the file.
So nothing here, and nobody else in the process, may open the file by itself.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar
from uuid import uuid4

import duckdb

from voltaware_async.errors import NoStoreError, StoreError
from voltaware_async.stores.duckdb.database import DuckDBDatabase
from voltaware_async.stores.duckdb.errors import store_errors
from voltaware_async.stores.holder import is_only_read
from voltaware_async.stores.sql.format import check_readable, create_store, is_store, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duckdb import DuckDBPyConnection

__all__ = ["empty_database", "open_as", "open_database"]

D = TypeVar("D", bound=DuckDBDatabase)
_Make: TypeAlias = "Callable[[str, DuckDBPyConnection], D]"

_HEADERS_SIZE: Final = 3 * 4096
_DRAFTS: Final = ".voltaware-draft-"
_ALONE: Final = fcntl.LOCK_EX | fcntl.LOCK_NB

_READERS_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.05

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


def open_database(target: str, path: Path, *, read_only: bool) -> DuckDBDatabase:
    """Open a store's file, and create it where there is none; a file that cannot be used stays as it is.

    `path` is absolute: to DuckDB, other texts may name something else than a file.
    """
    return open_as(DuckDBDatabase, target, path, read_only=read_only)


def open_as(make: _Make[D], target: str, path: Path, *, read_only: bool) -> D:
    """Open a file as another kind of database that keeps a file of DuckDB's."""
    with store_errors(target):
        _refuse_place(target, path)
        return _open_to_read(make, target, path) if read_only else _open_to_write(make, target, path)


def empty_database(target: str) -> DuckDBDatabase:
    """Make a store in memory: what a store would be that is not there yet."""
    database = DuckDBDatabase(target, _connect(":memory:", read_only=False))
    create_store(database)
    return database


def _refuse_place(target: str, path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(f"{target} cannot be created: there is no directory {path.parent}")
    if path.is_dir():
        raise StoreError(f"{target} is a directory, not a store")
    if path.exists() and not path.is_file():
        raise StoreError(f"{target} is no regular file")  # to open a pipe would wait for ever


def _open_to_read(make: _Make[D], target: str, path: Path) -> D:
    if not path.exists():
        raise NoStoreError(f"there is no store {target} yet: a pull creates it")
    with ExitStack() as on_error:
        database = make(target, on_error.enter_context(_connect(path, read_only=True)))
        _refuse_cut_off(path, database)
        check_readable(database)
        database.check_kind()
        database.take_large_share()
        on_error.pop_all()
    return database


def _open_to_write(make: _Make[D], target: str, path: Path) -> D:
    """Look first, without writing: to open a file for writing may change it."""
    _clear_left_overs(path.parent)
    if not path.exists():
        _create(make, target, path)
    with _connect(path, read_only=True) as looking:
        database = make(target, looking)
        _refuse_cut_off(path, database)
        if is_there := is_store(database):
            database.check_kind()
    with ExitStack() as on_error:
        database = make(target, on_error.enter_context(_connect_to_write(path)))
        if is_there:
            with database.large_share():
                upgrade(database)
        else:
            create_store(database)
        on_error.pop_all()
    return database


def _connect_to_write(path: Path) -> DuckDBPyConnection:
    """Connect, waiting a while for those who only read: a look at a store must not cost it a night."""
    until = time.monotonic() + _READERS_S
    while True:
        try:
            return _connect(path, read_only=False)
        except duckdb.IOException:
            if time.monotonic() >= until or not is_only_read(path):
                raise
        time.sleep(_LOOK_AGAIN_S)


def _connect(path: Path | str, *, read_only: bool) -> DuckDBPyConnection:
    # DuckDB lets a process open a file twice if the settings are the same: a name of its own makes
    # every writer different from any other connection.
    name = "voltaware" if read_only else f"voltaware {uuid4().hex}"
    connection = duckdb.connect(path, read_only=read_only, config={**_SETTINGS, "custom_user_agent": name})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _create(make: _Make[D], target: str, path: Path) -> None:
    """Make the file beside its place and link it there: a kill leaves no half-made store.

    A link, unlike a rename, never replaces a store that another process made meanwhile.
    """
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        raise StoreError(f"{log} belongs to a store that is gone: move it away, then {target} can be created")
    with _draft_folder(path.parent) as folder:
        draft = folder / "new.duckdb"
        with _connect(draft, read_only=False) as connection:
            create_store(make(target, connection))
            # A full disk shows now, not when the draft is the store.
            connection.execute("CHECKPOINT")
        with suppress(FileExistsError):
            os.link(draft, path)


@contextmanager
def _draft_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for a draft, and hold a lock on it.

    The lock ends when its maker does, however that happens: unlike a process id it is never somebody else's,
    and it means the same in every container that shares the disk.
    """
    made = Path(tempfile.mkdtemp(dir=parent, prefix=".voltaware-"))
    with _opened(made) as descriptor:
        # Not every file system has locks: there no left-over is cleared away.
        with suppress(OSError):
            fcntl.flock(descriptor, _ALONE)
        # It gets the name of a draft when the lock is held: nobody takes it for a left-over before.
        folder = made.rename(parent / f"{_DRAFTS}{uuid4().hex}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clear_left_overs(parent: Path) -> None:
    """Remove the drafts of makers that were killed."""
    for left_over in parent.glob(f"{_DRAFTS}*"):
        with suppress(OSError), _opened(left_over) as descriptor:
            fcntl.flock(descriptor, _ALONE)
            shutil.rmtree(left_over)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_cut_off(path: Path, database: DuckDBDatabase) -> None:
    """Compare the size with the blocks in use: DuckDB itself finds a missing block only when it reads it."""
    [(used,)] = database.rows("SELECT used_blocks * block_size FROM pragma_database_size()")
    if path.stat().st_size < _HEADERS_SIZE + used:
        raise StoreError(
            f"{database.target} is cut off: it is shorter than its own header says; restore a copy"
        )
