"""The client under pressure: quotas and servers that give way and recover, in virtual time."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from datetime import date
from math import ceil
from typing import TYPE_CHECKING

import pytest
import virtual_time
from aiohttp import web
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_time import in_virtual_time

from voltaware_async import RetryPolicy, VoltawareClient
from voltaware_async.errors import (
    ApiError,
    DeadlineError,
    ErrorContext,
    ServerError,
    ThrottledError,
    UnreachableError,
)
from voltaware_async.protocol.pressure import Pressure
from voltaware_async.protocol.retry import Failure, Resend
from voltaware_async.sandbox import Sandbox
from voltaware_async.sandbox.rate_limit import RateLimit
from voltaware_async.transport.pace import Pace
from voltaware_async.transport.regulator import Regulator
from voltaware_async.transport.slots import Slots
from voltaware_async.transport.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

SETTLED_S = 30
ENDS = (ServerError, UnreachableError, DeadlineError)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    loop = asyncio.get_running_loop()
    clock = loop.time if isinstance(loop, virtual_time.JumpingLoop) else time.monotonic
    async with Sandbox(devices=30, today=date(2024, 9, 15), clock=clock) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no jump wait for the kernel: it has carried the bytes by then, and there are thousands of jumps."""
    monkeypatch.setattr(virtual_time, "_GRACE_S", 0)


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def asking(ask: Callable[[], Awaitable[object]], workers: int = 32) -> AsyncIterator[None]:
    """Ask again and again, whatever comes of it."""

    async def work() -> None:
        while True:
            try:
                await ask()
            except ApiError:
                continue

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(workers)]
        yield
        for task in tasks:
            task.cancel()


# --- a quota that changes --------------------------------------------------------------------------


def account(arrivals: Iterable[tuple[float, bool]], since: float, capacity: int) -> tuple[float, float]:
    """Return goodput as a share of the capacity, and 429s as a share of the requests."""
    accepted = [is_accepted for at, is_accepted in arrivals if at >= since]
    goodput = sum(accepted) / (now() - since) / capacity
    return goodput, accepted.count(False) / len(accepted)


@pytest.mark.anyio
@in_virtual_time
@pytest.mark.parametrize("rate", [None, 200.0])
async def test_half_a_minute_after_a_quota_fell_or_rose_it_is_used_and_hardly_ever_exceeded(
    sandbox: Sandbox,
    make_client: Callable[..., VoltawareClient],
    rate: float | None,
) -> None:
    """100 -> 20 -> 100 requests/s."""
    async with make_client(rate=rate) as client, asking(lambda: client.devices.get("0001")):
        for capacity, seconds in (100, 5), (20, SETTLED_S + 40), (100, SETTLED_S + 40):
            sandbox.rate_limit = capacity
            step = now()
            await asyncio.sleep(seconds)
            if seconds > SETTLED_S:
                arrivals = ((each.at, each.status != 429) for each in sandbox.requests)
                goodput, refused = account(arrivals, step + SETTLED_S, capacity)
                assert goodput >= 0.85
                assert refused <= 0.02


class Quota:
    """An API without sockets: a quota, and answers that take a while."""

    def __init__(self, latency_s: float, *, says_how_long: bool) -> None:
        self.latency_s = latency_s
        self.says_how_long = says_how_long
        self.limit = RateLimit(100)
        self.arrivals: list[tuple[float, bool]] = []

    async def wait_s(self) -> int:
        await asyncio.sleep(self.latency_s / 2)
        wait_s = self.limit.wait_s(now())
        self.arrivals.append((now(), not wait_s))
        await asyncio.sleep(self.latency_s / 2)
        return wait_s


class Attempts:
    """The parts of the client that regulate it, without those that speak HTTP."""

    def __init__(self, api: Quota, rate: float | None) -> None:
        self.api = api
        self.slots, self.pace = Slots(32), Pace(rate)
        pressure = Pressure(32, rate)
        self.regulator = Regulator(pressure, self.pace, self.slots, Traffic(concurrency=32), 60.0)

    async def ask(self) -> None:
        await self.slots.take()
        try:
            await self.pace.turn()
            sent_at = now()
            wait_s = await self.api.wait_s()
            if wait_s:
                self.regulator.failed(self.failure(wait_s), sent_at, now())
            else:
                self.regulator.answered(now(), now() - sent_at, "/sensors")
        finally:
            self.slots.give_back()
        if wait_s:
            await asyncio.sleep(random.Random(sent_at).uniform(0, 0.2))

    def failure(self, wait_s: int) -> Failure:
        context = ErrorContext("GET", "/sensors", status=429)
        retry_after = float(wait_s) if self.api.says_how_long else None
        return Failure(ThrottledError("too fast", context), Resend.SAFE, retry_after, is_throttle=True)


