"""Outages that end, and how many cells one costs: hours of them in virtual time, over real sockets too."""

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
    Fetched,
    Month,
    OutageError,
    UnavailableError,
    UnreachableError,
)
from voltaware_async.fleet.crew import Crew
from voltaware_async.fleet.outage import OutageGuard
from voltaware_async.fleet.plan import Slice, cells
from voltaware_async.fleet.supply import Supply, one_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voltaware_async import Outcome, VoltawareClient
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, in_virtual_time]

CONTEXT = ErrorContext("GET", "/sensors/{device_id}/sm/disag/month")
JULY = Month(2024, 7)
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
    """Fetch a fleet through a guard, and keep how its cells ended; `at` says what happens at which count."""

    def __init__(
        self,
        fetch: FetchCell,
        *,
        concurrency: int,
        probe: Callable[[Cell], Awaitable[bool]] | None = None,
        at: dict[int, Callable[[], object]] | None = None,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._guard = OutageGuard(fetch, concurrency=concurrency, probe=probe)
        self._concurrency = concurrency
        self._at = at or {}

    async def of(self, devices: int, *datasets: Dataset) -> None:
        parts = [Slice(it, JULY) for it in datasets or (Dataset.MONTH,)]
        plan = cells(parts, [DeviceId(f"{n:04d}") for n in range(1, devices + 1)])
        await Crew(Supply(one_page(plan)), self._guard.fetch, self._take).run(self._concurrency)

    def _take(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._at.get(len(self.outcomes), int)()

    @property
    def failed(self) -> int:
        return sum(isinstance(it, Failed) for it in self.outcomes)

    @property
    def answered(self) -> int:
        return len(self.outcomes) - self.failed


async def test_silence_of_three_seconds_costs_no_cell_of_a_run_that_begins_in_it() -> None:
    run = Run(Api(silent_from=0, silent_for=3.0).fetch, concurrency=8)

    await run.of(100)

    assert run.failed == 0
    assert len(run.outcomes) == 100


async def test_a_silence_that_ends_leaves_the_rest_of_the_fleet_asked() -> None:
    run = Run(Api(silent_from=2.0, silent_for=3.0).fetch, concurrency=8)

    await run.of(400)

    assert len(run.outcomes) == 400
    assert run.failed <= 8, "only what was under way when it began"


@pytest.mark.parametrize("concurrency", [1, 8, 50, 51, 120])
async def test_endless_silence_ends_the_run_and_fails_no_more_cells_than_it_takes_to_know(
    concurrency: int,
) -> None:
    api = Api(silent_from=0.0)
    run = Run(api.fetch, concurrency=concurrency)

    with pytest.raises(OutageError, match=rf"^{max(50, concurrency)} requests in a row"):
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
    outcomes = [await guard.fetch(Cell(DeviceId(f"{n}"), Dataset.MONTH, JULY)) for n in range(500)]

    assert sum(isinstance(it, Absent) for it in outcomes) == 10


async def test_holding_back_is_bounded() -> None:
    """A cell that finds nothing but silence takes 7 s of holds and four tries, and no more."""
    api = Api(silent_from=0.0)
    before = anyio.current_time()

    outcome = await OutageGuard(api.fetch, concurrency=4).fetch(Cell(DeviceId("1"), Dataset.MONTH, JULY))

    assert isinstance(outcome, Failed)
    assert (outcome.attempts, api.asked) == (12, 4)
    assert anyio.current_time() - before == pytest.approx(7 + 4 * (LATENCY_S + 2), abs=0.1)


async def test_refused_credentials_are_no_outage() -> None:
    refused = CredentialsRefusedError("refused", CONTEXT)

    async def fetch(_: Cell) -> Outcome:
        raise refused

    with pytest.raises(CredentialsRefusedError) as caught:
        await OutageGuard(fetch, concurrency=4).fetch(Cell(DeviceId("1"), Dataset.MONTH, JULY))

    assert caught.value is refused


# --- the sandbox, over real sockets -----------------------------------------------------------------


def looked_up_by(client: VoltawareClient) -> Callable[[Cell], Awaitable[bool]]:
    """Probe as a fleet does: by the device of the cell."""

    async def probe(cell: Cell) -> bool:
        try:
            await client.devices.get(cell.device_id)
        except UnavailableError:
            return False
        return True

    return probe


@pytest.mark.parametrize("kind", ["500", "502", "503", "reset"])
async def test_an_outage_ends_the_run_within_the_retry_budget_and_delivers_what_arrived_before_it(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], kind: str
) -> None:
    async with make_client(concurrency=8) as client:
        begins = {60: lambda: sandbox.script(kind, times=None)}
        run = Run(client.fleet.fetch, concurrency=8, probe=looked_up_by(client), at=begins)

        with pytest.raises(OutageError, match=r"^50 requests in a row got no usable answer, the last: "):
            await run.of(1000)

        assert 60 <= run.answered <= 60 + 8
        assert run.failed == 49, "the fiftieth ended the run"
        assert client._traffic.retries <= 100 + 0.1 * run.answered
        assert client._traffic.requests <= run.answered + 4 * (49 + 8) + 4 + 110 + 1


@pytest.mark.parametrize("pause_s", [1, 120])
async def test_endless_throttling_ends_the_run_and_is_asked_no_more_often_than_it_wants(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], pause_s: int
) -> None:
    """Being throttled spends no retry budget: the pauses bound what is sent."""
    async with make_client(concurrency=8, deadline=10) as client:
        run = Run(client.fleet.fetch, concurrency=8, probe=looked_up_by(client))
        sandbox.script("429", times=None, retry_after=pause_s)
        begun = anyio.current_time()

        with pytest.raises(OutageError, match=r"^50 requests in a row got no usable answer"):
            await run.of(1000)

        pauses = (anyio.current_time() - begun) / min(pause_s, 60)
        assert run.failed == 49
        assert client._traffic.requests <= pauses + 2 * 8 + 1


