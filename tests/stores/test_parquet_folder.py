"""Opening a folder: what becomes a store, what is refused and stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from subprocess import PIPE
from typing import TYPE_CHECKING, Final

import duckdb
import pytest
from parquet_cases import contents, files_of, in_folder, months, opened, rows_of
from store_cases import NOW

from voltaware_async.errors import StoreError, StoreLockedError
from voltaware_async.stores import open_store
from voltaware_async.stores.parquet.layout import Sizing

if TYPE_CHECKING:
    from pathlib import Path

HERE: Final = str(__file__).rpartition("/")[0]

HOLD: Final = """
import sys
from voltaware_async.stores import open_store
with open_store(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""

# Fails while a draft is written, or where that takes little room while its rows are taken out of the ledger.
FILL: Final = """
import random, resource, signal, sys
from pathlib import Path
from parquet_cases import opened
from store_cases import batch, fetched
from voltaware_async.errors import StoreError
from voltaware_async.stores.parquet.layout import Sizing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
wh = random.random if "draft" in sys.argv else lambda: 1.0
with opened(folder, sizing=Sizing()) as store:
    store.commit(batch(*(fetched(f"{n:05}", fridge=wh(), heating=wh()) for n in range(2_000))))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        store._database.settle()
    except StoreError as error:
        print(len([*(folder / ".drafts").iterdir()]), error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


@pytest.fixture
def settled(folder: Path) -> Path:
    """Make a store with three devices in files."""
    with opened(folder) as store:
        store.begin("run-1", "pull", NOW)
        store.commit(months(range(3)))
        store.finish("run-1", "complete", NOW, {})
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(folder: Path, *, read_only: bool = False) -> str:
    """Return why a folder is refused, after checking that it stays as it is."""
    before = bytes_of(folder)
    with pytest.raises(StoreError) as caught:
        opened(folder, read_only=read_only)
    assert bytes_of(folder) == before
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(folder) in message
    return message


def test_a_folder_is_made_and_opened_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("parquet:fleet") as store:
        store.commit(months(range(2)))
    with open_store("parquet:fleet", read_only=True) as store:
        assert store.target == "parquet:fleet"
        assert store.table("totals").num_rows == 2
    assert [path.name for path in (tmp_path / "fleet").iterdir()] == ["ledger.duckdb"]


@pytest.mark.parametrize("name", [".hidden", "lost+found"])
def test_an_empty_disk_becomes_a_store(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    opened(folder).close()
    assert (folder / "ledger.duckdb").exists()


@pytest.mark.parametrize(
    "name", ["it's", 'a "b"', "a b", "zähler", "a[b]c", "a*", "{a,b}", "part=month", "$x", "50%"]
)
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    with opened(tmp_path / name) as store:
        store.commit(months(range(3)))
        store._database.settle()
        store.commit(months(range(2), wh=2.0), refreshes=True)
        store._database.settle()
    with opened(tmp_path / name, read_only=True) as store:
        assert len(rows_of(store, "consumption")) == 6


def test_characters_of_patterns_name_no_other_store(tmp_path: Path) -> None:
    for name, devices in (("fleet-1", 2), ("fleet-[12]", 3), ("fleet-*", 4)):
        with opened(tmp_path / name) as store:
            store.commit(months(range(devices)))
            store._database.settle()
            assert len(rows_of(store, "totals")) == devices


def test_a_store_may_be_moved_as_a_whole(settled: Path) -> None:
    with opened(settled, read_only=True) as store:
        before = contents(store)
    moved = settled.rename(settled.with_name("archive"))
    with opened(moved) as store:
        assert contents(store) == before
        store.commit(months(range(3, 5)))
        store._database.settle()
        assert in_folder(moved, "totals") == rows_of(store, "totals")


def test_a_link_to_a_store_is_the_store(settled: Path) -> None:
    link = settled.with_name("link")
    link.symlink_to(settled)
    with open_store(f"parquet:{link}", read_only=True) as store:
        assert store.table("totals").num_rows == 3


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_that_another_process_writes_to_is_locked(settled: Path, *, read_only: bool) -> None:
    command = [sys.executable, "-c", HOLD, f"parquet:{settled}"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match=f"is in use by process {holder.pid}"):
            opened(settled, read_only=read_only)
        holder.communicate("")
    opened(settled).close()


# --- refused, and untouched ----------------------------------------------------------------------


def test_reading_does_not_create_a_store(folder: Path) -> None:
    assert "a pull creates it" in refusal(folder, read_only=True)
    assert not folder.exists()


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "letters.txt").write_text("Dear")
    assert "has no ledger.duckdb, but letters.txt" in refusal(folder)


def test_a_store_that_has_lost_its_ledger_is_refused(settled: Path) -> None:
    (settled / "ledger.duckdb").unlink()
    assert "restore a copy of the whole store" in refusal(settled)


def test_a_file_is_no_folder(folder: Path) -> None:
    folder.write_text("rows")
    for read_only in (False, True):
        with pytest.raises(StoreError, match="is a file, and a Parquet store is a folder"):
            opened(folder, read_only=read_only)
    assert folder.read_text() == "rows"


def test_the_directory_above_must_be_there(folder: Path) -> None:
    with pytest.raises(StoreError, match=f"there is no directory {folder}"):
        opened(folder / "2024")


@pytest.mark.parametrize("name", ["a\\b", "a?", "a?/b"])
def test_a_path_that_duckdb_takes_for_another_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    assert "in its path, and DuckDB keeps no files there" in refusal(tmp_path / name)
    assert list((tmp_path / name).iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_named(folder: Path) -> None:
    folder.parent.chmod(0o500)
    assert "Permission denied" in refusal(folder)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_missing_is_named(settled: Path, *, read_only: bool) -> None:
    [path] = files_of(settled, "totals")
    path.unlink()
    message = refusal(settled, read_only=read_only)
    assert "totals/part=month-2024-07/00001.parquet is missing: restore a copy" in message


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_cut_off_is_named(settled: Path, *, read_only: bool) -> None:
    [path] = files_of(settled, "totals")
    path.write_bytes(path.read_bytes()[:-100])
    assert "00001.parquet has " in (message := refusal(settled, read_only=read_only))
    assert "restore a copy" in message


def test_a_file_with_other_rows_than_the_ledger_counts_is_not_written_anew(settled: Path) -> None:
    with duckdb.connect(settled / "ledger.duckdb") as ledger:
        ledger.execute("UPDATE files SET row_count = 2 WHERE table_name = 'totals'")
    with opened(settled) as store:
        store.commit(months(range(3, 5)))
        with pytest.raises(StoreError, match="have 5 rows where the ledger counts 4"):
            store._database.settle()
        assert len(rows_of(store, "totals")) == 5


def test_a_file_that_is_not_listed_is_refused_by_whoever_would_write(settled: Path) -> None:
    [path] = files_of(settled, "totals")
    shutil.copy(path, path.with_name("00002.parquet"))
    shutil.copy(path, path.with_name(".00003.parquet"))
    assert "does not list 1 of the files in its folder" in refusal(settled)
    with opened(settled, read_only=True) as store:
        assert len(rows_of(store, "totals")) == 3


def test_the_ledger_of_a_parquet_store_is_no_duckdb_store(settled: Path) -> None:
    for read_only in (False, True):
        with pytest.raises(StoreError, match="is the ledger of a Parquet store: name its folder"):
            open_store(settled / "ledger.duckdb", read_only=read_only)


def test_a_duckdb_store_is_no_ledger_of_a_parquet_store(folder: Path) -> None:
    folder.mkdir()
    open_store(folder / "ledger.duckdb").close()
    for read_only in (False, True):
        assert "is a DuckDB store: name that file as the store" in refusal(folder, read_only=read_only)


# --- a full disk ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("failing", "drafts"), [("draft", "0"), ("ledger", "1")])
def test_a_full_disk_leaves_staged_what_was_staged_and_a_later_run_settles_it(
    folder: Path, failing: str, drafts: str
) -> None:
    command = [sys.executable, "-c", FILL, str(folder), failing]
    said = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": HERE}, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout.partition(" ")[0] == drafts
    assert "its file may not grow any more: lift the limit" in said.stdout
    assert files_of(folder, "consumption") == []
    with opened(folder, read_only=True) as store:
        assert len(rows := rows_of(store, "consumption")) == 4_000
    opened(folder, sizing=Sizing()).close()
    assert in_folder(folder, "consumption") == rows
    assert list((folder / ".drafts").iterdir()) == []
