"""SQL over a DuckDB connection."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb

from voltaware_async.errors import StoreError
from voltaware_async.stores.duckdb.errors import store_errors
from voltaware_async.stores.sql.database import removal_sql
from voltaware_async.stores.tables import create_table_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from voltaware_async.stores.sql.database import Values

__all__ = ["DuckDBDatabase"]

_READ_ROWS: Final = 100_000

_TABLE: Final = "SELECT 1 FROM information_schema.tables WHERE table_name = $name"

# DuckDB's joins take so much of a fleet of millions, even while they spill to disk; and whoever only reads,
# or upgrades, may take more, for a short while.
_LEAST_SHARE_MB: Final = 64
_BYTES_PER_DEVICE: Final = 64
_LARGE_SHARE_MB: Final = 1024


class DuckDBDatabase:
    """Speak SQL over a DuckDB file; see `Database` for what each method promises.

    Memory: DuckDB's own share is limited to 64 MB, and beyond a million devices to 64 bytes for each; it
    spills to a folder `FILE.tmp` beside the file, which goes away when the store is closed.
    """

    def __init__(self, target: str, connection: DuckDBPyConnection) -> None:
        self._target = target
        self._connection = connection

    @property
    def target(self) -> str:
        """What was opened, as it was written."""
        return self._target

    def check_kind(self) -> None:
        """Refuse the ledger of a Parquet store."""
        if self.has_table("superseded_cells"):
            raise StoreError(f"{self._target} is the ledger of a Parquet store: name its folder, parquet:DIR")

    def has_table(self, name: str) -> bool:
        """Tell whether there is a table of that name."""
        return bool(self.rows(_TABLE, {"name": name}))

    def create_table(self, name: str, schema: pa.Schema) -> None:
        """Create a table."""
        self.execute(create_table_sql(name, schema))

    def create_view(self, name: str, query: str) -> None:
        """Create a view."""
        self.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")

    def rows(self, sql: str, values: Values | None = None) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query."""
        with store_errors(self._target):
            return self._connection.execute(sql, values).fetchall()

    def execute(self, sql: str, values: Values | None = None) -> int:
        """Carry out one statement; return how many rows it changed."""
        answer = self.rows(sql, values)
        return int(answer[0][0]) if answer else 0

    def arrow(self, sql: str, schema: pa.Schema) -> pa.Table:
        """Return the rows of a query in the types of a schema."""
        with store_errors(self._target):
            rows: pa.Table = self._connection.sql(sql).to_arrow_table()
        return rows.cast(schema)

    @contextmanager
    def reader(self, sql: str, schema: pa.Schema, *, is_scan: bool = False) -> Iterator[pa.RecordBatchReader]:
        """Stream the rows of a query in the types of a schema.

        What memory a scan may take, it fills with what it has read.
        """
        # Not by `execute`, which would copy the whole answer first. DuckDB answers nothing else while a
        # stream is open that was not read to its end.
        with (
            store_errors(self._target),
            self._small_share() if is_scan else nullcontext(),
            self._connection.sql(sql).to_arrow_reader(_READ_ROWS) as rows,
        ):
            yield rows.cast(schema)

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table."""
        with store_errors(self._target):
            self._connection.from_arrow(rows).insert_into(table)

    def remove(self, table: str, cells: str) -> None:
        """Remove a table's rows of some cells."""
        self.execute(removal_sql(table, cells))

    @contextmanager
    def named(self, name: str, rows: pa.Table) -> Iterator[None]:
        """Let SQL name an Arrow table. To stand around a transaction, not in one that may have failed."""
        self._connection.register(name, rows)
        try:
            yield
        finally:
            # A full disk may have ended the database, and with it the name.
            with suppress(duckdb.Error):
                self._connection.unregister(name)

    def analyze(self, table: str) -> None:
        """Do nothing: DuckDB counts as it goes."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does, or on any error nothing of it."""
        with store_errors(self._target):
            self._connection.begin()
            try:
                yield
                self._connection.commit()
            except BaseException:
                # A commit that failed has rolled back by itself, and there is nothing left to roll back.
                with suppress(duckdb.Error):
                    self._connection.rollback()
                raise

    def expect_devices(self, devices: int) -> None:
        """Give DuckDB as much memory as a run over so many devices takes."""
        with store_errors(self._target):
            self._share(max(_LEAST_SHARE_MB, devices * _BYTES_PER_DEVICE // 1_000_000))

    @contextmanager
    def large_share(self) -> Iterator[None]:
        """Take more memory, for a while."""
        self.take_large_share()
        try:
            yield
        finally:
            self._share(_LEAST_SHARE_MB)

    @contextmanager
    def _small_share(self) -> Iterator[None]:
        """Take little memory, for a while."""
        [(before,)] = self.rows("SELECT current_setting('memory_limit')")
        self._share(_LEAST_SHARE_MB)
        try:
            yield
        finally:
            self.execute(f"SET memory_limit = '{before}'")

    def take_large_share(self) -> None:
        """Take more memory, as whoever only reads may."""
        self._share(_LARGE_SHARE_MB)

    def _share(self, megabytes: int) -> None:
        self.execute(f"SET memory_limit = '{megabytes}MB'")

    def reconnect(self) -> None:
        """Refuse: an embedded database loses no connection."""
        raise StoreError(f"{self._target} cannot be connected to anew")

    def relieve(self) -> None:
        """Do nothing: DuckDB spills by itself."""

    def settle(self) -> None:
        """Do nothing: what is committed is there for everybody."""

    def close(self) -> None:
        """Close the file; DuckDB moves its log into it."""
        with store_errors(self._target):
            self._connection.close()
