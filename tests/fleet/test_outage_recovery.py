"""Outages that end, and how many cells one costs: hours of silence in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from virtual_time import in_virtual_time

from voltaware_async import (
    Absent,
    Cell,
    CredentialsRefusedError,
    Dataset,
    DeviceId,
    ErrorContext,
    Failed,
    Month,
    OutageError,
    UnreachableError,
)
from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.outage import OutageGuard
from voltaware_async.fleet.plan import Slice, cells
from voltaware_async.fleet.supply import Supply, one_page

if TYPE_CHECKING:
    from voltaware_async import Outcome

pytestmark = [pytest.mark.anyio, in_virtual_time]

CONTEXT = ErrorContext("GET", "/sensors/{device_id}/sm/disag/month")
LATENCY_S = 0.3


class Api:
    """Answer after 0.3 s, but for a time of silence, which every request that meets it notices after 2 s."""

    def __init__(self, silent_from: float, silent_for: float = float("inf")) -> None:
        self.begun = anyio.current_time()
        self.silence = silent_from, silent_from + silent_for
        self.asked = 0

    def is_silent(self) -> bool:
        return self.silence[0] <= anyio.current_time() - self.begun < self.silence[1]

    async def fetch(self, cell: Cell) -> Outcome:
        self.asked += 1
        await anyio.sleep(LATENCY_S)
        if self.is_silent():
            await anyio.sleep(2.0)
            if self.is_silent():
                return Failed(cell, UnreachableError("no answer", CONTEXT), attempts=3)
        return Absent(cell)


class Run:
    """Fetch a fleet through a guard, and keep how its cells ended."""

    def __init__(self, api: Api, *, concurrency: int) -> None:
        self.outcomes: list[Outcome] = []
        self._guard = OutageGuard(api.fetch, concurrency=concurrency)
        self._concurrency = concurrency

    async def of(self, devices: int) -> None:
        plan = cells([Slice(Dataset.MONTH, Month(2024, 7))], [DeviceId(f"{n}") for n in range(devices)])
        crew = Crew(Supply(one_page(plan)), self._guard.fetch, self.outcomes.append)
        await crew.run(self._concurrency)

    @property
    def failed(self) -> int:
        return sum(isinstance(it, Failed) for it in self.outcomes)


async def test_silence_of_three_seconds_costs_no_cell_of_a_run_that_begins_in_it() -> None:
    run = Run(Api(silent_from=0, silent_for=3.0), concurrency=8)

    await run.of(100)

    assert run.failed == 0
    assert len(run.outcomes) == 100


async def test_a_silence_that_ends_leaves_the_rest_of_the_fleet_asked() -> None:
    run = Run(Api(silent_from=2.0, silent_for=3.0), concurrency=8)

    await run.of(400)

    assert len(run.outcomes) == 400
    assert run.failed <= 8, "only what was under way when it began"


@pytest.mark.parametrize("concurrency", [1, 8, 50, 51, 120])
async def test_endless_silence_ends_the_run_and_fails_no_more_cells_than_it_takes_to_know(
    concurrency: int,
) -> None:
    api = Api(silent_from=0.0)
    run = Run(api, concurrency=concurrency)

    with pytest.raises(OutageError, match=f"^{max(50, concurrency)} cells in a row could not reach the API"):
        await run.of(1000)

    assert run.failed == max(50, concurrency) - 1
    assert api.asked <= 4 * (max(50, concurrency) + concurrency)


async def test_a_single_answer_begins_the_count_anew() -> None:
    errors = 0

    async def every_fiftieth_is_answered(cell: Cell) -> Outcome:
        nonlocal errors
        errors += 1
        if int(cell.device_id) % 50 == 49:
            return Absent(cell)
        return Failed(cell, UnreachableError("no answer", CONTEXT))

    guard = OutageGuard(every_fiftieth_is_answered, concurrency=1)
    outcomes = [await guard.fetch(Cell(DeviceId(f"{n}"), Dataset.MONTH, Month(2024, 7))) for n in range(500)]

    assert sum(isinstance(it, Absent) for it in outcomes) == 10


async def test_holding_back_is_bounded() -> None:
    """A cell that finds nothing but silence takes 7 s of holds and four tries, and no more."""
    api = Api(silent_from=0.0)
    before = anyio.current_time()

    outcome = await OutageGuard(api.fetch, concurrency=4).fetch(
        Cell(DeviceId("1"), Dataset.MONTH, Month(2024, 7))
    )

    assert isinstance(outcome, Failed)
    assert (outcome.attempts, api.asked) == (12, 4)
    assert anyio.current_time() - before == pytest.approx(7 + 4 * (LATENCY_S + 2), abs=0.1)


async def test_refused_credentials_are_no_outage() -> None:
    refused = CredentialsRefusedError("refused", CONTEXT)

    async def fetch(_: Cell) -> Outcome:
        raise refused

    with pytest.raises(CredentialsRefusedError) as caught:
        await OutageGuard(fetch, concurrency=4).fetch(Cell(DeviceId("1"), Dataset.MONTH, Month(2024, 7)))

    assert caught.value is refused
