"""Leaving a pull: however its consumer does it, no task and no fetch stays; and how far it reads ahead."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from voltaware_async import Absent, Cell, Dataset, DeviceId, Month, OutageError
from voltaware_async.fleet.plan import Slice, cells
from voltaware_async.fleet.pull import pull
from voltaware_async.fleet.supply import one_page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from voltaware_async import Outcome

    Leave = Callable[[AsyncGenerator[Outcome], "Api"], Awaitable[None]]

pytestmark = pytest.mark.anyio

JULY = [Slice(Dataset.MONTH, Month(2024, 7))]
BUFFER = 1024


def plan_of(size: int) -> AsyncIterator[Iterable[Cell]]:
    return one_page(cells(JULY, [DeviceId(f"{n:05d}") for n in range(size)]))


class Api:
    """Answer every cell after a trip through the loop; from the n-th on, never."""

    def __init__(self, answers: float = float("inf")) -> None:
        self.answers = answers
        self.asked = 0
        self.under_way = 0
        self.most_under_way = 0

    async def fetch(self, cell: Cell) -> Outcome:
        self.asked += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await (checkpoint() if self.asked <= self.answers else anyio.sleep_forever())
            return Absent(cell)
        finally:
            self.under_way -= 1


@pytest.fixture
async def nothing_stays() -> AsyncIterator[Api]:
    """Give an API; then look for tasks in the whole loop, whatever their names."""
    api = Api()
    yield api
    gc.collect()
    await anyio.wait_all_tasks_blocked()
    assert not [task for task in asyncio.all_tasks() if "TestRunner" not in repr(task.get_coro())]
    assert api.under_way == 0


async def breaks_off(outcomes: AsyncGenerator[Outcome], _: Api) -> None:
    async with contextlib.aclosing(outcomes):
        async for _outcome in outcomes:
            break


async def breaks_off_and_forgets_to_close(outcomes: AsyncGenerator[Outcome], _: Api) -> None:
    async for _outcome in outcomes:
        break


async def closes_while_all_workers_wait(outcomes: AsyncGenerator[Outcome], api: Api) -> None:
    api.answers = 1
    await anext(outcomes)
    await anyio.wait_all_tasks_blocked()
    assert api.under_way == 4
    await outcomes.aclose()


async def closes_while_the_buffer_is_full(outcomes: AsyncGenerator[Outcome], api: Api) -> None:
    await anext(outcomes)
    await anyio.wait_all_tasks_blocked()
    assert api.asked >= BUFFER
    await outcomes.aclose()


async def closes_before_the_first(outcomes: AsyncGenerator[Outcome], api: Api) -> None:
    await outcomes.aclose()
    assert api.asked == 0


async def closes_twice(outcomes: AsyncGenerator[Outcome], _: Api) -> None:
    await anext(outcomes)
    await outcomes.aclose()
    await outcomes.aclose()


async def raises(outcomes: AsyncGenerator[Outcome], _: Api) -> None:
    with contextlib.suppress(LookupError):
        async with contextlib.aclosing(outcomes):
            async for outcome in outcomes:
                raise LookupError(outcome)


async def throws_into_it(outcomes: AsyncGenerator[Outcome], _: Api) -> None:
    await anext(outcomes)
    with pytest.raises(LookupError):
        await outcomes.athrow(LookupError("no"))


async def is_cancelled_by_its_task(outcomes: AsyncGenerator[Outcome], api: Api) -> None:
    api.answers = 0
    task = asyncio.create_task(anext(outcomes))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def is_cancelled_by_a_scope(outcomes: AsyncGenerator[Outcome], api: Api) -> None:
    api.answers = 3
    with anyio.move_on_after(0.01) as scope:
        async with contextlib.aclosing(outcomes):
            async for _outcome in outcomes:
                pass
    assert scope.cancelled_caught


async def is_cancelled_while_it_works_on_an_outcome(outcomes: AsyncGenerator[Outcome], _: Api) -> None:
    with anyio.move_on_after(0.01):
        async with contextlib.aclosing(outcomes):
            async for _outcome in outcomes:
                await anyio.sleep_forever()


async def takes_all(outcomes: AsyncGenerator[Outcome], api: Api) -> None:
    assert len([outcome async for outcome in outcomes]) == api.asked == 3000


@pytest.mark.parametrize(
    "leave",
    [
        breaks_off,
        breaks_off_and_forgets_to_close,
        closes_while_all_workers_wait,
        closes_while_the_buffer_is_full,
        closes_before_the_first,
        closes_twice,
        raises,
        throws_into_it,
        is_cancelled_by_its_task,
        is_cancelled_by_a_scope,
        is_cancelled_while_it_works_on_an_outcome,
        takes_all,
    ],
    ids=lambda leave: leave.__name__,
)
async def test_nothing_stays_behind_when_a_consumer(leave: Leave, nothing_stays: Api) -> None:
    await leave(pull(plan_of(3000), nothing_stays.fetch, concurrency=4), nothing_stays)


@pytest.mark.parametrize("concurrency", [1, 2, 32, 200])
async def test_a_consumer_that_stops_taking_stops_the_asking_at_the_buffer_and_its_workers(
    concurrency: int, nothing_stays: Api
) -> None:
    api = nothing_stays

    async with contextlib.aclosing(pull(plan_of(3000), api.fetch, concurrency=concurrency)) as outcomes:
        await anext(outcomes)
        await anyio.wait_all_tasks_blocked()

        # One was taken, the buffer is full, and each worker holds one more.
        assert api.asked == 1 + BUFFER + concurrency
        assert api.most_under_way <= concurrency


async def test_a_consumer_that_stops_for_a_while_gets_every_cell_once(nothing_stays: Api) -> None:
    taken = []

    async for outcome in pull(plan_of(3000), nothing_stays.fetch, concurrency=8):
        taken.append(outcome.cell.device_id)
        if len(taken) == 10:
            await anyio.wait_all_tasks_blocked()

    assert sorted(taken) == [f"{n:05d}" for n in range(3000)]


async def test_the_plan_is_read_no_further_than_it_is_asked(nothing_stays: Api) -> None:
    read = 0

    def endless() -> Iterator[Cell]:
        nonlocal read
        while True:
            read += 1
            yield Cell(DeviceId(f"{read}"), Dataset.MONTH, Month(2024, 7))

    async with contextlib.aclosing(pull(one_page(endless()), nothing_stays.fetch, concurrency=4)) as outcomes:
        await anext(outcomes)
        await anyio.wait_all_tasks_blocked()

    assert read == nothing_stays.asked == 1 + BUFFER + 4


async def test_an_error_reaches_a_slow_consumer_after_all_that_had_arrived(nothing_stays: Api) -> None:
    async def silent_after_fifty(cell: Cell) -> Outcome:
        if int(cell.device_id) >= 50:
            raise OutageError("silence")
        return await nothing_stays.fetch(cell)

    arrived = []

    async def consume() -> None:
        async for outcome in pull(plan_of(1000), silent_after_fifty, concurrency=1):
            await anyio.wait_all_tasks_blocked()
            arrived.append(outcome.cell.device_id)

    with pytest.raises(OutageError, match="silence"):
        await consume()

    assert arrived == [f"{n:05d}" for n in range(50)]


@pytest.mark.usefixtures("nothing_stays")
async def test_an_error_that_many_workers_meet_at_once_is_raised_once_and_by_itself() -> None:
    async def always(_: Cell) -> Outcome:
        await checkpoint()
        raise OutageError("silence")

    with pytest.raises(OutageError, match="silence"):
        await anext(pull(plan_of(1000), always, concurrency=16))


async def test_an_error_does_not_wait_for_the_requests_that_are_still_under_way(nothing_stays: Api) -> None:
    nothing_stays.answers = 0

    async def refused_while_the_others_wait(cell: Cell) -> Outcome:
        if cell.device_id == "00007":
            raise OutageError("silence")
        return await nothing_stays.fetch(cell)

    with anyio.fail_after(5), pytest.raises(OutageError, match="silence"):
        await anext(pull(plan_of(1000), refused_while_the_others_wait, concurrency=8))

    assert nothing_stays.asked == 7


PROGRAM = """
import asyncio
from voltaware_async import Dataset, Month, VoltawareClient
from voltaware_async.sandbox import Sandbox

async def main():
    async with Sandbox(devices=200, latency_ms=1) as sandbox:
        async with VoltawareClient(
            sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, rate=None
        ) as client:
            outcomes = client.fleet.pull([Dataset.MONTH], [Month(2024, 7)])
            {what_it_does}
    print("ended")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "what_it_does", ["async for outcome in outcomes: break", "await anext(outcomes)", "pass"]
)
def test_a_program_that_leaves_a_pull_and_its_client_ends_without_a_word(what_it_does: str) -> None:
    program = PROGRAM.format(what_it_does=what_it_does)
    command = [sys.executable, "-W", "error", "-c", program]

    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")
