"""SQL over a session with a real PostgreSQL server: values, types, transactions, temporary tables."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import run_sql

from voltaware_async.errors import StoreError
from voltaware_async.stores.postgres.database import connect
from voltaware_async.stores.postgres.parameters import numbered
from voltaware_async.stores.tables import KEY, LEDGER, ROWS, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgres_server import PostgresServer

    from voltaware_async.stores.postgres.database import PostgresDatabase

NOON = datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
JULY = (date(2024, 7, 1), date(2024, 7, 31))
VALUES = {
    "text": 'O\'Brien\\ — "é" $1 $day',
    "whole": 2**62,
    "real": 0.1,
    "flag": True,
    "day": date(2024, 7, 1),
    "at": NOON,
    "none": None,
}
SCHEMA = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("whole", pa.int64()),
        pa.field("real", pa.float64()),
        pa.field("flag", pa.bool_()),
        pa.field("day", pa.date32()),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("local", pa.timestamp("us")),
    ]
)
COLUMNS = ", ".join(SCHEMA.names)
ROWS_OF_EACH_TYPE = pa.Table.from_pylist(
    [
        {**VALUES, "local": NOON.replace(tzinfo=None)},
        {"text": ""},
    ],
    schema=SCHEMA,
)


@pytest.fixture
def database(postgres_url: str) -> Iterator[PostgresDatabase]:
    database = connect(postgres_url, read_only=False)
    yield database
    database.close()


@pytest.fixture
def things(database: PostgresDatabase) -> PostgresDatabase:
    """Make an empty table with a column of each type."""
    database.create_table("things", SCHEMA)
    return database


@pytest.fixture
def store(database: PostgresDatabase) -> PostgresDatabase:
    """Make the tables of a store."""
    for name, schema in TABLES.items():
        database.create_table(name, schema)
    return database


def count(database: PostgresDatabase, table: str = "things") -> int:
    [(rows,)] = database.rows(f"SELECT count(*) FROM {table}")
    return int(rows)


def totals(*devices: str, period: tuple[date, date] = JULY, dataset: str = "month") -> pa.Table:
    keys = {"dataset": dataset, "period_start": period[0], "period_end": period[1]}
    return pa.Table.from_pylist(
        [{"device_id": device, **keys, "total_consumption_wh": 1.0} for device in devices],
        schema=TABLES["totals"],
    )


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_as_it_was_given(database: PostgresDatabase, name: str) -> None:
    [(value,)] = database.rows(f"SELECT ${name}", VALUES)

    assert value == VALUES[name]
    assert type(value) is type(VALUES[name])


def test_an_instant_comes_back_in_utc_whatever_its_zone_was(database: PostgresDatabase) -> None:
    [(at,)] = database.rows("SELECT $at", {"at": NOON.astimezone(timezone(timedelta(hours=5, minutes=45)))})

    assert (at, at.utcoffset()) == (NOON, timedelta(0))


def test_a_time_without_a_zone_is_no_instant(database: PostgresDatabase) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        database.rows("SELECT $at", {"at": NOON.replace(tzinfo=None)})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    real=st.floats(allow_nan=False),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_any_value_comes_back_as_it_was_given(
    database: PostgresDatabase, text: str, real: float, at: datetime
) -> None:
    values = {"text": text, "real": real, "at": at}

    assert database.rows("SELECT $text, $real, $at", values) == [(text, real, at)]


def test_a_name_may_stand_several_times_and_among_others(database: PostgresDatabase) -> None:
    rows = database.rows(
        "SELECT $b, $a, $b, $none IS NULL, $a", {"a": 1, "b": "x", "none": None, "unused": 5}
    )

    assert rows == [("x", 1, "x", True, 1)]


def test_parameters_are_numbered_by_name_and_null_needs_none() -> None:
    statement, row = numbered("$b, $a, $b, $none", {"a": 1, "b": "x", "none": None})

    assert statement == "CAST($1 AS VARCHAR), CAST($2 AS BIGINT), CAST($1 AS VARCHAR), NULL"
    assert row is not None
    assert row.to_pylist() == [{"b": "x", "a": 1}]


def test_a_value_that_was_not_given_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="missing"):
        numbered("SELECT $missing", {"other": 1})


def test_a_number_that_python_would_get_as_a_text_is_a_mistake(database: PostgresDatabase) -> None:
    with pytest.raises(TypeError, match=r"must CAST .* numeric"):
        database.rows("SELECT sum(whole) FROM (SELECT CAST(1 AS BIGINT) AS whole) AS one")


def test_a_query_without_rows_has_none(database: PostgresDatabase) -> None:
    assert database.rows("SELECT 1, 2 WHERE false") == []


# --- statements -----------------------------------------------------------------------------------


def test_a_statement_tells_how_many_rows_it_changed(things: PostgresDatabase) -> None:
    insert = (
        "INSERT INTO things (text, whole)"
        " SELECT CAST(number AS VARCHAR), $whole FROM generate_series(1, 5) AS number"
    )

    assert things.execute(insert, {"whole": 1}) == 5
    assert (
        things.execute("UPDATE things SET whole = $whole WHERE text > $text", {"whole": None, "text": "2"})
        == 3
    )
    assert things.execute("DELETE FROM things WHERE whole IS NULL") == 3
    assert things.execute("DELETE FROM things WHERE text = $text", {"text": "9"}) == 0
    assert things.execute("CREATE TEMP TABLE other (a BIGINT)") == 0


def test_arrow_has_exactly_the_types_that_were_asked_for(things: PostgresDatabase) -> None:
    things.append("things", ROWS_OF_EACH_TYPE)

    table = things.arrow(f"SELECT {COLUMNS} FROM things ORDER BY text DESC", SCHEMA)

    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert table == ROWS_OF_EACH_TYPE


def test_arrow_of_small_whole_numbers_is_widened(database: PostgresDatabase) -> None:
    schema = pa.schema([pa.field("one", pa.int64(), nullable=False)])

    assert database.arrow("SELECT 1 AS one", schema) == pa.table({"one": [1]}, schema=schema)


def test_a_reader_streams_batches_of_exactly_the_types_that_were_asked_for(things: PostgresDatabase) -> None:
    things.append("things", ROWS_OF_EACH_TYPE)

    with things.reader(f"SELECT {COLUMNS} FROM things ORDER BY text DESC", SCHEMA) as batches:
        assert batches.schema.equals(SCHEMA, check_metadata=True)
        assert batches.read_all() == ROWS_OF_EACH_TYPE


def test_a_reader_that_is_left_before_its_end_ends_the_query(
    database: PostgresDatabase, postgres_url: str
) -> None:
    [(backend,)] = database.rows("SELECT pg_backend_pid()")
    whole = pa.schema([("whole", pa.int64())])

    with database.reader("SELECT generate_series(1, 100000000000) AS whole", whole) as batches:
        assert batches.read_next_batch().num_rows > 0

    until = time.monotonic() + 20
    while (state := state_of(backend, postgres_url)) == "active" and time.monotonic() < until:
        time.sleep(0.01)
    assert state == "idle"
    assert database.rows("SELECT 42") == [(42,)]


def test_a_reader_that_fails_midway_says_so(database: PostgresDatabase) -> None:
    failing = "SELECT 1 / (100000 - number) AS whole FROM generate_series(1, 200000) AS number"

    with (
        pytest.raises(StoreError, match="division by zero"),
        database.reader(failing, pa.schema([("whole", pa.int64())])) as batches,
    ):
        batches.read_all()
    assert database.rows("SELECT 42") == [(42,)]


def test_what_the_reader_of_rows_raises_is_not_the_stores(database: PostgresDatabase) -> None:
    with (
        pytest.raises(OSError, match="a full disk") as caught,
        database.reader("SELECT 1 AS one", pa.schema([("one", pa.int64())])),
    ):
        raise OSError("a full disk")
    assert not isinstance(caught.value, StoreError)


# --- tables ---------------------------------------------------------------------------------------


def test_each_table_has_the_columns_that_are_pinned(store: PostgresDatabase) -> None:
    for name, schema in TABLES.items():
        assert store.arrow(f"SELECT * FROM {name}", schema).schema.equals(schema, check_metadata=True)


def test_texts_are_in_the_order_of_their_characters(store: PostgresDatabase) -> None:
    collations = store.rows(
        "SELECT DISTINCT collation_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type = 'character varying'"
    )

    assert collations == [("C",)]


def test_a_cell_cannot_stand_in_the_ledger_twice(store: PostgresDatabase) -> None:
    entry = {"device_id": "1", "dataset": "month", "period_start": JULY[0], "period_end": JULY[1]}
    entries = pa.Table.from_pylist([entry], schema=LEDGER)
    store.append("ledger", entries)

    with pytest.raises(StoreError, match="duplicate key"):
        store.append("ledger", entries)


@pytest.mark.parametrize("name", ROWS)
def test_the_rows_of_a_device_are_found_by_an_index(store: PostgresDatabase, name: str) -> None:
    store.execute("SET enable_seqscan = off")

    plan = store.rows(f"EXPLAIN SELECT * FROM {name} WHERE device_id = '1' AND dataset = 'month'")

    assert any(f"{name}_device_id_dataset_period_start_idx" in line for (line,) in plan)


def test_rows_of_cells_are_removed_and_the_clipped_weeks_of_a_month_with_it(store: PostgresDatabase) -> None:
    week = (date(2024, 7, 1), date(2024, 7, 7))
    august = (date(2024, 8, 1), date(2024, 8, 31))
    for rows in (
        totals("1", "2", period=week, dataset="month_weeks"),
        totals("1", "2", dataset="month_weeks"),
        totals("1", period=august, dataset="month_weeks"),
        totals("1"),
    ):
        store.append("totals", rows)
    cells = totals("1", dataset="month_weeks").select(KEY.names)

    with store.named("cells", cells):
        store.remove("totals", "cells")

    left = store.rows(
        "SELECT device_id, dataset, period_end FROM totals ORDER BY device_id, dataset, period_end"
    )
    assert left == [
        ("1", "month", JULY[1]),
        ("1", "month_weeks", august[1]),
        ("2", "month_weeks", week[1]),
        ("2", "month_weeks", JULY[1]),
    ]


def test_a_view_may_be_created_again(database: PostgresDatabase) -> None:
    database.create_view("numbers", "SELECT 1 AS number")
    database.create_view("numbers", "SELECT 2 AS number")

    assert database.rows("SELECT number FROM numbers") == [(2,)]


def test_rows_go_to_the_store_and_not_to_a_temporary_table_of_that_name(
    things: PostgresDatabase, postgres_url: str
) -> None:
    with things.named("things", ROWS_OF_EACH_TYPE.slice(0, 1)):
        things.append("things", ROWS_OF_EACH_TYPE)
        assert count(things) == 1

    assert count(things) == 2
    assert run_sql(postgres_url, "SELECT count(*) FROM things") == [(2,)]


def test_a_schema_that_is_made_later_does_not_come_before_the_stores(postgres_url: str) -> None:
    later = f"later_{uuid4().hex}"
    database = connect(postgres_url.replace("%3D", f"%3D{later},"), read_only=False)
    database.create_table("things", SCHEMA)
    run_sql(postgres_url, f"CREATE SCHEMA {later}", f"CREATE TABLE {later}.things (one BIGINT)")

    database.append("things", ROWS_OF_EACH_TYPE)

    assert count(database) == 2
    assert run_sql(postgres_url, "SELECT count(*) FROM things") == [(2,)]
    database.close()
    run_sql(postgres_url, f"DROP SCHEMA {later} CASCADE")


def test_a_search_path_without_a_schema_is_refused(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="no schema to put tables into: create the first one"):
        connect(postgres_url.replace("%3D", "%3Dnowhere_"), read_only=False)


# --- transactions ---------------------------------------------------------------------------------


def test_what_a_transaction_does_is_seen_by_others_when_it_ends(
    things: PostgresDatabase, postgres_url: str
) -> None:
    def seen() -> list[tuple[object, ...]]:
        return run_sql(postgres_url, "SELECT count(*) FROM things")

    with things.transaction():
        things.append("things", ROWS_OF_EACH_TYPE)
        things.execute("INSERT INTO things (text, at) VALUES ('more', $at)", {"at": NOON})
        assert things.rows("SELECT count(*) FROM things WHERE at = $at", {"at": NOON}) == [(2,)]
        assert seen() == [(0,)], "an instant among the parameters must not end the transaction"

    assert seen() == [(3,)]


def commit(database: PostgresDatabase, *more: str, error: BaseException | None = None) -> None:
    """Append rows and carry out statements in one transaction, which then may fail."""
    with database.transaction():
        database.append("things", ROWS_OF_EACH_TYPE)
        for statement in more:
            database.execute(statement)
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_a_transaction_that_fails_leaves_nothing(things: PostgresDatabase, error: BaseException) -> None:
    with pytest.raises(type(error)):
        commit(things, error=error)

    assert count(things) == 0


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", "INSERT INTO things (whole) VALUES (1)"])
def test_a_transaction_in_which_a_statement_fails_leaves_nothing(
    things: PostgresDatabase, statement: str
) -> None:
    with pytest.raises(StoreError):
        commit(things, statement)

    assert count(things) == 0


def test_rows_that_are_refused_take_the_others_with_them(things: PostgresDatabase) -> None:
    def append_both() -> None:
        with things.transaction():
            things.append("things", ROWS_OF_EACH_TYPE)
            things.append("things", pa.table({"text": pa.array([None], pa.string())}))

    with pytest.raises(StoreError, match='null value in column "text"'):
        append_both()

    assert count(things) == 0


def test_a_failure_that_was_passed_over_is_not_committed_in_silence(things: PostgresDatabase) -> None:
    def pass_over() -> None:
        with things.transaction():
            things.append("things", ROWS_OF_EACH_TYPE)
            with suppress(StoreError):
                things.execute("SELECT 1 / 0")

    with pytest.raises(StoreError, match="nothing to commit"):
        pass_over()

    commit(things)
    assert count(things) == 2


def state_of(backend: object, url: str) -> object:
    [(state,)] = run_sql(url, f"SELECT state FROM pg_stat_activity WHERE pid = {backend}")
    return state


def test_no_session_is_left_in_a_transaction(things: PostgresDatabase, postgres_url: str) -> None:
    [(backend,)] = things.rows("SELECT pg_backend_pid()")

    def asks() -> None:
        things.rows("SELECT $at", {"at": NOON})

    def fails() -> None:
        with pytest.raises(StoreError):
            things.rows("SELECT CAST($text AS BIGINT)", {"text": "x"})

    def names() -> None:
        with things.named("listed", ROWS_OF_EACH_TYPE):
            things.execute("DELETE FROM listed")

    for act in (asks, fails, names, lambda: commit(things)):
        act()
        assert state_of(backend, postgres_url) == "idle", act.__name__


# --- temporary tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [ROWS_OF_EACH_TYPE, ROWS_OF_EACH_TYPE.slice(0, 0)])
def test_a_table_may_be_named_and_its_name_ends_with_the_block(
    database: PostgresDatabase, rows: pa.Table
) -> None:
    with database.named("listed", rows):
        assert database.arrow(f"SELECT {COLUMNS} FROM listed ORDER BY text DESC", SCHEMA) == rows

    with pytest.raises(StoreError, match="listed"):
        database.rows("SELECT * FROM listed")


def test_a_name_ends_also_when_the_transaction_within_fails(database: PostgresDatabase) -> None:
    with (
        pytest.raises(StoreError),
        database.named("listed", ROWS_OF_EACH_TYPE),
        database.transaction(),
    ):
        database.execute("SELECT 1 / 0")

    with database.named("listed", pa.table({"a": [1]})):
        assert database.rows("SELECT a FROM listed") == [(1,)]


def test_a_name_that_was_left_is_taken_over(database: PostgresDatabase) -> None:
    database.execute("CREATE TEMP TABLE listed (left_over BIGINT)")

    with database.named("listed", pa.table({"a": [2]})):
        assert database.rows("SELECT * FROM listed") == [(2,)]


def test_the_server_knows_how_large_a_named_table_is(database: PostgresDatabase) -> None:
    with database.named("listed", pa.table({"a": range(1234)})):
        assert database.rows("SELECT reltuples FROM pg_class WHERE relname = 'listed'") == [(1234.0,)]


# --- reading only ---------------------------------------------------------------------------------


@pytest.fixture
def reading(things: PostgresDatabase, postgres_url: str) -> Iterator[PostgresDatabase]:
    things.append("things", ROWS_OF_EACH_TYPE)
    reading = connect(postgres_url, read_only=True)
    yield reading
    reading.close()


def changes(database: PostgresDatabase) -> dict[str, Callable[[], object]]:
    return {
        "append": lambda: database.append("things", ROWS_OF_EACH_TYPE),
        "insert": lambda: database.execute("INSERT INTO things (text) VALUES ('x')"),
        "delete": lambda: database.execute("DELETE FROM things"),
        "create": lambda: database.create_table("other", SCHEMA),
        "view": lambda: database.create_view("other", "SELECT 1 AS one"),
        "commit": lambda: commit(database),
    }


@pytest.mark.parametrize("name", ["append", "insert", "delete", "create", "view", "commit"])
def test_a_store_that_is_opened_to_read_is_not_changed(reading: PostgresDatabase, name: str) -> None:
    with pytest.raises(StoreError, match="opened read-only"):
        changes(reading)[name]()

    assert count(reading) == 2


def test_who_reads_has_temporary_tables_all_the_same(reading: PostgresDatabase) -> None:
    reading.execute("CREATE TEMP TABLE found AS SELECT text FROM things")
    with reading.named("more", pa.table({"text": ["a", "b"]})):
        assert reading.execute("INSERT INTO found SELECT text FROM more") == 2
    reading.execute("ALTER TABLE found RENAME TO kept")
    reading.analyze("kept")

    assert count(reading, "kept") == 4
    reading.execute("DROP TABLE kept")


# --- the session ----------------------------------------------------------------------------------


def test_a_session_works_in_utc_and_says_who_it_is(database: PostgresDatabase) -> None:
    assert database.rows("SHOW TimeZone") == [("UTC",)]
    assert database.rows("SHOW application_name") == [(f"voltaware {os.getpid()}@{socket.gethostname()}",)]


def test_a_server_looks_whether_its_client_is_still_there(postgres_server: PostgresServer) -> None:
    database = connect(postgres_server.tcp_url(), read_only=True)

    assert database.rows("SHOW tcp_keepalives_idle") == [("30",)]
    assert database.rows("SHOW client_connection_check_interval") == [("1s",)]
    database.close()


def test_texts_are_right_in_a_database_of_another_encoding(postgres_server: PostgresServer) -> None:
    run_sql(
        postgres_server.url,
        "CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0",
    )
    database = connect(postgres_server.tcp_url(database="latin"), read_only=False)

    assert database.rows("SELECT $text, length($text)", {"text": "é"}) == [("é", 1)]
    with database.named("listed", pa.table({"text": ["é"]})):
        assert database.rows("SELECT text, length(text) FROM listed") == [("é", 1)]
    database.close()
    run_sql(postgres_server.url, "DROP DATABASE latin WITH (FORCE)")


def test_a_closed_database_says_so(database: PostgresDatabase) -> None:
    database.close()
    database.close()

    with pytest.raises(StoreError, match="is closed"):
        database.rows("SELECT 1")
