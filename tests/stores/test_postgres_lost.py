"""A PostgreSQL server that hangs up: what was not committed is not there, and the next session goes on."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from postgres_server import own_schema, run_sql, running_server

from voltaware_async.errors import StoreError, StoreLockedError
from voltaware_async.stores.postgres import database as postgres_database
from voltaware_async.stores.postgres import lock
from voltaware_async.stores.postgres.database import connect
from voltaware_async.stores.sql.database import ConnectionLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgres_server import PostgresServer

    from voltaware_async.stores.postgres.database import PostgresDatabase

SCHEMA = pa.schema([("device_id", pa.string())])
ROWS = pa.table({"device_id": ["1", "2"]}, schema=SCHEMA)
LONG = "SELECT repeat('x', 500) AS device_id FROM generate_series(1, 1000000)"


@pytest.fixture
def database(postgres_url: str) -> Iterator[PostgresDatabase]:
    database = connect(postgres_url, read_only=False)
    database.create_table("things", SCHEMA)
    yield database
    database.close()


def hang_up(database: PostgresDatabase, url: str) -> None:
    """Let the server end a session, and wait until it has."""
    [(backend,)] = database.rows("SELECT pg_backend_pid()")
    assert run_sql(url, f"SELECT pg_terminate_backend({backend}, 10000)") == [(True,)]


def commit(database: PostgresDatabase) -> None:
    with database.transaction():
        database.append("things", ROWS)


def name(database: PostgresDatabase) -> None:
    with database.named("listed", ROWS):
        pass


ASKED: dict[str, Callable[[PostgresDatabase], object]] = {
    "rows": lambda database: database.rows("SELECT 1"),
    "rows by a parameter": lambda database: database.rows("SELECT $a", {"a": 1}),
    "execute": lambda database: database.execute("DELETE FROM things"),
    "arrow": lambda database: database.arrow("SELECT device_id FROM things", SCHEMA),
    "append": lambda database: database.append("things", ROWS),
    "analyze": lambda database: database.analyze("things"),
    "transaction": commit,
    "named": name,
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_server_that_hung_up_is_told_from_other_errors(
    database: PostgresDatabase, postgres_url: str, asked: str
) -> None:
    hang_up(database, postgres_url)

    for _ in range(2):
        with pytest.raises(ConnectionLostError, match="hung up: see to its server"):
            ASKED[asked](database)


def test_an_error_that_leaves_the_connection_is_no_lost_one(database: PostgresDatabase) -> None:
    with pytest.raises(StoreError) as caught:
        database.rows("SELECT 1 / 0")

    assert not isinstance(caught.value, ConnectionLostError)


def test_a_transaction_that_lost_its_connection_leaves_nothing(
    database: PostgresDatabase, postgres_url: str
) -> None:
    def lose() -> None:
        with database.transaction():
            database.append("things", ROWS)
            hang_up(database, postgres_url)

    with pytest.raises(ConnectionLostError):
        lose()

    database.reconnect()
    assert database.rows("SELECT count(*) FROM things") == [(0,)]
    commit(database)
    assert database.rows("SELECT count(*) FROM things") == [(2,)]


def test_a_name_ends_with_the_connection(database: PostgresDatabase, postgres_url: str) -> None:
    def lose() -> None:
        with database.named("listed", ROWS), database.transaction():
            hang_up(database, postgres_url)
            database.execute("DELETE FROM things")

    with pytest.raises(ConnectionLostError):
        lose()

    database.reconnect()
    with database.named("listed", ROWS):
        assert database.rows("SELECT count(*) FROM listed") == [(2,)]


def test_a_name_that_ends_after_the_connection_did_raises_nothing_of_its_own(
    database: PostgresDatabase, postgres_url: str
) -> None:
    with database.named("listed", ROWS):
        hang_up(database, postgres_url)


def test_a_reader_whose_server_hangs_up_midway_says_so(database: PostgresDatabase, postgres_url: str) -> None:
    [(backend,)] = database.rows("SELECT pg_backend_pid()")

    def lose() -> None:
        with database.reader(LONG, SCHEMA) as batches:
            batches.read_next_batch()
            run_sql(postgres_url, f"SELECT pg_terminate_backend({backend}, 10000)")
            batches.read_all()

    with pytest.raises(ConnectionLostError):
        lose()


@pytest.mark.parametrize("is_lost", [True, False])
def test_to_close_raises_nothing(database: PostgresDatabase, postgres_url: str, *, is_lost: bool) -> None:
    if is_lost:
        hang_up(database, postgres_url)
    database.close()
    database.close()


# --- connecting anew ------------------------------------------------------------------------------


def test_the_lock_is_taken_again(
    database: PostgresDatabase, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang_up(database, postgres_url)
    database.reconnect()

    monkeypatch.setattr(lock, "_NOTICES_S", 0.0)
    with pytest.raises(StoreLockedError, match="this very process"):
        connect(postgres_url, read_only=False)


def test_a_lock_that_another_has_by_then_is_not_taken(
    database: PostgresDatabase, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_NOTICES_S", 0.0)
    hang_up(database, postgres_url)
    other = connect(postgres_url, read_only=False)

    with pytest.raises(StoreLockedError):
        database.reconnect()
    assert other.rows("SELECT 1") == [(1,)]
    other.close()


def test_whoever_reads_connects_anew_to_read(database: PostgresDatabase, postgres_url: str) -> None:
    reading = connect(postgres_url, read_only=True)
    hang_up(reading, postgres_url)
    reading.reconnect()

    assert database.rows("SELECT 1") == [(1,)], "the writer is not disturbed"
    with pytest.raises(StoreError, match="opened read-only"):
        reading.append("things", ROWS)
    reading.close()


class Wire:
    """Stand between a client and a server, and cut the client off without the server's knowing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._is_cutting = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            self._clients.append(client)
            self._servers.append(server)
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            return
        if not self._is_cutting:
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self._is_cutting = True
        for client in self._clients:
            with suppress(OSError):  # some have ended before
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        for end in (*self._clients, *self._servers):
            end.close()


