"""The ends of a pull: whoever leaves it, and however asyncio itself ends it, nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from voltaware_async import Absent, Cell, CredentialsRefusedError, Dataset, DeviceId, ErrorContext, Month
from voltaware_async.fleet.plan import Slice, cells
from voltaware_async.fleet.pull import pull
from voltaware_async.fleet.supply import one_page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from voltaware_async import Outcome


def outcomes_of(
    fetch: Callable[[Cell], Awaitable[Outcome]], *, cells_planned: int = 100, concurrency: int = 4
) -> AsyncGenerator[Outcome]:
    devices = [DeviceId(f"{n:05d}") for n in range(cells_planned)]
    pages = one_page(cells([Slice(Dataset.MONTH, Month(2024, 7))], devices))
    return pull(pages, fetch, concurrency=concurrency)


async def absent(cell: Cell) -> Outcome:
    await checkpoint()
    return Absent(cell)


def tasks_but_this_one() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the loop and the interpreter complain of, once everything has been collected."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield heard
        gc.collect()
    heard += [str(it.message) for it in warned]
    assert not heard


def run(main: Callable[[], Awaitable[None]], complaints: list[str]) -> None:
    """Run on a loop of its own, to its very end: what asyncio does when it closes is part of the test."""

    async def listening() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context["message"]))
        await main()

    asyncio.run(listening())


def test_a_break_that_ends_the_program_leaves_nothing_unclosed(complaints: list[str]) -> None:
    async def main() -> None:
        async for _ in outcomes_of(absent):
            break

    run(main, complaints)


def test_an_error_that_nobody_stayed_for_is_not_complained_of(complaints: list[str]) -> None:
    async def refused_after_ten(cell: Cell) -> Outcome:
        if int(cell.device_id) >= 10:
            raise CredentialsRefusedError("refused", ErrorContext("POST", "/auth/token"))
        return await absent(cell)

    async def main() -> None:
        async with contextlib.aclosing(outcomes_of(refused_after_ten)) as outcomes:
            await anext(outcomes)
            await anyio.wait_all_tasks_blocked()

    run(main, complaints)


def test_a_generator_that_is_closed_by_another_task_than_its_consumer_leaves_no_worker(
    complaints: list[str],
) -> None:
    async def main() -> None:
        outcomes = outcomes_of(absent)
        await anext(outcomes)
        await asyncio.create_task(outcomes.aclose())  # type: ignore[arg-type]

        assert not tasks_but_this_one()

    run(main, complaints)


class Stubborn:
    """Never answer, and take a while to let go when cancelled, as a connection that is being closed does."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.under_way = 0

    async def fetch(self, _: Cell) -> Outcome:
        self.under_way += 1
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self.gate.wait()
            self.under_way -= 1
        raise AssertionError


@pytest.mark.parametrize("cancels", [1, 2, 3])
def test_a_consumer_that_is_cancelled_again_and_again_still_waits_for_its_workers(
    complaints: list[str], cancels: int
) -> None:
    async def main() -> None:
        api = Stubborn()

        async def consume() -> None:
            async with contextlib.aclosing(outcomes_of(api.fetch)) as outcomes:
                await anext(outcomes)

        consumer = asyncio.create_task(consume())
        await anyio.wait_all_tasks_blocked()
        for _ in range(cancels):
            consumer.cancel()
            await anyio.wait_all_tasks_blocked()
        ended_too_early = consumer.done()
        api.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await consumer

        assert not ended_too_early
        assert api.under_way == 0
        assert not tasks_but_this_one()

    run(main, complaints)


def test_a_time_limit_of_asyncio_around_a_pull_is_kept_and_leaves_no_worker(complaints: list[str]) -> None:
    async def stuck_after_five(cell: Cell) -> Outcome:
        if int(cell.device_id) >= 5:
            await anyio.sleep_forever()
        return await absent(cell)

    async def main() -> None:
        arrived = []

        async def consume() -> None:
            async with asyncio.timeout(0.02), contextlib.aclosing(outcomes_of(stuck_after_five)) as outcomes:
                async for outcome in outcomes:
                    arrived.append(outcome.cell.device_id)  # noqa: PERF401  what came before counts

        with pytest.raises(TimeoutError):
            await consume()

        assert sorted(arrived) == [f"{n:05d}" for n in range(5)]
        assert not tasks_but_this_one()

    run(main, complaints)


def test_a_bug_in_a_fetch_ends_the_pull_and_is_not_hidden(complaints: list[str]) -> None:
    async def buggy(cell: Cell) -> Outcome:
        if cell.device_id == "00003":
            raise LookupError("a bug")
        return await absent(cell)

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            async for _ in outcomes_of(buggy):
                pass

        assert raised.group_contains(LookupError, match="a bug")
        assert not tasks_but_this_one()

    run(main, complaints)
