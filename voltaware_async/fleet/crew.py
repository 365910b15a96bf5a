"""Crew: the workers that fetch cells, and hand each outcome on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from anyio import CancelScope, create_task_group

from voltaware_async.errors import VoltawareError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import anyio

    from voltaware_async.cells import Cell, Outcome
    from voltaware_async.fleet.supply import Supply

__all__ = ["Crew", "Deliver", "FetchCell"]

FetchCell: TypeAlias = "Callable[[Cell], Awaitable[Outcome]]"
# Takes an outcome at once; returns what its worker must wait for before it goes on, if anything.
Deliver: TypeAlias = "Callable[[Outcome], Awaitable[None] | None]"


class Crew:
    """Run the workers; the first error that one of them meets ends them all."""

    def __init__(self, supply: Supply, fetch: FetchCell, deliver: Deliver) -> None:
        self._supply = supply
        self._fetch = fetch
        self._deliver = deliver
        self._error: VoltawareError | None = None

    async def run(self, concurrency: int, stop: anyio.Event | None = None) -> None:
        """Work until the cells run out, `stop` is set, or a worker meets an error; then raise that.

        When it ends early, requests in flight are dropped.
        """
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
                full = self._deliver(await self._fetch(cell))
                if full is not None:
                    await full
        except VoltawareError as error:
            self._error = self._error or error
            everybody.cancel()


async def _cancel_when(event: anyio.Event, scope: CancelScope) -> None:
    await event.wait()
    scope.cancel()
