"""Writing a batch: rows and ledger entries in one transaction, each cell once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.errors import StoreError
from voltaware_async.stores.sql.database import same_cell
from voltaware_async.stores.tables import KEY, LEDGER, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from voltaware_async.stores.batches import Batch
    from voltaware_async.stores.sql.database import Database

__all__ = ["committed", "write_batch"]

_REPEATED: Final = f"""
SELECT min(device_id), count(*) FROM (
    SELECT device_id FROM new_entries GROUP BY {", ".join(KEY.names)} HAVING count(*) > 1
) AS repeated
"""

_FIND_EARLIER: Final = f"""
CREATE TEMP TABLE earlier_entries AS
SELECT * FROM ledger
WHERE EXISTS (SELECT 1 FROM new_entries WHERE {same_cell("new_entries", "ledger")})
"""

# With a WHERE that no row can meet by the statistics of its table, DuckDB 1.5.0 breaks down.
_LANDED: Final = """
SELECT min(device_id) FILTER (WHERE status = 'landed'), count(*) FILTER (WHERE status = 'landed')
FROM earlier_entries
"""

# A cell is absent since it first was, also where it failed in between.
_ADDED_UP: Final = {
    "attempts": "fresh.attempts + coalesce(earlier.attempts, 0)",
    "absent_since": (
        "CASE WHEN fresh.status <> 'landed' THEN least(earlier.absent_since, fresh.absent_since) END"
    ),
}
_ADD_UP: Final = f"""
SELECT {", ".join(f"{_ADDED_UP.get(name, f'fresh.{name}')} AS {name}" for name in LEDGER.names)}
FROM new_entries AS fresh
LEFT JOIN earlier_entries AS earlier ON {same_cell("fresh", "earlier")}
"""

_DELETE_EARLIER: Final = f"""
DELETE FROM ledger USING earlier_entries AS earlier
WHERE {same_cell("ledger", "earlier")}
"""

_RESTATED: Final = f"""
CREATE TEMP TABLE restated_cells AS
SELECT {", ".join(KEY.names)} FROM earlier_entries WHERE status = 'landed'
"""

# Of what landed before hashes were kept only another total is known to be a change; those of cycles were
# added up in another order then.
_REVISE: Final = f"""
INSERT INTO revisions
SELECT
    {", ".join(f"fresh.{name}" for name in KEY.names)},
    fresh.updated_at,
    fresh.run_id,
    earlier.total_consumption_wh,
    fresh.total_consumption_wh,
    earlier.content_hash,
    fresh.content_hash
FROM new_entries AS fresh
JOIN earlier_entries AS earlier ON {same_cell("fresh", "earlier")}
WHERE earlier.status = 'landed'
AND (
    earlier.content_hash <> fresh.content_hash
    OR earlier.content_hash IS NULL
    AND abs(earlier.total_consumption_wh - fresh.total_consumption_wh)
        > 1e-9 * abs(fresh.total_consumption_wh)
)
"""

# The batches of a run differ in their instant. By one of its cells, for no index tells the entries of a run.
_IS_COMMITTED: Final = f"""
SELECT EXISTS (
    SELECT 1 FROM ledger
    WHERE {" AND ".join(f"{name} = ${name}" for name in (*KEY.names, "run_id", "updated_at"))}
)
"""
_COUNT_REVISIONS: Final = """
SELECT count(*) FROM revisions WHERE run_id = $run_id AND revised_at = $updated_at
"""


def write_batch(database: Database, batch: Batch, *, fresh: bool, refreshes: bool) -> int:
    """Write a batch, and return how many of its cells were restated.

    `fresh` promises that no cell of it is in the ledger, and that none is in it twice. `refreshes` replaces
    what has landed, which is refused otherwise.
    """
    if fresh:
        with database.transaction():
            _append(database, batch.tables)
        return 0
    with database.named("new_entries", batch.ledger), database.transaction():
        restated = _replace_earlier(database, refreshes=refreshes)
        entries = database.arrow(_ADD_UP, LEDGER)
        database.execute(_DELETE_EARLIER)
        _append(database, {**batch.tables, "ledger": entries})
    return restated


def committed(database: Database, batch: Batch) -> int | None:
    """Look for a batch whose connection was lost: return how many of its cells were restated.

    None where it is not in the store, nor any part of it.
    """
    [entry] = batch.ledger.slice(0, 1).to_pylist()
    key = {name: entry[name] for name in KEY.names}
    written = {name: entry[name] for name in ("run_id", "updated_at")}
    [(is_there,)] = database.rows(_IS_COMMITTED, {**key, **written})
    if not is_there:
        return None
    [(restated,)] = database.rows(_COUNT_REVISIONS, written)
    return int(restated)


def _append(database: Database, tables: Mapping[str, pa.Table]) -> None:
    for name, rows in tables.items():
        if rows.num_rows:
            database.append(name, rows)


def _replace_earlier(database: Database, *, refreshes: bool) -> int:
    """Find the ledger's entries of these cells, and remove the rows of those that had landed."""
    _refuse(database, _REPEATED, "stand in one batch twice")
    database.execute("DROP TABLE IF EXISTS earlier_entries")
    database.execute(_FIND_EARLIER)
    if not refreshes:
        _refuse(database, _LANDED, "have landed already")
        return 0
    return _remove_restated(database)


def _remove_restated(database: Database) -> int:
    database.execute("DROP TABLE IF EXISTS restated_cells")
    database.execute(_RESTATED)
    for name in ROWS:
        database.remove(name, "restated_cells")
    return database.execute(_REVISE)


def _refuse(database: Database, query: str, why: str) -> None:
    [(example, cells)] = database.rows(query)
    if cells:
        raise StoreError(f"{cells} cells {why}, one of device {example}: a cell is never written twice")
