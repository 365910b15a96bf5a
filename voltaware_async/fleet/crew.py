"""Crew: the workers that fetch what a supply hands out, and hand each outcome on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from anyio import CancelScope, create_task_group

from voltaware_async.errors import VoltawareError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import anyio

    from voltaware_async.cells import Cell, Outcome
    from voltaware_async.fleet.supply import Supply

__all__ = ["Crew", "FetchCell"]

T = TypeVar("T")
R = TypeVar("R")

FetchCell: TypeAlias = "Callable[[Cell], Awaitable[Outcome]]"


class Crew(Generic[T, R]):
    """Run the workers; the first error that one of them meets ends them all.

    `deliver` takes an outcome at once; it returns what its worker must wait for before it goes on, or None.
    """

    def __init__(
        self,
        supply: Supply[T],
        fetch: Callable[[T], Awaitable[R]],
        deliver: Callable[[R], Awaitable[None] | None],
    ) -> None:
        self._supply = supply
        self._fetch = fetch
        self._deliver = deliver
        self._error: VoltawareError | None = None

    async def run(
        self, concurrency: int, *stops: anyio.Event, beside: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Work until the supply runs out, one of `stops` is set, or a worker meets an error; then raise that.

        When it ends early, requests in flight are dropped. What runs `beside` is cancelled at the end.
        """
        async with create_task_group() as group:
            if beside is not None:
                group.start_soon(self._guarded, beside, group.cancel_scope)
            for stop in stops:
                group.start_soon(_cancel_when, stop, group.cancel_scope)
            async with create_task_group() as workers:
                for _ in range(concurrency):
                    workers.start_soon(self._guarded, self._work, group.cancel_scope)
            group.cancel_scope.cancel()
        if self._error is not None:
            raise self._error

    async def _guarded(self, work: Callable[[], Awaitable[None]], everybody: CancelScope) -> None:
        try:
            await work()
        except VoltawareError as error:
            self._error = self._error or error
            everybody.cancel()

    async def _work(self) -> None:
        while (item := await self._supply.take()) is not None:
            full = self._deliver(await self._fetch(item))
            if full is not None:
                await full


async def _cancel_when(event: anyio.Event, scope: CancelScope) -> None:
    await event.wait()
    scope.cancel()
