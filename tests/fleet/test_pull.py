"""The pull: bounded workers, back-pressure, and nothing left behind however it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from voltaware_async import Absent, Cell, CredentialsRefusedError, Dataset, DeviceId, ErrorContext, Month
from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.plan import Slice, cells
from voltaware_async.fleet.pull import pull
from voltaware_async.fleet.supply import Supply, one_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from voltaware_async import Outcome

pytestmark = pytest.mark.anyio

JULY = [Slice(Dataset.MONTH, Month(2024, 7))]


def plan_of(size: int) -> AsyncIterator[Iterable[Cell]]:
    return one_page(cells(JULY, [DeviceId(f"{n:05d}") for n in range(size)]))


class Api:
    """Answer every cell after a trip through the loop, and remember how many were under way at once."""

    def __init__(self) -> None:
        self.asked = 0
        self.under_way = 0
        self.most_under_way = 0

    async def fetch(self, cell: Cell) -> Outcome:
        self.asked += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await checkpoint()
            return Absent(cell)
        finally:
            self.under_way -= 1


async def settled() -> None:
    """Wait until nothing moves any more."""
    await anyio.wait_all_tasks_blocked()


def other_tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task.get_name() == "voltaware pull"}


async def test_every_cell_ends_once_and_no_more_are_under_way_than_there_are_workers() -> None:
    api = Api()

    outcomes = [outcome async for outcome in pull(plan_of(500), api.fetch, concurrency=7)]

    assert sorted(outcome.cell.device_id for outcome in outcomes) == [f"{n:05d}" for n in range(500)]
    assert api.most_under_way == 7


async def test_a_consumer_that_stops_taking_stops_the_asking() -> None:
    api = Api()

    async with contextlib.aclosing(pull(plan_of(10_000), api.fetch, concurrency=8)) as outcomes:
        await anext(outcomes)
        await settled()
        asked = api.asked
        await settled()

        assert asked == api.asked < 1100


@pytest.mark.parametrize("pages", [1, 3])
async def test_pages_are_turned_for_all_workers_together(pages: int) -> None:
    async def paged() -> AsyncIterator[Iterable[Cell]]:
        for page in range(pages):
            await checkpoint()
            yield cells(JULY, [DeviceId(f"{page}-{n}") for n in range(20)])
            yield []

    outcomes = [outcome async for outcome in pull(paged(), Api().fetch, concurrency=4)]

    assert len({outcome.cell for outcome in outcomes}) == len(outcomes) == 20 * pages


async def test_leaving_the_loop_early_leaves_no_worker_behind() -> None:
    async for _ in pull(plan_of(1000), Api().fetch, concurrency=4):
        break
    await settled()

    assert not other_tasks()


async def test_a_consumer_that_fails_leaves_no_worker_behind() -> None:
    async def consume() -> None:
        async with contextlib.aclosing(pull(plan_of(1000), Api().fetch, concurrency=4)) as outcomes:
            async for outcome in outcomes:
                raise LookupError(outcome.cell.device_id)

    with pytest.raises(LookupError):
        await consume()

    assert not other_tasks()


async def test_a_cancelled_consumer_leaves_no_worker_behind() -> None:
    begun = anyio.Event()

    async def stuck(_: Cell) -> Outcome:
        begun.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def consume() -> None:
        async with contextlib.aclosing(pull(plan_of(10), stuck, concurrency=4)) as outcomes:
            await anext(outcomes)

    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        await begun.wait()
        group.cancel_scope.cancel()

    assert not other_tasks()


async def test_an_error_that_concerns_every_cell_ends_the_pull_after_what_had_arrived() -> None:
    async def revoked_after_ten(cell: Cell) -> Outcome:
        await checkpoint()
        if int(cell.device_id) >= 10:
            raise CredentialsRefusedError("refused", ErrorContext("POST", "/auth/token"))
        return Absent(cell)

    arrived = []

    async def consume() -> None:
        async for outcome in pull(plan_of(1000), revoked_after_ten, concurrency=4):
            arrived.append(outcome.cell.device_id)  # noqa: PERF401  what came before the error counts

    with pytest.raises(CredentialsRefusedError):
        await consume()

    assert arrived == [f"{n:05d}" for n in range(10)]


async def test_a_crew_that_is_asked_to_stop_drops_what_is_in_flight_and_keeps_what_has_arrived() -> None:
    stop = anyio.Event()
    delivered = []

    async def slow_after_five(cell: Cell) -> Outcome:
        if int(cell.device_id) >= 5:
            stop.set()
            await anyio.sleep_forever()
        return Absent(cell)

    crew = Crew(Supply(plan_of(100)), slow_after_five, lambda it: delivered.append(it.cell.device_id))
    await crew.run(3, stop)

    assert delivered == [f"{n:05d}" for n in range(5)]
