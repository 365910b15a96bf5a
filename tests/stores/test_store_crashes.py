from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from processes import wait_until
from store_cases import batch, fetched

from voltaware_async.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

CELLS: Final = 20
HERE: Final = str(__file__).rpartition("/")[0]

# Commits batches for ever, and says so after each. A low threshold makes DuckDB move its log often.
LAND: Final = """
import itertools, sys
from store_cases import NOW, batch, fetched, ids, JULY
from voltaware_async.cells import Dataset
from voltaware_async.stores import open_store
print("ready", flush=True)
store = open_store(sys.argv[1])
store._database.execute("SET checkpoint_threshold = '100KB'")
begun = store.table("ledger").num_rows // 20
for number in itertools.count(begun):
    store.commit(batch(*(fetched(f"{number}-{n}", fridge=1.0, heating=2.0) for n in range(20))))
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


def run(code: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": HERE})


def batches_of(path: Path) -> list[int]:
    """Return the numbers of the batches that are there, after checking that each is there as a whole."""
    with open_store(path) as store:
        landed = store.table("ledger").column("device_id").to_pylist()
        rows = store.table("consumption").column("device_id").to_pylist()
        assert sorted(rows) == sorted(landed * 2)
        assert sorted(store.table("totals").column("device_id").to_pylist()) == sorted(landed)
    assert len(set(landed)) == len(landed)
    return sorted({int(device.partition("-")[0]) for device in landed})


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_process_leaves_a_prefix_of_its_batches_and_the_next_goes_on(
    tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "fleet.duckdb"
    chance = random.Random(seed)
    told = -1
    # The first kill falls into the creation of the file, the second somewhere among the batches.
    for lines in (1, chance.randint(2, 80)):
        with run(LAND, path) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(lines)]
            assert wait_until(lambda: any(tmp_path.iterdir()), process)
            process.kill()
            said += process.stdout.read().splitlines()
        told = max([told, *map(int, said[1:])])
        found = batches_of(path)
        assert found == list(range(len(found)))
        # The batch that was being committed may or may not be there.
        assert len(found) in {told + 1, told + 2}


@pytest.mark.parametrize("threshold", ["1GB", "500KB"])
def test_a_full_disk_rolls_the_batch_back_and_a_later_process_goes_on(tmp_path: Path, threshold: str) -> None:
    """Fail in DuckDB's log, and with a low threshold while it moves the log into the file."""
    path = tmp_path / "fleet.duckdb"
    with run(FILL.format(threshold=threshold), path) as process:
        said, _ = process.communicate()
    written, line_breaks, reason = said.split()
    assert process.returncode == 0
    assert (line_breaks, reason) == ("0", "True")
    assert batches_of(path) == list(range(int(written)))
    with open_store(path) as store:
        store.commit(batch(fetched("9999-0", fridge=1.0, heating=2.0)))
    assert batches_of(path) == [*range(int(written)), 9999]
