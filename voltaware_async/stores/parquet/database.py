"""SQL over a folder of Parquet files and the DuckDB file that lists them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from voltaware_async.errors import StoreError
from voltaware_async.stores.duckdb.database import DuckDBDatabase
from voltaware_async.stores.duckdb.errors import store_errors
from voltaware_async.stores.parquet.copies import Copies
from voltaware_async.stores.parquet.file_list import FileList, create_lists
from voltaware_async.stores.parquet.layout import LEDGER_FILE, Sizing
from voltaware_async.stores.parquet.row_views import row_view_sql, staged
from voltaware_async.stores.parquet.settling import Settling
from voltaware_async.stores.sql.views import VIEWS, view_sql
from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

__all__ = ["ParquetDatabase"]

_SUPERSEDE: Final = """
INSERT INTO superseded_cells
SELECT DISTINCT '{table}', cell.device_id, cell.dataset, cell.period_start, cell.period_end
FROM {cells} AS cell
SEMI JOIN files
ON files.table_name = '{table}' AND files.dataset = cell.dataset AND files.period_start = cell.period_start
"""

_IS_UNSETTLED: Final = " OR ".join(
    f"EXISTS (SELECT 1 FROM {name})" for name in ("superseded_cells", "changed_parts", *map(staged, ROWS))
)


class ParquetDatabase(DuckDBDatabase):
    """Speak SQL over a Parquet store; see `Database` for what each method promises.

    The tables of rows are views: what is staged in the ledger's file, and what lies in Parquet files. Memory
    as for a DuckDB store, and a batch of 100,000 rows while files are written.
    """

    def __init__(self, target: str, connection: DuckDBPyConnection, folder: Path, sizing: Sizing) -> None:
        super().__init__(target, connection)
        ledger = DuckDBDatabase(target, connection)
        self._sizing = sizing
        self._files = FileList(ledger, folder)
        self._settling = Settling(ledger, folder, self._files, sizing)
        self._copies = Copies(ledger, folder)
        self._appended = dict.fromkeys(ROWS, 0)

    def check_kind(self) -> None:
        """Refuse a store of another kind whose file has our ledger's name."""
        if not self.has_table("files"):
            raise StoreError(
                f"the {LEDGER_FILE} of {self.target} is a DuckDB store: name that file as the store"
            )

    def create_table(self, name: str, schema: pa.Schema) -> None:
        """Create a table; of rows, the one in which they are staged."""
        super().create_table(staged(name) if name in ROWS else name, schema)
        create_lists(self)

    def create_view(self, name: str, query: str) -> None:
        """Do nothing: views name files by where the folder is, so that each session makes its own."""

    def begin_writing(self) -> None:
        """Make good what a kill has left."""
        with store_errors(self.target):
            self._files.recover()
        self.begin_reading()
        if self.rows(f"SELECT {_IS_UNSETTLED}") == [(True,)]:
            self.settle()

    def begin_reading(self) -> None:
        """Make the views."""
        with store_errors(self.target):
            self._files.check_whole()
        for table in ROWS:
            self._show(table)
        for name in VIEWS:
            self.execute(f"CREATE TEMP VIEW {name} AS {view_sql(name)}")

    def _show(self, table: str) -> None:
        """Let SQL see the files of a table that are listed by now."""
        places = [self._files.place(file) for file in self._files.of_table(table)]
        self.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS {row_view_sql(table, places)}")

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table, or stage them."""
        if table == "ledger":
            self._copies.mark(rows)
        if table not in ROWS:
            super().append(table, rows)
            return
        super().append(staged(table), rows)
        self._appended[table] += rows.num_rows

    def remove(self, table: str, cells: str) -> None:
        """Remove the rows of some cells; those in files count no more, and go when the cells settle."""
        super().remove(staged(table), cells)
        self.execute(_SUPERSEDE.format(table=table, cells=cells))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does, or on any error nothing of it."""
        try:
            with super().transaction():
                yield
        except BaseException:
            self._copies.forget()
            raise

    def relieve(self) -> None:
        """Settle the tables of which much is staged.

        Not where it was staged: an error then would look as if the batch had not been committed.
        """
        for table, rows in self._appended.items():
            if rows >= self._sizing.full:
                self._settle(table, self._settling.settle_new)

    def settle(self) -> None:
        """Move all staged rows into files, and copy the other tables."""
        for table in ROWS:
            self._settle(table, self._settling.settle)
        with store_errors(self.target):
            self._copies.write()

    def _settle(self, table: str, settle: Callable[[str], None]) -> None:
        self._appended[table] = 0
        try:
            with store_errors(self.target):
                settle(table)
        finally:
            self._show(table)
