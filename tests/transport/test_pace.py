"""The cap: on virtual time for every pattern of arrivals, and once for real, as a server sees it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from math import ceil, inf, nan
from typing import TYPE_CHECKING

import pytest
import virtual_time
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_time import in_virtual_time

from voltaware_async.errors import ConfigurationError
from voltaware_async.sandbox import Sandbox
from voltaware_async.transport.pace import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from voltaware_async import VoltawareClient


def worst_second(times: list[float]) -> int:
    """Return the most turns in any sliding second."""
    worst, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - 1:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


class Caller:
    """Ask for a turn at some time, and perhaps give up while waiting."""

    def __init__(self, at: float, patience: float | None) -> None:
        self.at, self.patience = at, patience

    async def turn(self, pace: Pace, turns: list[float]) -> None:
        await asyncio.sleep(self.at)
        try:
            async with asyncio.timeout(self.patience):
                await pace.turn()
        except TimeoutError:
            return
        turns.append(asyncio.get_running_loop().time())


def turns_of(rate: float, callers: list[Caller], pauses: Iterable[tuple[float, float]] = ()) -> list[float]:
    """Let callers come, and say when each got its turn."""
    turns: list[float] = []

    async def hold(pace: Pace, at: float, seconds: float) -> None:
        await asyncio.sleep(at)
        pace.pause(seconds)

    async def main() -> None:
        pace = Pace(rate)
        async with asyncio.TaskGroup() as group:
            for at, seconds in pauses:
                group.create_task(hold(pace, at, seconds))
            for caller in callers:
                group.create_task(caller.turn(pace, turns))

    virtual_time.run(main())
    return turns


rates = st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0, 50.0, 100.0, 199.0, 500.0]) | st.floats(0.2, 1_000)
arrivals = st.floats(0, 3) | st.sampled_from([0.0, 0.5, 1.0, 2.0])
callers = st.builds(Caller, arrivals, st.none() | st.floats(0, 1))
pauses = st.tuples(st.floats(0, 3), st.floats(0, 2))


@settings(max_examples=60)
@given(rates, st.lists(callers, max_size=120), st.lists(pauses, max_size=3))
@example(50.0, [Caller(0.0, None) for _ in range(150)], [])
@example(50.0, [Caller(0.0, None) for _ in range(150)], [(0.5, 1.0)])
@example(10.0, [Caller(n / 1000, 0.3) for n in range(100)], [(0.1, 0.2)])
@example(500.0, [Caller(n // 100 * 0.5, None) for n in range(600)], [])
def test_no_sliding_second_holds_more_turns_than_the_cap(
    rate: float, callers: list[Caller], pauses: list[tuple[float, float]]
) -> None:
    turns = turns_of(rate, callers, pauses)
    assert worst_second(turns) <= ceil(rate)
    assert len(turns) >= sum(caller.patience is None for caller in callers)


@settings(max_examples=40)
@given(rates, st.lists(arrivals, max_size=60), st.floats(0, 3), st.floats(0.01, 2))
def test_no_turn_is_given_in_a_pause(rate: float, at: list[float], begins: float, lasts: float) -> None:
    turns = turns_of(rate, [Caller(each, None) for each in at], [(begins, lasts)])
    began = 1_000 + begins
    assert len(turns) == len(at)
    assert not any(began + 1e-3 < turn < began + lasts - 1e-3 for turn in turns)


@pytest.mark.parametrize("rate", [1.0, 10.0, 50.0, 100.0, 333.0, 1_000.0])
def test_97_percent_of_the_cap_are_sustained(rate: float) -> None:
    turns = turns_of(rate, [Caller(0.0, None) for _ in range(int(10 * rate) + 1)])
    assert 0.97 * rate <= (len(turns) - 1) / (turns[-1] - turns[0]) <= rate


@settings(max_examples=40)
@given(st.sampled_from([2.0, 50.0, 400.0]), st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=80))
def test_the_turn_of_a_caller_that_gives_up_goes_to_the_next(
    rate: float, patience: list[float | None]
) -> None:
    """As if only those had come that got one."""
    turns = turns_of(rate, [Caller(0.0, each) for each in patience])
    alone = turns_of(rate, [Caller(0.0, None) for _ in turns])
    assert turns == pytest.approx(alone, abs=1e-3)


@pytest.mark.anyio
@in_virtual_time
async def test_turns_are_given_in_the_order_asked() -> None:
    pace = Pace(10)
    order: list[int] = []

    async def ask(number: int) -> None:
        await pace.turn()
        order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(ask(number))
            await asyncio.sleep(0.03)
    assert order == list(range(30))


@pytest.mark.anyio
@in_virtual_time
async def test_without_a_cap_every_turn_is_at_once_but_in_a_pause() -> None:
    loop = asyncio.get_running_loop()
    pace = Pace(None)
    began = loop.time()
    await asyncio.gather(*(pace.turn() for _ in range(1_000)))
    assert loop.time() - began < 0.001
    pace.pause(5)
    await asyncio.gather(*(pace.turn() for _ in range(1_000)))
    assert loop.time() - began == pytest.approx(5, abs=0.01)


@pytest.mark.anyio
@in_virtual_time
async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    loop = asyncio.get_running_loop()
    pace = Pace(100)
    began = loop.time()
    pace.pause(10)
    pace.pause(1)
    await pace.turn()
    assert loop.time() - began == pytest.approx(10, abs=0.02)


@pytest.mark.anyio
@in_virtual_time
async def test_a_pause_that_is_made_longer_meanwhile_is_waited_out() -> None:
    loop = asyncio.get_running_loop()
    pace = Pace(100)
    began = loop.time()
    pace.pause(1)
    turn = asyncio.create_task(pace.turn())
    await asyncio.sleep(0.5)
    pace.pause(3)
    await turn
    assert loop.time() - began == pytest.approx(3.5, abs=0.03)


@pytest.mark.parametrize("rate", [0, -1, nan, inf, -inf])
def test_a_cap_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="rate must be over 0"):
        Pace(rate)


# --- over HTTP -------------------------------------------------------------------------------------


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    loop = asyncio.get_running_loop()
    clock = loop.time if isinstance(loop, virtual_time.JumpingLoop) else time.monotonic
    async with Sandbox(devices=30, today=date(2024, 9, 15), clock=clock) as sandbox:
        yield sandbox


@pytest.mark.anyio
async def test_a_server_sees_no_second_over_the_cap_token_calls_and_lists_included(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """In real time."""
    async with make_client(rate=50.0) as client:
        await asyncio.gather(client.devices.list(), *(client.devices.get("0001") for _ in range(60)))
        sandbox.expire_tokens()
        await asyncio.gather(client.devices.list(), *(client.devices.get("0002") for _ in range(10)))
    assert sandbox.count("auth/token") == sandbox.count("auth/token/refresh") == 1
    assert sandbox.worst_second() <= 50


@pytest.mark.anyio
@in_virtual_time
@pytest.mark.parametrize("kind", ["429", "503"])
async def test_a_pause_that_the_api_asks_of_one_call_holds_them_all(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], kind: str
) -> None:
    """F48."""
    async with make_client(rate=50.0) as client:
        await client.connect()
        sandbox.script(kind, retry_after=7, route="sensor")
        calls = [asyncio.create_task(client.devices.get("0001")) for _ in range(100)]
        await asyncio.gather(*calls)
    at = [request.at for request in sandbox.requests]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert sorted(gap for gap in gaps if gap > 1) == [pytest.approx(7, abs=0.25)]
    assert sandbox.worst_second() <= 50
    assert sandbox.count("sensor") == 101


@pytest.mark.anyio
@in_virtual_time
async def test_a_pause_up_to_a_date_holds_them_all_by_the_servers_clock(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """F49: a clock that is ten years off."""
    there = datetime(2034, 1, 1, 12, tzinfo=UTC)
    headers = {
        "Date": format_datetime(there, usegmt=True),
        "Retry-After": format_datetime(there + timedelta(seconds=9), usegmt=True),
    }
    loop = asyncio.get_running_loop()
    async with make_client() as client:
        await client.connect()
        sandbox.script(status=429, body="{}", headers=headers, route="sensor")
        began = loop.time()
        first = asyncio.create_task(client.devices.get("0001"))
        await asyncio.sleep(0.5)
        await client.devices.get("0002")
        assert loop.time() - began == pytest.approx(9, abs=0.1)
        await first


@pytest.mark.anyio
@in_virtual_time
async def test_a_pause_over_the_limit_holds_the_others_no_longer_than_the_limit(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    loop = asyncio.get_running_loop()
    await client.connect()
    sandbox.script("429", retry_after=86_400, route="sensor")
    began = loop.time()
    with pytest.raises(Exception, match="pause of 86400 s"):
        await client.devices.get("0001")
    assert loop.time() - began < 1
    await client.devices.get("0001")
    assert loop.time() - began == pytest.approx(60, abs=0.1)