@pytest.mark.parametrize("rate", [None, 100.0, 150.0, 1_000.0])
@pytest.mark.parametrize("latency_s", [0.005, 0.2])
@pytest.mark.parametrize("says_how_long", [True, False])
def test_a_quota_is_found_again_at_any_cap_and_latency_with_and_without_retry_after(
    rate: float | None, latency_s: float, *, says_how_long: bool
) -> None:
    """Over several rises of the rate."""

    async def main() -> None:
        api = Quota(latency_s, says_how_long=says_how_long)
        async with asking(Attempts(api, rate).ask):
            for capacity in 100, 20, 100:
                api.limit.per_second = capacity
                step = now()
                await asyncio.sleep(SETTLED_S + 40)
                goodput, refused = account(api.arrivals, step + SETTLED_S, capacity)
                assert goodput >= 0.88
                assert refused <= 0.01

    virtual_time.run(main())


@pytest.mark.anyio
@in_virtual_time
async def test_the_sandboxs_quota_can_be_changed_while_it_serves(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    sandbox.rate_limit = 1
    await client.connect()
    await client.devices.get("0001")
    assert [each.status for each in sandbox.requests] == [200, 429, 200]
    sandbox.rate_limit = None
    await asyncio.gather(*(client.devices.get("0001") for _ in range(10)))
    assert sandbox.rate_limit is None
    assert [each.status for each in sandbox.requests].count(429) == 1
    with pytest.raises(ValueError, match="rate_limit must be 1 or more"):
        sandbox.rate_limit = 0


# --- a pace that is slowed -------------------------------------------------------------------------

rates = st.none() | st.sampled_from([1.0, 10.0, 50.0, 99.5]) | st.floats(1, 300)


@settings(max_examples=60)
@given(rates, st.lists(st.tuples(st.floats(0, 1), rates), max_size=8))
@example(100.0, [(0.5, 50.0), (0.0, None)])
@example(100.0, [(0.5, 1.0), (0.01, 99.0), (0.01, 1.0), (0.01, 99.0)])
@example(None, [(0.5, 10.0), (2.0, None)])
def test_no_sliding_second_holds_more_than_the_highest_rate_in_force_meanwhile(
    cap: float | None, changes: list[tuple[float, float | None]]
) -> None:
    turns: list[float] = []
    in_force: list[tuple[float, float]] = []

    def note(pace: Pace) -> None:
        in_force.append((now(), float("inf") if pace._rate is None else pace._rate))

    async def take_turns(pace: Pace) -> None:
        for _ in range(200):
            await pace.turn()
            turns.append(now())
            # Where there is no limit, time passes all the same.
            await asyncio.sleep(0.002)

    async def main() -> None:
        pace = Pace(cap)
        note(pace)
        async with asyncio.TaskGroup() as group:
            taking = [group.create_task(take_turns(pace)) for _ in range(3)]
            for wait_s, rate in changes:
                await asyncio.sleep(wait_s)
                pace.slow_to(rate)
                note(pace)
            await asyncio.sleep(2)
            for task in taking:
                task.cancel()

    virtual_time.run(main())
    for first, at in enumerate(turns):
        held = sum(at <= turn < at + 1 for turn in turns[first:])
        begun = max(index for index, (since, _) in enumerate(in_force) if since <= at)
        highest = max(rate for since, rate in in_force[begun:] if since < at + 1)
        assert held <= (ceil(highest) if highest < float("inf") else held)
        if cap is not None:
            assert held <= ceil(cap)


@pytest.mark.anyio
@in_virtual_time
async def test_a_pace_without_a_cap_that_is_slowed_holds_those_who_wait_in_a_pause_too() -> None:
    pace = Pace(None)
    pace.pause(1)
    turns = [asyncio.create_task(pace.turn()) for _ in range(20)]
    await asyncio.sleep(0.5)
    pace.slow_to(10)
    began = now()
    await asyncio.gather(*turns)
    assert now() - began > 1.5


@pytest.mark.anyio
@in_virtual_time
@pytest.mark.parametrize("rate", [1.0, 10.0])
async def test_a_pace_that_is_let_go_lets_all_go_who_wait(rate: float) -> None:
    pace = Pace(None)
    pace.slow_to(rate)
    turns = [asyncio.create_task(pace.turn()) for _ in range(20)]
    await asyncio.sleep(0.5)
    pace.slow_to(None)
    began = now()
    await asyncio.gather(*turns)
    assert now() - began <= 1.02 / rate


@pytest.mark.parametrize("rate", [50.0, 60.0, None])
def test_a_rate_over_the_cap_is_the_cap(rate: float | None) -> None:
    pace = Pace(50.0)
    before = pace._limiter
    pace.slow_to(rate)
    assert pace._limiter is before


# --- a server that is overloaded -------------------------------------------------------------------


class BusyServer:
    """Answer the later, the more is under way, once it is `busy`; or refuse what is over `room` by 503."""

    def __init__(self) -> None:
        self.busy = False
        self.room = 10_000
        self.under_way = 0
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/auth/token":
            return web.json_response({"access_token": "t", "token_type": "Bearer", "expires_in_secs": 43200})
        if self.under_way >= self.room:
            return web.json_response({}, status=503)
        self.under_way += 1
        try:
            await asyncio.sleep(0.05 * (self.under_way if self.busy else 1))
        finally:
            self.under_way -= 1
        return web.Response(status=204)


@pytest.fixture
async def server() -> AsyncIterator[BusyServer]:
    busy = BusyServer()
    runner = web.ServerRunner(web.Server(busy.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    busy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield busy
    await runner.cleanup()


@asynccontextmanager
async def client_under_load(server: BusyServer, **options: object) -> AsyncIterator[Traffic]:
    client = VoltawareClient("id", "s", base_url=server.url, **options)
    async with client, asking(lambda: client.devices.get("0001")):
        await asyncio.sleep(2.5)
        yield client._traffic


@pytest.mark.anyio
@in_virtual_time
async def test_a_server_that_slows_down_under_load_is_asked_less_at_once_and_more_when_it_recovers(
    server: BusyServer,
) -> None:
    async with client_under_load(server, rate=100.0) as traffic:
        assert traffic.concurrency == 32
        server.busy = True
        await asyncio.sleep(10)
        assert 8 <= traffic.concurrency <= 14
        assert server.under_way <= traffic.concurrency
        server.busy = False
        await asyncio.sleep(15)
        assert traffic.concurrency == 32


@pytest.mark.anyio
@in_virtual_time
async def test_a_server_that_refuses_what_it_has_no_room_for_is_asked_as_much_as_it_has_room_for(
    server: BusyServer,
) -> None:
    async with client_under_load(server, rate=200.0) as traffic:
        server.room = 4
        await asyncio.sleep(8)
        assert traffic.concurrency <= 6
        server.room = 10_000
        await asyncio.sleep(18)
        assert traffic.concurrency == 32


@pytest.mark.anyio
@in_virtual_time
async def test_each_endpoints_answers_are_told_apart_and_an_error_that_is_an_answer_is_one(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    await client.devices.list()
    sandbox.script("500", route="sensor")
    await client.devices.get("0001")
    tallies = client._sender._wire._regulator._pressure._tallies
    served = {path: tally.served for path, tally in tallies.items()}
    assert served == {"/auth/token": 1, "/sensors": 1, "/sensors/{device_id}": 2}


# --- an outage -------------------------------------------------------------------------------------


@pytest.mark.anyio
@in_virtual_time
@pytest.mark.parametrize("kind", ["503", "reset", "stall"])
async def test_in_a_total_outage_the_retries_stay_within_their_budget(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], kind: str
) -> None:
    """100 and a tenth of the successes: 200 of them before, which are full already, and 100 after."""
    policy = RetryPolicy(attempts=10)
    async with make_client(retry=policy, concurrency=64) as client:

        async def calls(count: int) -> int:
            asked = (client.devices.get("0001") for _ in range(count))
            ended = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(it) for it in ended if isinstance(it, BaseException)} <= set(ENDS)
            return sum(not isinstance(it, ApiError) for it in ended)

        assert await calls(200) == 200
        outage = sandbox.script(kind, times=None, route="sensor")
        assert await calls(150) == 0
        assert 90 <= client._traffic.retries <= 100
        outage.cancel()
        assert await calls(100) == 100
        sandbox.script(kind, times=None, route="sensor")
        assert await calls(100) == 0
        assert client._traffic.retries <= 100 + 10


@pytest.mark.anyio
@in_virtual_time
async def test_an_outage_takes_the_slots_and_its_end_gives_them_back(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    async with make_client(rate=50.0) as client, asking(lambda: client.devices.get("0001")):
        await asyncio.sleep(2)
        outage = sandbox.script("503", times=None, route="sensor")
        await asyncio.sleep(12)
        assert client._traffic.snapshot().concurrency == 1
        outage.cancel()
        await asyncio.sleep(20)
        assert client._traffic.snapshot().concurrency == 32
