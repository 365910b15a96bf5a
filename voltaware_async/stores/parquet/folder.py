"""Opening the folder of a Parquet store."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from voltaware_async.errors import NoStoreError, StoreError
from voltaware_async.stores.duckdb.errors import store_errors
from voltaware_async.stores.duckdb.file import open_as
from voltaware_async.stores.parquet.database import ParquetDatabase
from voltaware_async.stores.parquet.layout import LEDGER_FILE, Sizing

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_folder"]

# A disk of its own has it at its top.
_LOST_AND_FOUND: Final = "lost+found"
_SIZING: Final = Sizing()

# It takes the one for a separator of folders, and the other for the end of a path.
_BEYOND_DUCKDB: Final = frozenset("\\?")


def open_folder(target: str, folder: Path, *, read_only: bool, sizing: Sizing = _SIZING) -> ParquetDatabase:
    """Open a store's folder, and create it where there is none; a folder of anything else stays as it is.

    `folder` is absolute. A folder that an ended process left behind in the middle of its work is put in order
    by whoever opens it to write, who may so write the files of a whole run.
    """
    with store_errors(target):
        _refuse_place(target, folder)
        if read_only:
            _refuse_nothing(target, folder)
        else:
            _make_place(target, folder)
    make = partial(ParquetDatabase, folder=folder, sizing=sizing)
    database = open_as(make, target, folder / LEDGER_FILE, read_only=read_only)
    with ExitStack() as on_error:
        on_error.callback(database.close)
        if read_only:
            database.begin_reading()
        else:
            database.begin_writing()
        on_error.pop_all()
    return database


def _refuse_place(target: str, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{target} is a file, and a Parquet store is a folder")
    if _BEYOND_DUCKDB & set(str(folder)):
        raise StoreError(f"{target} has a \\ or ? in its path, and DuckDB keeps no files there")


def _refuse_nothing(target: str, folder: Path) -> None:
    if not (folder / LEDGER_FILE).exists():
        raise NoStoreError(f"there is no store {target} yet: a pull creates it")


def _make_place(target: str, folder: Path) -> None:
    if not folder.parent.is_dir():
        raise StoreError(f"{target} cannot be created: there is no directory {folder.parent}")
    folder.mkdir(exist_ok=True)
    if (folder / LEDGER_FILE).exists():
        return
    foreign = sorted(
        path.name for path in folder.iterdir() if path.name[0] != "." and path.name != _LOST_AND_FOUND
    )
    if foreign:
        raise StoreError(
            f"{target} is no store: it has no {LEDGER_FILE}, but {foreign[0]}; name an empty folder,"
            " or restore a copy of the whole store"
        )
