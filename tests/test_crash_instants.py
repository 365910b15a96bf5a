"""Crashes at instants that are sure to lie in mid-run: told by what the API was asked, not by a clock."""

from __future__ import annotations

import json
import random
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from test_crash import CLI, pull, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEVICES, DATASETS = 650, 4
CELLS = DEVICES * DATASETS
# landing.py: one batch is written while the next fills; and 32 workers have a cell each in flight.
ASKED_AGAIN = 2 * 1000 + 2 * 32
# The cells a run may have asked when it is killed: before its first commit, after it, and twice anywhere.
INSTANTS = ((50, 950), (1300, 1900), (50, 900), (50, 500))


@pytest.fixture
def base_url() -> Iterator[str]:
    command = [*CLI, "sandbox", "--devices", str(DEVICES), "--today", "2024-09-15"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("ready ").strip()
        process.terminate()


def asked(base_url: str) -> int:
    """Count the cells that the API was asked for since it began."""
    with urllib.request.urlopen(f"{base_url}/sandbox/stats") as reply:  # noqa: S310  our own
        routes: dict[str, int] = json.load(reply)["routes"]
    return sum(count for route, count in routes.items() if route.startswith("sm/"))


def kill_once_asked(base_url: str, store: Path, cells: int) -> int:
    """Kill a pull when it has asked so many cells; return how many it had asked by then."""
    before = asked(base_url)
    with pull(base_url, store) as process:
        while asked(base_url) - before < cells:
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.kill()
    return asked(base_url) - before


def test_pulls_that_are_killed_in_mid_run_and_run_again_equal_one_that_was_never_killed(
    base_url: str, tmp_path: Path
) -> None:
    chance = random.Random(20240915)
    whole, killed = tmp_path / "whole.duckdb", tmp_path / "killed.duckdb"
    with pull(base_url, whole) as process:
        assert process.wait() == 0
    before = asked(base_url)
    in_ledger = []

    for instant in INSTANTS:
        kill_once_asked(base_url, killed, chance.randint(*instant))
        in_ledger.append(len(tables(killed)["ledger"]))
    with pull(base_url, killed) as process:
        talk = process.communicate()[1]

    assert process.returncode == 0, talk
    assert tables(killed) == tables(whole)
    assert in_ledger == sorted(in_ledger)
    assert in_ledger[0] == 0 < in_ledger[1] < CELLS, "kills fell before the first commit, and after it"
    # Absent cells are asked in every run: once in the whole one, up to five times in this.
    absent = sum("'absent'" in row for row in tables(whole)["ledger"])
    assert asked(base_url) - before <= CELLS + 4 * (ASKED_AGAIN + absent)
