"""DuckDB's share of memory: small while a run goes on, larger for whoever only reads, or upgrades."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import pytest
from store_cases import EVERYTHING, batch, fetched, ids

from voltaware_async.stores import open_store
from voltaware_async.stores.duckdb import database as duckdb_database
from voltaware_async.stores.duckdb import file as duckdb_file
from voltaware_async.stores.duckdb.database import DuckDBDatabase
from voltaware_async.stores.duckdb.file import open_database
from voltaware_async.stores.sql.sql_store import SqlStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet.duckdb"


@pytest.fixture
def landed(path: Path) -> Path:
    """Make a store with a landed cell."""
    with open_store(path) as store:
        store.commit(batch(fetched("1")))
    return path


def share_mb(database: DuckDBDatabase) -> int:
    """Return DuckDB's share of memory, in units of 1,000,000 bytes."""
    [(words,)] = database.rows("SELECT current_setting('memory_limit')")
    number, unit = str(words).split()
    return round(float(number) * {"MiB": 2**20, "GiB": 2**30}[unit] / 1e6)


@pytest.mark.parametrize(
    ("devices", "megabytes"),
    [(0, 64), (1, 64), (1_000_000, 64), (1_500_000, 96), (2_000_000, 128), (10_000_000, 640)],
)
def test_a_runs_share_of_memory_is_64_mb_and_grows_with_the_devices_beyond_a_million(
    devices: int, megabytes: int
) -> None:
    with duckdb.connect() as connection:
        database = DuckDBDatabase("fleet.duckdb", connection)
        database.expect_devices(devices)
        assert share_mb(database) == megabytes


def test_a_store_that_is_written_has_the_least_share_from_the_start(path: Path) -> None:
    for _ in ("made", "opened again"):
        with closing(open_database("fleet.duckdb", path, read_only=False)) as database:
            assert share_mb(database) == 64


def test_whoever_reads_a_store_may_take_more_memory(landed: Path) -> None:
    with closing(open_database("fleet.duckdb", landed, read_only=True)) as database:
        assert share_mb(database) == 1024


def test_an_upgrade_may_take_more_memory_and_what_comes_after_it_may_not(
    landed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[int] = []
    monkeypatch.setattr(duckdb_file, "upgrade", lambda database: shares.append(share_mb(database)))
    with closing(open_database("fleet.duckdb", landed, read_only=False)) as database:
        assert [*shares, share_mb(database)] == [1024, 64]


def test_a_run_gets_its_share_when_its_devices_are_considered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_database, "_BYTES_PER_DEVICE", 50_000_000)
    with closing(open_database("fleet.duckdb", path, read_only=False)) as database:
        store = SqlStore(database)
        for names, megabytes in ((("1", "2"), 100), (("1",), 64)):
            store.consider(ids(*names), EVERYTHING)
            assert share_mb(database) == megabytes
