"""Zones: the time zones of devices with cycles; one that the store does not know is looked up, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

from voltaware_async.cells import Fetched, Seen
from voltaware_async.records.devices import known_zone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from voltaware_async.cells import Cell, Outcome
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.survey import LookUp
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.records.disaggregation import Cycle

__all__ = ["Zones", "wants_zone"]

AskStore: TypeAlias = "Callable[[Sequence[DeviceId]], Awaitable[Mapping[DeviceId, str | None]]]"

# Some megabytes; what is forgotten the store is asked for once more.
_MOST_KNOWN: Final = 20_000


def wants_zone(outcome: Outcome) -> bool:
    """Tell whether an outcome has a cycle whose clock readings want a time zone."""
    return (
        isinstance(outcome, Fetched)
        and isinstance(outcome.record, tuple)
        and any(_is_naive(cycle) for appliance in outcome.record for cycle in appliance.cycles)
    )


def _is_naive(cycle: Cycle) -> bool:
    return cycle.start.tzinfo is None or cycle.end.tzinfo is None


class Zones:
    """Fetch cells, and for those with cycles the zone of their device.

    What the store does not know is looked up, once for each device. A household without cycles costs nothing.
    """

    def __init__(self, fetch: FetchCell, look_up: LookUp, ask_store: AskStore) -> None:
        self._fetch = fetch
        self._look_up = look_up
        self._ask_store = ask_store
        self._known: dict[DeviceId, str | None] = {}
        self._finding: dict[DeviceId, asyncio.Lock] = {}
        self._seen: list[Seen] = []

    async def expect(self, devices: Sequence[DeviceId]) -> None:
        """Ask the store for all of a page at once, whose cells are about to be fetched."""
        self._known.update(await self._ask_store(devices))
        while len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]

    async def fetch(self, cell: Cell) -> Outcome:
        """Fetch a cell. Costs a second request where it has cycles and its zone is not known."""
        outcome = await self._fetch(cell)
        if wants_zone(outcome) and cell.device_id not in self._known:
            await self._find(cell.device_id)
        return outcome

    def zone_of(self, device_id: DeviceId) -> ZoneInfo | None:
        """Return the zone of a device whose cell was just fetched, if it is known here."""
        return known_zone(self._known.get(device_id))

    def take_seen(self) -> list[Seen]:
        """Return the devices that were looked up since the last time."""
        seen, self._seen = self._seen, []
        return seen

    async def _find(self, device_id: DeviceId) -> None:
        """Find a zone, once for all of the device's cells that are under way."""
        async with self._finding.setdefault(device_id, asyncio.Lock()):
            if device_id not in self._known:
                self._known.update(await self._ask_store([device_id]))
            if device_id not in self._known:
                await self._learn(device_id)
        self._finding.pop(device_id, None)

    async def _learn(self, device_id: DeviceId) -> None:
        """Look a device up; one whose look-up fails is tried again at its next cell."""
        lookup = await self._look_up(device_id)
        if isinstance(lookup, Seen):
            locale = lookup.device.locale if lookup.device is not None else None
            self._known[device_id] = locale.time_zone_id if locale is not None else None
            self._seen.append(lookup)
