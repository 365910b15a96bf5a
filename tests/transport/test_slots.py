"""The slots: in the order asked, never too many, never lost, while their number changes."""

from __future__ import annotations

import asyncio

import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st

from voltaware_async.transport.slots import Slots

pytestmark = pytest.mark.anyio


async def settled() -> None:
    """Let everybody who can go on do so."""
    for _ in range(3):
        await asyncio.sleep(0)


class Crowd:
    """Ask for slots, and note who got one."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.got: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, count: int) -> None:
        first = len(self.tasks)
        self.tasks += [asyncio.create_task(self._take(first + number)) for number in range(count)]
        await settled()

    async def _take(self, number: int) -> None:
        await self.slots.take()
        self.got.append(number)


async def test_slots_are_given_in_the_order_asked() -> None:
    crowd = Crowd(Slots(2))
    await crowd.ask(5)
    assert crowd.got == [0, 1]
    for _ in range(3):
        crowd.slots.give_back()
    await settled()
    assert crowd.got == [0, 1, 2, 3, 4]


async def test_a_slot_is_taken_at_once_only_if_one_is_free_and_nobody_waits() -> None:
    slots = Slots(1)
    assert slots.take_at_once()
    assert not slots.take_at_once()
    waiting = asyncio.create_task(slots.take())
    await settled()
    slots.give_back()
    assert not slots.take_at_once()
    await waiting
    slots.give_back()
    assert slots.take_at_once()


async def test_a_limit_that_falls_takes_nothing_away_and_gives_nothing_until_enough_came_back() -> None:
    crowd = Crowd(Slots(3))
    await crowd.ask(5)
    crowd.slots.resize(1)
    assert crowd.slots.value == -2
    for _ in range(2):
        crowd.slots.give_back()
    await settled()
    assert crowd.got == [0, 1, 2]
    crowd.slots.give_back()
    await settled()
    assert crowd.got == [0, 1, 2, 3]
    for task in crowd.tasks:
        task.cancel()


async def test_a_limit_that_rises_lets_those_in_who_wait() -> None:
    crowd = Crowd(Slots(1))
    await crowd.ask(5)
    crowd.slots.resize(4)
    await settled()
    assert crowd.got == [0, 1, 2, 3]
    for task in crowd.tasks:
        task.cancel()


async def test_whoever_gives_up_leaves_the_line() -> None:
    crowd = Crowd(Slots(1))
    await crowd.ask(3)
    crowd.tasks[1].cancel()
    await settled()
    crowd.slots.give_back()
    await settled()
    assert crowd.got == [0, 2]


async def test_a_slot_that_is_given_to_one_that_gives_up_in_the_same_moment_goes_to_the_next() -> None:
    crowd = Crowd(Slots(1))
    await crowd.ask(3)
    crowd.slots.give_back()
    crowd.tasks[1].cancel()
    await settled()
    assert crowd.got == [0, 2]
    assert crowd.slots.value == 0


async def test_a_slot_is_not_given_to_one_that_gave_up_a_moment_before() -> None:
    crowd = Crowd(Slots(1))
    await crowd.ask(3)
    crowd.tasks[1].cancel()
    crowd.slots.give_back()
    await settled()
    assert crowd.got == [0, 2]


async def test_after_all_who_waited_gave_up_a_slot_can_be_taken() -> None:
    crowd = Crowd(Slots(1))
    await crowd.ask(4)
    for task in crowd.tasks[1:]:
        task.cancel()
    await settled()
    crowd.slots.give_back()
    assert crowd.slots.take_at_once()


askers = st.tuples(st.floats(0, 3), st.none() | st.floats(0, 1), st.floats(0, 1))


@settings(max_examples=60)
@given(
    st.integers(1, 8),
    st.lists(askers, max_size=60),
    st.lists(st.tuples(st.floats(0, 4), st.integers(1, 8)), max_size=6),
)
def test_no_slot_is_given_above_the_limit_and_none_is_ever_lost(
    limit: int, askers: list[tuple[float, float | None, float]], changes: list[tuple[float, int]]
) -> None:
    slots = Slots(limit)
    limits = [limit]
    under_way = served = 0

    async def ask(at: float, patience: float | None, work_s: float) -> None:
        nonlocal under_way, served
        await asyncio.sleep(at)
        try:
            async with asyncio.timeout(patience):
                await slots.take()
        except TimeoutError:
            return
        under_way += 1
        assert under_way <= max(limits)
        await asyncio.sleep(work_s)
        under_way -= 1
        served += 1
        slots.give_back()

    async def change(at: float, limit: int) -> None:
        await asyncio.sleep(at)
        limits.append(limit)
        slots.resize(limit)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for asker in askers:
                group.create_task(ask(*asker))
            for each in changes:
                group.create_task(change(*each))

    virtual_time.run(main())
    assert served >= sum(patience is None for _, patience, _ in askers)
    assert slots.value == limits[-1]
