"""The supply: one by one, page by page, and nothing more once it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from voltaware_async.fleet.supply import Supply, one_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

pytestmark = pytest.mark.anyio


class Pages:
    """Give out pages, the n-th only when the gate is open; and count them."""

    def __init__(self, *pages: Iterable[int], held_from: int = 99) -> None:
        self.pages = pages
        self.held_from = held_from
        self.turned = 0
        self.gate = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[Iterable[int]]:
        for number, page in enumerate(self.pages):
            await (self.gate.wait() if number >= self.held_from else checkpoint())
            self.turned += 1
            yield page

    def supply(self) -> Supply[int]:
        return Supply(aiter(self))


async def rest(supply: Supply[int]) -> list[int]:
    taken = []
    while (item := await supply.take()) is not None:
        taken.append(item)
    return taken


async def taking(supply: Supply[int], workers: int) -> tuple[anyio.abc.TaskGroup, list[int | None]]:
    """Let so many workers wait for the next one."""
    taken: list[int | None] = []

    async def take() -> None:
        taken.append(await supply.take())

    group = anyio.create_task_group()
    await group.__aenter__()
    for _ in range(workers):
        group.start_soon(take)
    await anyio.wait_all_tasks_blocked()
    return group, taken


async def test_pages_are_handed_out_in_order_and_empty_ones_passed_over() -> None:
    supply = Pages([], [1, 2], [], [], [3], []).supply()

    assert await rest(supply) == [1, 2, 3]
    assert await supply.take() is None


async def test_what_needs_no_waiting_is_a_single_page() -> None:
    assert await rest(Supply(one_page(range(3)))) == [0, 1, 2]


async def test_a_page_is_turned_only_when_the_one_before_is_used_up() -> None:
    pages = Pages([1, 2], [3])
    supply = pages.supply()

    assert [await supply.take(), await supply.take(), pages.turned] == [1, 2, 1]
    assert [await supply.take(), pages.turned] == [3, 2]


async def test_a_page_that_many_wait_for_is_turned_once_and_shared() -> None:
    pages = Pages([1, 2, 3], [4], held_from=0)
    group, taken = await taking(pages.supply(), workers=3)

    assert taken == []
    pages.gate.set()
    await group.__aexit__(None, None, None)

    assert sorted(taken) == [1, 2, 3]
    assert pages.turned == 1


async def test_a_closed_supply_hands_out_no_more_although_its_page_has_some() -> None:
    pages = Pages([1, 2, 3], [4])
    supply = pages.supply()
    await supply.take()

    supply.close()
    supply.close()

    assert await rest(supply) == []
    assert pages.turned == 1


async def test_a_supply_that_is_closed_before_it_begins_turns_no_page() -> None:
    pages = Pages([1])
    supply = pages.supply()

    supply.close()

    assert await supply.take() is None
    assert pages.turned == 0


@pytest.mark.parametrize("workers", [1, 3])
async def test_workers_that_wait_for_a_page_get_nothing_of_it_once_the_supply_is_closed(workers: int) -> None:
    pages = Pages([1], [2, 3, 4, 5], [6], held_from=1)
    supply = pages.supply()
    assert await supply.take() == 1
    group, taken = await taking(supply, workers)

    supply.close()
    pages.gate.set()
    await group.__aexit__(None, None, None)

    assert taken == [None] * workers
    assert pages.turned == 2, "the page that was being turned, and none after it"
