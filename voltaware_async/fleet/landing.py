"""Landing: outcomes -> batches -> store, and the account of it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled
from attrs import define, field

from voltaware_async.cells import Cell
from voltaware_async.errors import CredentialsRefusedError, OutageError, StoreError
from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.outlast import outlasted
from voltaware_async.fleet.summary import Tally
from voltaware_async.fleet.supply import Supply
from voltaware_async.stores.batches import BatchBuilder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    import anyio

    from voltaware_async.cells import Outcome
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.fleet.plan import Slice
    from voltaware_async.fleet.summary import Progress, Summary
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.store import Store
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Landing", "Watcher"]

P = ParamSpec("P")
T = TypeVar("T")

logger: Final = logging.getLogger("voltaware_async")

# A batch fills while the one before is written, so that a kill costs at most two of these: 2,000 cells.
# Large enough to be cheap, and never older than a few seconds.
_BATCH_CELLS: Final = 1000
_BATCH_AGE_S: Final = 5.0
_PAGE_DEVICES: Final = 5000
_PROGRESS_EVERY_S: Final = 0.1


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

    def add(self, outcome: Outcome) -> None:
        self.rows.add(outcome)
        self.tally.add(outcome)

    def is_due(self, now: float) -> bool:
        return len(self.rows) >= _BATCH_CELLS or now - self.since >= _BATCH_AGE_S


class Landing:
    """Land the cells of some slices that the ledger does not have as landed: one run, one use."""

    def __init__(
        self, store: Store, command: str, traffic: Callable[[], Traffic], watcher: Watcher | None
    ) -> None:
        self._store = store
        self._command = command
        self._traffic = traffic
        self._watcher = watcher
        self._run_id = uuid.uuid4().hex
        self._tally = Tally()
        self._landed = Tally()
        self._batch = _Batch()
        self._started = self._reported = _now()
        self._is_open = False
        # The store wants one caller at a time, and its writing must not hold the event loop.
        self._thread = ThreadPoolExecutor(1, "voltaware store")
        self._writing = asyncio.Lock()

    async def run(
        self,
        parts: Sequence[Slice],
        devices: Sequence[DeviceId],
        fetch: FetchCell,
        *,
        concurrency: int,
        stop: anyio.Event | None = None,
    ) -> Summary:
        """Pull, land and account; whatever ends the run early, what has arrived is landed first."""
        with self._thread:
            return await self._run(parts, devices, fetch, concurrency, stop)

    async def _run(
        self,
        parts: Sequence[Slice],
        devices: Sequence[DeviceId],
        fetch: FetchCell,
        concurrency: int,
        stop: anyio.Event | None,
    ) -> Summary:
        try:
            await self._in_thread(self._begin, parts, devices)
            await Crew(Supply(self._pages(parts)), fetch, self._take).run(concurrency, stop)
            await self._commit()
        except BaseException as error:
            with CancelScope(shield=True):
                await self._end_early(error)
            raise
        return await self._finish("interrupted" if stop is not None and stop.is_set() else None)

    def _begin(self, parts: Sequence[Slice], devices: Sequence[DeviceId]) -> None:
        self._store.begin(self._run_id, self._command, datetime.now(UTC), devices)
        self._is_open = True
        for part in parts:
            outstanding = self._store.count_outstanding(part.dataset, part.period)
            self._tally.planned += outstanding
            self._tally.skipped += len(devices) - outstanding

    async def _pages(self, parts: Sequence[Slice]) -> AsyncIterator[Iterable[Cell]]:
        """Look up what is due page by page: the plan is never held as a whole."""
        for part in parts:
            last = -1
            while True:
                page, last = await self._in_thread(
                    self._store.outstanding, part.dataset, part.period, last, _PAGE_DEVICES
                )
                if not page:
                    break
                yield [Cell(device_id, part.dataset, part.period) for device_id in page]

    def _take(self, outcome: Outcome) -> Awaitable[None] | None:
        """Add an outcome to the batch; the worker whose outcome fills it waits until it is written."""
        self._batch.add(outcome)
        self._tally.add(outcome)
        now = _now()
        if self._watcher is not None and now - self._reported >= _PROGRESS_EVERY_S:
            self._reported = now
            self._watcher.progressed(self._tally.progress(self._traffic(), now - self._started))
        return self._commit_if_due() if self._batch.is_due(now) else None

    async def _commit_if_due(self) -> None:
        """Write the batch, unless it was written while we waited for the one before."""
        async with self._writing:
            # Where the one before could not be written, all workers are to end, and may not know it yet.
            await checkpoint_if_cancelled()
            if self._batch.is_due(_now()):
                await self._commit()

    async def _commit(self) -> None:
        batch, self._batch = self._batch, _Batch()
        await self._in_thread(self._write, batch)

    def _write(self, batch: _Batch) -> None:
        if batch.rows:
            self._store.commit(batch.rows.batch(self._run_id, datetime.now(UTC)))
            # Here, where no cancellation comes between: what was committed has landed.
            self._landed.add_up(batch.tally)

    async def _end_early(self, error: BaseException) -> None:
        """Land what has arrived, if the store still works, and close the account."""
        if not self._is_open:
            return
        try:
            if not isinstance(error, StoreError):
                await self._commit()
        except StoreError:
            logger.exception("what had arrived could not be landed")
        finally:
            await self._close_account(_ending(error))

    async def _close_account(self, ending: str) -> None:
        self._tally.keep_only(self._landed)
        try:
            await self._finish(ending)
        except StoreError:
            logger.exception("the run's end could not be recorded")

    async def _finish(self, ending: str | None) -> Summary:
        elapsed_s = _now() - self._started
        summary = self._tally.summary(self._run_id, self._traffic(), elapsed_s)
        if self._watcher is not None:
            self._watcher.finished(summary)
        outcome = ending or ("complete" if summary.is_complete else "incomplete")
        await self._in_thread(self._store.finish, self._run_id, outcome, datetime.now(UTC), summary.counts())
        return summary

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the store in its thread, and see the end of the call even when cancelled.

        A call that nobody waits for would go on while the store is closed, and what it lands be counted as
        unasked.
        """
        work = asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args, **kwargs))
        cancelled = await outlasted(work)
        result = work.result()
        if cancelled is not None:
            raise cancelled
        return result


def _ending(error: BaseException) -> str:
    """Word for the `runs` table how a run ended that did not reach its end."""
    match error:
        case CredentialsRefusedError():
            return "credentials refused"
        case OutageError():
            return "unreachable"
        case Exception():
            return "failed"
        case _:
            return "interrupted"
