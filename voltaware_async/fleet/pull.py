"""Pull: many cells at once, outcomes as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import anyio
from anyio import create_memory_object_stream

from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.outlast import outlasted
from voltaware_async.fleet.supply import Supply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable

    from anyio.streams.memory import MemoryObjectReceiveStream

    from voltaware_async.cells import Cell, Outcome
    from voltaware_async.fleet.crew import FetchCell

__all__ = ["pull"]

# Outcomes that wait for a busy consumer; when they are that many, the workers wait too.
_BUFFER: Final = 1024


async def pull(
    pages: AsyncIterator[Iterable[Cell]], fetch: FetchCell, *, concurrency: int
) -> AsyncGenerator[Outcome]:
    """Fetch cells by `concurrency` workers and yield their outcomes, in the order in which they end.

    A slow consumer slows the workers down. An error that `fetch` raises (credentials, an outage) is raised
    after what had arrived before it.
    """
    send, receive = create_memory_object_stream["Outcome"](_BUFFER)

    def deliver(outcome: Outcome) -> Awaitable[None] | None:
        try:
            send.send_nowait(outcome)
        except anyio.WouldBlock:
            return send.send(outcome)
        return None

    async def work() -> None:
        with send:
            await Crew(Supply(pages), fetch, deliver).run(concurrency)

    # The workers live in a task of their own: a generator must not hold a task group across a yield, for
    # its consumer may leave it at any moment, and be another task than the one that ends it.
    crew = asyncio.create_task(work(), name="voltaware pull")
    try:
        async for outcome in _drained(receive):
            yield outcome
        await crew
    finally:
        crew.cancel()
        try:
            # Workers that nobody waits for would go on asking.
            cancelled = await outlasted(crew)
        finally:
            send.close()
            receive.close()
        if cancelled is not None:
            raise cancelled


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
