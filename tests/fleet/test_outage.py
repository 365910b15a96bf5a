"""Outages: a cell that fails alone fails; an API that is out ends the run; a broken endpoint does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from voltaware_async import (
    Absent,
    AuthenticationError,
    AuthUnavailableError,
    BadRequestError,
    Cell,
    Dataset,
    DecodeError,
    DeviceId,
    DeviceNotRegisteredError,
    ErrorContext,
    Failed,
    Month,
    OutageError,
    ProtocolError,
    RedirectError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
    UnreachableError,
)
from voltaware_async.cells import Seen, Unseen
from voltaware_async.errors import DeadlineError
from voltaware_async.fleet import outage
from voltaware_async.fleet.outage import OutageGuard

if TYPE_CHECKING:
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


class Probe:
    """Answer probes by a line of "yes" and "no", of which the last goes on for ever; note when for what."""

    def __init__(self, api: Api, words: str) -> None:
        self.words = words.split()
        self.items: list[Cell] = []
        self.asked_at: list[int] = []
        self._api = api

    async def __call__(self, item: Cell) -> bool:
        self.items.append(item)
        self.asked_at.append(self._api.asked)
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        return word == "yes"


def unreachable() -> VoltawareError:
    return UnreachableError("cannot connect", CONTEXT)


def server_error(status: int) -> VoltawareError:
    return ServerError("the API failed", ErrorContext("GET", CONTEXT.path, status=status))


async def fetch_many(guard: OutageGuard, count: int, cell: Cell = CELL) -> None:
    for _ in range(count):
        assert isinstance(await guard.fetch(cell), Failed | Absent)


SAYS_AWAY = [
    pytest.param(UnreachableError("cannot connect", CONTEXT), id="unreachable"),
    pytest.param(DeadlineError("no complete answer", CONTEXT), id="late"),
    pytest.param(AuthUnavailableError("no token", CONTEXT), id="no token"),
    *(pytest.param(server_error(status), id=f"{status}") for status in (502, 503, 504)),
]
# A throttled cell has waited until its deadline already; what is no answer of the API's is none at any time.
FAILS = [
    *(pytest.param(server_error(status), id=f"{status}") for status in (408, 425, 500, 501, 505)),
    pytest.param(ThrottledError("slow down", CONTEXT, 1.0), id="429"),
    pytest.param(UnexpectedResponseError("a page of a login wall", CONTEXT), id="page"),
    pytest.param(RedirectError("moved", CONTEXT), id="redirect"),
    pytest.param(ProtocolError("no HTTP", CONTEXT), id="protocol"),
]
ANSWERS = [
    pytest.param(kind("no", CONTEXT), id=kind.__name__)
    for kind in (BadRequestError, DeviceNotRegisteredError, DecodeError)
]


# --- a cell that finds the API away -----------------------------------------------------------------


@pytest.mark.parametrize("error", SAYS_AWAY)
async def test_a_cell_waits_out_a_short_outage_and_counts_every_request(error: VoltawareError) -> None:
    api = Api(error, error, None)

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
        return Unseen(device_id, BadRequestError("no", CONTEXT))

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


@pytest.mark.parametrize("error", FAILS)
async def test_an_api_that_fails_a_cell_is_not_asked_for_it_again(error: VoltawareError) -> None:
    api = Api(error)

    outcome = await OutageGuard(api.fetch, concurrency=4).fetch(CELL)

    assert outcome == Failed(CELL, error, attempts=3)
    assert api.asked == 1


async def test_a_cell_that_was_away_and_then_fails_is_not_asked_for_again() -> None:
    api = Api(unreachable(), server_error(500))

    outcome = await OutageGuard(api.fetch, concurrency=4).fetch(CELL)

    assert outcome == Failed(CELL, api.errors[0], attempts=6)


@pytest.mark.parametrize("error", ANSWERS)
async def test_an_answer_with_an_error_is_an_answer(error: VoltawareError) -> None:
    api = Api(error)

    await fetch_many(OutageGuard(api.fetch, concurrency=4), 200)

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


# --- an API that is out -----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [*SAYS_AWAY, *FAILS])
async def test_an_api_that_is_out_ends_the_run_instead_of_failing_the_fleet(error: VoltawareError) -> None:
    guard = OutageGuard(Api(error).fetch, concurrency=4)
    await fetch_many(guard, 49)

    with pytest.raises(OutageError) as caught:
        await guard.fetch(CELL)

    assert str(caught.value) == f"50 requests in a row got no usable answer, the last: {error}"


async def test_an_api_that_refuses_every_token_ends_the_run_as_refused_credentials_do() -> None:
    refused = AuthenticationError("the API refuses even a new token here", CONTEXT)
    guard = OutageGuard(Api(refused).fetch, concurrency=4)
    await fetch_many(guard, 49)

    with pytest.raises(AuthenticationError) as caught:
        await guard.fetch(CELL)

    assert caught.value is refused


@pytest.mark.parametrize("answer", [None, *ANSWERS])
async def test_any_answer_begins_the_row_anew(answer: VoltawareError | None) -> None:
    api = Api(*[server_error(500)] * 49, answer, server_error(500))
    guard = OutageGuard(api.fetch, concurrency=4)

    await fetch_many(guard, 49 + 1 + 49)

    with pytest.raises(OutageError):
        await guard.fetch(CELL)


async def test_an_api_that_answers_no_probe_is_out() -> None:
    api = Api(server_error(500))
    probe = Probe(api, "no")
    guard = OutageGuard(api.fetch, concurrency=4, probe=probe)
    last = Cell(DeviceId("0002"), Dataset.MONTH, Month(2024, 7))
    await fetch_many(guard, 49)

    with pytest.raises(OutageError, match=r"^50 requests in a row"):
        await guard.fetch(last)

    assert probe.items == [last] * 4, "as patiently as for a cell"


# --- an endpoint that is broken ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 503])
async def test_a_broken_endpoint_fails_its_cells_at_ever_fewer_probes(status: int) -> None:
    api = Api(server_error(status))
    probe = Probe(api, "yes")

    await fetch_many(OutageGuard(api.fetch, concurrency=4, probe=probe), 5000)

    held = 3 * 50 if status == 503 else 0
    rows = [it - held for it in probe.asked_at]
    assert rows == [50, 150, 350, 750, 1550, 2350, 3150, 3950, 4750]


async def test_once_the_api_is_known_to_answer_elsewhere_nobody_waits_for_it() -> None:
    api = Api(server_error(503))
    guard = OutageGuard(api.fetch, concurrency=4, probe=Probe(api, "yes"))
    await fetch_many(guard, 50)
    asked = api.asked

    await fetch_many(guard, 1000)

    assert (asked, api.asked - asked) == (4 * 50, 1000)


async def test_an_answer_makes_the_next_row_as_short_as_the_first_and_cells_wait_again() -> None:
    api = Api(*[server_error(500)] * 60, None, server_error(503))
    probe = Probe(api, "yes")
    guard = OutageGuard(api.fetch, concurrency=4, probe=probe)

    await fetch_many(guard, 60 + 1 + 50)

    assert probe.asked_at == [50, 61 + 4 * 50]


async def test_an_outage_that_begins_while_an_endpoint_is_broken_ends_the_run() -> None:
    api = Api(server_error(500))
    guard = OutageGuard(api.fetch, concurrency=4, probe=Probe(api, "yes yes yes yes yes no"))
    await fetch_many(guard, 1550 + 799)

    with pytest.raises(OutageError, match=r"^800 requests in a row"):
        await guard.fetch(CELL)


async def test_a_probe_that_fails_once_ends_no_run() -> None:
    api = Api(server_error(500))
    probe = Probe(api, "no yes")

    await fetch_many(OutageGuard(api.fetch, concurrency=4, probe=probe), 149)

    assert probe.asked_at == [50, 50]


# --- many workers -----------------------------------------------------------------------------------


class SlowProbe:
    """Hold a probe until it is told its answer."""

    def __init__(self) -> None:
        self.asked = 0
        self.word: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def __call__(self, _item: Cell) -> bool:
        self.asked += 1
        return await asyncio.shield(self.word)


async def workers_at_the_limit(guard: OutageGuard, count: int) -> list[asyncio.Task[Outcome]]:
    await fetch_many(guard, 49)
    workers = [asyncio.create_task(guard.fetch(CELL)) for _ in range(count)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert not any(it.done() for it in workers)
    return workers


async def test_workers_that_complete_the_row_meanwhile_wait_for_the_one_probe() -> None:
    probe = SlowProbe()
    guard = OutageGuard(Api(server_error(500)).fetch, concurrency=4, probe=probe)
    workers = await workers_at_the_limit(guard, 4)

    probe.word.set_result(True)

    assert all(isinstance(it, Failed) for it in await asyncio.gather(*workers))
    assert probe.asked == 1


async def test_an_outage_is_told_to_all_who_waited_for_the_probe() -> None:
    probe = SlowProbe()
    guard = OutageGuard(Api(server_error(500)).fetch, concurrency=4, probe=probe)
    workers = await workers_at_the_limit(guard, 4)

    probe.word.set_result(False)

    ends = await asyncio.gather(*workers, return_exceptions=True)
    assert [type(it) for it in ends] == [OutageError] * 4
    assert probe.asked == 4, "by the first, with its patience"


async def test_an_answer_that_arrives_during_a_probe_outweighs_it() -> None:
    api, probe = Api(server_error(500)), SlowProbe()
    guard = OutageGuard(api.fetch, concurrency=4, probe=probe)
    workers = await workers_at_the_limit(guard, 2)

    api.errors = [None]
    assert await guard.fetch(CELL) == Absent(CELL, attempts=3)
    probe.word.set_result(False)

    assert all(isinstance(it, Failed) for it in await asyncio.gather(*workers))
    assert probe.asked == 1


async def test_a_worker_that_is_cancelled_during_its_probe_leaves_it_to_the_next() -> None:
    probe = SlowProbe()
    guard = OutageGuard(Api(server_error(500)).fetch, concurrency=4, probe=probe)
    first, second = await workers_at_the_limit(guard, 2)

    first.cancel()
    await asyncio.wait([first])
    probe.word.set_result(True)

    assert isinstance(await second, Failed)
    assert probe.asked == 2
