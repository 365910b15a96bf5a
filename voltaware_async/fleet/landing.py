"""Landing: outcomes -> batches -> store, and the account of it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled
from attrs import define, field

from voltaware_async.cells import Cell
from voltaware_async.errors import CredentialsRefusedError, OutageError, StoreError, UnavailableError
from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.restated import LandedBefore
from voltaware_async.fleet.speed import Speed
from voltaware_async.fleet.store_thread import StoreThread
from voltaware_async.fleet.summary import Tally
from voltaware_async.fleet.supply import Supply, one_page, paged
from voltaware_async.fleet.survey import Survey
from voltaware_async.fleet.zones import Zones, wants_zone
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.agenda import Turn
from voltaware_async.stores.batches import BatchBuilder
from voltaware_async.stores.sightings import devices_seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    import anyio

    from voltaware_async.cells import Outcome, Seen
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.cut_off import CutOff
    from voltaware_async.fleet.job import Job
    from voltaware_async.fleet.summary import Progress, Summary
    from voltaware_async.fleet.survey import LookUp
    from voltaware_async.stores.agenda import Count
    from voltaware_async.stores.store import Store
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Landing", "Watcher"]

logger: Final = logging.getLogger("voltaware_async")

# What a kill costs at most, beside what is in flight: nobody asks for more while a batch is written. Large
# enough to be cheap, and never older than a few seconds.
_BATCH_CELLS: Final = 1000
_BATCH_AGE_S: Final = 5.0
_PAGE_DEVICES: Final = 5000
_PROGRESS_EVERY_S: Final = 0.1
_REPORT_EVERY_S: Final = 1.0
# So many devices do not leave a fleet in a night: it rather looks like a list that is not whole.
_UNLISTED_SHARE: Final = 0.05


class Watcher(Protocol):
    """Follow a run. Both methods are called on the event loop and must return at once."""

    def progressed(self, progress: Progress) -> None:
        """Take note of where the run stands; called at most ten times a second."""

    def finished(self, summary: Summary) -> None:
        """Take note of the account; called once, also when the run is about to raise."""


def _now() -> float:
    # A tenth of what anyio.current_time() costs, and asked for every outcome.
    return asyncio.get_running_loop().time()


@define
class _Batch:
    """Gather outcomes until they are worth a commit."""

    rows: BatchBuilder = field(factory=BatchBuilder)
    tally: Tally = field(factory=Tally)
    since: float = field(factory=_now)
    seen: list[Seen] = field(factory=list)

    def is_due(self, now: float) -> bool:
        return len(self.rows) >= _BATCH_CELLS or now - self.since >= _BATCH_AGE_S


class Landing:
    """Land the cells of a job: one run, one use, whose time begins when it is made."""

    def __init__(
        self,
        store: Store,
        command: str,
        traffic: Callable[[], Traffic],
        watcher: Watcher | None,
        cut_off: CutOff,
    ) -> None:
        self._store = store
        self._command = command
        self._traffic = traffic
        self._watcher = watcher
        self._cut_off = cut_off
        self._run_id = uuid.uuid4().hex
        self._tally = Tally()
        self._landed = Tally()
        self._batch = _Batch()
        self._started = self._reported = _now()
        self._speed = Speed()
        self._is_open = False
        self._thread = StoreThread()
        self._survey: Survey | None = None
        self._landed_before = LandedBefore()
        self._writing = asyncio.Lock()

    async def run(
        self,
        prepare: Callable[[], Awaitable[Job]],
        fetch: FetchCell,
        look_up: LookUp,
        concurrency: int,
        stop: anyio.Event | None = None,
    ) -> Summary:
        """Prepare, survey, pull, land and account; whatever ends it early, what has arrived is landed."""
        stops = () if stop is None else (stop,)
        with self._thread, self._reporting():
            try:
                await self._thread.call(self._begin)
                job = await self._prepared(prepare, *stops)
                if job is not None:
                    await self._do(job, fetch, look_up, concurrency, *stops)
            except BaseException as error:
                with CancelScope(shield=True):
                    await self._end_early(error)
                raise
            return await self._finish("interrupted" if stop is not None and stop.is_set() else None)

    async def _prepared(self, prepare: Callable[[], Awaitable[Job]], *stops: anyio.Event) -> Job | None:
        """Return the job, or None if the run is stopped first; OutageError where its time ends first."""
        jobs: list[Job] = []
        supply = Supply(one_page([prepare]))
        with self._cut_off.closing(supply.close) as late:
            await Crew(supply, _called, jobs.append).run(1, late, *stops)
        if jobs:
            return jobs[0]
        if any(stop.is_set() for stop in stops):
            return None
        raise OutageError("the API did not list the devices within the time of the run")

    async def _do(
        self, job: Job, fetch: FetchCell, look_up: LookUp, concurrency: int, *stops: anyio.Event
    ) -> None:
        self._job = job
        self._zones = Zones(fetch, look_up, self._time_zones)
        self._survey = Survey(self._store, self._thread, job, look_up, self._progressed)
        await self._thread.call(self._take_up, job)
        await self._survey.run(concurrency, self._cut_off, *stops)
        counts = await self._thread.call(self._plan, job)
        await self._date_cycles(*stops)
        await self._pull(counts, self._zones.fetch, concurrency, *stops)
        await self._commit()

    def _time_zones(self, devices: Sequence[DeviceId]) -> Awaitable[Mapping[DeviceId, str | None]]:
        return self._thread.call(self._store.time_zones, devices)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Tell the watcher each second where the run stands, also when nothing arrives."""
        self._report_later()
        try:
            yield
        finally:
            self._next_report.cancel()

    def _report_later(self) -> None:
        self._next_report = asyncio.get_running_loop().call_later(_REPORT_EVERY_S, self._report)

    def _report(self) -> None:
        self._report_later()
        self._progressed()

    def _begin(self) -> None:
        self._store.begin(self._run_id, self._command, datetime.now(UTC))
        self._is_open = True

    def _take_up(self, job: Job) -> None:
        self._store.expect(job.parts, job.night)
        self._store.consider(job.devices, job.agenda)
        if job.missed:
            self._store.expect(job.missed_parts, job.night)
            periods = [str(part.period) for part in job.missed]
            logger.warning(
                "nights were skipped: %s to %s lie behind the horizon now, and were never asked; a longer "
                "horizon (--horizon-months) asks for them",
                periods[0],
                periods[-1],
            )

    def _plan(self, job: Job) -> Sequence[Count]:
        unlisted = self._store.take_stock(job.agenda.as_of if job.has_all else None)
        if unlisted > _UNLISTED_SHARE * len(job.devices):
            logger.warning("the API lists %d devices, and %d no more", len(job.devices), unlisted)
        counts = self._store.count(job.parts)
        self._tally.planned = sum(count.planned for count in counts)
        self._tally.skipped = sum(count.known for count in counts)
        return counts

    async def _date_cycles(self, *stops: anyio.Event) -> None:
        """Fill in what landed before a zone was known, until a stop; the next run goes on."""
        after: DeviceId | None = DeviceId("")
        while after is not None and not any(stop.is_set() for stop in stops):
            after = await self._thread.call(self._store.date_cycles, after)

    async def _pull(
        self, counts: Sequence[Count], fetch: FetchCell, concurrency: int, *stops: anyio.Event
    ) -> None:
        supply = Supply(self._pages(counts))
        with self._cut_off.closing(supply.close) as late:
            await Crew(supply, fetch, self._take).run(concurrency, late, *stops, beside=self._keep_young)

    async def _pages(self, counts: Sequence[Count]) -> AsyncIterator[Iterable[Cell]]:
        """Look up what is due page by page: the plan is never held as a whole.

        What was never asked comes first, oldest period first: a run that is cut off leaves out what is asked
        for once more, and the newest.
        """
        for turn in Turn:
            for count in counts:
                if count.of(turn):
                    async for page in paged(partial(self._page, count, turn)):
                        yield [Cell(device_id, count.dataset, count.period) for device_id in page]

    async def _page(self, count: Count, turn: Turn, after: int) -> tuple[Sequence[DeviceId], int]:
        dataset, period = count.dataset, count.period
        devices, last = await self._thread.call(
            self._store.outstanding, dataset, period, turn, after, _PAGE_DEVICES
        )
        if dataset.has_cycles:
            await self._zones.expect(devices)
        if turn is Turn.REFRESH:
            hashes = await self._thread.call(self._store.hashes, dataset, period, devices)
            self._landed_before.add(dataset, period, hashes)
        return devices, last

    def _take(self, outcome: Outcome) -> Awaitable[None] | None:
        """Add an outcome to the batch; where that fills it, or while one is written, the worker waits."""
        has_naive_cycles = wants_zone(outcome)
        zone = self._zones.zone_of(outcome.cell.device_id) if has_naive_cycles else None
        if not self._landed_before.has_settled(outcome):
            self._batch.rows.add(outcome, zone)
        for tally in (self._batch.tally, self._tally):
            tally.add(outcome, zone_unknown=has_naive_cycles and zone is None)
        now = _now()
        self._tell(now)
        if self._writing.locked() or self._batch.is_due(now):
            return self._commit_if_due()
        return None

    def _progressed(self) -> None:
        self._tell(_now())

    def _tell(self, now: float) -> None:
        """Tell the watcher where the run stands, if it was not told just now."""
        if self._watcher is None or now - self._reported < _PROGRESS_EVERY_S:
            return
        self._reported = now
        traffic = self._traffic()
        progress = self._tally.progress(
            traffic,
            now - self._started,
            rate_per_s=self._speed.at(now, traffic.requests),
            devices=self._survey.devices if self._survey else 0,
            devices_done=self._survey.done if self._survey else 0,
        )
        self._watcher.progressed(progress)

    async def _keep_young(self) -> None:
        """Write a batch that grows old while nothing arrives."""
        while True:
            await asyncio.sleep(_BATCH_AGE_S)
            if self._batch.rows:
                await self._commit_if_due()

    async def _commit_if_due(self) -> None:
        """Write the batch, unless it was written while we waited for the one before."""
        async with self._writing:
            # Where the one before could not be written, all workers are to end, and may not know it yet.
            await checkpoint_if_cancelled()
            if self._batch.is_due(_now()):
                await self._commit()

    async def _commit(self) -> None:
        batch, self._batch = self._batch, _Batch()
        batch.seen = self._zones.take_seen()
        await self._thread.call(self._write, batch)

    def _write(self, batch: _Batch) -> None:
        now, as_of = datetime.now(UTC), self._job.agenda.as_of
        if batch.seen:
            self._store.see(devices_seen(batch.seen, now, as_of, is_listed=self._job.has_all))
        if batch.rows:
            refreshes = self._job.refreshes
            restated = self._store.commit(batch.rows.batch(self._run_id, now, as_of), refreshes=refreshes)
            self._tally.restated += restated
        # Here, where no cancellation comes between: what was committed has landed.
        self._landed.add_up(batch.tally)

    async def _end_early(self, error: BaseException) -> None:
        """Land what has arrived, if the store still works, and close the account."""
        if not self._is_open:
            return
        try:
            if self._survey is not None and not isinstance(error, StoreError):
                await self._commit()
                await self._survey.write()
        except StoreError as failure:
            logger.warning("what had arrived could not be landed: %s", failure)
        finally:
            await self._close_account(_ending(error))

    async def _close_account(self, ending: str) -> None:
        self._tally.keep_only(self._landed)
        try:
            await self._finish(ending)
        except StoreError as failure:
            logger.warning("the run's end could not be recorded: %s", failure)

    async def _finish(self, ending: str | None) -> Summary:
        self._landed_before.warn()
        self._tally.kept = self._landed_before.kept
        elapsed_s = _now() - self._started
        summary = self._tally.summary(self._run_id, self._traffic(), elapsed_s)
        # A run that failed before it knew its job has no account: the error says it all.
        if self._watcher is not None and (self._survey is not None or ending in {None, "interrupted"}):
            self._watcher.finished(summary)
        outcome = ending or self._outcome(summary)
        await self._thread.call(
            self._store.finish, self._run_id, outcome, datetime.now(UTC), summary.counts()
        )
        return summary

    def _outcome(self, summary: Summary) -> str:
        if summary.is_complete:
            return "complete"
        return "out of time" if summary.unasked and self._cut_off.has_struck else "incomplete"


async def _called(prepare: Callable[[], Awaitable[Job]]) -> Job:
    return await prepare()


def _ending(error: BaseException) -> str:
    """Word for the `runs` table how a run ended that did not reach its end."""
    match error:
        case CredentialsRefusedError():
            return "credentials refused"
        case OutageError() | UnavailableError():
            return "unreachable"
        case Exception():
            return "failed"
        case _:
            return "interrupted"
