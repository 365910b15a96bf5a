"""Stores that cannot be used: exit 5, one sentence that names them, and the file as it was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import duckdb
import pytest
from conftest import start
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


def test_a_store_that_a_running_pull_holds_is_named_with_its_holder(
    serve: Callable[..., Api],
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    api = serve("--devices", "3", "--faults", "stall@sensors:1")
    environment["VOLTAWARE_BASE_URL"] = api.base_url
    with start(*PULL, cwd=tmp_path, env=environment) as holder:
        while not api.count("sensors"):
            time.sleep(0.02)
        ended = side_by_side(voltaware, [(*PULL, "--json"), STATUS])
        holder.kill()
        holder.communicate()

    for it in ended.values():
        assert it.code == 5
        assert f"f.duckdb is in use by process {holder.pid}" in the_sentence(it)
    # The lock of a dead process is taken over.
    assert voltaware(*STATUS).code == 0


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
    (tmp_path / "half.duckdb").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "notes.duckdb").write_bytes(b"someone's notes\x1b[2J\n" * 1000)
    whole.unlink()
    before = {path.name: path.read_bytes() for path in sorted(tmp_path.glob("*.duckdb"))}
    pulls = [("pull", "--store", name, "--month", "2024-07") for name in before]
    asks = [("status", "--store", name, "--failed") for name in before]

    ended = side_by_side(voltaware, pulls + asks)

    for line, it in ended.items():
        assert it.code == 5, it
        assert the_sentence(it).startswith(f"voltaware: {line[2]} "), it
    assert {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())} == before


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
