"""Writing a batch: rows and ledger entries in one transaction, each cell once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.errors import StoreError
from voltaware_async.stores.duckdb_session import named, transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from voltaware_async.stores.batches import Batch

__all__ = ["write_batch"]

_REPEATED: Final = """
SELECT any_value(device_id), count(*) FROM (
    SELECT device_id FROM new_entries
    GROUP BY device_id, dataset, period_start, period_end HAVING count(*) > 1
)
"""

_FIND_EARLIER: Final = """
CREATE OR REPLACE TEMP TABLE earlier_entries AS
SELECT ledger.rowid AS entry, ledger.* FROM ledger
SEMI JOIN new_entries USING (device_id, dataset, period_start, period_end)
"""

_LANDED: Final = """
SELECT any_value(device_id), count(*) FROM earlier_entries WHERE status = 'landed'
"""

# A cell is absent since it first was, also where it failed in between.
_ADD_UP: Final = """
SELECT new.* REPLACE (
    new.attempts + coalesce(earlier.attempts, 0) AS attempts,
    CASE WHEN new.status <> 'landed' THEN least(earlier.absent_since, new.absent_since) END AS absent_since
)
FROM new_entries AS new
LEFT JOIN earlier_entries AS earlier USING (device_id, dataset, period_start, period_end)
"""

_DELETE_EARLIER: Final = """
DELETE FROM ledger WHERE rowid IN (SELECT entry FROM earlier_entries)
"""


def write_batch(connection: DuckDBPyConnection, batch: Batch, *, fresh: bool) -> None:
    """Write a batch; `fresh` promises that no cell of it is in the ledger, and that none is in it twice."""
    if fresh:
        with transaction(connection):
            _append(connection, batch.tables)
        return
    with named(connection, "new_entries", batch.ledger), transaction(connection):
        entries = _replace_earlier(connection)
        _append(connection, {**batch.tables, "ledger": entries})


def _append(connection: DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> None:
    for name, rows in tables.items():
        if rows.num_rows:
            connection.from_arrow(rows).insert_into(name)


def _replace_earlier(connection: DuckDBPyConnection) -> pa.Table:
    """Delete the ledger's entries of these cells, and return the new ones with all attempts added up.

    Only cells that have not landed are replaced: they have no rows that would have to go too.
    """
    _refuse(connection, _REPEATED, "stand in one batch twice")
    connection.execute(_FIND_EARLIER)
    _refuse(connection, _LANDED, "have landed already")
    added_up: pa.Table = connection.sql(_ADD_UP).to_arrow_table()
    connection.execute(_DELETE_EARLIER)
    return added_up


def _refuse(connection: DuckDBPyConnection, query: str, why: str) -> None:
    [(example, cells)] = connection.execute(query).fetchall()
    if cells:
        raise StoreError(f"{cells} cells {why}, one of device {example}: a cell is never written twice")
