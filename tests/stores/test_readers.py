"""Whoever only looks at a store must not cost it a night."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voltaware_async import StoreError, StoreLockedError, open_store
from voltaware_async.stores.duckdb import file as duckdb_file
from voltaware_async.stores.holder import is_only_read

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLD = """
import sys
from voltaware_async import open_store
with open_store(sys.argv[1], read_only=sys.argv[2] == "reads"):
    print("held", flush=True)
    sys.stdin.read()
"""

on_linux = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system does not tell who reads")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.duckdb"
    open_store(path).close()
    return path


@pytest.fixture
def holder(path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Hold the store in another process until its stdin ends."""
    command = [sys.executable, "-c", HOLD, str(path), request.param]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def let_go(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()
    holder.wait()


@on_linux
@pytest.mark.parametrize("holder", ["reads"], indirect=True)
def test_a_writer_waits_until_the_readers_are_gone(
    holder: subprocess.Popen[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def looks(at: Path) -> bool:
        looked.set()
        return is_only_read(at)

    monkeypatch.setattr(duckdb_file, "is_only_read", looks)

    def leave() -> None:
        assert looked.wait(10), "nobody waited"
        let_go(holder)

    leaving = threading.Thread(target=leave)
    leaving.start()
    with open_store(path):
        leaving.join()
        assert holder.returncode == 0
    assert looked.is_set(), "the writer did not wait"


@on_linux
@pytest.mark.parametrize("holder", ["reads"], indirect=True)
def test_a_reader_that_does_not_leave_is_named_in_the_end(
    holder: subprocess.Popen[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_file, "_READERS_S", 0.0)

    with pytest.raises(StoreLockedError, match=f"process {holder.pid}, running since"):
        open_store(path)
    let_go(holder)


@pytest.mark.parametrize("holder", ["writes"], indirect=True)
def test_a_writer_is_not_waited_for(
    holder: subprocess.Popen[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_file.time, "sleep", lambda _: pytest.fail("waited for a writer"))

    with pytest.raises(StoreLockedError, match=f"process {holder.pid}"):
        open_store(path)
    let_go(holder)


@on_linux
@pytest.mark.parametrize(("holder", "only"), [("reads", True), ("writes", False)], indirect=["holder"])
def test_the_locks_tell_readers_from_writers(
    holder: subprocess.Popen[str],
    path: Path,
    only: bool,  # noqa: FBT001
) -> None:
    assert is_only_read(path) is only
    let_go(holder)
    assert is_only_read(path), "the one that was there has gone"


def test_a_file_that_is_not_there_is_read_by_nobody(tmp_path: Path) -> None:
    assert not is_only_read(tmp_path / "nothing")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.duckdb")

    for read_only in (True, False):
        with pytest.raises(StoreError, match="is no regular file"):
            open_store(tmp_path / "pipe.duckdb", read_only=read_only)
