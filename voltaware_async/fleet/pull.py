"""Pull: many cells at once, outcomes as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from anyio import CancelScope, create_memory_object_stream, create_task_group

from voltaware_async.errors import VoltawareError
from voltaware_async.fleet.supply import Supply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from voltaware_async.cells import Cell, Outcome

__all__ = ["FetchCell", "pull"]

FetchCell: TypeAlias = "Callable[[Cell], Awaitable[Outcome]]"

# Outcomes wait here while the consumer is busy, so that a store's commit does not stop the sending.
_BUFFER: Final = 1024


async def pull(
    pages: AsyncIterator[Iterable[Cell]],
    fetch: FetchCell,
    *,
    concurrency: int,
    stop: anyio.Event | None = None,
) -> AsyncGenerator[Outcome]:
    """Fetch cells by `concurrency` workers and yield their outcomes, in the order in which they end.

    A slow consumer slows the workers down. `stop` ends it early: requests in flight are dropped, what
    has arrived is still yielded. An error that `fetch` raises (credentials, an outage) is raised after
    what had arrived before it.
    """
    send, receive = create_memory_object_stream["Outcome"](_BUFFER)
    crew = _Crew(Supply(pages), fetch, send)
    # The workers live in a task of their own: a generator must not hold a task group across a yield, for
    # its consumer may leave it at any moment, and be another task than the one that ends it.
    work = asyncio.create_task(crew.run(concurrency, stop), name="voltaware pull")
    try:
        async for outcome in _drained(receive):
            yield outcome
        await work
    finally:
        work.cancel()
        await asyncio.wait([work])
        receive.close()


async def _drained(receive: MemoryObjectReceiveStream[Outcome]) -> AsyncGenerator[Outcome]:
    """Yield what is there without a trip through the event loop, and wait only when there is nothing."""
    try:
        while True:
            try:
                yield receive.receive_nowait()
            except anyio.WouldBlock:
                yield await receive.receive()
    except anyio.EndOfStream:
        return


class _Crew:
    """Run the workers; the first error that one of them meets ends them all."""

    def __init__(self, supply: Supply, fetch: FetchCell, send: MemoryObjectSendStream[Outcome]) -> None:
        self._supply = supply
        self._fetch = fetch
        self._send = send
        self._error: VoltawareError | None = None

    async def run(self, concurrency: int, stop: anyio.Event | None) -> None:
        """Work until the cells run out, `stop` is set, or a worker meets an error; then raise that."""
        with self._send:
            async with create_task_group() as group:
                if stop is not None:
                    group.start_soon(_cancel_when, stop, group.cancel_scope)
                async with create_task_group() as workers:
                    for _ in range(concurrency):
                        workers.start_soon(self._work, group.cancel_scope)
                group.cancel_scope.cancel()
        if self._error is not None:
            raise self._error

    async def _work(self, everybody: CancelScope) -> None:
        try:
            while (cell := await self._supply.take()) is not None:
                outcome = await self._fetch(cell)
                try:
                    self._send.send_nowait(outcome)
                except anyio.WouldBlock:
                    await self._send.send(outcome)
        except VoltawareError as error:
            self._error = self._error or error
            everybody.cancel()


async def _cancel_when(event: anyio.Event, scope: CancelScope) -> None:
    await event.wait()
    scope.cancel()
