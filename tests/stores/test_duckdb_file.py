from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from subprocess import PIPE
from typing import TYPE_CHECKING

import duckdb
import pytest
from store_cases import batch, fetched

from voltaware_async.errors import StoreError
from voltaware_async.stores import open_store
from voltaware_async.stores.duckdb.database import DuckDBDatabase
from voltaware_async.stores.duckdb.errors import store_errors
from voltaware_async.stores.duckdb.file import _create
from voltaware_async.stores.sql.format import FORMAT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Stops between the making of a new store and its link to the place where it belongs.
DRAFT = """
import os, sys
from voltaware_async.stores import open_store
link = os.link
def wait_and_link(*names):
    print("made", flush=True)
    sys.stdin.read()
    link(*names)
os.link = wait_and_link
open_store(sys.argv[1]).close()
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
def drafted(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold a store that is made in another process and not yet in its place."""
    command = [sys.executable, "-c", DRAFT, str(path)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "made\n"
        yield maker


def test_what_was_committed_is_there_when_the_store_is_opened_again(landed: Path) -> None:
    with open_store(landed) as store:
        assert store.table("ledger").column("device_id").to_pylist() == ["1"]
        store.commit(batch(fetched("2")))
    with open_store(landed, read_only=True) as store:
        assert store.table("ledger").num_rows == 2


def test_a_new_store_leaves_nothing_but_its_file(landed: Path) -> None:
    assert list(landed.parent.iterdir()) == [landed]


@pytest.mark.parametrize("is_there", [False, True])
def test_what_a_killed_process_left_of_a_new_store_is_cleared_away(path: Path, *, is_there: bool) -> None:
    """Also where it was killed after it had linked the new store to its place."""
    with drafted(path) as maker:
        maker.kill()
        maker.communicate()
    [left_over] = path.parent.iterdir()
    if is_there:
        os.link(left_over / "new.duckdb", path)

    with open_store(path) as store:
        store.commit(batch(fetched("1")))

    assert list(path.parent.iterdir()) == [path]


def test_a_store_in_the_making_is_no_left_over(path: Path) -> None:
    with drafted(path) as maker:
        open_store(path).close()
        maker.communicate("")

    assert maker.returncode == 0
    assert list(path.parent.iterdir()) == [path]


def test_only_drafts_are_cleared_away(path: Path) -> None:
    (path.parent / ".voltaware-backup").mkdir()
    (path.parent / ".voltaware-draft-of-a-letter").write_text("Dear")
    open_store(path).close()
    assert len(list(path.parent.iterdir())) == 3


def test_a_store_is_made_where_folders_cannot_be_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    open_store(path).close()
    assert list(path.parent.iterdir()) == [path]


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
        assert f"has format 99 and this release knows {FORMAT_VERSION}" in refusal(
            landed, read_only=read_only
        )


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
        _create(DuckDBDatabase, str(landed), landed)


# --- a full disk ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "what_to_do"),
    [
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EDQUOT, "the disk quota is used up: make room"),
        (errno.EFBIG, "its file may not grow any more: lift the limit"),
    ],
)
@pytest.mark.parametrize("as_duckdb", [False, True])
def test_a_full_disk_says_what_to_do(number: int, what_to_do: str, *, as_duckdb: bool) -> None:
    said = os.strerror(number)
    error = duckdb.IOException(f"Could not write file: {said}") if as_duckdb else OSError(number, said)
    with pytest.raises(StoreError) as caught, store_errors("fleet.duckdb"):
        raise error
    assert str(caught.value).startswith(f"fleet.duckdb cannot be written: {what_to_do}")
    assert said in str(caught.value)


def test_no_room_to_spill_is_a_full_disk(path: Path) -> None:
    with duckdb.connect(path, config={"memory_limit": "10MB", "threads": 1}) as small:
        small.execute("SET max_temp_directory_size = '1MB'")
        with pytest.raises(StoreError, match="cannot be written: the disk is full"), store_errors("f.duckdb"):
            small.execute("CREATE TEMP TABLE t AS SELECT md5(range::VARCHAR) FROM range(1_000_000)")


def test_links_that_go_round_in_circles_are_refused(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(path)
