"""Measure what the SDK adds to a bare GET: CPU per `month` cell, step by step up to the landed cell.

    python benchmarks/overhead.py [--cells 10000] [--rounds 5] [--loop asyncio uvloop]

A bare GET is aiohttp as its documentation shows it, one URL per device, body read and thrown away.
Every round measures every step once, so that a busy machine is busy for all of them; ratios are formed
within a round. CPU is the client process's, threads included. The server is another process: a step that
is not busy near 100 % of the time had to wait for it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, TypeAlias

import aiohttp
from anyio import create_task_group
from attrs import define, evolve, field, frozen
from canned import canned_server
from loops import LOOPS
from report import print_bar, print_machine, print_table

from voltaware_async import Dataset, Month, VoltawareClient
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

JULY: Final = Month(2024, 7)
BAR: Final = 1.5
AIM: Final = 1.2
_WARM_UP: Final = 200


@frozen
class Load:
    """Say what every step asks for."""

    base_url: str
    devices: Sequence[DeviceId]
    concurrency: int
    rate: float

    def client(self) -> VoltawareClient:
        """Make a client; closing it is the caller's."""
        return VoltawareClient(
            "bench", "bench", base_url=self.base_url, rate=self.rate, concurrency=self.concurrency
        )

    async def by_workers(
        self, ask: Callable[[DeviceId], Awaitable[object]], limit: int | None = None
    ) -> None:
        """Ask for every device, by as many workers as there may be requests at once."""
        devices = iter(self.devices[:limit])
        async with create_task_group() as workers:
            for _ in range(self.concurrency):
                workers.start_soon(_work, devices, ask)


async def _work(devices: Iterator[DeviceId], ask: Callable[[DeviceId], Awaitable[object]]) -> None:
    for device_id in devices:
        await ask(device_id)


@define
class Clock:
    """Measure what a block costs: seconds of CPU, and seconds by the wall clock."""

    cpu_s: float = 0.0
    wall_s: float = 0.0

    def __enter__(self) -> None:
        gc.collect()
        self.cpu_s, self.wall_s = -time.process_time(), -time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.cpu_s += time.process_time()
        self.wall_s += time.perf_counter()


async def bare_gets(load: Load, clock: Clock) -> None:
    """GET and read, and nothing else."""
    async with aiohttp.ClientSession(load.base_url) as session:

        async def ask(device_id: DeviceId) -> None:
            target = f"/sensors/{device_id}/sm/disag/month?year=2024&month=7"
            async with session.get(target) as reply:
                await reply.read()

        await load.by_workers(ask, _WARM_UP)
        with clock:
            await load.by_workers(ask)


async def single_calls(load: Load, clock: Clock) -> None:
    """Paced, authorised, decoded, with every care for failure: one call of the SDK at a time per worker."""
    async with _warm_client(load) as client:

        async def ask(device_id: DeviceId) -> None:
            await client.disaggregation.month(device_id, JULY)

        with clock:
            await load.by_workers(ask)


async def pull(load: Load, clock: Clock) -> None:
    """The fleet's workers instead, and a stream of outcomes."""
    async with _warm_client(load) as client:
        outcomes = client.fleet.pull([Dataset.MONTH], [JULY], load.devices)
        with clock:
            async for _ in outcomes:
                pass


async def land(load: Load, clock: Clock) -> None:
    """The same, and rows and ledger in a DuckDB file, its last checkpoint included."""
    with tempfile.TemporaryDirectory() as folder:
        async with _warm_client(load) as client:
            store = open_store(Path(folder, "bench.duckdb"))
            with clock, store:
                await client.fleet.land(store, [Dataset.MONTH], [JULY], load.devices)


@contextlib.asynccontextmanager
async def _warm_client(load: Load) -> AsyncIterator[VoltawareClient]:
    """Make a client that has its token, its connections and its decoders."""
    async with load.client() as client:
        await load.by_workers(lambda device_id: client.disaggregation.month(device_id, JULY), _WARM_UP)
        yield client


Step: TypeAlias = "Callable[[Load, Clock], Coroutine[None, None, None]]"
STEPS: Final[dict[str, Step]] = {
    "bare GET + read": bare_gets,
    "SDK calls": single_calls,
    "fleet.pull": pull,
    "fleet.land": land,
}


@define
class Figures:
    """Gather a step's rounds: µs of CPU per cell, multiples of the bare GET, shares of the time busy."""

    cpu_us: list[float] = field(factory=list)
    ratios: list[float] = field(factory=list)
    busy: list[float] = field(factory=list)

    @property
    def row(self) -> list[str]:
        """The medians, and the range of the ratio."""
        low, high = min(self.ratios), max(self.ratios)
        return [
            f"{median(self.cpu_us):.1f}",
            f"{median(self.ratios):.2f}",
            f"{low:.2f} - {high:.2f}",
            f"{median(self.busy):.0%}",
        ]


def measure(load: Load, loop: str) -> dict[str, Clock]:
    """Run every step once, each on a fresh loop."""
    clocks = {name: Clock() for name in STEPS}
    for name, step in STEPS.items():
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(step(load, clocks[name]))
    return clocks


def warm_up(load: Load, loops: Sequence[str]) -> None:
    """Run every step once on a few devices: what is imported and compiled first counts for none."""
    few = evolve(load, devices=load.devices[:_WARM_UP])
    for loop in loops:
        measure(few, loop)


def gather(figures: dict[str, Figures], clocks: dict[str, Clock], cells: int) -> None:
    """Add one round."""
    bare_s = next(iter(clocks.values())).cpu_s
    for name, clock in clocks.items():
        figures[name].cpu_us.append(clock.cpu_s / cells * 1e6)
        figures[name].ratios.append(clock.cpu_s / bare_s)
        figures[name].busy.append(clock.cpu_s / clock.wall_s)


def rows(figures: dict[str, Figures]) -> Iterator[list[str]]:
    """Return the table of one loop: each step, and what it adds to the step before."""
    before = 0.0
    for name, step in figures.items():
        cpu_us, *others = step.row
        yield [name, cpu_us, f"{median(step.cpu_us) - before:+.1f}", *others]
        before = median(step.cpu_us)


def main() -> None:
    """Print a table and its ratio per loop."""
    settings = _settings()
    print_machine()
    devices = [DeviceId(f"{number:06d}") for number in range(1, settings.cells + 1)]
    results = {loop: {name: Figures() for name in STEPS} for loop in settings.loop}
    with canned_server(devices=1) as server:
        load = Load(server.base_url, devices, settings.concurrency, settings.rate)
        warm_up(load, settings.loop)
        for _ in range(settings.rounds):
            for loop, figures in results.items():
                gather(figures, measure(load, loop), settings.cells)
    head = "step", "CPU µs/cell", "added", "x bare", "range", "busy"
    for loop, figures in results.items():
        print_table([f"{loop}: {head[0]}", *head[1:]], rows(figures))
    for loop, figures in results.items():
        ratio = median(figures["fleet.land"].ratios)
        bar = f"{BAR} x, aim {AIM} x"
        print_bar(f"landed cell / bare GET, {loop}", f"{ratio:.2f} x", bar, is_met=ratio <= BAR)


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=10_000, help="cells per step and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rate", type=float, default=100_000, help="the cap in requests/s, never reached")
    parser.add_argument("--loop", choices=LOOPS, nargs="*", default=list(LOOPS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
