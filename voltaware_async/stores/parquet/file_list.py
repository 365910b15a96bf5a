"""The list of files: which Parquet files count, which cells of theirs do not, and the folder kept in line.

The list changes in one transaction with the staged rows, the folder follows:

1. A draft is written and flushed to the disk. It counts for nothing.
2. The transaction lists it, with the path where it will lie. From here on it counts, draft or not.
3. Replaced files are removed, then drafts are renamed to their paths: nobody sees a row twice.

A kill in between is made good by whoever opens the store for writing next; who reads looks at both names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.errors import StoreError
from voltaware_async.stores.folders import made_folder, sync_folder
from voltaware_async.stores.parquet.layout import DRAFTS, ListedFile
from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from voltaware_async.stores.duckdb.database import DuckDBDatabase
    from voltaware_async.stores.parquet.layout import Partition

__all__ = ["FileList", "create_lists"]

_CREATE: Final = (
    """
    CREATE TABLE IF NOT EXISTS files (
        path VARCHAR NOT NULL,
        draft VARCHAR NOT NULL,
        table_name VARCHAR NOT NULL,
        dataset VARCHAR NOT NULL,
        period_start DATE NOT NULL,
        row_count BIGINT NOT NULL,
        size BIGINT NOT NULL
    )
    """,
    # Listed no more, and maybe still there.
    "CREATE TABLE IF NOT EXISTS replaced_files (path VARCHAR NOT NULL)",
    # Cells whose rows in files no longer count: they were restated.
    """
    CREATE TABLE IF NOT EXISTS superseded_cells (
        table_name VARCHAR NOT NULL,
        device_id VARCHAR NOT NULL,
        dataset VARCHAR NOT NULL,
        period_start DATE NOT NULL,
        period_end DATE NOT NULL
    )
    """,
    # Parts of the ledger that have changed since they were copied.
    "CREATE TABLE IF NOT EXISTS changed_parts (dataset VARCHAR NOT NULL, period_start DATE NOT NULL)",
)

_ALL: Final = "SELECT path, draft, row_count, size FROM files ORDER BY path"
_OF_TABLE: Final = "SELECT path, draft, row_count, size FROM files WHERE table_name = $table ORDER BY path"

_OF_PARTITION: Final = "table_name = $table AND dataset = $dataset AND period_start = $start"
_IN_PARTITION: Final = f"SELECT path, draft, row_count, size FROM files WHERE {_OF_PARTITION} ORDER BY path"

_ADD: Final = "INSERT INTO files VALUES ($path, $draft, $table, $dataset, $start, $row_count, $size)"
_UNLIST: Final = "DELETE FROM files WHERE path = $path"
_REPLACED: Final = "INSERT INTO replaced_files VALUES ($path)"
_FORGET_CELLS: Final = f"DELETE FROM superseded_cells WHERE {_OF_PARTITION}"

_TO_REMOVE: Final = "SELECT path FROM replaced_files WHERE path NOT IN (SELECT path FROM files)"


def create_lists(database: DuckDBDatabase) -> None:
    """Create the tables of the list, where they are not there yet."""
    for statement in _CREATE:
        database.execute(statement)


class FileList:
    """Read and change the list of files in the ledger, and bring the folder in line with it."""

    def __init__(self, ledger: DuckDBDatabase, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder

    def of_table(self, table: str) -> Sequence[ListedFile]:
        """Return the files of a table, the oldest of each partition first."""
        return [ListedFile(*row) for row in self._ledger.rows(_OF_TABLE, {"table": table})]

    def of_partition(self, partition: Partition) -> Sequence[ListedFile]:
        """Return the files of a partition, the oldest first."""
        return [ListedFile(*row) for row in self._ledger.rows(_IN_PARTITION, _values(partition))]

    def place(self, file: ListedFile) -> Path:
        """Tell where a file lies by now."""
        draft = self._draft(file)
        return draft if draft.exists() else self._folder / file.path

    def _draft(self, file: ListedFile) -> Path:
        return self._folder / DRAFTS / file.draft

    def replace(self, partition: Partition, old: Sequence[ListedFile], new: Sequence[ListedFile]) -> None:
        """List new files of a partition in place of old ones, in a transaction of the caller's.

        The partition's superseded cells must be in no file of it any more.
        """
        values = _values(partition)
        for file in old:
            self._ledger.execute(_UNLIST, {"path": file.path})
        for path in {file.path for file in old} - {file.path for file in new}:
            self._ledger.execute(_REPLACED, {"path": path})
        for file in new:
            facts: dict[str, str | int] = {
                "path": file.path,
                "draft": file.draft,
                "row_count": file.row_count,
                "size": file.size,
            }
            self._ledger.execute(_ADD, {**values, **facts})
        self._ledger.execute(_FORGET_CELLS, values)

    def follow(self, files: Sequence[ListedFile]) -> None:
        """Bring the folder in line: remove what was replaced, then put these files where they belong."""
        removed = [self._folder / path for (path,) in self._ledger.rows(_TO_REMOVE)]
        for path in removed:
            path.unlink(missing_ok=True)
        moved = [self._move(file) for file in files if self._draft(file).exists()]
        for folder in {path.parent for path in (*removed, *moved)}:
            sync_folder(folder)
        if removed:
            self._ledger.execute("DELETE FROM replaced_files")

    def _move(self, file: ListedFile) -> Path:
        path = self._folder / file.path
        made_folder(path.parent)
        self._draft(file).replace(path)
        return path

    def recover(self) -> None:
        """Make good what a kill left: finish what is listed, and remove the drafts of what is not."""
        self.follow([ListedFile(*row) for row in self._ledger.rows(_ALL)])
        if (drafts := self._folder / DRAFTS).is_dir():
            for draft in drafts.iterdir():
                draft.unlink()
        self._refuse_unlisted()

    def _refuse_unlisted(self) -> None:
        """Refuse files that would be counted by whoever reads the folder, such as those of an older copy."""
        listed = {self._folder / path for path, *_ in self._ledger.rows(_ALL)}
        for table in ROWS:
            found = {path for path in (self._folder / table).glob("part=*/*.parquet") if path.name[0] != "."}
            if unlisted := sorted(found - listed):
                raise StoreError(
                    f"{self._ledger.target} does not list {len(unlisted)} of the files in its folder, such as"
                    f" {unlisted[0].relative_to(self._folder)}: move them away, or restore the whole folder"
                )

    def check_whole(self) -> None:
        """Refuse a store that lacks a file or a part of one."""
        for file in (ListedFile(*row) for row in self._ledger.rows(_ALL)):
            place = self.place(file)
            size = place.stat().st_size if place.is_file() else None
            if size != file.size:
                wrong = "is missing" if size is None else f"has {size} bytes and not {file.size}"
                raise StoreError(f"{self._ledger.target}: the file {file.path} {wrong}: restore a copy of it")


def _values(partition: Partition) -> dict[str, str | date]:
    return {"table": partition.table, "dataset": partition.dataset, "start": partition.start}
