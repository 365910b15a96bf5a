"""Landing: outcomes -> batches -> store, and the account of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread
from attrs import evolve

from voltaware_async.cells import Cell
from voltaware_async.errors import CredentialsRefusedError, OutageError, StoreError
from voltaware_async.fleet.pull import pull
from voltaware_async.fleet.summary import Tally
from voltaware_async.stores.batches import BatchBuilder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    import anyio

    from voltaware_async.cells import Outcome
    from voltaware_async.fleet.plan import Slice
    from voltaware_async.fleet.pull import FetchCell
    from voltaware_async.fleet.summary import Progress, Summary
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.store import Store
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Landing", "Watcher"]

P = ParamSpec("P")
T = TypeVar("T")

logger: Final = logging.getLogger("voltaware_async")

# A kill costs at most one batch: large enough to be cheap, and never older than a few seconds.
_BATCH_CELLS: Final = 2000
_BATCH_AGE_S: Final = 5.0
_PAGE_DEVICES: Final = 5000
_PROGRESS_EVERY_S: Final = 0.1


class Watcher(Protocol):
    """Follow a run. Both methods are called on the event loop and must return at once."""

    def progressed(self, progress: Progress) -> None:
        """Take note of where the run stands; called at most ten times a second."""

    def finished(self, summary: Summary) -> None:
        """Take note of the account; called once, also when the run is about to raise."""


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
        self._tally = self._committed_tally = Tally()
        self._batch = BatchBuilder()
        self._started = self._committed = self._reported = _now()
        # The store wants one caller at a time, and its writing must not hold the event loop.
        self._one_at_a_time = CapacityLimiter(1)

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
        await self._in_thread(self._begin, parts, devices)
        try:
            outcomes = pull(self._pages(parts), fetch, concurrency=concurrency, stop=stop)
            async with contextlib.aclosing(outcomes):
                async for outcome in outcomes:
                    self._take(outcome)
                    if self._is_batch_due():
                        await self._commit()
            await self._commit()
        except BaseException as error:
            with CancelScope(shield=True):
                await self._end_early(error)
            raise
        return await self._finish("interrupted" if stop is not None and stop.is_set() else None)

    def _begin(self, parts: Sequence[Slice], devices: Sequence[DeviceId]) -> None:
        self._store.begin(self._run_id, self._command, datetime.now(UTC), devices)
        for part in parts:
            outstanding = self._store.count_outstanding(part.dataset, part.period)
            self._tally.planned += outstanding
            self._tally.skipped += len(devices) - outstanding
        self._committed_tally = evolve(self._tally)

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

    def _take(self, outcome: Outcome) -> None:
        self._batch.add(outcome)
        self._tally.add(outcome)
        now = _now()
        if self._watcher is not None and now - self._reported >= _PROGRESS_EVERY_S:
            self._reported = now
            self._watcher.progressed(self._tally.progress(self._traffic(), now - self._started))

    def _is_batch_due(self) -> bool:
        return len(self._batch) >= _BATCH_CELLS or _now() - self._committed >= _BATCH_AGE_S

    async def _commit(self) -> None:
        # Shielded: a commit whose end we did not see would be asked, and counted, again.
        with CancelScope(shield=True):
            await self._in_thread(self._write)
        self._batch = BatchBuilder()
        self._committed_tally = evolve(self._tally)
        self._committed = _now()

    def _write(self) -> None:
        if self._batch:
            self._store.commit(self._batch.batch(self._run_id, datetime.now(UTC)))

    async def _end_early(self, error: BaseException) -> None:
        """Land what has arrived, if the store still works, and close the account."""
        try:
            if not isinstance(error, StoreError):
                await self._commit()
        except StoreError:
            logger.exception("what had arrived could not be landed")
        self._tally = self._committed_tally
        try:
            await self._finish(_ending(error))
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
        return await to_thread.run_sync(partial(call, *args, **kwargs), limiter=self._one_at_a_time)


def _now() -> float:
    # A tenth of what anyio.current_time() costs, and asked for every outcome.
    return asyncio.get_running_loop().time()


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
