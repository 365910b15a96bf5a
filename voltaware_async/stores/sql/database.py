"""Database: what SQL asks of DuckDB and of PostgreSQL, so that every question is worded once.

The SQL of this folder keeps to what both read alike. Named parameters are written `$name`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from voltaware_async.errors import StoreError
from voltaware_async.stores.tables import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date, datetime
    from typing import Any

    import pyarrow as pa

__all__ = ["ConnectionLostError", "Database", "Value", "Values", "removal_sql", "same_cell"]

Value: TypeAlias = "str | int | float | bool | date | datetime | None"
Values: TypeAlias = "Mapping[str, Value]"


class ConnectionLostError(StoreError):
    """The server hung up: nothing of the transaction that was under way is known to be written."""


def same_cell(left: str, right: str) -> str:
    """Word that the rows of two tables are of one cell."""
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in KEY.names)


def removal_sql(table: str, cells: str) -> str:
    """Word the removal of the rows of some cells; the clipped weeks of a month begin within it."""
    return (
        f"DELETE FROM {table} USING {cells} AS cell"
        f" WHERE {table}.device_id = cell.device_id AND {table}.dataset = cell.dataset"
        f" AND {table}.period_start >= cell.period_start AND {table}.period_start <= cell.period_end"
    )


class Database(Protocol):
    """Speak SQL over one connection. Every method blocks, and may raise StoreError about `target`."""

    @property
    def target(self) -> str:
        """What was opened, as it was written, without a password."""

    def create_table(self, name: str, schema: pa.Schema) -> None:
        """Create a table of a store, and what this kind of database wants beside it, such as an index."""

    def create_view(self, name: str, query: str) -> None:
        """Create a view of a store."""

    def rows(self, sql: str, values: Values | None = None) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query, as Python's own types; instants are aware."""

    def execute(self, sql: str, values: Values | None = None) -> int:
        """Carry out one statement; return how many rows it changed."""

    def arrow(self, sql: str, schema: pa.Schema) -> pa.Table:
        """Return the rows of a query in the types of a schema."""

    def reader(
        self, sql: str, schema: pa.Schema, *, is_scan: bool = False
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Stream the rows of a query in the types of a schema; nothing else may be asked meanwhile.

        `is_scan` tells that it only reads one table from beginning to end, which takes little memory.
        """

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table, whose columns they have in its order."""

    def remove(self, table: str, cells: str) -> None:
        """Remove a table's rows of the cells that another table names by the four columns of their key."""

    def named(self, name: str, rows: pa.Table) -> AbstractContextManager[None]:
        """Let SQL name an Arrow table. To stand around a transaction, not in one that may fail."""

    def analyze(self, table: str) -> None:
        """Take note that a temporary table has been filled: joins are planned by its size."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what the block does, or on any error nothing of it."""

    def expect_devices(self, devices: int) -> None:
        """Make room for a run over so many devices."""

    def reconnect(self) -> None:
        """Connect anew after a ConnectionLostError; what was temporary is gone."""

    def relieve(self) -> None:
        """Do what a long run makes necessary, between two transactions."""

    def settle(self) -> None:
        """Make what a run has written complete for those who read it without us; called at its end."""

    def close(self) -> None:
        """Close the connection; closing again does nothing."""
