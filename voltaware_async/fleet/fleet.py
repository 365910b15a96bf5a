"""Fleet: what `client.fleet` offers."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from voltaware_async.cells import Dataset
from voltaware_async.errors import ApiError, OutageError
from voltaware_async.fleet.cut_off import CutOff
from voltaware_async.fleet.due import HORIZON_MONTHS, as_of_day, due_slices, missed_slices, today, tonight
from voltaware_async.fleet.job import Job, Night
from voltaware_async.fleet.outage import OutageGuard, is_from_elsewhere
from voltaware_async.fleet.plan import Plan, Slice, cells, slices
from voltaware_async.fleet.pull import pull
from voltaware_async.fleet.supply import one_page
from voltaware_async.fleet.witness import Witness
from voltaware_async.protocol.requests import checked_device_id
from voltaware_async.stores.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
    from datetime import date, datetime

    import anyio

    from voltaware_async.cells import Cell, Outcome
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.landing import Landing, Watcher
    from voltaware_async.fleet.summary import Summary
    from voltaware_async.fleet.survey import LookUp
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.store import Store
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Fleet"]

logger: Final = logging.getLogger("voltaware_async")


class Fleet:
    """Ask for many devices at once, under the client's rate cap: `client.fleet`.

    One bad device never stops a run: it ends as Failed. Refused credentials (CredentialsRefusedError), an API
    that gives no usable answer any more (OutageError), a broken store (StoreError) and cancellation do.

    What the methods that land share: rows and ledger are committed together, in batches; a killed run repeats
    at most 1,000 cells and what was in flight. `max_duration` bounds a run in seconds, and setting `stop`
    ends it early: what has arrived is landed, the rest is counted as unasked. What was never asked is asked
    first, oldest period first. `watcher` follows the run; `command` names it in the table `runs`. `devices`
    is None for all that `/sensors` lists, which costs a request.
    """

    def __init__(
        self,
        fetch: FetchCell,
        list_devices: Callable[[], Awaitable[Sequence[DeviceId]]],
        traffic: Callable[[], Traffic],
        *,
        look_up: LookUp,
        server_time: Callable[[], datetime | None],
        concurrency: int,
    ) -> None:
        self._fetch = fetch
        self._look_up = look_up
        self._server_time = server_time
        self._list_devices = list_devices
        self._witness = Witness(fetch, look_up, list_devices)
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

        Costs one request per cell. Holds a bounded number of outcomes: a slow consumer slows the requests
        down. Leave it early with `contextlib.aclosing`, or by cancelling. Raises ValueError for a dataset
        without a period of its kind.
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
        refresh: bool = False,
        max_duration: float | None = None,
        command: str = "land",
        watcher: Watcher | None = None,
        stop: anyio.Event | None = None,
    ) -> Summary:
        """Pull what the store's ledger does not have as landed, and land it.

        With `refresh` landed cells are asked once more, last; where the API has restated one, its rows are
        replaced and a revision is recorded. Costs one request per cell that is asked, and one per device
        with cycles whose time zone is not known yet.
        """
        parts = slices(datasets, periods)
        landing = self._landing(store, command, watcher, max_duration)
        return await self._run(landing, lambda: self._land_job(store, parts, devices, refresh=refresh), stop)

    async def sync(
        self,
        store: Store,
        devices: Iterable[DeviceId] | None = None,
        *,
        datasets: Iterable[Dataset] = tuple(Dataset),
        as_of: date | None = None,
        horizon_months: int = HORIZON_MONTHS,
        refresh_months: int = 0,
        max_duration: float | None = None,
        command: str = "sync",
        watcher: Watcher | None = None,
        stop: anyio.Event | None = None,
    ) -> Summary:
        """Work out what is due as of a day, today in UTC by default, and land it: one night.

        Due are the months and weeks whose results are available, back to the first day of the month that lies
        `horizon_months` back, but for periods that ended before a device's first event. What has landed is
        not asked again; what failed is, every night; what is absent at growing intervals, and no more once
        it lies behind the horizon. What has landed of the last `refresh_months` is asked once more. Costs one
        request per cell, and one for each device when it is new.

        Raises ConfigurationError for a day to come; and, where today is taken, if this machine's clock and
        the API's are a day apart, or the store's last run lies in the future.
        """
        night = await Night.of(store, datasets, as_of, horizon_months, refresh_months)
        landing = self._landing(store, command, watcher, max_duration)
        return await self._run(landing, lambda: self._night_job(store, night, devices), stop)

    async def retry_failed(
        self,
        store: Store,
        *,
        max_duration: float | None = None,
        command: str = "retry-failed",
        watcher: Watcher | None = None,
        stop: anyio.Event | None = None,
    ) -> Summary:
        """Ask again only for the cells that failed last time, of any period. Costs one request per cell."""
        landing = self._landing(store, command, watcher, max_duration)
        return await self._run(landing, lambda: _retry_job(store), stop)

    async def plan_land(
        self,
        store: Store,
        datasets: Iterable[Dataset],
        periods: Iterable[Period],
        devices: Iterable[DeviceId] | None = None,
        *,
        refresh: bool = False,
    ) -> Plan:
        """Work out what `land` would ask. Costs one request where `devices` is None, and writes nothing."""
        parts = slices(datasets, periods)
        return await _plan(store, await self._land_job(store, parts, devices, refresh=refresh))

    async def plan_sync(
        self,
        store: Store,
        devices: Iterable[DeviceId] | None = None,
        *,
        datasets: Iterable[Dataset] = tuple(Dataset),
        as_of: date | None = None,
        horizon_months: int = HORIZON_MONTHS,
        refresh_months: int = 0,
    ) -> Plan:
        """Work out what `sync` would ask. Costs one request where `devices` is None, and writes nothing.

        New devices count as if they had data for every period: their first event is not known yet.
        """
        night = await Night.of(store, datasets, as_of, horizon_months, refresh_months)
        return await _plan(store, await self._night_job(store, night, devices))

    async def _land_job(
        self, store: Store, parts: Sequence[Slice], devices: Iterable[DeviceId] | None, *, refresh: bool
    ) -> Job:
        fleet = await self._distinct(devices, store)
        return Job(
            slices=parts,
            devices=fleet,
            agenda=Agenda(as_of=today(), refreshes=lambda _period: refresh),
            has_all=devices is None,
            refreshes=refresh,
        )

    async def _night_job(self, store: Store, night: Night, devices: Iterable[DeviceId] | None) -> Job:
        fleet = await self._distinct(devices, store)
        day = as_of_day(night.as_of, server_time=self._server_time(), last_run=night.last_run)
        return Job(
            slices=due_slices(night.datasets, day, night.horizon_months),
            devices=fleet,
            agenda=tonight(day, night.horizon_months, night.refresh_months),
            has_all=devices is None,
            night=day,
            missed=missed_slices(night.asked_until, night.datasets, day, night.horizon_months),
            refreshes=night.refresh_months > 0,
        )

    def _landing(
        self, store: Store, command: str, watcher: Watcher | None, max_duration: float | None
    ) -> Landing:
        """Begin a run: from here on its time and its requests count."""
        from voltaware_async.fleet.landing import Landing  # noqa: PLC0415  pyarrow is an extra

        before = self._traffic()
        cut_off = CutOff(max_duration)
        return Landing(store, command, lambda: self._traffic().since(before), watcher, cut_off)

    async def _run(
        self, landing: Landing, prepare: Callable[[], Awaitable[Job]], stop: anyio.Event | None
    ) -> Summary:
        look_ups = OutageGuard(
            self._look_up, concurrency=self._concurrency, probe=self._witness.beside_device
        )
        return await landing.run(prepare, self._guarded(), look_ups.fetch, self._concurrency, stop)

    def _guarded(self) -> FetchCell:
        guard = OutageGuard(self._fetch, concurrency=self._concurrency, probe=self._witness.beside_cell)
        return guard.fetch

    async def _distinct(
        self, devices: Iterable[DeviceId] | None, store: Store | None = None
    ) -> Sequence[DeviceId]:
        """Return the devices in their order, each once: asked twice, a cell would land twice.

        A caller's text that is no device id is refused before anything is sent. An empty list from the API is
        refused where the store knows devices: a run that asks nothing would look complete.
        """
        if devices is not None:
            return tuple(dict.fromkeys(checked_device_id(device_id) for device_id in devices))
        listed = _storable(dict.fromkeys(await self._listed()))
        if not listed and store is not None and await to_thread.run_sync(store.knows_devices):
            raise OutageError(f"the API lists no devices, and {store.target} knows some: nothing was asked")
        return listed

    async def _listed(self) -> Sequence[DeviceId]:
        """Return the list of devices; OutageError where something else answers in the API's place."""
        try:
            return await self._list_devices()
        except ApiError as error:
            if not is_from_elsewhere(error):
                raise
            raise OutageError(f"there is no list of devices to go by: {error}") from None


def _storable(listed: Iterable[DeviceId]) -> Sequence[DeviceId]:
    """Leave out the ids with a NUL: they cannot be asked, and no PostgreSQL can hold them."""
    ids = tuple(listed)
    kept = tuple(device_id for device_id in ids if "\0" not in device_id)
    if len(kept) < len(ids):
        example = next(device_id for device_id in ids if "\0" in device_id)
        logger.warning(
            "the API lists %d ids that are none, and that are left out; one is %r",
            len(ids) - len(kept),
            example,
        )
    return kept


async def _retry_job(store: Store) -> Job:
    failed = [it for it in await to_thread.run_sync(store.coverage) if it.failed]
    return Job(
        slices=[Slice(part.dataset, part.period) for part in failed],
        devices=await to_thread.run_sync(store.failed_devices),
        agenda=Agenda(as_of=today(), never_asked=False, asks_again=lambda _absence: False),
    )


async def _plan(store: Store, job: Job) -> Plan:
    await to_thread.run_sync(store.consider, job.devices, job.agenda)
    look_ups = await to_thread.run_sync(store.count_unseen, job.parts)
    return Plan(tuple(await to_thread.run_sync(store.count, job.parts)), look_ups)
