"""Who may write to a PostgreSQL store: one session, until it ends, however that is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from subprocess import PIPE
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from postgres_server import own_schema, run_sql

from voltaware_async.errors import StoreError, StoreLockedError
from voltaware_async.stores.postgres import lock
from voltaware_async.stores.postgres.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres_server import PostgresServer

    from voltaware_async.stores.postgres.session import Session

INSTANT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"

HOLD = """
import sys
from voltaware_async.stores.postgres.database import connect
database = connect(sys.argv[1], read_only=False)
[(backend,)] = database.rows("SELECT pg_backend_pid()")
print(backend, flush=True)
if len(sys.argv) > 2:
    with database.transaction():
        database.execute("CREATE TABLE half_made (a BIGINT)")
        database.rows(sys.argv[2])
        print("committing", flush=True)
sys.stdin.read()
database.close()
"""


@contextmanager
def held(url: str, *statement: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Hold a store in another process, and tell the server's process of it."""
    command = [sys.executable, "-c", HOLD, url, *statement]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as holder:
        assert holder.stdout is not None
        backend = int(holder.stdout.readline())
        yield holder, backend
        holder.communicate("")


def wait_for(url: str, backend: int, condition: str) -> None:
    """Wait until the server says so of a session."""
    while run_sql(url, f"SELECT 1 FROM pg_stat_activity WHERE pid = {backend} AND {condition}") != [(1,)]:
        time.sleep(0.01)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_NOTICES_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_store_that_another_process_writes_to_is_locked_and_the_holder_is_named(postgres_url: str) -> None:
    with held(postgres_url) as (holder, backend), pytest.raises(StoreLockedError) as caught:
        connect(postgres_url, read_only=False)

    assert re.search(
        rf"is in use by voltaware {holder.pid}@\S+ \(server process {backend}, connected.* since {INSTANT}"
        r" UTC\): wait until it ends, or stop it$",
        str(caught.value),
    )


@pytest.mark.usefixtures("impatient")
def test_a_holder_on_the_network_is_named_with_its_address(postgres_server: PostgresServer) -> None:
    named = rf"connected from 127\.0\.0\.1 since {INSTANT} UTC"
    with (
        own_schema(postgres_server.tcp_url()) as url,
        held(url),
        pytest.raises(StoreLockedError, match=named),
    ):
        connect(url, read_only=False)


@pytest.mark.usefixtures("impatient")
def test_a_holder_of_whom_the_server_tells_little_is_named_by_that(postgres_server: PostgresServer) -> None:
    user = f"user_{uuid4().hex}"
    run_sql(postgres_server.url, f"CREATE ROLE {user} LOGIN")
    with own_schema(postgres_server.tcp_url()) as url, held(url) as (holder, backend):
        run_sql(url, f"GRANT USAGE ON SCHEMA {url.partition('%3D')[2]} TO {user}")
        with pytest.raises(
            StoreLockedError, match=rf"by voltaware {holder.pid}@\S+ \(server process {backend}\): wait"
        ):
            connect(url.replace("postgres@", f"{user}@"), read_only=False)
    run_sql(postgres_server.url, f"DROP ROLE {user}")


@pytest.mark.usefixtures("impatient")
def test_a_store_is_locked_for_the_process_that_has_it_open_too(postgres_url: str) -> None:
    database = connect(postgres_url, read_only=False)

    with pytest.raises(
        StoreLockedError, match=rf"this very process \(voltaware {os.getpid()}@.*: close that"
    ):
        connect(postgres_url, read_only=False)
    assert database.rows("SELECT 1") == [(1,)]
    database.close()


def test_a_store_that_was_closed_can_be_opened_again_at_once(postgres_url: str) -> None:
    for _ in range(5):
        connect(postgres_url, read_only=False).close()


def test_whoever_reads_needs_no_lock(postgres_url: str) -> None:
    writing = connect(postgres_url, read_only=False)
    reading = connect(postgres_url, read_only=True)

    assert reading.rows("SELECT 1") == [(1,)]
    writing.close()
    reading.close()


def test_two_schemas_of_a_database_are_two_stores(postgres_url: str, postgres_server: PostgresServer) -> None:
    with own_schema(postgres_server.url) as other_url:
        one, other = connect(postgres_url, read_only=False), connect(other_url, read_only=False)
        one.close()
        other.close()


def test_the_lock_of_a_killed_process_is_taken_over(postgres_url: str) -> None:
    with held(postgres_url) as (holder, _):
        holder.send_signal(signal.SIGKILL)
        connect(postgres_url, read_only=False).close()


def test_the_lock_of_a_process_that_is_killed_in_a_transaction_is_taken_over(postgres_url: str) -> None:
    """The server is at work on its statement, and would be for a minute."""
    with held(postgres_url, "SELECT pg_sleep(60)") as (holder, backend):
        wait_for(postgres_url, backend, "query LIKE 'SELECT pg_sleep%' AND state = 'active'")
        holder.send_signal(signal.SIGKILL)
        database = connect(postgres_url, read_only=False)

    assert database.rows("SELECT 1 FROM pg_class WHERE relname = 'half_made'") == []
    database.close()


def test_a_writer_waits_a_moment_for_one_that_is_about_to_end(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    look = lock._holder

    def looks(session: Session) -> object:
        looked.set()
        return look(session)

    monkeypatch.setattr(lock, "_holder", looks)
    with held(postgres_url) as (holder, _):

        def leave() -> None:
            assert looked.wait(10), "nobody waited"
            holder.terminate()

        leaving = threading.Thread(target=leave)
        leaving.start()
        connect(postgres_url, read_only=False).close()
        leaving.join()
    assert looked.is_set()


def test_an_interrupt_ends_a_statement_that_waits(postgres_url: str) -> None:
    """In the main thread the driver takes the signal from Python, which must not hide it."""
    command = [sys.executable, "-c", HOLD, postgres_url, "SELECT pg_sleep(60)"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        backend = int(process.stdout.readline())
        wait_for(postgres_url, backend, "query LIKE 'SELECT pg_sleep%' AND state = 'active'")
        process.send_signal(signal.SIGINT)
        out, talk = process.communicate("")

    assert talk.rstrip().endswith("KeyboardInterrupt")
    assert "committing" not in out
    connect(postgres_url, read_only=False).close()


def test_a_statement_that_the_server_was_told_to_stop_is_an_error(postgres_url: str) -> None:
    database = connect(postgres_url, read_only=False)
    [(backend,)] = database.rows("SELECT pg_backend_pid()")
    ended: list[StoreError] = []

    def wait_long() -> None:
        try:
            database.rows("SELECT pg_sleep(60)")
        except StoreError as error:
            ended.append(error)

    worker = threading.Thread(target=wait_long)
    worker.start()
    wait_for(postgres_url, backend, "query LIKE 'SELECT pg_sleep%' AND state = 'active'")
    run_sql(postgres_url, f"SELECT pg_cancel_backend({backend})")
    worker.join()

    assert "was stopped by its server" in str(ended[0])
    database.close()
