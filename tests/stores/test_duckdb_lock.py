"""Who may open a store while others have it open: one writer, or any number of readers."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from subprocess import PIPE
from typing import TYPE_CHECKING

import duckdb
import pytest
from store_cases import NOW, batch, fetched

from voltaware_async.errors import StoreError, StoreLockedError
from voltaware_async.stores import open_store
from voltaware_async.stores.duckdb import file as duckdb_file
from voltaware_async.stores.duckdb.errors import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSTANT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"

HOLD = """
import sys
from voltaware_async.stores import open_store
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


def hold(path: Path, *mode: str) -> list[str]:
    return [sys.executable, "-c", HOLD, str(path), *mode]


@contextmanager
def held(path: Path, *mode: str) -> Iterator[int]:
    """Hold a store open in another process, and tell its pid."""
    with subprocess.Popen(hold(path, *mode), stdin=PIPE, stdout=PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        yield holder.pid
        holder.communicate("")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_that_another_process_writes_to_is_locked_and_the_holder_is_named(
    landed: Path, *, read_only: bool
) -> None:
    with held(landed) as pid, pytest.raises(StoreLockedError) as caught:
        open_store(landed, read_only=read_only)
    assert re.fullmatch(
        rf"{landed} is in use by process {pid}, running since {INSTANT} UTC: wait until it ends, or stop it",
        str(caught.value),
    )
    open_store(landed).close()


def test_the_lock_of_a_killed_process_is_taken_over_at_once(landed: Path) -> None:
    with held(landed) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with open_store(landed) as store:
            store.commit(batch(fetched("2")))
            assert store.table("ledger").num_rows == 2


def test_a_store_that_another_process_goes_on_reading_cannot_be_written_to(
    landed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_file, "_READERS_S", 0.2)
    started = time.monotonic()
    with held(landed, "read") as pid:
        with pytest.raises(StoreLockedError, match=f"process {pid}"):
            open_store(landed)
        assert time.monotonic() - started >= 0.2


def test_a_writer_does_not_wait_where_the_system_does_not_tell_who_holds_the_store(
    landed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_file, "is_only_read", lambda _: False)
    monkeypatch.setattr(duckdb_file, "_LOOK_AGAIN_S", 1e6)
    with held(landed, "read") as pid, pytest.raises(StoreLockedError, match=f"process {pid}"):
        open_store(landed)


def test_two_processes_may_read(landed: Path) -> None:
    with held(landed, "read"), open_store(landed, read_only=True) as store:
        assert store.table("ledger").num_rows == 1


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_is_locked_for_the_process_that_has_it_open_too(landed: Path, *, read_only: bool) -> None:
    with open_store(landed) as store:
        ourselves = rf"this very process \(process {os.getpid()}, running since {INSTANT} UTC\): close"
        with pytest.raises(StoreLockedError, match=ourselves):
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
            store.begin("run-1", "pull", NOW)


@pytest.mark.parametrize("holder", ["", " (PID 0)", " (PID -1)"])
def test_a_holder_that_has_no_number_here_is_another_process(holder: str) -> None:
    with pytest.raises(StoreLockedError, match="in use by another process: wait"), store_errors("f.duckdb"):
        raise duckdb.IOException(
            f"IO Error: Could not set lock on file: Conflicting lock is held in x{holder}"
        )


def test_a_store_that_could_not_be_opened_is_not_held(landed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(duckdb_file, "upgrade", refuse)
        with pytest.raises(StoreError, match="the disk is full") as caught:
            open_store(landed)
    open_store(landed).close()
    assert caught.tb is not None, "the error is still there, and with it what its frames hold"
