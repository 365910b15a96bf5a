"""A process that writes is killed, or its disk is full: what was committed is there, and nothing half."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from processes import wait_until
from store_cases import batch, fetched

from voltaware_async.stores import open_store

CELLS: Final = 20
PYTHONPATH: Final = os.pathsep.join(str(folder) for folder in Path(__file__).parents[:2])

# Commits batches for ever, and says so after each; a low threshold makes DuckDB move its log often. The cells
# of every other batch are given out before, and those of the others failed at first.
LAND: Final = f"""
import itertools, sys
from store_cases import EVERYTHING, MONTH_OF_JULY, batch, failed, fetched, ids
from voltaware_async.stores import open_store
from voltaware_async.stores.agenda import Turn
print("ready", flush=True)
store = open_store(sys.argv[1])
if not sys.argv[1].startswith("postgres"):
    store._database.execute("SET checkpoint_threshold = '100KB'")
for number in itertools.count(store.table("totals").num_rows // {CELLS}):
    devices = ids(*(f"{{number}}-{{n}}" for n in range({CELLS})))
    if number % 2:
        store.commit(batch(*map(failed, devices)))
    else:
        store.consider(devices, EVERYTHING)
        store.outstanding(*MONTH_OF_JULY, Turn.FIRST, -1, {CELLS})
    store.commit(batch(*(fetched(device, fridge=1.0, heating=2.0) for device in devices)))
    print(number, flush=True)
"""

# Commits until the file may not grow any more, as on a full disk; then again without that limit.
FILL: Final = """
import resource, signal, sys
from store_cases import batch, fetched
from voltaware_async.errors import StoreError
from voltaware_async.stores import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1])
store._database.execute("SET checkpoint_threshold = '{threshold}'")
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
number = 0
try:
    while True:
        store.commit(batch(*(fetched(f"{{number}}-{{n}}", fridge=1.0, heating=2.0) for n in range(2000))))
        number += 1
except StoreError as error:
    print(number, str(error).count("\\n"), "its file may not grow any more" in str(error))
"""


def run(code: str, target: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, target]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": PYTHONPATH})


def batches_of(target: str) -> dict[int, int]:
    """Return how many cells of each batch have landed, after checking that each has its rows once."""
    with open_store(target) as store:
        ledger = store.table("ledger").to_pylist()
        used = store.table("consumption").column("device_id").to_pylist()
        totals = store.table("totals").column("device_id").to_pylist()
    landed = [row["device_id"] for row in ledger if row["status"] == "landed"]
    assert len({row["device_id"] for row in ledger}) == len(ledger)
    assert sorted(used) == sorted(landed * 2)
    assert sorted(totals) == sorted(landed)
    return Counter(int(device.partition("-")[0]) for device in landed)


def has_begun(target: str, process: subprocess.Popen[str]) -> bool:
    """Tell whether a process has begun to make a store."""
    if not target.startswith("postgres"):
        return any(Path(target.removeprefix("parquet:")).parent.iterdir())
    from postgres_server import run_sql  # noqa: PLC0415  the other kinds need no server

    sessions = (
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'voltaware {process.pid}@%'"
    )
    return run_sql(target, sessions) != [(0,)]


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Name a store that is not there yet."""
    places = {"duckdb": f"{tmp_path}/fleet.duckdb", "parquet": f"parquet:{tmp_path}/fleet"}
    return places.get(kind) or str(request.getfixturevalue("postgres_url"))


@pytest.mark.parametrize(("kind", "seed"), [("duckdb", 0), ("duckdb", 1), ("parquet", 2), ("postgres", 3)])
def test_a_killed_process_leaves_a_prefix_of_its_batches_and_the_next_goes_on(place: str, seed: int) -> None:
    chance = random.Random(seed)
    told = -1
    # The first kill falls into the making of the store, the others somewhere among the batches.
    for lines in (1, chance.randint(2, 80), chance.randint(2, 10)):
        with run(LAND, place) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(lines)]
            assert wait_until(lambda: has_begun(place, process), process)
            process.kill()
            said += process.stdout.read().splitlines()
        told = max([told, *map(int, said[1:])])
        found = batches_of(place)
        assert found == dict.fromkeys(range(len(found)), CELLS)
        # The batch that was being committed may or may not be there.
        assert len(found) in {told + 1, told + 2}


@pytest.mark.parametrize("threshold", ["1GB", "500KB"])
def test_a_full_disk_rolls_the_batch_back_and_a_later_process_goes_on(tmp_path: Path, threshold: str) -> None:
    """Fail in DuckDB's log, and with a low threshold while it moves the log into the file."""
    path = f"{tmp_path}/fleet.duckdb"
    with run(FILL.format(threshold=threshold), path) as process:
        said, _ = process.communicate()
    written, line_breaks, reason = said.split()
    assert process.returncode == 0
    assert (line_breaks, reason) == ("0", "True")
    whole = dict.fromkeys(range(int(written)), 2000)
    assert batches_of(path) == whole
    with open_store(path) as store:
        store.commit(batch(fetched("9999-0", fridge=1.0, heating=2.0)))
    assert batches_of(path) == {**whole, 9999: 1}
