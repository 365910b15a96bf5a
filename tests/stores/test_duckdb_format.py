"""A store of an earlier format: renewed where it is opened for writing, and left alone by readers."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import duckdb
import pytest
from store_cases import EVERYTHING, MONTH_OF_JULY, NOW, TODAY, batch, fetched, ids, planned, to_ask

from voltaware_async.errors import StoreError
from voltaware_async.stores import Coverage, open_store
from voltaware_async.stores.agenda import Agenda, Turn
from voltaware_async.stores.sql import format as store_format
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

# What version 1 wrote, as it stands in its release.
VERSION_1: Final = """
CREATE TABLE consumption (
    device_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, period_start DATE NOT NULL,
    period_end DATE NOT NULL, appliance_key VARCHAR NOT NULL, consumption_wh DOUBLE
);
CREATE TABLE totals (
    device_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, period_start DATE NOT NULL,
    period_end DATE NOT NULL, total_consumption_wh DOUBLE, disconnection_percentage DOUBLE
);
CREATE TABLE cycles (
    device_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, period_start DATE NOT NULL,
    period_end DATE NOT NULL, appliance_key VARCHAR NOT NULL, start_local TIMESTAMP NOT NULL,
    end_local TIMESTAMP NOT NULL, start_utc TIMESTAMPTZ, end_utc TIMESTAMPTZ, ambiguous BOOLEAN,
    consumption_wh DOUBLE
);
CREATE TABLE ledger (
    device_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, period_start DATE NOT NULL,
    period_end DATE NOT NULL, status VARCHAR, attempts BIGINT, http_status BIGINT, error VARCHAR,
    run_id VARCHAR, updated_at TIMESTAMPTZ
);
CREATE TABLE runs (
    run_id VARCHAR NOT NULL, command VARCHAR, started_at TIMESTAMPTZ, finished_at TIMESTAMPTZ,
    outcome VARCHAR, planned BIGINT, landed BIGINT, absent BIGINT, failed BIGINT, unasked BIGINT,
    skipped BIGINT, requests BIGINT, retries BIGINT, throttled BIGINT, token_calls BIGINT,
    elapsed_s DOUBLE, rate_per_s DOUBLE
);
CREATE TABLE voltaware_store (version BIGINT NOT NULL);
INSERT INTO voltaware_store VALUES (1);
"""
LANDED: Final = """
INSERT INTO ledger VALUES
    ('1', 'month', '2024-07-01', '2024-07-31', 'landed', 2, 200, NULL, 'r1', '2024-08-03 02:30:00+00'),
    ('2', 'month', '2024-07-01', '2024-07-31', 'absent', 1, 404, NULL, 'r1', '2024-08-03 23:30:00-04'),
    ('3', 'month', '2024-07-01', '2024-07-31', 'failed', 4, 500, 'it broke', 'r1', '2024-08-03 02:30:00+00'),
    ('1', 'week', '2024-07-08', '2024-07-14', 'absent', 1, 204, NULL, 'r2', '2024-08-05 00:00:00+00');
INSERT INTO totals VALUES ('1', 'month', '2024-07-01', '2024-07-31', 12.5, 0);
INSERT INTO consumption VALUES ('1', 'month', '2024-07-01', '2024-07-31', 'fridge', 12.5);
INSERT INTO runs (run_id, command, started_at, outcome, failed) VALUES
    ('r1', 'pull', '2024-08-03 02:00:00+00', 'incomplete', 1),
    ('r2', 'pull', '2024-08-05 00:00:00+00', 'complete', 0);
"""
ADDED: Final = {
    "ledger": {"asked_on", "absent_since", "content_hash", "total_consumption_wh"},
    "runs": {"restated", "kept", "zone_unknown", "reports_wh", "reports_kwh", "reports_unknown", "number"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a store of format 1, with cells of three devices."""
    path = tmp_path / "fleet.duckdb"
    with duckdb.connect(path) as earlier:
        earlier.execute(VERSION_1 + LANDED)
    return path


def rows(path: Path, table: str) -> list[dict[str, object]]:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.table(table).to_arrow_table().to_pylist()


def version(path: Path) -> list[dict[str, object]]:
    return rows(path, "voltaware_store")


def test_an_earlier_store_is_renewed_when_it_is_opened_for_writing_and_every_row_stays(path: Path) -> None:
    tables = ("consumption", "totals", "cycles", "ledger", "runs")
    before = {name: rows(path, name) for name in tables}

    open_store(path).close()

    assert version(path) == [{"version": store_format.FORMAT_VERSION}]
    after = {name: rows(path, name) for name in tables}
    for name, columns in ADDED.items():
        for row in after[name]:
            for column in columns:
                del row[column]
    assert after == before
    assert before["ledger"][1]["updated_at"] == datetime(2024, 8, 4, 3, 30, tzinfo=UTC)


def test_a_renewed_ledger_tells_the_days_that_cells_were_asked_on_and_are_absent_since(path: Path) -> None:
    with open_store(path) as store:
        found = {
            (it["device_id"], it["dataset"]): (it["asked_on"], it["absent_since"])
            for it in store.table("ledger").to_pylist()
        }
    assert found == {
        ("1", "month"): (date(2024, 8, 3), None),
        ("2", "month"): (date(2024, 8, 4), date(2024, 8, 4)),
        ("3", "month"): (date(2024, 8, 3), None),
        ("1", "week"): (date(2024, 8, 5), date(2024, 8, 5)),
    }


