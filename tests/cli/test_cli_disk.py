"""A disk that fills up: exit 5, one sentence that says what to do, and the next run goes on.

Full is here a file that has grown to a limit of the process: the system refuses to write more, as it does on
a full disk.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import frozen
from conftest import CLI, Ended
from processes import Tables, surroundings, whole_tables

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Api

CELLS = 2600
PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--rate", "none", "--json")
SENTENCE = "voltaware: f.duckdb cannot be written: its file may not grow any more: lift the limit (ulimit -f)"

# The command, but DuckDB moves its log into its file after every batch, and not only when it has 32 MB.
OFTEN_MOVED = """
import gc
from voltaware_async.cli import main
from voltaware_async.stores.duckdb import file as duckdb_file
gc.freeze = lambda: None  # the import above was early, and DuckDB would be missed at the end
duckdb_file._SETTINGS["checkpoint_threshold"] = "100KB"
main()
"""
EAGER = [sys.executable, "-c", OFTEN_MOVED]


@frozen
class Pull:
    """Pull into a folder of its own."""

    world: dict[str, str]
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "f.duckdb"

    def run(self, command: list[str] = CLI, *, room: int = resource.RLIM_INFINITY) -> Ended:
        """Run to the end; no file may become larger than so many bytes."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

        arguments = [*command, *PULL]
        ended = subprocess.run(
            arguments,
            cwd=self.folder,
            env=self.world,
            preexec_fn=limit,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def world(serve: Callable[..., Api]) -> dict[str, str]:
    return surroundings(serve("--devices", str(CELLS // 4)))


@pytest.fixture
def pull(world: dict[str, str], tmp_path: Path) -> Pull:
    return Pull(world, tmp_path)


@pytest.fixture(scope="module")
def whole(world: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What a pull lands that has room enough."""
    pull = Pull(world, tmp_path_factory.mktemp("whole"))
    assert pull.run().code == 0
    tables = whole_tables(pull.store)
    assert len(tables["ledger"]) == CELLS
    return tables


def check_refusal(ended: Ended) -> None:
    assert ended.code == 5, ended
    assert "Traceback" not in ended.talk
    *earlier, last = ended.talk.splitlines()
    assert last.startswith(SENTENCE)
    assert all(line.startswith("voltaware: ") for line in earlier)


def check_the_rest(pull: Pull, landed: int, whole: Tables) -> None:
    """Check that a run without a limit lands what is missing, and no more."""
    rest = pull.run()
    assert (rest.code, rest.talk) == (0, "")
    assert json.loads(rest.out)["skipped"] == landed
    assert list(pull.folder.iterdir()) == [pull.store]
    assert whole_tables(pull.store) == whole


@pytest.mark.parametrize("room", [5_000, 60_000])
def test_a_store_that_the_disk_has_no_room_for_is_not_there_at_all(pull: Pull, room: int) -> None:
    ended = pull.run(room=room)

    check_refusal(ended)
    assert not ended.out
    assert not list(pull.folder.iterdir())


@pytest.mark.parametrize("room", [1_300_000, 1_450_000, 1_600_000])
def test_a_disk_that_fills_up_with_the_log_costs_one_batch_and_the_next_run_goes_on(
    pull: Pull, whole: Tables, room: int
) -> None:
    ended = pull.run(room=room)

    check_refusal(ended)
    summary = json.loads(ended.out)
    with open_store(pull.store, read_only=True) as store:
        assert store.table("ledger").num_rows == summary["landed"] + summary["absent"]
        assert store.table("totals").num_rows > 0
    assert 0 < summary["landed"] < CELLS
    check_the_rest(pull, summary["landed"], whole)


@pytest.mark.parametrize("room", [300_000, 2_000_000])
def test_a_disk_that_fills_up_while_the_log_is_moved_loses_nothing(
    pull: Pull, whole: Tables, room: int
) -> None:
    """DuckDB gives the database up: nothing more is written in that run, nor can its end be."""
    ended = pull.run(EAGER, room=room)

    check_refusal(ended)
    assert "checkpoint" in ended.talk
    summary = json.loads(ended.out)
    assert summary["planned"] == summary["landed"] + summary["absent"] + summary["unasked"] == CELLS
    with open_store(pull.store, read_only=True) as store:
        landed = store.table("ledger").column("status").to_pylist().count("landed")
    # The batch after which the log was moved may have been committed before.
    assert landed >= summary["landed"]
    check_the_rest(pull, landed, whole)
