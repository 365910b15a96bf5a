from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import duckdb
import pytest
from store_cases import NOW, batch, fetched, ids

from voltaware_async.errors import StoreError, StoreLockedError
from voltaware_async.stores import open_store
from voltaware_async.stores.duckdb_errors import store_errors
from voltaware_async.stores.duckdb_file import _create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from voltaware_async.stores import open_store
from voltaware_async.stores.duckdb_errors import store_errors
from voltaware_async.stores.duckdb_file import _create
with open_store(sys.argv[1], read_only="read" in sys.argv):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet.duckdb"


@pytest.fixture
def landed(path: Path) -> Path:
    """Make a store with a landed cell."""
    with open_store(path) as store:
        store.commit(batch(fetched("1")))
    return path


@contextmanager
def untouched(path: Path) -> Iterator[None]:
    """Check that a folder has the same files with the same bytes after a block."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    yield
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@contextmanager
def held(path: Path, *mode: str) -> Iterator[int]:
    """Hold a store open in another process, and tell its pid."""
    command = [sys.executable, "-c", HOLD, str(path), *mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        yield holder.pid
        holder.communicate("")


def test_what_was_committed_is_there_when_the_store_is_opened_again(landed: Path) -> None:
    with open_store(landed) as store:
        assert store.table("ledger").column("device_id").to_pylist() == ["1"]
        store.commit(batch(fetched("2")))
    with open_store(landed, read_only=True) as store:
        assert store.table("ledger").num_rows == 2


def test_a_new_store_leaves_nothing_but_its_file(landed: Path) -> None:
    assert list(landed.parent.iterdir()) == [landed]


def test_an_empty_database_becomes_a_store(path: Path) -> None:
    duckdb.connect(path).close()
    with open_store(path) as store:
        assert store.table("ledger").num_rows == 0


def test_a_link_to_a_store_is_the_store(landed: Path) -> None:
    link = landed.with_name("link.duckdb")
    link.symlink_to(landed)
    with open_store(link) as store:
        assert store.table("ledger").num_rows == 1


# --- refused, and untouched ----------------------------------------------------------------------


def refusal(path: Path, *, read_only: bool = False) -> str:
    with untouched(path), pytest.raises(StoreError) as caught:
        open_store(path, read_only=read_only)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert path.name in message
    return message


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"there is no directory {tmp_path}/none"):
        open_store(tmp_path / "none" / "fleet.duckdb")


def test_a_directory_is_no_store(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="is a directory"):
        open_store(path)


def test_reading_does_not_create_a_store(path: Path) -> None:
    assert "a pull creates it" in refusal(path, read_only=True)


def test_reading_does_not_fill_an_empty_database(path: Path) -> None:
    duckdb.connect(path).close()
    assert "empty database" in refusal(path, read_only=True)


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be one\n" * 1000])
def test_another_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "not a valid DuckDB database" in refusal(path)


def test_a_database_of_another_kind_is_refused_without_fetching_an_extension(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE ledger (device_id TEXT)")
    assert "cannot be used" in refusal(path)


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE ledger (device_id TEXT)", "CREATE VIEW answers AS SELECT 42 AS a"]
)
def test_a_database_of_something_else_is_refused(path: Path, sql: str) -> None:
    with duckdb.connect(path) as other:
        other.execute(sql)
    assert "database of something else" in refusal(path)


def test_a_store_of_a_newer_version_is_refused(landed: Path) -> None:
    with duckdb.connect(landed) as newer:
        newer.execute("UPDATE voltaware_store SET version = 99")
    for read_only in (False, True):
        assert "has format 99 and this release knows 1" in refusal(landed, read_only=read_only)


@pytest.mark.parametrize("part", [0.001, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_store_that_is_cut_off_is_refused(landed: Path, part: float) -> None:
    content = landed.read_bytes()
    landed.write_bytes(content[: int(len(content) * part)])
    assert "cannot be used" in (message := refusal(landed)) or "cut off" in message


def test_a_log_of_a_store_that_is_gone_is_not_mixed_into_a_new_one(path: Path) -> None:
    path.with_name("fleet.duckdb.wal").write_bytes(b"rows of a store that somebody deleted")
    assert "belongs to a store that is gone" in refusal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_named(path: Path) -> None:
    path.parent.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be used: Permission denied"):
        open_store(path)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used: File name too long"):
        open_store(tmp_path / f"{'x' * 245}.duckdb")


def test_a_store_that_somebody_else_creates_meanwhile_is_not_replaced(landed: Path) -> None:
    with untouched(landed):
        _create(str(landed), landed)


# --- one writer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_that_another_process_writes_to_is_locked_and_the_holder_is_named(
    landed: Path, *, read_only: bool
) -> None:
    with held(landed) as pid, pytest.raises(StoreLockedError, match=f"in use by process {pid}: wait"):
        open_store(landed, read_only=read_only)
    open_store(landed).close()


def test_a_store_that_another_process_reads_cannot_be_written_to(landed: Path) -> None:
    with held(landed, "read") as pid, pytest.raises(StoreLockedError, match=f"process {pid}"):
        open_store(landed)


def test_two_processes_may_read(landed: Path) -> None:
    with held(landed, "read"), open_store(landed, read_only=True) as store:
        assert store.table("ledger").num_rows == 1


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_is_locked_for_the_process_that_has_it_open_too(landed: Path, *, read_only: bool) -> None:
    with open_store(landed) as store:
        with pytest.raises(StoreLockedError, match="this very process"):
            open_store(landed, read_only=read_only)
        # The lock is still held: see the hazard in `duckdb_file`.
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run([sys.executable, "-c", HOLD, str(landed)], check=True, stderr=subprocess.DEVNULL)
        store.commit(batch(fetched("2")))


def test_a_process_may_read_a_store_twice_at_a_time(landed: Path) -> None:
    with open_store(landed, read_only=True) as one, open_store(landed, read_only=True) as other:
        assert one.table("ledger") == other.table("ledger")


def test_a_store_that_is_read_cannot_be_written(landed: Path) -> None:
    with open_store(landed, read_only=True) as store:
        with pytest.raises(StoreError, match="read-only"):
            store.commit(batch(fetched("2")))
        with pytest.raises(StoreError, match="read-only"):
            store.begin("run-1", "pull", NOW, ids("1"))


def test_a_holder_that_duckdb_does_not_name_is_another_process() -> None:
    with pytest.raises(StoreLockedError, match="in use by another process"), store_errors("fleet.duckdb"):
        raise duckdb.IOException("IO Error: Could not set lock on file")


def test_links_that_go_round_in_circles_are_refused(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(path)
