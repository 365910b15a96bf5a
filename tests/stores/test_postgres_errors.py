"""What goes wrong with a PostgreSQL store is one sentence that says what to do, and holds no password."""

from __future__ import annotations

import pickle
import socket
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from postgres_server import CHECKED, run_sql

from voltaware_async.errors import StoreError
from voltaware_async.stores.postgres.database import connect
from voltaware_async.stores.postgres.errors import ServerAwayError, connect_error
from voltaware_async.stores.postgres.url import read_url
from voltaware_async.stores.sql.database import ConnectionLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres_server import PostgresServer

PLANTED = "planted-secret"


@pytest.fixture
def checked(postgres_server: PostgresServer) -> Iterator[str]:
    """Name a user who must give a password."""
    run_sql(postgres_server.url, f"CREATE ROLE {CHECKED} LOGIN PASSWORD 'right'")
    yield CHECKED
    run_sql(postgres_server.url, f"DROP ROLE {CHECKED}")


@contextmanager
def refusing_port() -> Iterator[int]:
    """Hold a port at which nobody listens."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield int(silent.getsockname()[1])


def failure(url: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        connect(url, read_only=False)
    return caught.value


def test_a_wrong_password_says_what_to_check_and_not_the_password(
    postgres_server: PostgresServer, checked: str
) -> None:
    error = failure(postgres_server.tcp_url(f"{checked}:{PLANTED}"))

    shown = postgres_server.tcp_url(checked)
    assert str(error).startswith(f"{shown} refuses this user: check the user and its password (")
    assert str(error).endswith(f'password authentication failed for user "{checked}")')


def test_the_right_password_of_the_url_or_of_the_environment_is_taken(
    postgres_server: PostgresServer, checked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(postgres_server.tcp_url(f"{checked}:right"), read_only=True).close()
    connect(postgres_server.tcp_url(checked) + "?password=right", read_only=True).close()

    assert "wants a password: give it by PGPASSWORD" in str(failure(postgres_server.tcp_url(checked)))
    monkeypatch.setenv("PGPASSWORD", "right")
    connect(postgres_server.tcp_url(checked), read_only=True).close()


def test_a_port_at_which_nobody_listens_says_what_to_start() -> None:
    with refusing_port() as port:
        error = failure(f"postgresql://u:{PLANTED}@127.0.0.1:{port}/fleet")

    assert isinstance(error, ServerAwayError)
    assert f"127.0.0.1:{port}/fleet does not answer: start its server, or check host and port (" in str(error)


def test_a_socket_that_is_not_there_says_what_to_start() -> None:
    error = failure(f"postgresql://u:{PLANTED}@/fleet?host=/nowhere")

    assert str(error).startswith("postgresql://u@/fleet?host=/nowhere does not answer: start its server")


def test_a_host_that_is_not_known_says_what_to_check() -> None:
    error = failure(f"postgresql://u:{PLANTED}@nowhere.invalid/fleet")

    assert str(error).startswith(
        "postgresql://u@nowhere.invalid/fleet is on no host that is known: check its"
    )


def test_a_database_that_is_not_there_says_what_to_create(postgres_server: PostgresServer) -> None:
    error = failure(postgres_server.tcp_url(database="no_such_fleet"))

    assert "is not there: create the database, or check its name (" in str(error)
    assert not isinstance(error, ServerAwayError)


def test_a_user_that_is_not_there_says_what_to_check(postgres_server: PostgresServer) -> None:
    assert "refuses this user: check its name (" in str(failure(postgres_server.tcp_url("nobody_here")))


def test_an_option_that_libpq_does_not_know_is_named() -> None:
    assert str(failure(f"postgresql://u:{PLANTED}@h/fleet?colour=red")) == (
        'postgresql://u@h/fleet cannot be connected to: invalid URI query parameter: "colour"'
    )


@pytest.mark.parametrize(
    "text",
    [
        'connection to server at "h", port 5432 failed: FATAL:  the database system is starting up',
        "FATAL:  the database system is not yet accepting connections",
        'connection to server at "h" failed: FATAL:  sorry, too many clients already',
        'connection to server at "h" (10.0.0.1), port 5432 failed: timeout expired',
        'connection to server at "h" failed: server closed the connection unexpectedly',
    ],
)
def test_a_server_that_may_be_back_in_a_moment_is_told_from_others(text: str) -> None:
    assert isinstance(connect_error(read_url("postgresql://h/f"), Exception(text)), ServerAwayError)


def unusable_urls(server: PostgresServer, port: int) -> list[str]:
    login = f"{CHECKED}:{PLANTED}"
    return [
        server.tcp_url(login),
        server.tcp_url(CHECKED) + f"?password={PLANTED}",
        server.tcp_url(login, "no_such_fleet"),
        server.tcp_url(f"nobody_here:{PLANTED}") + "?sslmode=require",
        f"postgresql://{login}@127.0.0.1:{port}/fleet",
        f"postgresql://{login}@nowhere.invalid/fleet",
        f"postgresql://{login}@h/fleet?sslmode=sometimes",
        f"postgresql://h/fleet?sslpassword={PLANTED}&sslcert=/nowhere&sslkey=/nowhere&colour=red",
    ]


@pytest.mark.usefixtures("checked")
def test_no_password_is_in_an_error_or_in_what_a_reporter_makes_of_it(
    postgres_server: PostgresServer,
) -> None:
    with refusing_port() as port:
        for url in unusable_urls(postgres_server, port):
            error = failure(url)
            report = traceback.TracebackException.from_exception(_in_our_frames(error), capture_locals=True)
            for shown in (str(error), repr(error), pickle.dumps(error).decode("latin1"), *report.format()):
                assert PLANTED not in shown, shown


def _in_our_frames(error: StoreError) -> StoreError:
    """Leave out this test's own frames, whose variables hold the URL."""
    frames = error.__traceback__
    while frames is not None and "voltaware_async" not in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next
    assert frames is not None
    return error.with_traceback(frames)


