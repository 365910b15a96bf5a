"""A process that writes to a Parquet store is killed: at every step on the disk, and at any time."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from parquet_cases import in_folder, months, opened, rows_of
from processes import wait_until

from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from voltaware_async.stores import Store

HERE: Final = str(__file__).rpartition("/")[0]

# Does the same to a copy of a store for each step, in a fork of its own that is killed at that step: when it
# is about to flush, rename or remove a file or folder, or to make a folder, for the n-th time.
KILL_AT_EACH_STEP: Final = """
import itertools, os, shutil, sys
from pathlib import Path
from parquet_cases import months, opened
from store_cases import NOW

STEPS = "fsync", "rename", "replace", "unlink", "mkdir"

def kill_at(step):
    calls = itertools.count()
    def counted(call):
        def wrapped(*args, **options):
            if next(calls) == step:
                os.kill(os.getpid(), 9)
            return call(*args, **options)
        return wrapped
    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))

def work(folder):
    told = os.open(folder.with_suffix(".told"), os.O_WRONLY | os.O_CREAT)
    with opened(folder) as store:
        store.begin("run-2", "pull", NOW)
        for devices, wh in (range(40, 62), 1.0), (range(16, 24), 2.0), (range(62, 64), 1.0):
            store.commit(months(devices, wh=wh), refreshes=True)
            os.write(told, b"x")
        store.finish("run-2", "complete", NOW, {})

template = Path(sys.argv[1])
for step in itertools.count():
    folder = template.with_name(f"step-{step}")
    shutil.copytree(template, folder)
    if not (child := os.fork()):
        kill_at(step)
        work(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(step, status, flush=True)
    if not os.WIFSIGNALED(status):
        break
"""

# Lands and restates for ever, and says so after each batch and after each run.
LAND: Final = """
import itertools, sys
from pathlib import Path
from parquet_cases import months, opened, rows_of
from store_cases import NOW
print("ready", flush=True)
with opened(Path(sys.argv[1])) as store:
    for number in itertools.count(len(rows_of(store, "ledger")) // 20):
        store.begin(f"run-{number}", "pull", NOW)
        store.commit(months(range(number * 20, number * 20 + 20)))
        print(number, flush=True)
        store.commit(months(range(number * 20, number * 20 + 7), wh=2.0), refreshes=True)
        store.finish(f"run-{number}", "complete", NOW, {})
"""


def run(code: str, place: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, str(place)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": HERE})


def totals(store: Store) -> dict[str, float]:
    """Return each device's total, after checking that every cell is there once, with its other rows."""
    rows = store.table("totals").select(["device_id", "total_consumption_wh"]).to_pylist()
    used = store.table("consumption").select(["device_id", "consumption_wh"]).to_pylist()
    entries = store.table("ledger").column("device_id").to_pylist()
    found: dict[str, float] = {row["device_id"]: row["total_consumption_wh"] for row in rows}
    assert len(rows) == len(found)
    assert sorted(entries) == sorted(found)
    parts = [(device, wh * part / 3) for device, wh in found.items() for part in (1, 2)]
    assert sorted(tuple(row.values()) for row in used) == sorted(parts)
    return found


def after(batches: int) -> dict[str, float]:
    """Return the totals after so many batches of the run that is killed."""
    found = {f"{number:04}": 3.0 for number in range(40)}
    for devices, wh in [(range(40, 62), 3.0), (range(16, 24), 6.0), (range(62, 64), 3.0)][:batches]:
        found |= {f"{number:04}": wh for number in devices}
    return found


def is_settled(store: Store, folder: Path) -> bool:
    """Tell whether who reads the files of a folder finds the rows that who asks the store finds."""
    same = [in_folder(folder, table) == rows_of(store, table) for table in (*ROWS, "ledger")]
    return all(same) and not list(folder.glob(".drafts/*"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Make copies of a store, in each of which a run was killed at another step; the last one ended."""
    place = tmp_path_factory.mktemp("killed")
    with opened(place / "template") as store:
        for first in (0, 20):
            store.commit(months(range(first, first + 20)))
            store._database.settle()
    with run(KILL_AT_EACH_STEP, place / "template") as process:
        said, _ = process.communicate()
    statuses = [line.split()[1] for line in said.splitlines()]
    assert statuses == ["9"] * (len(statuses) - 1) + ["0"]
    return [place / f"step-{step}" for step in range(len(statuses))]


@pytest.mark.timeout(240)
def test_a_run_that_is_killed_at_any_step_leaves_all_that_was_committed_exactly_once(
    killed: list[Path],
) -> None:
    for folder in killed:
        told = folder.with_suffix(".told").stat().st_size
        with opened(folder, read_only=True) as store:
            found = totals(store)
        assert found in (after(told), after(told + 1)), folder
        files = [row[0] for row in in_folder(folder, "totals")]
        assert len(files) == len(set(files)), folder
        with opened(folder) as store:
            assert totals(store) == found, folder
            assert is_settled(store, folder), folder
    assert found == after(3)


def test_steps_of_all_kinds_were_interrupted(killed: list[Path]) -> None:
    """Else the test above would be of no use."""
    assert len(killed) > 30


@pytest.mark.parametrize("seed", range(2))
def test_a_process_that_is_killed_at_any_time_leaves_a_prefix_of_its_batches(
    tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "fleet"
    chance = random.Random(seed)
    told = -1
    # The first kill falls into the making of the store, the second somewhere among the runs.
    for lines in (1, chance.randint(2, 12)):
        with run(LAND, folder) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(lines)]
            assert wait_until(folder.exists, process)
            process.kill()
            said += process.stdout.read().splitlines()
        told = max([told, *map(int, said[1:])])
        with opened(folder) as store:
            found = totals(store)
            assert is_settled(store, folder)
        landed = len(found) // 20
        assert sorted(found) == [f"{number:04}" for number in range(landed * 20)]
        assert landed in {told + 1, told + 2}
        restated = sum(wh == 6.0 for wh in found.values())
        assert restated in {7 * landed, 7 * landed - 7}
