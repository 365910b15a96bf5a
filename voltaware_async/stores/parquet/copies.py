"""Copies: the tables that are no rows, as Parquet files for those who do not read the ledger itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.stores.folders import made_folder, sync_folder
from voltaware_async.stores.parquet.drafts import write_draft
from voltaware_async.stores.parquet.layout import DRAFTS, Partition
from voltaware_async.stores.tables import LEDGER, ROWS, TABLES

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

    from voltaware_async.stores.duckdb.database import DuckDBDatabase

__all__ = ["Copies"]

_WHOLE: Final = sorted(TABLES.keys() - ROWS.keys() - {"ledger"})

_MARK: Final = "INSERT INTO changed_parts VALUES ($dataset, $start)"
_CHANGED: Final = "SELECT DISTINCT dataset, period_start FROM changed_parts ORDER BY ALL"
_UNMARK: Final = "DELETE FROM changed_parts"


class Copies:
    """Copy the ledger and the other tables to files: of the ledger, only the parts that have changed."""

    def __init__(self, ledger: DuckDBDatabase, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder
        self._marked: set[tuple[str, date]] = set()

    def mark(self, entries: pa.Table) -> None:
        """Take note, in the transaction that writes them, of the parts that ledger entries belong to."""
        for dataset, start in _parts_of(entries) - self._marked:
            self._ledger.execute(_MARK, {"dataset": dataset, "start": start})
            self._marked.add((dataset, start))

    def forget(self) -> None:
        """Mark again what comes next: the transaction was rolled back."""
        self._marked.clear()

    def write(self) -> None:
        """Write all that may have changed since it was written last."""
        for dataset, start in self._ledger.rows(_CHANGED):
            place = self._folder / Partition("ledger", dataset, start).folder / "ledger.parquet"
            self._write(
                f"ledger WHERE dataset = '{dataset}' AND period_start = DATE '{start}'", LEDGER, place
            )
        for name in _WHOLE:
            self._write(name, TABLES[name], self._folder / f"{name}.parquet")
        self.forget()
        self._ledger.execute(_UNMARK)

    def _write(self, source: str, schema: pa.Schema, place: Path) -> None:
        query = f"SELECT {', '.join(schema.names)} FROM {source}"
        with self._ledger.reader(query, schema) as batches:
            draft = write_draft(self._folder, schema, batches)
        (self._folder / DRAFTS / draft.name).replace(made_folder(place.parent) / place.name)
        sync_folder(place.parent)


def _parts_of(entries: pa.Table) -> AbstractSet[tuple[str, date]]:
    parts = entries.group_by(["dataset", "period_start"]).aggregate([])
    return {(row["dataset"], row["period_start"]) for row in parts.to_pylist()}
