"""SQL over a session with a PostgreSQL server."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

from voltaware_async.errors import StoreError
from voltaware_async.stores.postgres.errors import ServerAwayError
from voltaware_async.stores.postgres.indexes import INDEXES
from voltaware_async.stores.postgres.lock import take_lock
from voltaware_async.stores.postgres.session import Session, open_session
from voltaware_async.stores.postgres.url import read_url
from voltaware_async.stores.sql.database import ConnectionLostError, removal_sql
from voltaware_async.stores.tables import create_table_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from voltaware_async.stores.postgres.url import DatabaseUrl
    from voltaware_async.stores.sql.database import Values

__all__ = ["PostgresDatabase", "connect"]

# A server that is restarted, or another that takes its place, is back by then.
_BACK_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.5

# PostgreSQL lets a session that only reads fill temporary tables, but not make them.
_DEFINITIONS: Final = ("CREATE TEMP ", "DROP TABLE ", "ALTER TABLE ")


def connect(target: str, *, read_only: bool) -> PostgresDatabase:
    """Connect to the database of a URL; its store is in the first schema of the search path.

    To write takes the store's lock. The session must be ours alone: a pooler that gives each transaction
    another one, such as PgBouncer's transaction pooling, takes lock and temporary tables away.

    Raises ConfigurationError for a URL that cannot be read, StoreError where there is no connection, and
    StoreLockedError while another session writes.
    """
    url = read_url(target)
    del target  # error reporters show the variables of each frame
    return PostgresDatabase(url, _open(url, read_only=read_only), read_only=read_only)


def _open(url: DatabaseUrl, *, read_only: bool, lost: int | None = None) -> Session:
    with ExitStack() as on_error:
        session = open_session(url)
        on_error.callback(session.close)
        if read_only:
            session.execute("SET default_transaction_read_only = on")
        else:
            take_lock(session, lost)
        on_error.pop_all()
    return session


class PostgresDatabase:
    """Speak SQL over a session with a server; see `Database` for what each method promises."""

    def __init__(self, url: DatabaseUrl, session: Session, *, read_only: bool) -> None:
        self._url = url
        self._session = session
        self._read_only = read_only

    @property
    def target(self) -> str:
        """The URL, without what may be a secret."""
        return self._url.shown

    def create_table(self, name: str, schema: pa.Schema) -> None:
        """Create a table, its key and its indexes."""
        # Texts are in the order of their characters, whatever the language of the server: that order never
        # changes with its system, under which an index would break.
        self.execute(create_table_sql(name, schema).replace(" VARCHAR", ' VARCHAR COLLATE "C"'))
        for statement in INDEXES.get(name, ()):
            self.execute(statement)

    def create_view(self, name: str, query: str) -> None:
        """Create a view, or put it in place of one with the same columns."""
        self.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")

    def rows(self, sql: str, values: Values | None = None) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._session.rows(sql, values)

    def execute(self, sql: str, values: Values | None = None) -> int:
        """Carry out one statement; return how many rows it changed."""
        is_definition = sql.lstrip().startswith(_DEFINITIONS)
        with self._defining() if is_definition else nullcontext():
            return self._session.execute(sql, values)

    def arrow(self, sql: str, schema: pa.Schema) -> pa.Table:
        """Return the rows of a query in the types of a schema."""
        return self._session.arrow(sql, schema)

    def reader(
        self,
        sql: str,
        schema: pa.Schema,
        *,
        is_scan: bool = False,  # noqa: ARG002  the server's matter
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Stream the rows of a query in the types of a schema."""
        return self._session.reader(sql, schema)

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table, by COPY."""
        self._session.append(table, rows)

    def remove(self, table: str, cells: str) -> None:
        """Remove a table's rows of some cells."""
        self.execute(removal_sql(table, cells))

    @contextmanager
    def named(self, name: str, rows: pa.Table) -> Iterator[None]:
        """Let SQL name an Arrow table: a temporary one is made of it."""
        with self._defining():
            self._session.create_temporary(name, rows)
        try:
            self.analyze(name)
            yield
        finally:
            # Where the connection was lost it is gone; what is left otherwise is replaced by the next.
            with suppress(StoreError):
                self.execute(f"DROP TABLE pg_temp.{name}")

    def analyze(self, table: str) -> None:
        """Count what is in a temporary table, which the server never does by itself."""
        self.execute(f"ANALYZE {table}")

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what the block does, or on any error nothing of it."""
        return self._session.transaction()

    def _defining(self) -> AbstractContextManager[None]:
        """Let also a session that only reads define temporary tables."""
        if self._read_only and not self._session.is_in_transaction:
            return self._session.transaction("BEGIN READ WRITE")
        return nullcontext()

    def expect_devices(self, devices: int) -> None:
        """Do nothing: memory is the server's matter."""

    def reconnect(self) -> None:
        """Connect anew, and take the lock again; wait a while for a server that is being restarted.

        Raises StoreLockedError where another session has taken the lock.
        """
        self._session.close()
        until = time.monotonic() + _BACK_S
        while True:
            try:
                self._session = _open(self._url, read_only=self._read_only, lost=self._session.backend)
            except (ServerAwayError, ConnectionLostError):
                if time.monotonic() >= until:
                    raise
            else:
                return
            time.sleep(_LOOK_AGAIN_S)

    def relieve(self) -> None:
        """Do nothing: memory is the server's matter."""

    def settle(self) -> None:
        """Do nothing: what is committed is there for everybody."""

    def close(self) -> None:
        """Close the connection, and with it lock and temporary tables."""
        self._session.close()
