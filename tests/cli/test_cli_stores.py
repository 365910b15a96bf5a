"""Stores that cannot be used: exit 5, one sentence that names them, and the file as it was."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest
from conftest import start
from processes import wait_until
from side_by_side import side_by_side

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")
STATUS = ("status", "--store", "f.duckdb")


def the_sentence(ended: Ended) -> str:
    """Return the only line that was printed, on stderr."""
    assert not ended.out
    [line] = ended.talk.splitlines()
    return line


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return what stands in a folder's files, and when they were last written to."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def test_a_store_that_a_running_pull_holds_is_named_with_its_holder(
    serve: Callable[..., Api],
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    api = serve("--devices", "3", "--faults", "stall@sensors:1")
    environment["VOLTAWARE_BASE_URL"] = api.base_url
    began = datetime.now(UTC)
    with start(*PULL, cwd=tmp_path, env=environment) as holder:
        assert wait_until(lambda: api.count("sensors") > 0, holder)
        ended = side_by_side(voltaware, [(*PULL, "--json"), STATUS])
        holder.kill()
        holder.communicate()

    pattern = (
        rf"voltaware: f\.duckdb is in use by process {holder.pid}, running since (.*) UTC: wait until .*"
    )
    for it in ended.values():
        assert it.code == 5
        found = re.fullmatch(pattern, the_sentence(it))
        assert found, it.talk
        since = datetime.fromisoformat(f"{found[1]}+00:00")
        assert began - timedelta(seconds=2) < since < datetime.now(UTC)


def test_the_lock_of_a_killed_pull_is_taken_over_at_once(
    serve: Callable[..., Api],
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    api = serve("--devices", "3", "--faults", "stall@sensors:1")
    with start(*PULL, cwd=tmp_path, env={**environment, "VOLTAWARE_BASE_URL": api.base_url}) as holder:
        assert wait_until(lambda: api.count("sensors") > 0, holder)
        holder.kill()
        holder.communicate()

    assert voltaware(*PULL, "--rate", "none").code == 0
    with open_store(tmp_path / "f.duckdb", read_only=True) as store:
        assert store.table("ledger").num_rows == 40


def test_a_file_that_is_no_store_of_ours_is_refused_and_stays_as_it_is(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    whole = tmp_path / "whole.duckdb"
    with open_store(whole):
        pass
    with duckdb.connect(tmp_path / "theirs.duckdb") as theirs:
        theirs.execute("CREATE TABLE consumption (device_id VARCHAR)")
    with open_store(tmp_path / "newer.duckdb"):
        pass
    with duckdb.connect(tmp_path / "newer.duckdb") as newer:
        newer.execute("UPDATE voltaware_store SET version = 99")
    content = whole.read_bytes()
    for name, part in {"half": 0.5, "stump": 0.01, "almost": 0.99}.items():
        (tmp_path / f"{name}.duckdb").write_bytes(content[: int(len(content) * part)])
    (tmp_path / "notes.duckdb").write_bytes(b"someone's notes\x1b[2J\n" * 1000)
    (tmp_path / "empty.duckdb").touch()
    with closing(sqlite3.connect(tmp_path / "lite.duckdb")) as lite:
        lite.execute("CREATE TABLE ledger (device_id TEXT)")
    whole.unlink()
    before = state_of(tmp_path)
    pulls = [("pull", "--store", name, "--month", "2024-07") for name in before]
    asks = [("status", "--store", name, *more) for name in before for more in ((), ("--failed",))]

    ended = side_by_side(voltaware, pulls + asks)

    for line, it in ended.items():
        assert it.code == 5, it
        assert the_sentence(it).startswith(f"voltaware: {line[2]} "), it
    assert state_of(tmp_path) == before
    for it in (it for line, it in ended.items() if line[2] == "newer.duckdb"):
        assert re.search(
            r"has format 99 and this release knows \d+: upgrade voltaware-async$", the_sentence(it)
        )


def test_a_log_that_lies_beside_a_store_of_a_newer_version_stays_too(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    with open_store(tmp_path / "f.duckdb"):
        pass
    newer = duckdb.connect(tmp_path / "f.duckdb")
    newer.execute("UPDATE voltaware_store SET version = 99")
    content, log = ((tmp_path / name).read_bytes() for name in ("f.duckdb", "f.duckdb.wal"))
    newer.close()
    (tmp_path / "f.duckdb").write_bytes(content)
    (tmp_path / "f.duckdb.wal").write_bytes(log)
    before = state_of(tmp_path)

    for it in side_by_side(voltaware, [PULL, STATUS]).values():
        assert (it.code, "f.duckdb has format 99" in the_sentence(it)) == (5, True)
        assert state_of(tmp_path) == before


def test_a_place_where_no_store_can_be_says_why(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "folder.duckdb").mkdir()
    expected = {
        "missing/f.duckdb": f"cannot be created: there is no directory {tmp_path / 'missing'}",
        "folder.duckdb": "is a directory, not a store",
    }

    ended = side_by_side(voltaware, [("pull", "--store", name, "--month", "2024-07") for name in expected])

    for (_, _, name, *_), it in ended.items():
        assert (it.code, the_sentence(it)) == (5, f"voltaware: {name} {expected[name]}")


def test_an_empty_and_a_missing_store_are_told_apart(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    with open_store(tmp_path / "f.duckdb"):
        pass

    assert (voltaware(*STATUS, "--json").out, voltaware(*STATUS, "--failed", "--json").out) == (
        "[]\n",
        "[]\n",
    )
    assert voltaware(*STATUS, "--failed").talk == "voltaware: no cell failed\n"
    missing = voltaware("status", "--store", "missing.duckdb", "--json")
    assert missing.code == 5
    assert the_sentence(missing) == "voltaware: there is no store missing.duckdb yet: a pull creates it"
    assert not (tmp_path / "missing.duckdb").exists()


@pytest.mark.parametrize(
    "wrong", [{"VOLTAWARE_CLIENT_SECRET": ""}, {"VOLTAWARE_BASE_URL": "http://192.0.2.1"}]
)
def test_wrong_settings_leave_no_store_behind(
    voltaware: Callable[..., Ended], tmp_path: Path, wrong: dict[str, str]
) -> None:
    assert voltaware(*PULL, **wrong).code == 2
    assert not list(tmp_path.iterdir())
