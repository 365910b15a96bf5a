"""A session with a PostgreSQL server: statements over one connection, and what is set for all of them."""

from __future__ import annotations

import inspect
import os
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from adbc_driver_manager.dbapi import Error
from adbc_driver_postgresql import ConnectionOptions, StatementOptions
from adbc_driver_postgresql.dbapi import connect

from voltaware_async.errors import StoreError
from voltaware_async.stores.postgres.errors import code_of, connect_error, statement_error, was_interrupted
from voltaware_async.stores.postgres.parameters import numbered

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from typing import Literal

    from adbc_driver_manager.dbapi import Connection, Cursor

    from voltaware_async.stores.postgres.url import DatabaseUrl
    from voltaware_async.stores.sql.database import Values

__all__ = ["Session", "open_session"]

# A peer that is gone is noticed within a minute, by us and by the server, which lets go of our lock then.
_CLIENT: Final = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_CONNECT_TIMEOUT_S: Final = "10"

# The search path is what it is now: a schema that is made later must not come before the store's.
_SET: Final = """
SELECT
    set_config('TimeZone', 'UTC', false),
    set_config('search_path', quote_ident(current_schema()), false),
    set_config('lock_timeout', '60s', false),
    set_config('standard_conforming_strings', 'on', false),
    set_config('tcp_keepalives_idle', '30', false),
    set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false)
"""
# A server that works on a statement of a process that was killed notices only if it looks.
_SET_LOOK: Final = "SET client_connection_check_interval = '1s'"

_WHO: Final = "SELECT pg_backend_pid(), current_schema()"

# A small answer comes in half the time without COPY.
_WHOLE: Final = {StatementOptions.USE_COPY.value: "false"}


def open_session(url: DatabaseUrl) -> Session:
    """Connect, and set the session up. Raises StoreError where that cannot be."""
    options = {"application_name": _our_name(), "client_encoding": "UTF8"}
    defaults = dict(_CLIENT)
    if "PGCONNECT_TIMEOUT" not in os.environ:
        defaults["connect_timeout"] = _CONNECT_TIMEOUT_S
    with ExitStack() as on_error:
        session = Session(url, _connect(url, url.with_options(options, defaults).reveal()))
        on_error.callback(session.close)
        session.set_up()
        on_error.pop_all()
    return session


def _connect(url: DatabaseUrl, uri: str) -> Connection:
    try:
        return connect(uri, autocommit=True)
    except Error as error:
        refusal = connect_error(url, error)
    # Not while the error of libpq is at hand: a traceback would show it.
    raise refusal


def _our_name() -> str:
    return f"voltaware {os.getpid()}@{socket.gethostname()}"


