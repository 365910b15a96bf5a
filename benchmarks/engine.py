"""Measure what the SDK itself costs per `month` cell: the transport answers at once, and there is no server.

    python benchmarks/engine.py [--cells 20000] [--rounds 7]

No socket, no aiohttp: hence hardly any noise, so that a change of a few per cent shows. Beside a real
transport the same steps cost up to twice as much, for the caches are then full of other things.
"""

from __future__ import annotations

import argparse
import asyncio
from statistics import median
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from canned import documented, documented_grant
from multidict import CIMultiDict, CIMultiDictProxy
from overhead import JULY, Clock, Load, land, pull, single_calls
from report import print_machine, print_table

from voltaware_async import Dataset
from voltaware_async.cells import Cell, Fetched
from voltaware_async.protocol.endpoints import MONTH
from voltaware_async.protocol.replies import HttpResponse
from voltaware_async.protocol.requests import for_a_period
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.batches import BatchBuilder
from voltaware_async.transport.session import HttpSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overhead import Step

    from voltaware_async.protocol.requests import HttpRequest
    from voltaware_async.records.disaggregation import Disaggregation

BODY: Final = documented(Dataset.MONTH)
GRANT: Final = documented_grant()
_HEADERS: Final = CIMultiDictProxy(CIMultiDict({"Content-Type": "application/json"}))


async def instant(_session: HttpSession, request: HttpRequest[object], *_: object) -> HttpResponse:
    """Answer a request without sending it."""
    return HttpResponse(200, _HEADERS, GRANT if request.endpoint.is_auth else BODY)


async def requests_only(load: Load, clock: Clock) -> None:
    """Word the requests, and nothing else."""
    with clock:
        for device_id in load.devices:
            for_a_period(MONTH, device_id, JULY)


async def decoding_only(load: Load, clock: Clock) -> None:
    """Decode as many replies, and nothing else."""
    with clock:
        for _ in load.devices:
            _decoded()


async def rows_only(load: Load, clock: Clock) -> None:
    """Turn as many outcomes into columns, and nothing else."""
    record, rows = _decoded(), BatchBuilder()
    outcomes = [Fetched(Cell(device_id, Dataset.MONTH, JULY), record) for device_id in load.devices]
    with clock:
        for outcome in outcomes:
            rows.add(outcome)


def _decoded() -> Disaggregation:
    if MONTH.reply is None:
        raise TypeError("the endpoint has no reply")
    return MONTH.reply.decode(BODY)


STEPS: Final[Mapping[str, Step]] = {
    "request": requests_only,
    "decode": decoding_only,
    "rows": rows_only,
    "SDK call": single_calls,
    "fleet.pull": pull,
    "fleet.land": land,
}


def cpu_us(load: Load, step: Step) -> float:
    """Return a step's CPU per cell."""
    clock = Clock()
    with asyncio.Runner() as runner, patch.object(HttpSession, "send", instant):
        runner.run(step(load, clock))
    return clock.cpu_s / len(load.devices) * 1e6


def main() -> None:
    """Print a row per step; the last three contain those above them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=20_000, help="cells per step and round")
    parser.add_argument("--rounds", type=int, default=7)
    settings = parser.parse_args()
    print_machine()
    devices = [DeviceId(f"{number:06d}") for number in range(1, settings.cells + 1)]
    load = Load("http://127.0.0.1:1", devices, concurrency=32, rate=1e7)
    rounds = [[cpu_us(load, step) for step in STEPS.values()] for _ in range(settings.rounds)]
    columns = zip(STEPS, zip(*rounds, strict=True), strict=True)
    rows = [[name, f"{median(taken):.2f}", f"{min(taken):.2f}"] for name, taken in columns]
    print_table(("step", "CPU µs/cell", "least"), rows)


if __name__ == "__main__":
    main()
