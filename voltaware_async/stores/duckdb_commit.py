"""Writing a batch: rows and ledger entries in one transaction, each cell once."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import duckdb

from voltaware_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from voltaware_async.stores.batches import Batch

__all__ = ["transaction", "write_batch"]

_REPEATED: Final = """
SELECT any_value(device_id), count(*) FROM (
    SELECT device_id FROM new_entries
    GROUP BY device_id, dataset, period_start, period_end HAVING count(*) > 1
)
"""

_LANDED: Final = """
SELECT any_value(device_id), count(*)
FROM ledger SEMI JOIN new_entries USING (device_id, dataset, period_start, period_end)
WHERE status = 'landed'
"""

_WITH_EARLIER_ATTEMPTS: Final = """
SELECT new.* REPLACE (new.attempts + coalesce(old.attempts, 0) AS attempts)
FROM new_entries AS new
LEFT JOIN ledger AS old USING (device_id, dataset, period_start, period_end)
"""

_DELETE_EARLIER: Final = """
DELETE FROM ledger USING new_entries AS new
WHERE ledger.device_id = new.device_id AND ledger.dataset = new.dataset
AND ledger.period_start = new.period_start AND ledger.period_end = new.period_end
"""


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


def write_batch(connection: DuckDBPyConnection, batch: Batch, *, fresh: bool) -> None:
    """Write a batch; `fresh` promises that no cell of it is in the ledger, and that none is in it twice."""
    with transaction(connection):
        entries = batch.ledger if fresh else _replace_earlier(connection, batch.ledger)
        for name, rows in {**batch.tables, "ledger": entries}.items():
            if rows.num_rows:
                connection.from_arrow(rows).insert_into(name)


def _replace_earlier(connection: DuckDBPyConnection, entries: pa.Table) -> pa.Table:
    """Delete the ledger's entries of these cells, and return the new ones with all attempts added up.

    Only cells that have not landed are replaced: they have no rows that would have to go too.
    """
    connection.register("new_entries", entries)
    try:
        _refuse(connection, _REPEATED, "stand in one batch twice")
        _refuse(connection, _LANDED, "have landed already")
        added_up: pa.Table = connection.sql(_WITH_EARLIER_ATTEMPTS).to_arrow_table()
        connection.execute(_DELETE_EARLIER)
        return added_up
    finally:
        connection.unregister("new_entries")


def _refuse(connection: DuckDBPyConnection, query: str, why: str) -> None:
    [(example, cells)] = connection.execute(query).fetchall()
    if cells:
        raise StoreError(f"{cells} cells {why}, one of device {example}: a cell is never written twice")
