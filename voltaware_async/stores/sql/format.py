"""The format of a store: its tables, its version, and the way from an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.errors import NoStoreError, StoreError
from voltaware_async.stores.sql.upgrades import UPGRADES
from voltaware_async.stores.sql.views import VIEWS, view_sql
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from voltaware_async.stores.sql.database import Database

__all__ = ["FORMAT_VERSION", "MARKER", "check_readable", "create_store", "is_store", "upgrade"]

FORMAT_VERSION: Final = 3
MARKER: Final = "voltaware_store"

_RELATIONS: Final = """
SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()
"""


def create_store(database: Database) -> None:
    """Make an empty database a store."""
    with database.transaction():
        for name, schema in TABLES.items():
            database.create_table(name, schema)
        _create_views(database)
        database.execute(f"CREATE TABLE {MARKER} (version BIGINT NOT NULL)")
        database.execute(f"INSERT INTO {MARKER} VALUES ({FORMAT_VERSION})")


def is_store(database: Database) -> bool:
    """Tell a store from an empty database; refuse anything else with a StoreError."""
    relations = {name for (name,) in database.rows(_RELATIONS)}
    if not relations:
        return False
    if MARKER not in relations:
        raise StoreError(
            f"{database.target} is a database of something else: its tables are not a store's; name another, "
            "or on a PostgreSQL server a schema of its own: …?options=-csearch_path%3Dvoltaware"
        )
    version = _version_of(database)
    if version < 1:
        raise StoreError(f"{database.target} names no format of its own: it is no store, or a spoilt one")
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{database.target} has format {version} and this release knows {FORMAT_VERSION}: "
            "upgrade voltaware-async"
        )
    return True


def check_readable(database: Database) -> None:
    """Refuse, with a StoreError, what is no store, or not one of this version."""
    if not is_store(database):
        raise NoStoreError(f"{database.target} is an empty database: a pull makes it a store")
    if (version := _version_of(database)) < FORMAT_VERSION:
        raise StoreError(
            f"{database.target} has the earlier format {version}: the next pull or sync renews it"
        )


def upgrade(database: Database) -> None:
    """Bring an earlier version to this one, each step in a transaction of its own.

    DuckDB before 2.0 cannot alter a table that the same transaction has altered and filled.
    """
    for step in range(_version_of(database), FORMAT_VERSION):
        with database.transaction():
            for statement in UPGRADES[step]:
                database.execute(statement)
            if step + 1 == FORMAT_VERSION:
                _create_views(database)
            database.execute(f"UPDATE {MARKER} SET version = {step + 1}")


def _create_views(database: Database) -> None:
    for name in VIEWS:
        # PostgreSQL puts none in place of one with other columns.
        database.execute(f"DROP VIEW IF EXISTS {name}")
        database.create_view(name, view_sql(name))


def _version_of(database: Database) -> int:
    """Return the version of a store; 0 where it names none."""
    [(version,)] = database.rows(f"SELECT max(version) FROM {MARKER}")
    return int(version or 0)
