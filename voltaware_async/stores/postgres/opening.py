"""Opening a schema of a PostgreSQL server as a store: made whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from voltaware_async.stores.postgres.database import connect
from voltaware_async.stores.sql.format import check_readable, create_store, is_store, upgrade

if TYPE_CHECKING:
    from voltaware_async.stores.postgres.database import PostgresDatabase

__all__ = ["open_schema"]


def open_schema(target: str, *, read_only: bool) -> PostgresDatabase:
    """Open a store in the first schema of the search path, and create its tables where there are none.

    Raises what `connect` does, and StoreError where the schema holds the tables of something else.
    """
    with ExitStack() as on_error:
        database = connect(target, read_only=read_only)
        on_error.callback(database.close)
        if read_only:
            check_readable(database)
        elif is_store(database):
            upgrade(database)
        else:
            create_store(database)
        on_error.pop_all()
    return database
