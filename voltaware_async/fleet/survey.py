"""Survey: devices that nothing is known of are looked up first, so that no period before them is asked."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from voltaware_async.cells import Seen
from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.supply import Supply, paged
from voltaware_async.stores.sightings import devices_seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from voltaware_async.cells import Lookup
    from voltaware_async.errors import VoltawareError
    from voltaware_async.fleet.cut_off import CutOff
    from voltaware_async.fleet.job import Job
    from voltaware_async.fleet.store_thread import StoreThread
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.store import Store

__all__ = ["LookUp", "Survey"]

logger: Final = logging.getLogger("voltaware_async")

LookUp: TypeAlias = "Callable[[DeviceId], Awaitable[Lookup]]"

_BATCH_DEVICES: Final = 1000
_STRAGGLERS_S: Final = 10.0
_PAGE_DEVICES: Final = 5000


class Survey:
    """Look up the unseen devices of a job: a request for each, once in the life of a store.

    A device whose look-up fails stays unseen: its cells are asked all the same, and it is looked up next
    time. `devices` counts those to look up, `done` those that have been.
    """

    def __init__(
        self, store: Store, thread: StoreThread, job: Job, look_up: LookUp, progressed: Callable[[], None]
    ) -> None:
        self._store = store
        self._thread = thread
        self._job = job
        self._look_up = look_up
        self._progressed = progressed
        self._seen: list[Seen] = []
        self._failed = 0
        self._example: VoltawareError | None = None
        self._writing = asyncio.Lock()
        self._is_over = anyio.Event()
        self.devices = 0
        self.done = 0

    async def run(self, concurrency: int, cut_off: CutOff, *stops: anyio.Event) -> None:
        """Look them up, until there are no more or one of `stops` is set; and write what was seen."""
        self.devices = await self._thread.call(self._store.count_unseen, self._job.parts)
        if not self.devices:
            return
        supply = Supply(self._pages())
        with cut_off.closing(supply.close) as late:
            await Crew(supply, self._look_up, self._take).run(concurrency, late, self._is_over, *stops)
        await self.write()
        self._warn()

    def _warn(self) -> None:
        stragglers = self.devices - self.done if self._is_over.is_set() else 0
        if self._failed or stragglers:
            logger.warning(
                "%d of %d new devices could not be looked up, so that periods before their first event are "
                "asked too; %s",
                self._failed + stragglers,
                self.devices,
                self._example or f"no answer within {_STRAGGLERS_S:g} s of the others",
            )

    async def write(self) -> None:
        """Write what was seen and is not yet written."""
        seen, self._seen = self._seen, []
        if seen:
            rows = devices_seen(seen, datetime.now(UTC), self._job.agenda.as_of)
            await self._thread.call(self._store.see, rows)

    async def _pages(self) -> AsyncIterator[Iterable[DeviceId]]:
        async for page in paged(self._page):
            yield page
        # One device that does not answer must not hold up all the others' cells.
        asyncio.get_running_loop().call_later(_STRAGGLERS_S, self._is_over.set)

    def _page(self, after: int) -> Awaitable[tuple[Sequence[DeviceId], int]]:
        return self._thread.call(self._store.unseen, after, _PAGE_DEVICES)

    def _take(self, lookup: Lookup) -> Awaitable[None] | None:
        self.done += 1
        if isinstance(lookup, Seen):
            self._seen.append(lookup)
        else:
            self._failed += 1
            self._example = self._example or lookup.error
        self._progressed()
        return self._write_if_full() if len(self._seen) >= _BATCH_DEVICES else None

    async def _write_if_full(self) -> None:
        """Write, unless it was written while we waited for the one before."""
        async with self._writing:
            if len(self._seen) >= _BATCH_DEVICES:
                await self.write()
