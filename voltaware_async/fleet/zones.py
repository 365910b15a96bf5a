"""Zones: the time zones of devices with cycles; one that the store does not know is looked up, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltaware_async.cells import Dataset, Fetched, Seen
from voltaware_async.records.devices import Locale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from voltaware_async.cells import Cell, Outcome
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.survey import LookUp
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.records.disaggregation import Cycle

__all__ = ["Zones", "may_have_cycles", "wants_zone"]


def may_have_cycles(dataset: Dataset) -> bool:
    """Tell whether a dataset's records are cycles."""
    return dataset in {Dataset.MONTH_CYCLES, Dataset.WEEK_CYCLES}


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
    """Fetch cells, and for each with cycles the zone of its device, if the store has not told it.

    A household without cycles costs no look-up. What is known is kept for this page of devices and the one
    before, whose last cells may still be under way.
    """

    def __init__(self, fetch: FetchCell, look_up: LookUp) -> None:
        self._fetch = fetch
        self._look_up = look_up
        self._known: dict[DeviceId, str | None] = {}
        self._known_before: dict[DeviceId, str | None] = {}
        self._seen: list[Seen] = []

    def turn_page(self, known: Mapping[DeviceId, str | None]) -> None:
        """Go on to other devices, with what the store knows of them."""
        self._known_before, self._known = self._known, dict(known)

    async def fetch(self, cell: Cell) -> Outcome:
        """Fetch a cell. Costs a second request where it has cycles and its zone is not known."""
        outcome = await self._fetch(cell)
        if wants_zone(outcome) and not self._knows(cell.device_id):
            await self._learn(cell.device_id)
        return outcome

    def zone_of(self, device_id: DeviceId) -> ZoneInfo | None:
        """Return a device's zone, if it is known here."""
        zone_id = self._known.get(device_id) or self._known_before.get(device_id)
        try:
            return Locale(time_zone_id=zone_id).tz
        except ValueError:
            return None

    def take_seen(self) -> list[Seen]:
        """Return the devices that were looked up since the last time."""
        seen, self._seen = self._seen, []
        return seen

    def _knows(self, device_id: DeviceId) -> bool:
        return device_id in self._known or device_id in self._known_before

    async def _learn(self, device_id: DeviceId) -> None:
        """Look a device up; one whose look-up fails is tried again at its next cell."""
        lookup = await self._look_up(device_id)
        if isinstance(lookup, Seen):
            locale = lookup.device.locale if lookup.device is not None else None
            self._known[device_id] = locale.time_zone_id if locale is not None else None
            self._seen.append(lookup)