@contextmanager
def wired(port: int) -> Iterator[Wire]:
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()


def test_an_own_session_that_the_server_still_believes_in_is_ended_by_the_next(
    postgres_server: PostgresServer,
) -> None:
    with own_schema(postgres_server.tcp_url()) as url, wired(postgres_server.port) as wire:
        database = connect(url.replace(f":{postgres_server.port}", f":{wire.port}"), read_only=False)
        [(backend,)] = database.rows("SELECT pg_backend_pid()")
        wire.cut()
        with pytest.raises(ConnectionLostError):
            database.rows("SELECT 1")
        assert run_sql(url, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}") == [(1,)]

        database.reconnect()

        assert database.rows("SELECT 1") == [(1,)]
        assert run_sql(url, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}") == [(0,)]
        database.close()


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with running_server() as server:
        yield server


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_restarted_is_waited_for(mortal_server: PostgresServer, how: signal.Signals) -> None:
    with own_schema(mortal_server.url) as url:
        database = connect(url, read_only=False)
        database.create_table("things", SCHEMA)
        commit(database)
        mortal_server.stop(how)
        with pytest.raises(ConnectionLostError):
            commit(database)

        starting = threading.Thread(target=mortal_server.start)
        starting.start()
        database.reconnect()

        commit(database)
        assert database.rows("SELECT count(*) FROM things") == [(4,)]
        starting.join()
        database.close()


def test_a_server_that_does_not_come_back_is_not_waited_for_ever(
    mortal_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = connect(mortal_server.url, read_only=False)
    mortal_server.stop()
    monkeypatch.setattr(postgres_database, "_BACK_S", 0.0)
    try:
        with pytest.raises(StoreError, match="does not answer: start its server"):
            database.reconnect()
        with pytest.raises(StoreError, match="is closed"):
            database.rows("SELECT 1")
    finally:
        mortal_server.start()
