"""Crashes: a pull that is killed at any instant and run again ends as if nothing had happened.

An instant is told by what a pull has done by then, never by a clock: by what the API was asked, or by what
stands in the store's folder.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from attrs import frozen
from processes import Api, Tables, sandbox, start, surroundings, wait_until, whole_tables

from voltaware_async.fleet import landing

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

DEVICES: Final = 650
CELLS: Final = 4 * DEVICES
CONCURRENCY: Final = 32
# The batch that fills or is written, and every worker has one cell under way and one in its hand.
ASKED_AGAIN: Final = landing._BATCH_CELLS + 2 * CONCURRENCY


@frozen
class Pull:
    """Pull into a folder of its own, again and again."""

    api: Api
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "fleet.duckdb"

    def start(self) -> subprocess.Popen[str]:
        limits = ("--rate", "none", "--concurrency", str(CONCURRENCY))
        return start(
            *("pull", "--store", "fleet.duckdb", "--month", "2024-07", *limits, "--quiet"),
            cwd=self.folder,
            env=surroundings(self.api),
        )

    def complete(self) -> None:
        with self.start() as process:
            out, talk = process.communicate()
        assert (process.returncode, out, talk) == (0, "", "")

    def kill_when(self, is_time: Callable[[], bool]) -> bool:
        """Kill a pull at an instant; tell whether that came before its end."""
        with self.start() as process:
            came = wait_until(is_time, process)
            process.kill()
            _, talk = process.communicate()
        assert not talk
        return came

    def kill_once_asked(self, cells: int) -> None:
        before = self.api.cells()
        assert self.kill_when(lambda: self.api.cells() - before >= cells), "it ended before that"

    def tables(self) -> Tables:
        return whole_tables(self.store)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with sandbox("--devices", str(DEVICES)) as api:
        yield api


@pytest.fixture(scope="module")
def whole(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What a pull lands that nobody kills."""
    pull = Pull(api, tmp_path_factory.mktemp("whole"))
    pull.complete()
    tables = pull.tables()
    assert len(tables["ledger"]) == CELLS
    assert all(tables[name] for name in ("consumption", "totals", "cycles", "devices"))
    return tables


@pytest.fixture
def pull(api: Api, tmp_path: Path) -> Pull:
    return Pull(api, tmp_path)


def absent(tables: Tables) -> int:
    """Count the cells that are asked in every run."""
    return sum("'status': 'absent'" in row for row in tables["ledger"])


def test_a_pull_that_is_killed_time_and_again_ends_like_one_that_never_was(pull: Pull, whole: Tables) -> None:
    chance = random.Random(20240915)
    batch = landing._BATCH_CELLS
    before = pull.api.cells()
    in_ledger = []

    # Before the first commit, after it, and twice anywhere.
    for earliest, latest in ((50, batch - 50), (batch + 300, batch + 800), (50, batch), (50, batch)):
        pull.kill_once_asked(chance.randint(earliest, latest))
        in_ledger.append(len(pull.tables()["ledger"]))
    pull.complete()

    assert pull.tables() == whole
    assert in_ledger == sorted(in_ledger)
    assert in_ledger[0] == 0 < in_ledger[1] < CELLS, "kills fell before the first commit, and after it"
    assert pull.api.cells() - before <= CELLS + 4 * (ASKED_AGAIN + absent(whole))


# --- fifty instants ------------------------------------------------------------------------------


Instant = tuple[str, int]

FIRST_MOMENTS: Final = ("started", "draft", "database", "log", "store", "token", "devices")
LAST_MOMENTS: Final = ("all asked", "log moved")


def instants() -> list[Instant]:
    """Choose 50 at random: while the store is made, over the whole run, and about the last commit."""
    chance = random.Random(20240916)
    first = [(moment, 0) for moment in (*FIRST_MOMENTS, *chance.choices(FIRST_MOMENTS, k=3))]
    last = [(moment, 0) for moment in (*LAST_MOMENTS, *chance.choices(LAST_MOMENTS, k=3))]
    middle = 50 - len(first) - len(last)
    step = (CELLS - 100) // middle
    return [*first, *(("asked", number * step + chance.randrange(step)) for number in range(middle)), *last]


def is_time(pull: Pull, instant: Instant) -> Callable[[], bool]:
    """Tell how to see that a pull, which is not started yet, has come to an instant."""
    moment, cells = instant
    before, folder, log = pull.api.cells(), pull.folder, pull.folder / "fleet.duckdb.wal"
    tokens, lists = pull.api.count("auth/token"), pull.api.count("sensors")
    drafts = ".voltaware-draft-*"
    seen: dict[str, Callable[[], bool]] = {
        "started": lambda: True,
        "draft": lambda: any(folder.glob(drafts)) or pull.store.exists(),
        "database": lambda: any(folder.glob(f"{drafts}/new.duckdb")) or pull.store.exists(),
        "log": lambda: any(folder.glob(f"{drafts}/*.wal")) or pull.store.exists(),
        "store": pull.store.exists,
        "token": lambda: pull.api.count("auth/token") > tokens,
        "devices": lambda: pull.api.count("sensors") > lists,
        "asked": lambda: pull.api.cells() - before >= cells,
        "all asked": lambda: pull.api.cells() - before >= CELLS,
        "log moved": lambda: pull.api.cells() - before >= CELLS and not log.exists(),
    }
    return seen[moment]


def check_kill(pull: Pull, instant: Instant, whole: Tables) -> None:
    """Kill a new pull at an instant, run it again, and compare what is there with what was never killed."""
    before = pull.api.cells()
    came = pull.kill_when(is_time(pull, instant))
    pull.complete()

    assert pull.tables() == whole
    assert [file.name for file in pull.folder.iterdir()] == ["fleet.duckdb"], "nothing is left over"
    assert pull.api.cells() - before <= CELLS + ASKED_AGAIN + absent(whole)
    assert came or instant[0] in LAST_MOMENTS


@pytest.mark.parametrize("instant", [("draft", 0), ("store", 0), ("asked", 1700), ("all asked", 0)])
def test_a_pull_is_killed_at_an_instant(pull: Pull, instant: Instant, whole: Tables) -> None:
    check_kill(pull, instant, whole)


@pytest.mark.long
@pytest.mark.parametrize("instant", instants())
def test_a_pull_is_killed_at_any_of_fifty_instants(pull: Pull, instant: Instant, whole: Tables) -> None:
    check_kill(pull, instant, whole)
