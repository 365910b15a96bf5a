"""Outages: a cell that fails alone fails; an API that is silent ends the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voltaware_async import (
    Absent,
    AuthUnavailableError,
    Cell,
    Dataset,
    DeviceId,
    ErrorContext,
    Failed,
    Month,
    OutageError,
    ServerError,
    UnreachableError,
)
from voltaware_async.cells import Seen, Unseen
from voltaware_async.fleet import outage
from voltaware_async.fleet.outage import OutageGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from voltaware_async import Outcome, VoltawareError
    from voltaware_async.cells import Lookup

pytestmark = pytest.mark.anyio

CONTEXT = ErrorContext("GET", "/sensors/{device_id}/sm/disag/month")
CELL = Cell(DeviceId("0001"), Dataset.MONTH, Month(2024, 7))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_HOLDS_S", (0.0, 0.0, 0.0))


class Api:
    """Answer cells by a list of errors, None for an answer; the last one goes on for ever."""

    def __init__(self, *errors: VoltawareError | None) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def fetch(self, cell: Cell) -> Outcome:
        self.asked += 1
        error = self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]
        return Absent(cell, attempts=3) if error is None else Failed(cell, error, attempts=3)


def unreachable(kind: Callable[[str, ErrorContext], VoltawareError] = UnreachableError) -> VoltawareError:
    return kind("cannot connect", CONTEXT)


@pytest.mark.parametrize("kind", [UnreachableError, AuthUnavailableError])
async def test_a_cell_waits_out_a_short_outage_and_counts_every_request(
    kind: Callable[[str, ErrorContext], VoltawareError],
) -> None:
    api = Api(unreachable(kind), unreachable(kind), None)

    outcome = await OutageGuard(api.fetch, concurrency=4).fetch(CELL)

    assert outcome == Absent(CELL, attempts=9)


async def test_a_look_up_waits_out_a_short_outage_as_a_cell_does() -> None:
    device = DeviceId("0001")
    lookups: list[Lookup] = [Unseen(device, unreachable(), attempts=3)] * 2 + [Seen(device, None, attempts=1)]

    async def look_up(device_id: DeviceId) -> Lookup:
        assert device_id == device
        return lookups.pop(0)

    found = await OutageGuard(look_up, concurrency=4).fetch(device)

    assert found == Seen(device, None, attempts=7)


async def test_a_look_up_that_is_answered_with_an_error_is_answered() -> None:
    asked = 0

    async def look_up(device_id: DeviceId) -> Lookup:
        nonlocal asked
        asked += 1
        return Unseen(device_id, ServerError("the API failed", CONTEXT))

    guard = OutageGuard(look_up, concurrency=4)
    for n in range(200):
        assert isinstance(await guard.fetch(DeviceId(f"{n}")), Unseen)

    assert asked == 200


async def test_a_cell_that_cannot_be_reached_fails_after_four_tries() -> None:
    api = Api(unreachable())

    outcome = await OutageGuard(api.fetch, concurrency=4).fetch(CELL)

    assert isinstance(outcome, Failed)
    assert outcome.attempts == 12
    assert api.asked == 4


async def test_an_answer_with_an_error_is_an_answer() -> None:
    api = Api(ServerError("the API failed", CONTEXT))
    guard = OutageGuard(api.fetch, concurrency=4)

    for _ in range(200):
        assert isinstance(await guard.fetch(CELL), Failed)

    assert api.asked == 200


async def test_a_cell_that_fails_again_while_others_are_answered_is_at_fault() -> None:
    guard: OutageGuard

    async def fetch(cell: Cell) -> Outcome:
        if cell == CELL:
            await guard.fetch(Cell(DeviceId("0002"), Dataset.MONTH, Month(2024, 7)))
            return Failed(cell, unreachable())
        return Absent(cell)

    guard = OutageGuard(fetch, concurrency=4)

    outcome = await guard.fetch(CELL)

    assert isinstance(outcome, Failed)
    assert outcome.attempts == 2


async def test_a_silent_api_ends_the_run_instead_of_failing_the_fleet() -> None:
    guard = OutageGuard(Api(unreachable()).fetch, concurrency=4)
    failed = 0

    async def run() -> None:
        nonlocal failed
        while True:
            await guard.fetch(CELL)
            failed += 1

    with pytest.raises(OutageError, match="50 cells in a row could not reach the API; the last: "):
        await run()

    assert failed == 49
