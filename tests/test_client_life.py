"""A client's life: one loop, one end, nothing left behind."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from byte_server import ByteServer, closing, reply, silent

from voltaware_async import (
    ClientClosedError,
    ClientLoopError,
    ConfigurationError,
    DeviceId,
    Month,
    RetryPolicy,
    UnreachableError,
    VoltawareClient,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voltaware_async.sandbox import Sandbox

DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
TOKEN = reply(b'{"access_token": "t", "token_type": "Bearer", "expires_in_secs": 43200}')
GOOD = reply(b'{"total_consumption": 1.5, "disconnection_percentage": 0, "appliances": []}')
DESCRIPTORS = Path("/proc/self/fd")


def open_descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir()))


async def month(client: VoltawareClient) -> object:
    return await client.disaggregation.month(DEVICE, JULY)


EVERY_USE: dict[str, Callable[[VoltawareClient], Awaitable[object]]] = {
    "a call": month,
    "the list": lambda it: it.devices.list(),
    "connect": lambda it: it.connect(),
    "reconnect": lambda it: it.reconnect(),
    "async with": lambda it: it.__aenter__(),
}


# Loops.


@pytest.mark.parametrize("use", EVERY_USE)
def test_on_a_second_loop_every_use_says_what_to_do(use: str) -> None:
    """aiohttp alone would say "Event loop is closed"."""

    client = VoltawareClient("id", "s", base_url="http://127.0.0.1:9")

    async def used() -> None:
        await EVERY_USE[use](client)

    with asyncio.Runner() as one, asyncio.Runner() as other:
        one.run(EVERY_USE["async with"](client))
        with pytest.raises(ClientLoopError, match=r"inside the function that asyncio\.run"):
            other.run(used())
        one.run(client.aclose())


@pytest.mark.anyio
async def test_in_another_thread_it_says_what_to_do() -> None:
    errors: list[BaseException] = []

    async with (
        ByteServer([TOKEN, GOOD]) as server,
        VoltawareClient("id", "s", base_url=server.base_url) as client,
    ):
        await month(client)

        def elsewhere() -> None:
            try:
                asyncio.run(month(client))
            except ClientLoopError as error:
                errors.append(error)

        await asyncio.to_thread(elsewhere)
        assert await month(client)

    assert len(errors) == 1
    assert "another event loop or thread" in str(errors[0])


FORKING = """
import asyncio, os
from voltaware_async import ClientLoopError, VoltawareClient

async def main():
    client = VoltawareClient("id", "s", base_url="http://127.0.0.1:9")
    async with client:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(client.connect())
            except ClientLoopError:
                os._exit(7)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

