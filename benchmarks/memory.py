"""Measure the peak memory of landing a fleet, and whether it grows with the fleet.

    python benchmarks/memory.py [--devices 10000 100000] [--datasets month month_weeks …]

Each fleet is landed into a new DuckDB file by a process of its own, from a server in a third: the peak is
what the kernel says of that process, DuckDB's memory included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import asdict, frozen
from canned import canned_server
from loops import LOOPS
from report import print_bar, print_machine, print_table

from voltaware_async import Dataset, Month, VoltawareClient

if TYPE_CHECKING:
    from collections.abc import Sequence

JULY: Final = Month(2024, 7)
MONTH_DATASETS: Final = tuple(dataset for dataset in Dataset if dataset.period_type is Month)
BAR_MB: Final = 300
BAR_GROWTH: Final = 0.10


@frozen
class Landed:
    """Hold what a landing process tells of itself; `peak_mb` is in units of 1,000,000 bytes."""

    devices: int
    cells: int
    peak_mb: float
    store_mb: float
    elapsed_s: float
    cpu_s: float

    @property
    def row(self) -> list[str]:
        """The fleet's line of the table."""
        return [
            f"{self.devices:,}",
            f"{self.cells:,}",
            f"{self.peak_mb:.0f}",
            f"{self.store_mb:.0f}",
            f"{self.elapsed_s:.0f}",
            f"{self.cells / self.elapsed_s:,.0f}",
            f"{self.cpu_s / self.cells * 1e6:.0f}",
        ]


async def land(base_url: str, path: Path, datasets: Sequence[Dataset]) -> tuple[int, float]:
    """Land a whole fleet; return the cells and the seconds that it took."""
    from voltaware_async.stores import open_store  # noqa: PLC0415  not in the process that only starts others

    async with VoltawareClient("bench", "bench", base_url=base_url, rate=None) as client:
        with open_store(path) as store:
            summary = await client.fleet.land(store, datasets, [JULY])
    if not summary.is_complete:
        raise RuntimeError(f"not everything landed: {summary}")
    return summary.landed, summary.elapsed_s


def land_here(base_url: str, devices: int, datasets: Sequence[Dataset]) -> Landed:
    """Land a fleet in this process, by the fastest loop there is, as the command does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench.duckdb")
        with asyncio.Runner(loop_factory=list(LOOPS.values())[-1]) as runner:
            cells, elapsed_s = runner.run(land(base_url, path, datasets))
        store_mb = path.stat().st_size / 1e6
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Landed(devices, cells, peak / 1e6, store_mb, elapsed_s, used.ru_utime + used.ru_stime)


def land_apart(devices: int, datasets: Sequence[Dataset]) -> Landed:
    """Land a fleet in a process of its own."""
    with canned_server(devices) as server:
        command = [sys.executable, __file__, "--land-from", server.base_url]
        command += ["--devices", str(devices), "--datasets", *datasets]
        told = subprocess.run(command, check=True, capture_output=True).stdout
    return Landed(**json.loads(told))


def main() -> None:
    """Print a row per fleet, and the two bars."""
    settings = _settings()
    if settings.land_from:
        print(json.dumps(asdict(land_here(settings.land_from, settings.devices[0], settings.datasets))))
        return
    print_machine()
    print(f"datasets: {', '.join(settings.datasets)}", end="\n\n", flush=True)
    fleets = [land_apart(devices, settings.datasets) for devices in settings.devices]
    head = "devices", "cells", "peak RSS MB", "store MB", "seconds", "cells/s", "CPU µs/cell"
    print_table(head, [fleet.row for fleet in fleets])
    peak = max(fleet.peak_mb for fleet in fleets)
    growth = fleets[-1].peak_mb / fleets[0].peak_mb - 1
    print_bar("peak RSS", f"{peak:.0f} MB", f"<= {BAR_MB} MB", is_met=peak <= BAR_MB)
    print_bar("growth, first to last fleet", f"{growth:+.1%}", "within 10 %", is_met=growth <= BAR_GROWTH)


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--datasets", type=Dataset, nargs="*", default=list(MONTH_DATASETS))
    parser.add_argument("--land-from", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