def test_no_password_is_in_what_a_statement_says(postgres_server: PostgresServer, checked: str) -> None:
    database = connect(postgres_server.tcp_url(f"{checked}:right"), read_only=True)
    with pytest.raises(StoreError) as caught:
        database.rows("SELECT CAST($text AS BIGINT)", {"text": "right"})

    assert "right" not in str(caught.value)
    assert "right" not in repr(vars(database)) + repr(vars(database._session)) + database.target
    database.close()


# --- statements -----------------------------------------------------------------------------------


def test_a_user_who_may_not_is_told_whom_to_ask(postgres_server: PostgresServer) -> None:
    user = f"user_{uuid4().hex}"
    run_sql(postgres_server.url, f"CREATE ROLE {user} LOGIN")
    database = connect(postgres_server.tcp_url(user), read_only=False)

    with pytest.raises(StoreError, match=r"have its owner grant .*permission denied for schema"):
        database.execute("CREATE TABLE things (a BIGINT)")
    database.close()
    run_sql(postgres_server.url, f"DROP ROLE {user}")


def test_a_full_disk_is_named_and_what_to_do(postgres_url: str) -> None:
    database = connect(postgres_url, read_only=False)
    full = "DO $$ BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END $$"

    with pytest.raises(
        StoreError, match=r"the disk of its server is full: make room, then run the same again"
    ):
        database.execute(full)
    database.close()


def test_a_table_that_another_session_has_locked_is_not_waited_for_ever(postgres_url: str) -> None:
    database, other = connect(postgres_url, read_only=False), connect(postgres_url, read_only=True)
    database.execute("CREATE TABLE things (a BIGINT)")
    database.execute("SET lock_timeout = '10ms'")

    with other.transaction():
        other.rows("SELECT * FROM things")
        with pytest.raises(StoreError, match="is held up: another session has locked a table of it"):
            database.execute("ALTER TABLE things ADD COLUMN b BIGINT")

    database.execute("ALTER TABLE things ADD COLUMN b BIGINT")
    for one in (database, other):
        one.close()


def test_any_other_error_is_the_servers_own_sentence_and_no_more(postgres_url: str) -> None:
    database = connect(postgres_url, read_only=False)

    with pytest.raises(StoreError) as caught:
        database.execute("INSERT INTO nowhere VALUES ($text)", {"text": "a value"})

    assert str(caught.value) == f'{database.target} cannot be used: relation "nowhere" does not exist'
    assert not isinstance(caught.value, ConnectionLostError)
    database.close()