def test_a_renewed_store_knows_its_devices_by_their_ids_and_looks_them_up_when_they_lack_something(
    path: Path,
) -> None:
    with open_store(path) as store:
        devices = store.table("devices").to_pylist()
        assert sorted(row.pop("device_id") for row in devices) == ["1", "2", "3"]
        assert all(it is None for row in devices for it in row.values())
        store.consider(ids("1", "2", "3"), Agenda(as_of=TODAY, minds_first_event=True))
        assert store.count_unseen([MONTH_OF_JULY]) == 0
        assert store.count_unseen([MONTH_OF_JULY, (MONTH_OF_JULY[0], MONTH_OF_JULY[1].next())]) == 3


def test_a_renewed_store_expects_what_it_was_asked_for_and_each_part_once(path: Path) -> None:
    with open_store(path) as store:
        expected = sorted(tuple(row.values()) for row in store.table("expected").to_pylist())
        assert expected == [
            ("month", date(2024, 7, 1), date(2024, 7, 31), None),
            ("week", date(2024, 7, 8), date(2024, 7, 14), None),
        ]
        assert store.expected_until() == {}
        store.expect([MONTH_OF_JULY], None)
        assert store.table("expected").num_rows == 2
        assert [one.never_asked for one in store.coverage()] == [0, 2]


def test_a_renewed_store_takes_all_its_devices_for_listed_until_a_list_says_otherwise(path: Path) -> None:
    with open_store(path) as store:
        assert store.knows_devices()
        store.consider(ids("1", "3"), EVERYTHING)
        store.take_stock(TODAY)
        unlisted = {it["device_id"]: it["unlisted_since"] for it in store.table("devices").to_pylist()}
        assert unlisted == {"1": None, "2": TODAY, "3": None}


def test_a_renewed_store_has_the_tables_of_a_new_one(path: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.duckdb"
    open_store(new).close()
    open_store(path).close()
    columns = """
        SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() ORDER BY ALL
    """
    with duckdb.connect(path, read_only=True) as one, duckdb.connect(new, read_only=True) as other:
        assert one.execute(columns).fetchall() == other.execute(columns).fetchall()
    with open_store(path, read_only=True) as store:
        assert {name: store.table(name).schema for name in TABLES} == TABLES


def test_a_renewed_store_goes_on_where_the_earlier_one_stopped(path: Path) -> None:
    with open_store(path) as store:
        store.consider(ids("0", "1", "2", "3"), EVERYTHING)
        assert (to_ask(store, Turn.FIRST), to_ask(store, Turn.AGAIN)) == (["0"], ["2", "3"])
        store.commit(batch(fetched("3"), run_id="r3", as_of=date(2024, 8, 9)))
        assert planned(store) == 2
        with pytest.raises(StoreError, match="landed already"):
            store.commit(batch(fetched("1")))
        assert store.coverage()[0] == Coverage(*MONTH_OF_JULY, landed=2, absent=1, failed=0, never_asked=0)


def test_a_renewed_store_is_renewed_once(path: Path) -> None:
    open_store(path).close()
    with open_store(path) as store:
        store.begin("r3", "sync", NOW)
    before = path.read_bytes()
    open_store(path).close()
    assert path.read_bytes() == before


def test_an_empty_earlier_store_is_renewed(tmp_path: Path) -> None:
    path = tmp_path / "empty.duckdb"
    with duckdb.connect(path) as earlier:
        earlier.execute(VERSION_1)
    with open_store(path) as store:
        assert {name: store.table(name).num_rows for name in TABLES} == dict.fromkeys(TABLES, 0)
        assert store.table("ledger").schema == TABLES["ledger"]


def test_a_reader_refuses_an_earlier_store_with_what_to_do_and_leaves_it_as_it_is(path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(StoreError) as caught:
        open_store(path, read_only=True)
    assert "has the earlier format 1: the next pull or sync renews it" in str(caught.value)
    assert str(path) in str(caught.value)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_an_upgrade_that_is_interrupted_leaves_the_earlier_store_for_the_next_to_renew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store_format.UPGRADES[1]
    before = {name: rows(path, name) for name in ("ledger", "runs", "totals")}
    monkeypatch.setitem(store_format.UPGRADES, 1, (*whole, "SELECT error('the disk is full')"))

    with pytest.raises(StoreError, match="the disk is full") as caught:
        open_store(path)

    # The error is kept, as a caller may: it must not hold the file.
    assert caught.value.__traceback__ is not None
    assert version(path) == [{"version": 1}]
    assert {name: rows(path, name) for name in before} == before
    with closing(duckdb.connect(path, read_only=True)) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert not {("devices",), ("expected",)} & set(tables)

    monkeypatch.setitem(store_format.UPGRADES, 1, whole)
    with open_store(path) as store:
        assert store.table("ledger").schema == TABLES["ledger"]
        assert (store.table("devices").num_rows, store.table("expected").num_rows) == (3, 2)
