"""Measure what a night costs beside its requests: a large plan, a night with nothing to do, the cap.

    python benchmarks/nights.py [--planned 1000000] [--synced 100000] [--pulled 10000]

* planning: how long until the first cell of 12 per device is asked, with a new store, /sensors included
* nothing to do: a second `sync` of a fleet whose 12 cells per device have all landed
* the cap: the wall time of a pull at 500/s from a server that takes 50 ms to answer

Each is done by a process of its own, from a server in another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from canned import canned_server
from loops import LOOPS
from report import print_bar, print_machine

from voltaware_async import Dataset, Month, VoltawareClient, open_store

if TYPE_CHECKING:
    from voltaware_async import Progress, Summary

AS_OF: Final = date(2024, 9, 15)
MONTHS: Final = (Month(2024, 6), Month(2024, 7), Month(2024, 8))
MONTH_DATASETS: Final = tuple(dataset for dataset in Dataset if dataset.period_type is Month)
CELLS: Final = len(MONTHS) * len(MONTH_DATASETS)
CAP: Final = 500.0
LATENCY_MS: Final = 50.0
BAR_FIRST_CELL_S: Final = 5.0
BAR_SECOND_SYNC_S: Final = 10.0
BAR_OVER_CAP: Final = 0.03


class FirstCell:
    """Stop a run as soon as it has asked for a cell, and keep the time."""

    def __init__(self) -> None:
        self.stop = anyio.Event()
        self.at: float | None = None

    def progressed(self, progress: Progress) -> None:
        """Stop at the first outcome; a report comes at most a tenth of a second late."""
        if self.at is None and progress.done:
            self.at = time.perf_counter()
            self.stop.set()

    def finished(self, summary: Summary) -> None:
        """Nothing more is of interest."""


async def planning(base_url: str, path: Path) -> dict[str, float]:
    """Begin to land a fleet, and tell how long it took to ask for the first cell."""
    first = FirstCell()
    async with VoltawareClient("bench", "bench", base_url=base_url, rate=None) as client:
        with open_store(path) as store:
            started = time.perf_counter()
            summary = await client.fleet.land(store, MONTH_DATASETS, MONTHS, watcher=first, stop=first.stop)
    return {"seconds": (first.at or float("inf")) - started, "planned": summary.planned}


async def nothing_to_do(base_url: str, path: Path) -> dict[str, float]:
    """Sync a fleet twice, and tell of the second time."""
    async with VoltawareClient("bench", "bench", base_url=base_url, rate=None) as client:
        with open_store(path) as store:
            first = await client.fleet.sync(store, as_of=AS_OF, datasets=MONTH_DATASETS)
    if not first.is_complete:
        raise RuntimeError(f"not everything landed: {first}")
    async with VoltawareClient("bench", "bench", base_url=base_url, rate=None) as client:
        await client.connect()
        started = time.perf_counter()
        with open_store(path) as store:
            second = await client.fleet.sync(store, as_of=AS_OF, datasets=MONTH_DATASETS)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "requests": second.requests, "skipped": second.skipped}


async def the_cap(base_url: str, path: Path) -> dict[str, float]:
    """Pull a fleet at the cap, and tell how long it took."""
    async with VoltawareClient("bench", "bench", base_url=base_url, rate=CAP) as client:
        with open_store(path) as store:
            summary = await client.fleet.land(store, [Dataset.MONTH], MONTHS[:1])
    return {"seconds": summary.elapsed_s, "requests": summary.requests}


PARTS: Final = {"planning": planning, "nothing_to_do": nothing_to_do, "the_cap": the_cap}


def measured_here(part: str, base_url: str) -> dict[str, float]:
    """Do a part in this process, by the fastest loop there is, as the command does."""
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=list(LOOPS.values())[-1]) as runner,
    ):
        figures = runner.run(PARTS[part](base_url, Path(folder, "bench.duckdb")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {**figures, "peak_mb": peak / 1e6}


def measured(part: str, devices: int, latency_ms: float = 0) -> dict[str, float]:
    """Do a part in a process of its own."""
    with canned_server(devices, latency_ms=latency_ms) as server:
        command = [sys.executable, __file__, "--part", part, "--base-url", server.base_url]
        told = subprocess.run(command, check=True, capture_output=True).stdout
    figures: dict[str, float] = json.loads(told)
    return figures


def main() -> None:
    """Print each figure beside its bar."""
    settings = _settings()
    if settings.part:
        print(json.dumps(measured_here(settings.part, settings.base_url)))
        return
    print_machine()
    first = measured("planning", settings.planned)
    print_bar(
        f"first cell of {settings.planned:,} devices x {CELLS} ({first['peak_mb']:.0f} MB by then)",
        f"after {first['seconds']:.1f} s",
        f"within {BAR_FIRST_CELL_S:g} s",
        is_met=first["seconds"] <= BAR_FIRST_CELL_S,
    )
    second = measured("nothing_to_do", settings.synced)
    print_bar(
        f"second sync of {settings.synced:,} devices x {CELLS}: {second['requests']:.0f} request",
        f"{second['seconds']:.1f} s",
        f"1 request, within {BAR_SECOND_SYNC_S:g} s",
        is_met=second["requests"] == 1 and second["seconds"] <= BAR_SECOND_SYNC_S,
    )
    pulled = measured("the_cap", settings.pulled, LATENCY_MS)
    over = pulled["seconds"] / (pulled["requests"] / CAP) - 1
    print_bar(
        f"{pulled['requests']:,.0f} requests at {CAP:g}/s and {LATENCY_MS:g} ms: {pulled['seconds']:.2f} s",
        f"{over:+.1%} of requests / cap",
        f"within {BAR_OVER_CAP:.0%}",
        is_met=abs(over) <= BAR_OVER_CAP,
    )


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--planned", type=int, default=1_000_000)
    parser.add_argument("--synced", type=int, default=100_000)
    parser.add_argument("--pulled", type=int, default=10_000)
    parser.add_argument("--part", choices=PARTS, default="", help=argparse.SUPPRESS)
    parser.add_argument("--base-url", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
