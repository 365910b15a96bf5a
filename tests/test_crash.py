"""Crashes: a pull that is killed at any instant and run again ends as if nothing had happened.

An instant is told by what a pull has done by then, never by a clock: by what the API was asked, or by what
stands in the store's folder.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from attrs import frozen
from processes import Api, Tables, sandbox, start, surroundings, wait_until, whole_tables

from voltaware_async.fleet import landing

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence

DEVICES: Final = 650
CELLS: Final = 4 * DEVICES
CONCURRENCY: Final = 32
BATCH: Final = landing._BATCH_CELLS
# The batch that fills or is written, and every worker has one cell under way and one in its hand.
ASKED_AGAIN: Final = BATCH + 2 * CONCURRENCY
OF_A_STORE: Final = re.compile(r"fleet/(ledger\.duckdb|(\w+/part=[\w-]+/)?\w+\.parquet)", re.ASCII)


@frozen
class Pull:
    """Pull into a store of its own, again and again: a file of a folder, unless another is named."""

    api: Api
    folder: Path
    target: str = "fleet.duckdb"

    @property
    def store(self) -> Path:
        return self.folder / "fleet.duckdb"

    @property
    def opened(self) -> str:
        """The store, as it is named from anywhere."""
        return self.target if "://" in self.target else self.target.replace("fleet", f"{self.folder}/fleet")

    def start(self) -> subprocess.Popen[str]:
        limits = ("--rate", "none", "--concurrency", str(CONCURRENCY))
        return start(
            *("pull", "--store", self.target, "--month", "2024-07", *limits, "--quiet"),
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
        return whole_tables(self.opened)

    def left_over(self) -> set[str]:
        """Return what lies beside the store, or within it and is no part of it."""
        within = {str(it.relative_to(self.folder)) for it in self.folder.glob("fleet/**/*") if it.is_file()}
        beside = {it.name for it in self.folder.iterdir()} - {"fleet.duckdb", "fleet"}
        return beside | {name for name in within if not OF_A_STORE.fullmatch(name)}


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


@pytest.fixture(params=["parquet", "postgres"])
def elsewhere(request: pytest.FixtureRequest, api: Api, tmp_path: Path) -> Pull:
    """A pull into a folder of Parquet files, or into a database."""
    if request.param == "parquet":
        return Pull(api, tmp_path, "parquet:fleet")
    return Pull(api, tmp_path, request.getfixturevalue("postgres_url"))


def absent(tables: Tables) -> int:
    """Count the cells that are asked in every run."""
    return sum("'status': 'absent'" in row for row in tables["ledger"])


# Before the first commit, after it, and twice anywhere.
SPANS: Final = ((50, BATCH - 50), (BATCH + 300, BATCH + 800), (50, BATCH), (50, BATCH))


def check_kills(pull: Pull, whole: Tables, spans: Sequence[tuple[int, int]]) -> None:
    """Kill a pull again and again, each time anywhere in a span, and compare with what was never killed."""
    chance = random.Random(20240915)
    before = pull.api.cells()
    in_ledger = []

    for earliest, latest in spans:
        pull.kill_once_asked(chance.randint(earliest, latest))
        in_ledger.append(len(pull.tables()["ledger"]))
    pull.complete()

    assert pull.tables() == whole
    assert in_ledger == sorted(in_ledger)
    assert in_ledger[0] == 0 < in_ledger[1] < CELLS, "kills fell before the first commit, and after it"
    assert pull.api.cells() - before <= CELLS + len(spans) * (ASKED_AGAIN + absent(whole))


def test_a_pull_that_is_killed_time_and_again_ends_like_one_that_never_was(pull: Pull, whole: Tables) -> None:
    check_kills(pull, whole, SPANS)


def test_so_does_a_pull_into_a_folder_or_a_database(elsewhere: Pull, whole: Tables) -> None:
    check_kills(elsewhere, whole, SPANS[:2])


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
    assert not pull.left_over()
    assert pull.api.cells() - before <= CELLS + ASKED_AGAIN + absent(whole)
    assert came or instant[0] in LAST_MOMENTS


@pytest.mark.parametrize("instant", [("draft", 0), ("store", 0), ("asked", 1700), ("all asked", 0)])
def test_a_pull_is_killed_at_an_instant(pull: Pull, instant: Instant, whole: Tables) -> None:
    check_kill(pull, instant, whole)


@pytest.mark.long
@pytest.mark.parametrize("instant", instants())
def test_a_pull_is_killed_at_any_of_fifty_instants(pull: Pull, instant: Instant, whole: Tables) -> None:
    check_kill(pull, instant, whole)


# --- a folder, and a database ----------------------------------------------------------------------


def instants_elsewhere() -> list[Instant]:
    """Choose 20 at random: before anything is asked, over the whole run, and while the rest is written."""
    chance = random.Random(20240917)
    step = (CELLS - 100) // 14
    over_the_run = [("asked", number * step + chance.randrange(step)) for number in range(14)]
    return [("started", 0), ("token", 0), ("devices", 0), *over_the_run, *[("all asked", 0)] * 3]


@pytest.mark.long
@pytest.mark.parametrize("instant", instants_elsewhere())
def test_a_pull_into_a_folder_or_a_database_is_killed_at_any_of_twenty_instants(
    elsewhere: Pull, instant: Instant, whole: Tables
) -> None:
    check_kill(elsewhere, instant, whole)
