"""The format of a DuckDB store: its tables, its version, and the way from an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.stores.duckdb_session import transaction
from voltaware_async.stores.tables import DEVICES, EXPECTED, TABLES, create_table_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["FORMAT_VERSION", "MARKER", "create_tables", "upgrade", "version_of"]

FORMAT_VERSION: Final = 2
MARKER: Final = "voltaware_store"

# 2 knows devices, and as of which day a cell was asked.
_FROM_1_TO_2: Final = f"""
{create_table_sql("devices", DEVICES)};
{create_table_sql("expected", EXPECTED)};
INSERT INTO expected SELECT DISTINCT dataset, period_start, period_end, CAST(NULL AS DATE) FROM ledger;
INSERT INTO devices (device_id) SELECT DISTINCT device_id FROM ledger;
ALTER TABLE ledger ADD COLUMN asked_on DATE;
ALTER TABLE ledger ADD COLUMN absent_since DATE;
UPDATE ledger SET
    asked_on = CAST(updated_at AS DATE),
    absent_since = CASE WHEN status = 'absent' THEN CAST(updated_at AS DATE) END;
UPDATE {MARKER} SET version = 2;
"""
_UPGRADES: Final = {1: _FROM_1_TO_2}


def create_tables(connection: DuckDBPyConnection) -> None:
    """Make an empty database a store."""
    with transaction(connection):
        for name, schema in TABLES.items():
            connection.execute(create_table_sql(name, schema))
        connection.execute(f"CREATE TABLE {MARKER} (version BIGINT NOT NULL)")
        connection.execute(f"INSERT INTO {MARKER} VALUES (?)", [FORMAT_VERSION])
    connection.execute("CHECKPOINT")


def version_of(connection: DuckDBPyConnection) -> int:
    """Return the version of a store; 0 where it names none."""
    [(version,)] = connection.execute(f"SELECT max(version) FROM {MARKER}").fetchall()
    return int(version or 0)


def upgrade(connection: DuckDBPyConnection) -> None:
    """Bring an earlier version to this one, step by step; a store of this version stays as it is."""
    while (version := version_of(connection)) in _UPGRADES:
        with transaction(connection):
            connection.execute(_UPGRADES[version])
