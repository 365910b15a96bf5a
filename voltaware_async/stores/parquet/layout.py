"""Layout: where the files of a Parquet store lie, and how large they are. Pure."""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from attrs import frozen

from voltaware_async.cells import Dataset
from voltaware_async.periods import Week

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

__all__ = ["DRAFTS", "LEDGER_FILE", "ListedFile", "Partition", "Sizing"]

LEDGER_FILE: Final = "ledger.duckdb"

# On the disk of the files, so that they can be renamed into their place; and outside the tables' folders, for
# polars refuses a folder that holds files of another kind.
DRAFTS: Final = ".drafts"


@frozen
class ListedFile:
    """Name a Parquet file that counts. `path` is relative to the store's folder, `size` is in bytes.

    It lies in the drafts, under the name `draft`, until it has been moved to `path`.
    """

    path: str
    draft: str
    row_count: int
    size: int


@frozen
class Partition:
    """Name the rows of a table that share files: those of the cells of a dataset and period.

    `start` is the first day of the cells' month or week.
    """

    table: str
    dataset: str
    start: date

    @property
    def folder(self) -> str:
        """The folder of its files, relative to the store's."""
        return f"{self.table}/part={self.dataset}-{self._period}"

    @property
    def _period(self) -> str:
        """Word the period. The clipped weeks of a month come from the API, and their months from any year."""
        if Dataset(self.dataset).period_type is Week:
            return str(Week(self.start))
        return self.start.isoformat()[:7]

    def paths(self, taken: Sequence[ListedFile], replaced: Sequence[ListedFile]) -> Iterator[str]:
        """Name new files: the first has the path of the first that it replaces, all others new ones.

        So a file that grows is replaced by one rename: who reads the folder finds its rows once, at any time.
        """
        if replaced:
            yield replaced[0].path
        number = max((int(PurePosixPath(file.path).stem) for file in taken), default=0)
        while True:
            number += 1
            yield f"{self.folder}/{number:05}.parquet"


@frozen
class Sizing:
    """Say how many rows a file has: up to about `full`, and at most one in a partition fewer than `small`."""

    full: int = 1_000_000
    small: int = 250_000

    def cut(self, rows: int) -> Sequence[int]:
        """Return the sizes of the files for some rows; a small rest goes into the last one."""
        whole, rest = divmod(rows, self.full)
        sizes = [self.full] * whole
        if whole and rest < self.small:
            sizes[-1] += rest
        elif rest:
            sizes.append(rest)
        return sizes

    def to_replace(self, listed: Sequence[ListedFile], spoilt: AbstractSet[str]) -> Sequence[ListedFile]:
        """Choose the files of a partition that are written anew with its new rows: small or spoilt ones."""
        return [file for file in listed if file.path in spoilt or file.row_count < self.small]
