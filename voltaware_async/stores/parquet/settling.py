"""Settling: from staged rows to Parquet files, a partition at a time, each in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from voltaware_async.errors import StoreError
from voltaware_async.stores.parquet.drafts import write_drafts
from voltaware_async.stores.parquet.layout import ListedFile, Partition
from voltaware_async.stores.parquet.row_views import files_sql, row_view_sql, staged, superseded_sql
from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voltaware_async.stores.duckdb.database import DuckDBDatabase
    from voltaware_async.stores.parquet.file_list import FileList
    from voltaware_async.stores.parquet.layout import Sizing

__all__ = ["Settling"]

# The clipped weeks of a month lie in its partition.
_CELL_START: Final = """
CASE dataset WHEN 'month_weeks' THEN CAST(date_trunc('month', period_start) AS DATE) ELSE period_start END
"""

_UNSETTLED: Final = f"""
SELECT dataset, start, CAST(sum(staged) AS BIGINT), CAST(sum(superseded) AS BIGINT)
FROM (
    SELECT dataset, {_CELL_START} AS start, count(*) AS staged, 0 AS superseded
    FROM {{staged}}
    GROUP BY ALL
    UNION ALL
    SELECT dataset, period_start, 0, count(*) FROM superseded_cells WHERE table_name = $table GROUP BY ALL
)
GROUP BY dataset, start
ORDER BY dataset, start
"""

_SPOILT: Final = """
SELECT filename, count(*)
FROM {files} AS landed
SEMI JOIN superseded_cells AS cell ON {superseded}
GROUP BY filename
"""


@frozen
class _Unsettled:
    """Count what is to be done for a partition: staged rows, and cells whose rows in files count no more."""

    partition: Partition
    staged: int
    superseded: int


class Settling:
    """Move staged rows into files."""

    def __init__(self, ledger: DuckDBDatabase, folder: Path, files: FileList, sizing: Sizing) -> None:
        self._ledger = ledger
        self._folder = folder
        self._files = files
        self._sizing = sizing

    def settle(self, table: str) -> None:
        """Settle a table."""
        for unsettled in self._unsettled(table):
            self._settle(unsettled)

    def settle_new(self, table: str) -> None:
        """Settle a table but for the partitions with superseded cells.

        Their files are written anew, which is to happen once in a run, not time and again.
        """
        for unsettled in self._unsettled(table):
            if not unsettled.superseded:
                self._settle(unsettled)

    def _unsettled(self, table: str) -> Sequence[_Unsettled]:
        rows = self._ledger.rows(_UNSETTLED.format(staged=staged(table)), {"table": table})
        return [_Unsettled(Partition(table, dataset, start), *counts) for dataset, start, *counts in rows]

    def _settle(self, unsettled: _Unsettled) -> None:
        partition = unsettled.partition
        listed = self._files.of_partition(partition)
        spoilt = self._spoilt(partition, listed) if unsettled.superseded else {}
        old = self._sizing.to_replace(listed, spoilt.keys()) if unsettled.staged or spoilt else []
        rows = unsettled.staged + sum(file.row_count - spoilt.get(file.path, 0) for file in old)
        new = self._written(partition, old, rows, partition.paths(listed, old))
        with self._ledger.transaction():
            self._files.replace(partition, old, new)
            self._ledger.execute(f"DELETE FROM {staged(partition.table)} WHERE {_is_in(partition)}")
        self._files.follow(new)

    def _spoilt(self, partition: Partition, listed: Sequence[ListedFile]) -> Mapping[str, int]:
        """Count the superseded rows in those files of a partition that have any."""
        places = {str(self._files.place(file)): file.path for file in listed}
        query = _SPOILT.format(
            files=files_sql([*map(Path, places)], named=True), superseded=superseded_sql(partition.table)
        )
        return {places[place]: count for place, count in self._ledger.rows(query)}

    def _written(
        self, partition: Partition, old: Sequence[ListedFile], rows: int, paths: Iterator[str]
    ) -> Sequence[ListedFile]:
        """Write the rows of old files that count, and after them the staged ones, to new files."""
        sizes = self._sizing.cut(rows)
        if not sizes:
            return []
        schema = ROWS[partition.table]
        places = [self._files.place(file) for file in old]
        query = row_view_sql(partition.table, places, _is_in(partition))
        with self._ledger.reader(query, schema) as batches:
            drafts = write_drafts(self._folder, schema, batches, sizes)
        if (written := sum(draft.row_count for draft in drafts)) != rows:
            raise StoreError(
                f"{self._ledger.target}: the files in {partition.folder} have {written} rows"
                f" where the ledger counts {rows}: restore a copy of them"
            )
        return [
            ListedFile(path, draft.name, draft.row_count, draft.size)
            for path, draft in zip(paths, drafts, strict=False)
        ]


def _is_in(partition: Partition) -> str:
    """Word that a row is of a partition."""
    start = _CELL_START if partition.dataset == "month_weeks" else "period_start"
    return f"dataset = '{partition.dataset}' AND {start} = DATE '{partition.start}'"