asyncio.run(main())
"""


def test_in_a_forked_process_it_says_what_to_do() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "7", done.stderr


def test_two_loops_may_have_a_client_each() -> None:
    async def once() -> object:
        async with (
            ByteServer([TOKEN, GOOD]) as server,
            VoltawareClient("id", "s", base_url=server.base_url) as client,
        ):
            return await month(client)

    assert asyncio.run(once()) == asyncio.run(once())


def test_outside_a_loop_it_can_be_made_and_forgotten_and_not_used() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = VoltawareClient("id", "secret")
        with pytest.raises(RuntimeError, match="no running event loop"):
            client.disaggregation.month(DEVICE, JULY).send(None)
        del client
        gc.collect()


# The end.


@pytest.mark.anyio
@pytest.mark.parametrize("use", EVERY_USE)
async def test_after_its_end_every_use_says_so(use: str) -> None:
    client = VoltawareClient("id", "s", base_url="http://127.0.0.1:9")
    await client.aclose()

    with pytest.raises(ClientClosedError, match="this client has been closed"):
        await EVERY_USE[use](client)


@pytest.mark.anyio
async def test_it_can_be_closed_unused_and_twice_and_by_many() -> None:
    client = VoltawareClient("id", "s")
    await asyncio.gather(*(client.aclose() for _ in range(5)))
    await client.aclose()


@pytest.mark.anyio
async def test_an_error_in_its_block_closes_it_and_goes_on() -> None:
    async with ByteServer([TOKEN, GOOD]) as server:
        client = VoltawareClient("id", "s", base_url=server.base_url)
        with pytest.raises(ZeroDivisionError):
            await _failing_after_a_call(client)

        assert not client._http.is_open
        with pytest.raises(ClientClosedError):
            await month(client)


async def _failing_after_a_call(client: VoltawareClient) -> None:
    async with client:
        await month(client)
        raise ZeroDivisionError


@pytest.mark.anyio
async def test_a_cancelled_block_closes_it_all_the_same() -> None:
    async with ByteServer([TOKEN, silent]) as server:
        client = VoltawareClient("id", "s", base_url=server.base_url)
        with anyio.move_on_after(0.03) as scope:
            async with client:
                await month(client)

    assert scope.cancelled_caught
    assert not client._http.is_open


@pytest.mark.anyio
async def test_a_client_that_is_closed_or_unused_is_not_warned_of() -> None:
    async with ByteServer([TOKEN, GOOD]) as server:
        async with VoltawareClient("id", "s", base_url=server.base_url) as client:
            await month(client)
        clients = [client, VoltawareClient("id", "s")]
        del client
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            clients.clear()
            gc.collect()


def test_a_client_that_could_not_be_made_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConfigurationError):
            VoltawareClient("id", "s", concurrency=0)
        gc.collect()


# Cancellation.


@pytest.mark.anyio
async def test_a_task_group_that_fails_with_200_calls_under_way_leaves_nothing_open(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    stall = sandbox.script("stall", times=None, route="sm/disag/month")
    async with make_client(concurrency=200) as client:
        await client.connect()
        before = open_descriptors()
        with pytest.raises(ExceptionGroup):
            await _failing_with(client, 200, sandbox)
        await asyncio.sleep(0.02)

        assert not client._http._session.connector._acquired
        # The sandbox holds its own ends until it notices.
        assert open_descriptors() <= before + 1
        stall.cancel()
        assert await month(client)

    assert sandbox.count("auth/token") == 1


async def _failing_with(client: VoltawareClient, calls: int, sandbox: Sandbox) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(month(client))
        while sandbox.count("sm/disag/month") < calls:
            await asyncio.sleep(0.001)
        raise ZeroDivisionError


@pytest.mark.anyio
@pytest.mark.parametrize("at", ["token", "reply", "back-off", "slot", "turn"])
async def test_a_call_can_be_cancelled_wherever_it_waits(at: str) -> None:
    scripts = {"token": [silent], "back-off": [TOKEN, closing]}.get(at, [TOKEN, silent])
    policy = RetryPolicy(wait_initial=1000.0, wait_max=1000.0) if at == "back-off" else RetryPolicy()
    rate = 1.0 if at == "turn" else None
    tasks = asyncio.all_tasks()
    async with ByteServer(scripts) as server:
        client = VoltawareClient(
            "id", "s", base_url=server.base_url, retry=policy, rate=rate, concurrency=1, deadline=3600
        )
        async with client:
            calls = [asyncio.create_task(month(client)) for _ in range(2)]
            await asyncio.sleep(0.02)
            for call in calls:
                call.cancel()
            ended = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 0.2)
            assert [type(it) for it in ended] == [asyncio.CancelledError] * 2
            assert client._sender._slots.value == 1
            if client._http._session is not None and at != "token":
                assert not client._http._session.connector._acquired
    assert not {task for task in asyncio.all_tasks() - tasks if not task.done()}


@pytest.mark.anyio
async def test_closing_ends_calls_that_wait_for_their_reply_with_an_error_of_ours() -> None:
    async with ByteServer([TOKEN, silent]) as server:
        client = VoltawareClient("id", "s", base_url=server.base_url, rate=None)
        await client.connect()
        calls = [asyncio.create_task(month(client)) for _ in range(10)]
        while len(server.requests) < 11:
            await asyncio.sleep(0.001)
        await client.aclose()
        ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 1)

    assert {type(it) for it in ends} <= {ClientClosedError, UnreachableError}
    assert len(server.requests) == 11


# What it is not.


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_cannot_be_copied_in_any_way(copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="make one in each process"):
        copied(VoltawareClient("id", "secret"))


def test_its_settings_are_the_promised_ones() -> None:
    client = VoltawareClient("id", "secret")

    assert (client._sender._slots.value, client._sender._deadline_s) == (32, 60.0)
    assert client._sender._reconnect_on_403 is True
    assert VoltawareClient.__init__.__kwdefaults__ == {
        "base_url": None,
        "rate": 50.0,
        "concurrency": 32,
        "deadline": 60.0,
        "retry": None,
        "token_store": None,
        "session": None,
        "reconnect_on_403": True,
    }
