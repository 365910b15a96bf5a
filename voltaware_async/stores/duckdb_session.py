"""What brackets work on a DuckDB connection: a transaction, and an Arrow table that SQL can name."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

__all__ = ["named", "transaction"]


@contextmanager
def transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block does, or on any error nothing of it."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        # A commit that failed has rolled back by itself, and there is nothing left to roll back.
        with suppress(duckdb.Error):
            connection.rollback()
        raise


@contextmanager
def named(connection: DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Let SQL name an Arrow table. To stand around a transaction, not in one that may have failed."""
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)