class Session:
    """Send statements over a connection. Not for two threads at a time.

    Outside of a transaction each statement is one. Hazard: the driver knows nothing of our transactions, and
    must have no cause to begin its own; see `parameters`.
    """

    def __init__(self, url: DatabaseUrl, connection: Connection) -> None:
        self._url = url
        self._connection = connection
        self._is_closed = False
        self._is_in_transaction = False
        self._has_failed = False
        self._backend: int | None = None

    def set_up(self) -> None:
        """Set what holds for every statement."""
        [(self._backend, schema)] = self.rows(_WHO)
        if schema is None:
            raise StoreError(
                f"{self.target} has no schema to put tables into: create the first one of its search path,"
                " or check that path"
            )
        self.rows(_SET)
        # Servers before PostgreSQL 14, and those of some systems, cannot look.
        with suppress(StoreError):
            self.execute(_SET_LOOK)

    @property
    def backend(self) -> int | None:
        """The number of the server's process, once it is set up."""
        return self._backend

    @property
    def is_in_transaction(self) -> bool:
        """Tell whether a transaction is under way."""
        return self._is_in_transaction

    @property
    def target(self) -> str:
        """What the session is with, without a password."""
        return self._url.shown

    def rows(self, sql: str, values: Values | None = None) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query, as Python's own types."""
        statement, row = numbered(sql, values)
        with self._errors(), self._connection.cursor(adbc_stmt_kwargs=_WHOLE) as cursor:
            cursor.execute(statement, row)
            table = cursor.fetch_arrow_table()
        return list(zip(*(_python_values(column) for column in table.columns), strict=True))

    def execute(self, sql: str, values: Values | None = None) -> int:
        """Carry out one statement; return how many rows it changed."""
        statement, row = numbered(sql, values)
        with self._errors(), self._connection.cursor() as cursor:
            # It counts the rows also where there are parameters, unlike `execute`.
            cursor.executemany(statement, row)
            return max(0, cursor.rowcount)

    def arrow(self, sql: str, schema: pa.Schema) -> pa.Table:
        """Return the rows of a query in the types of a schema."""
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table().cast(schema)

    @contextmanager
    def reader(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatchReader]:
        """Stream the rows of a query in the types of a schema."""
        with self._cursor() as cursor:
            with self._errors():
                cursor.execute(sql)
            batches = self._batches(cursor, schema)
            try:
                yield pa.RecordBatchReader.from_batches(schema, batches)
            finally:
                if inspect.getgeneratorstate(batches) != inspect.GEN_CLOSED:
                    self._leave(cursor)

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with self._errors():
            cursor = self._connection.cursor()
        with cursor:
            yield cursor

    def _batches(self, cursor: Cursor, schema: pa.Schema) -> Generator[pa.RecordBatch]:
        with self._errors():
            for batch in cursor.fetch_record_batch():
                yield batch.cast(schema)

    def _leave(self, cursor: Cursor) -> None:
        """Stop an answer that is not wanted any more, and receive what is under way of it."""
        with suppress(Error):
            cursor.adbc_cancel()
        cursor.close()
        self._ping()

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table of the store."""
        self._ingest(table, rows, "append", temporary=False)

    def create_temporary(self, table: str, rows: pa.Table) -> None:
        """Make a temporary table of rows, in place of one of that name that may have been left."""
        self._ingest(table, rows, "replace", temporary=True)

    def _ingest(
        self, table: str, rows: pa.Table, mode: Literal["append", "replace"], *, temporary: bool
    ) -> None:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode, temporary=temporary)

    @contextmanager
    def transaction(self, begin: str = "BEGIN") -> Iterator[None]:
        """Commit what the block does, or on any error nothing of it."""
        self._has_failed = False
        self.execute(begin)
        self._is_in_transaction = True
        try:
            yield
            self._commit()
        except BaseException:
            # What has hung up has rolled back by itself.
            with suppress(StoreError):
                self.execute("ROLLBACK")
            raise
        finally:
            self._is_in_transaction = False

    def _commit(self) -> None:
        # PostgreSQL answers the COMMIT of a transaction that failed by a rollback, without an error.
        if self._has_failed:
            raise StoreError(f"{self.target} has nothing to commit: a statement before had failed")
        self.execute("COMMIT")

    def close(self) -> None:
        """Close the connection, also one that is lost; closing again does nothing."""
        self._is_closed = True
        with suppress(Error):
            self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise what the driver raises as StoreError, about the target."""
        try:
            yield
        except (Error, pa.ArrowException, OSError) as error:
            self._has_failed = True
            if _is_main_thread() and was_interrupted(error):
                # There the driver takes SIGINT from Python while it waits, and cancels the statement.
                raise KeyboardInterrupt from error
            if self._is_closed:
                raise StoreError(f"{self.target} is closed") from error
            raise statement_error(self._url, error, is_lost=self._is_lost(error)) from error

    def _is_lost(self, error: Exception) -> bool:
        if not self._is_known_lost() and not code_of(error):
            # Where the server broke down libpq takes note of it only with the next statement.
            self._ping()
        return self._is_known_lost()

    def _ping(self) -> None:
        with suppress(Error), self._connection.cursor() as cursor:
            cursor.executemany("SELECT 1", None)

    def _is_known_lost(self) -> bool:
        status = self._connection.adbc_connection.get_option(ConnectionOptions.TRANSACTION_STATUS.value)
        return status == "unknown"


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _python_values(column: pa.ChunkedArray[Any]) -> list[Any]:
    if isinstance(column.type, pa.OpaqueType):
        raise TypeError(f"a query must CAST what PostgreSQL answers as {column.type.type_name}")
    return column.to_pylist()
