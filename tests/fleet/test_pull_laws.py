"""Laws of the pull: whatever order the replies come in, every cell ends once, and as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from voltaware_async import Absent, Cell, Dataset, DeviceId, ErrorContext, Failed, Month, ServerError
from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.plan import Slice, cells
from voltaware_async.fleet.pull import pull
from voltaware_async.fleet.supply import Supply, one_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from voltaware_async import Outcome

PARTS = [Slice(Dataset.MONTH, Month(2024, 7))]
DELAYS_S = st.lists(st.floats(0, 10), max_size=30)
WORKERS = st.integers(1, 9)


class Api:
    """Answer the n-th device after the n-th delay; every third with an error."""

    def __init__(self, delays_s: list[float]) -> None:
        self.delays_s = delays_s
        self.ended: list[str] = []
        self.under_way = self.most_under_way = 0

    def plan(self) -> AsyncIterator[Iterable[Cell]]:
        return one_page(cells(PARTS, [DeviceId(f"{n}") for n in range(len(self.delays_s))]))

    async def fetch(self, cell: Cell) -> Outcome:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await anyio.sleep(self.delays_s[int(cell.device_id)])
        self.under_way -= 1
        self.ended.append(cell.device_id)
        if int(cell.device_id) % 3:
            return Absent(cell)
        return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))


@given(DELAYS_S, WORKERS)
def test_every_cell_ends_once_in_the_order_of_the_replies_by_no_more_workers_than_there_are(
    delays_s: list[float], concurrency: int
) -> None:
    api = Api(delays_s)

    async def main() -> list[Outcome]:
        return [it async for it in pull(api.plan(), api.fetch, concurrency=concurrency)]

    outcomes = run(main())

    yielded = [it.cell.device_id for it in outcomes]  # type: ignore[attr-defined]
    assert yielded == api.ended
    assert sorted(yielded, key=int) == [f"{n}" for n in range(len(delays_s))]
    assert api.most_under_way == min(concurrency, len(delays_s))


@given(DELAYS_S, WORKERS, WORKERS)
def test_how_many_workers_there_are_changes_the_order_and_nothing_else(
    delays_s: list[float], some: int, others: int
) -> None:
    async def ended_by(concurrency: int) -> set[tuple[str, type]]:
        api = Api(delays_s)
        return {
            (it.cell.device_id, type(it)) async for it in pull(api.plan(), api.fetch, concurrency=concurrency)
        }

    assert run(ended_by(some)) == run(ended_by(others))


@given(DELAYS_S, WORKERS, st.floats(0, 30))
def test_a_stop_at_any_moment_keeps_exactly_what_has_arrived(
    delays_s: list[float], concurrency: int, stop_after_s: float
) -> None:
    api = Api(delays_s)
    delivered: list[str] = []

    async def main() -> float:
        stop, begun = anyio.Event(), anyio.current_time()
        crew = Crew(Supply(api.plan()), api.fetch, lambda it: delivered.append(it.cell.device_id))
        async with anyio.create_task_group() as group:
            group.start_soon(_set_after, stop, stop_after_s)
            await crew.run(concurrency, stop)
            group.cancel_scope.cancel()
        return anyio.current_time() - begun

    took_s = run(main())

    assert delivered == api.ended
    assert took_s <= stop_after_s + 0.1  # type: ignore[operator]


async def _set_after(stop: anyio.Event, seconds: float) -> None:
    await anyio.sleep(seconds)
    stop.set()


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_plan_without_cells_ends_at_once(concurrency: int) -> None:
    api = Api([])

    async def main() -> list[Outcome]:
        return [it async for it in pull(api.plan(), api.fetch, concurrency=concurrency)]

    assert run(main()) == []
