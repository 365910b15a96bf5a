"""The wait for a token: silence counts, what we hold back ourselves does not, and pauses are told."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING

import pytest
from byte_server import ByteServer, Connection, reply, silent
from virtual_time import in_virtual_time

from voltaware_async import VoltawareClient
from voltaware_async.errors import AuthUnavailableError, DeadlineError, ThrottledError
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = [pytest.mark.anyio, in_virtual_time]

LOGIN, REFRESH = "auth/token", "auth/token/refresh"
TOKEN = reply(b'{"access_token": "t", "token_type": "Bearer", "expires_in_secs": 43200}')
IDS = reply(b'["0001"]')


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    clock = asyncio.get_running_loop().time
    async with Sandbox(devices=10, today=date(2024, 9, 15), clock=clock) as sandbox:
        yield sandbox


def now() -> float:
    return asyncio.get_running_loop().time()


async def late_token(connection: Connection) -> None:
    await asyncio.sleep(5)
    await TOKEN(connection)


@pytest.mark.parametrize("deadline", [0.2, 3.0, 29.0])
async def test_a_first_call_waits_for_a_silent_token_endpoint_no_longer_than_its_deadline(
    deadline: float,
) -> None:
    """F37: not for the 30 s of the attempt, nor the 45 s of the renewal."""
    async with (
        ByteServer([silent]) as server,
        VoltawareClient("id", "secret", base_url=server.base_url, deadline=deadline) as client,
    ):
        began = now()
        with pytest.raises(DeadlineError, match=f"no token within {deadline:g} s") as caught:
            await client.devices.list()
        assert now() - began == pytest.approx(deadline, abs=0.1)
    assert len(server.requests) == 1
    assert caught.value.context.path == "/sensors"
    assert caught.value.context.attempts == 0


async def test_a_token_that_comes_too_late_for_one_call_is_there_for_the_next() -> None:
    async with (
        ByteServer([late_token, IDS]) as server,
        VoltawareClient("id", "secret", base_url=server.base_url, deadline=3.0) as client,
    ):
        with pytest.raises(DeadlineError):
            await client.devices.list()
        assert await client.devices.list() == ("0001",)
    assert len(server.requests) == 2


async def test_a_pause_that_the_api_asked_for_does_not_count(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    async with make_client(deadline=3.0) as client:
        await client.connect()
        sandbox.expire_tokens()
        sandbox.script("503", route=REFRESH, retry_after=10)
        began = now()
        ends = await asyncio.gather(
            client.devices.get("0001"), later(client.devices.get, "0002"), return_exceptions=True
        )
    assert type(ends[0]) is DeadlineError, "it was sent before the pause"
    assert ends[1] is not None
    assert not isinstance(ends[1], Exception)
    assert now() - began == pytest.approx(10.5, abs=0.6)


async def test_a_silence_after_a_pause_counts_from_its_end(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    sandbox.script("503", route=LOGIN, retry_after=10)
    sandbox.script("stall", route=LOGIN)
    async with make_client(deadline=3.0) as client:
        began = now()
        with pytest.raises(DeadlineError):
            await client.devices.list()
        assert now() - began == pytest.approx(13.0, abs=0.1)


async def test_a_queue_under_our_own_cap_does_not_count(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """The renewal has its turn behind calls that wait for theirs: longer here than the deadline."""
    async with make_client(rate=1.0, deadline=3.0, concurrency=8) as client:
        await client.connect()
        calls = [asyncio.create_task(client.devices.get(f"000{number}")) for number in range(1, 9)]
        await asyncio.sleep(0.01)
        sandbox.expire_tokens()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    failed = [end for end in ends if isinstance(end, Exception)]
    assert [type(end) for end in failed] == [DeadlineError], "the one whose 401 began its deadline"
    assert sandbox.count(REFRESH) == 1


@pytest.mark.parametrize("kind", ["429", "503"])
async def test_a_pause_that_is_too_long_for_a_token_is_told_to_every_caller_at_once(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], kind: str
) -> None:
    """F51."""
    sandbox.script(kind, route=LOGIN, retry_after=7200)
    async with make_client() as client:
        began = now()
        ends = await asyncio.gather(*(client.devices.list() for _ in range(5)), return_exceptions=True)
        assert now() - began < 1
    assert [type(end) for end in ends] == [AuthUnavailableError] * 5
    assert [end.retry_after for end in ends] == [7200.0] * 5
    assert len({id(end) for end in ends}) == 5


async def test_a_failure_without_a_pause_tells_none(sandbox: Sandbox, client: VoltawareClient) -> None:
    sandbox.script("500", route=LOGIN, times=None)
    with pytest.raises(AuthUnavailableError) as caught:
        await client.devices.list()
    assert caught.value.retry_after is None
    assert not isinstance(caught.value, ThrottledError)


async def later(call: Callable[[str], object], device_id: str) -> object:
    """Call once the renewal that the others wait for is under way."""
    await asyncio.sleep(0.5)
    return await call(device_id)