@pytest.mark.parametrize("kind", ["502", "503", "reset"])
async def test_an_outage_of_seconds_is_waited_out(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], kind: str
) -> None:
    async with make_client(concurrency=8) as client, anyio.create_task_group() as group:

        async def outage_of_seconds() -> None:
            script = sandbox.script(kind, times=None)
            await anyio.sleep(4.0)
            script.cancel()

        begins = {60: lambda: group.start_soon(outage_of_seconds)}
        run = Run(client.fleet.fetch, concurrency=8, probe=looked_up_by(client), at=begins)

        await run.of(400)

    assert (run.failed, len(run.outcomes)) == (0, 400)


async def test_a_fit_of_500s_that_passes_ends_no_run(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """It is over in a moment to a fast client: the probe has the patience that the cells have not."""
    async with make_client(concurrency=8) as client, anyio.create_task_group() as group:

        async def fit_of_seconds() -> None:
            script = sandbox.script("500", times=None)
            await anyio.sleep(6.0)
            script.cancel()

        begins = {60: lambda: group.start_soon(fit_of_seconds)}
        run = Run(client.fleet.fetch, concurrency=8, probe=looked_up_by(client), at=begins)

        await run.of(400)

    assert len(run.outcomes) == 400
    assert 50 <= run.failed <= 50 + 8


@pytest.mark.parametrize("kind", ["500", "503", "reset"])
async def test_a_broken_endpoint_among_working_ones_fails_alone_and_at_few_requests(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], kind: str
) -> None:
    sandbox.script(kind, times=None, route="sm/reports/monthly")
    async with make_client(concurrency=8) as client:
        run = Run(client.fleet.fetch, concurrency=8, probe=looked_up_by(client))

        await run.of(400, Dataset.MONTH, Dataset.MONTH_REPORT, Dataset.MONTH_WEEKS)

        assert client._traffic.retries <= 100 + 0.1 * 800

    assert {it.cell.dataset for it in run.outcomes if isinstance(it, Failed)} == {Dataset.MONTH_REPORT}
    assert (run.failed, run.answered) == (400, 800)
    assert sandbox.count("sensor") == 3, "after 50, 150 and 350"
    assert sandbox.count("sm/reports/monthly") <= 400 + 3 * (50 + 8) + 180


async def test_a_percent_of_devices_that_always_fails_costs_the_others_nothing_and_no_second_round(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    bad = [DeviceId("0007"), DeviceId("0021"), DeviceId("0022")]
    for device_id in bad:
        sandbox.script("500", times=None, device_id=device_id)
    async with make_client(concurrency=8) as client:
        run = Run(client.fleet.fetch, concurrency=8, probe=looked_up_by(client))

        await run.of(300, Dataset.MONTH, Dataset.MONTH_WEEKS)

    failed = [it for it in run.outcomes if isinstance(it, Failed)]
    assert sorted(it.cell.device_id for it in failed) == sorted(2 * bad)
    assert {it.attempts for it in failed} == {3}
    assert run.answered == 2 * 297
    assert sum(isinstance(it, Fetched) for it in run.outcomes) >= 50
    assert sandbox.count("sensor") == 0, "no probe"
