"""Measure the rate that a server sees under a cap: the worst sliding second, and what is delivered.

    python benchmarks/pacing.py [--cap 20 200 2000] [--seconds 7] [--loop asyncio uvloop] [--latency-ms 0]

Every run is a cold start: a new client, its token, `/sensors`, then a pull of month results. The server,
another process, notes when each request comes, those for the token and `/sensors` included. Where the server
itself was kept from running for 20 ms and more, its worst second is the machine's as much as the client's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from arrivals import Seen
from attrs import frozen
from canned import canned_server
from loops import LOOPS
from report import print_bar, print_machine, print_table

from voltaware_async import Dataset, Month, VoltawareClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from canned import CannedServer

JULY: Final = Month(2024, 7)
LEAST_SHARE: Final = 0.97
HEAD: Final = (
    "loop and cap",
    "requests",
    "first second",
    "worst second",
    "of cap",
    "sustained/s",
    "of cap",
    "server stalled ms",
)


@frozen
class Run:
    """Hold what the server saw of one client."""

    loop: str
    cap: float
    seen: Seen

    @property
    def share(self) -> float:
        """What was delivered of the cap, from the first request to the last."""
        return self.seen.sustained / self.cap

    @property
    def fullness(self) -> float:
        """What the worst second held of the cap."""
        return self.seen.worst_second / self.cap

    @property
    def row(self) -> list[str]:
        """The run's line of the table."""
        return [
            f"{self.loop}, cap {self.cap:,.0f}/s",
            f"{self.seen.count:,}",
            f"{self.seen.first_second:,}",
            f"{self.seen.worst_second:,}",
            f"{self.fullness:.1%}",
            f"{self.seen.sustained:,.1f}",
            f"{self.share:.1%}",
            f"{self.seen.stalled_ms:.0f}",
        ]


async def pull_for(seconds: float, server: CannedServer, cap: float, concurrency: int) -> None:
    """Pull month results until the time is up."""
    async with VoltawareClient(
        "bench", "bench", base_url=server.base_url, rate=cap, concurrency=concurrency
    ) as client:
        outcomes = client.fleet.pull([Dataset.MONTH], [JULY])
        async with contextlib.aclosing(outcomes):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for _ in outcomes:
                        pass


def runs(settings: argparse.Namespace) -> Iterator[Run]:
    """Measure every cap on every loop."""
    # More devices than can be asked: a run must end by the time.
    devices = int(max(settings.cap) * settings.seconds) + 1
    with canned_server(devices, latency_ms=settings.latency_ms) as server:
        for loop in settings.loop:
            for cap in settings.cap:
                with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                    runner.run(pull_for(settings.seconds, server, cap, settings.concurrency))
                yield Run(loop, cap, server.arrivals())


def main() -> None:
    """Print a row per loop and cap, and the two bars."""
    settings = _settings()
    print_machine()
    measured = list(runs(settings))
    print_table(HEAD, [run.row for run in measured])
    worst = max(run.fullness for run in measured)
    least = min(run.share for run in measured)
    print_bar("worst sliding second", f"{worst:.2%} of the cap", "<= 100 %", is_met=worst <= 1)
    print_bar("least sustained rate", f"{least:.2%} of the cap", ">= 97 %", is_met=least >= LEAST_SHARE)


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cap", type=float, nargs="*", default=[20, 200, 2000], help="requests/s")
    parser.add_argument("--seconds", type=float, default=7, help="per cap")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=0, help="the server's")
    parser.add_argument("--loop", choices=LOOPS, nargs="*", default=list(LOOPS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
