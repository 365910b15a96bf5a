"""Fleet: what `client.fleet` offers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from voltaware_async.fleet.outage import OutageGuard
from voltaware_async.fleet.plan import cells, slices
from voltaware_async.fleet.pull import pull
from voltaware_async.fleet.supply import one_page
from voltaware_async.protocol.requests import checked_device_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    import anyio

    from voltaware_async.cells import Cell, Dataset, Outcome
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.landing import Watcher
    from voltaware_async.fleet.summary import Summary
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.store import Store
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Fleet"]


class Fleet:
    """Ask for many devices at once, under the client's rate cap: `client.fleet`.

    One bad device never stops a run: it ends as Failed. Refused credentials (CredentialsRefusedError), an API
    that falls silent (OutageError), a broken store (StoreError) and cancellation do stop it.
    """

    def __init__(
        self,
        fetch: FetchCell,
        list_devices: Callable[[], Awaitable[Sequence[DeviceId]]],
        traffic: Callable[[], Traffic],
        *,
        concurrency: int,
    ) -> None:
        self._fetch = fetch
        self._list_devices = list_devices
        self._traffic = traffic
        self._concurrency = concurrency

    async def fetch(self, cell: Cell) -> Outcome:
        """Fetch one cell; an error is an outcome, but for refused credentials. Costs one request."""
        return await self._fetch(cell)

    async def pull(
        self,
        datasets: Iterable[Dataset],
        periods: Iterable[Period],
        devices: Iterable[DeviceId] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Yield the outcome of every device x dataset x period, in the order in which they end.

        Costs one request per cell, and one for `/sensors` where `devices` is None (all devices). Holds a
        bounded number of outcomes: a slow consumer slows the requests down. Leave it early with
        `contextlib.aclosing`, or by cancelling. Raises ValueError for a dataset without a period of its
        kind.
        """
        parts = slices(datasets, periods)
        pages = one_page(cells(parts, await self._distinct(devices)))
        async with contextlib.aclosing(
            pull(pages, self._guarded(), concurrency=self._concurrency)
        ) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def land(
        self,
        store: Store,
        datasets: Iterable[Dataset],
        periods: Iterable[Period],
        devices: Iterable[DeviceId] | None = None,
        *,
        command: str = "land",
        watcher: Watcher | None = None,
        stop: anyio.Event | None = None,
    ) -> Summary:
        """Pull what the store's ledger does not have as landed, and land it.

        Costs one request per such cell, and one for `/sensors` where `devices` is None. Rows and ledger are
        committed together, in batches; a killed run repeats at most 2,000 cells and what was in flight.
        Setting `stop` ends the run early: what has arrived is landed, the rest is counted as unasked.
        `watcher` follows the run; `command` names it in the table `runs`.
        """
        from voltaware_async.fleet.landing import Landing  # noqa: PLC0415  pyarrow is an extra

        parts = slices(datasets, periods)
        before = self._traffic()
        fleet = await self._distinct(devices)
        landing = Landing(store, command, lambda: self._traffic().since(before), watcher)
        return await landing.run(parts, fleet, self._guarded(), concurrency=self._concurrency, stop=stop)

    def _guarded(self) -> FetchCell:
        return OutageGuard(self._fetch, concurrency=self._concurrency).fetch

    async def _distinct(self, devices: Iterable[DeviceId] | None) -> Sequence[DeviceId]:
        """Return the devices in their order, each once: asked twice, a cell would land twice.

        A caller's text that is no device id is refused before anything is sent.
        """
        if devices is None:
            return tuple(dict.fromkeys(await self._list_devices()))
        return tuple(dict.fromkeys(checked_device_id(device_id) for device_id in devices))
