"""Fleets without an API: for what only the landing decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from anyio.lowlevel import checkpoint

from voltaware_async import DeviceId, Fetched
from voltaware_async.fleet.fleet import Fleet
from voltaware_async.records.disaggregation import Disaggregation
from voltaware_async.transport.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from voltaware_async import Cell, Outcome
    from voltaware_async.cells import Lookup
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.survey import LookUp

ListDevices: TypeAlias = "Callable[[], Awaitable[Sequence[DeviceId]]]"


async def answered(cell: Cell) -> Outcome:
    """Answer after a trip through the loop."""
    await checkpoint()
    return Fetched(cell, Disaggregation(100.0, 0.0, ()))


async def looked_up_by_nobody(device_id: DeviceId) -> Lookup:
    """Serve as the look-up of runs that do not mind first events."""
    raise AssertionError(device_id)


def fleet_of(
    devices: int | Sequence[DeviceId],
    fetch: FetchCell = answered,
    *,
    look_up: LookUp = looked_up_by_nobody,
    concurrency: int = 4,
    list_devices: ListDevices | None = None,
) -> Fleet:
    """Make a fleet of so many devices, from "0000" on, or of those that are named or listed by a call."""
    named = [DeviceId(f"{n:04d}") for n in range(devices)] if isinstance(devices, int) else devices

    async def listed() -> Sequence[DeviceId]:
        return named

    return Fleet(
        fetch,
        list_devices or listed,
        Traffic,
        look_up=look_up,
        server_time=lambda: None,
        concurrency=concurrency,
    )
