"""401 and 403 over real HTTP: renewed or logged in once, sent again once, whoever else is asking."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING

import pytest
from virtual_time import in_virtual_time

from voltaware_async.errors import (
    AuthenticationError,
    AuthUnavailableError,
    CredentialsRefusedError,
    DeadlineError,
    DeviceNotRegisteredError,
    UnexpectedResponseError,
)
from voltaware_async.records.metadata import Geolocation
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voltaware_async import VoltawareClient

pytestmark = [pytest.mark.anyio, in_virtual_time]

LOGIN, REFRESH, PROPERTY = "auth/token", "auth/token/refresh", "metadata/property"
CALLERS = 1_000
LONDON = Geolocation(latitude=51.5, longitude=-0.12)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    clock = asyncio.get_running_loop().time
    async with Sandbox(devices=300, today=date(2024, 9, 15), clock=clock) as sandbox:
        yield sandbox


def token_calls(sandbox: Sandbox) -> tuple[int, int]:
    return sandbox.count(LOGIN), sandbox.count(REFRESH)


# --- 401 -------------------------------------------------------------------------------------------


async def test_a_thousand_calls_without_a_token_cost_one_login(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """F01."""
    devices = await asyncio.gather(*(client.devices.get("0001") for _ in range(CALLERS)))
    assert all(device is not None for device in devices)
    assert token_calls(sandbox) == (1, 0)
    assert sandbox.count("sensor") == CALLERS


async def test_a_thousand_calls_that_meet_an_expired_token_cost_one_refresh_and_none_fails(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """F02: all are under way when it is refused, and some of the refusals arrive after its renewal."""
    async with make_client(concurrency=CALLERS) as client:
        await client.connect()
        sandbox.expire_tokens()
        devices = await asyncio.gather(*(client.devices.get("0001") for _ in range(CALLERS)))
    assert all(device is not None for device in devices)
    assert token_calls(sandbox) == (1, 1)
    assert sandbox.count("sensor") <= 2 * CALLERS


async def test_calls_beyond_the_slots_are_sent_once_with_the_new_token(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    await client.connect()
    sandbox.expire_tokens()
    await asyncio.gather(*(client.devices.get("0001") for _ in range(200)))
    assert token_calls(sandbox) == (1, 1)
    assert sandbox.count("sensor") <= 200 + 32


async def test_calls_that_are_cancelled_during_a_renewal_disturb_nobody(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    await client.connect()
    sandbox.expire_tokens()
    sandbox.script("503", route=REFRESH, retry_after=2)
    calls = [asyncio.create_task(client.devices.get("0001")) for _ in range(30)]
    await asyncio.sleep(1)
    for call in calls[::2]:
        call.cancel()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(end) for end in ends[::2]} == {asyncio.CancelledError}
    assert not any(isinstance(end, BaseException) for end in ends[1::2])
    assert token_calls(sandbox) == (1, 2)


async def test_a_token_that_dies_while_its_call_waits_for_a_turn_is_not_sent(
    make_client: Callable[..., VoltawareClient],
) -> None:
    """F15: it lives 20 s, and the last turn of the queue comes after 40 s."""
    clock = asyncio.get_running_loop().time
    async with Sandbox(devices=1, token_ttl=20.0, clock=clock) as short:
        async with make_client(base_url=short.base_url, rate=1.0) as client:
            await asyncio.gather(*(client.devices.get("0001") for _ in range(40)))
        assert {request.status for request in short.requests} == {200}
        assert short.count("sensor") == 40
        assert sum(token_calls(short)) <= 6


async def test_tokens_that_live_shorter_than_a_turn_takes_are_not_made_for_ever(
    make_client: Callable[..., VoltawareClient],
) -> None:
    """F14: they live 2 s, and turns come 4 s apart."""
    clock = asyncio.get_running_loop().time
    async with Sandbox(devices=1, token_ttl=2.0, clock=clock) as short:
        async with make_client(base_url=short.base_url, rate=0.25) as client:
            with pytest.raises(AuthUnavailableError, match="end before a request can be sent"):
                await client.devices.get("0001")
        assert short.count("sensor") == 0
        assert sum(token_calls(short)) <= 10


async def test_a_second_401_in_a_row_is_the_calls_end(sandbox: Sandbox, client: VoltawareClient) -> None:
    """F22."""
    refusing = sandbox.script(status=401, route="sensor", times=None)
    with pytest.raises(AuthenticationError, match="refuses even a new token") as caught:
        await client.devices.get("0001")
    assert type(caught.value) is AuthenticationError
    assert (caught.value.context.device_id, caught.value.context.attempts) == ("0001", 2)
    assert refusing.hit == 2
    assert token_calls(sandbox) == (1, 1)


async def test_a_401_for_one_device_does_not_cost_the_others_their_token(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    sandbox.script(status=401, device_id="0001", times=None)
    ends = await asyncio.gather(
        *(client.devices.get(f"{number:04}") for number in range(1, 21)), return_exceptions=True
    )
    assert isinstance(ends[0], AuthenticationError)
    assert not any(isinstance(end, Exception) for end in ends[1:])


async def test_a_401_on_an_update_sends_the_same_body_once_more(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """F23."""
    await client.connect()
    sandbox.expire_tokens()
    await client.metadata.set_geolocation("0001", LONDON)
    updates = [request for request in sandbox.requests if request.method == "PUT"]
    assert [request.status for request in updates] == [401, 204]
    assert updates[0].body == updates[1].body
    assert updates[0].content_type == updates[1].content_type == "application/json"
    assert await client.metadata.get_geolocation("0001") is not None


async def test_a_renewal_that_fails_after_a_401_is_what_the_call_ends_with(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    await client.connect()
    sandbox.expire_tokens()
    sandbox.script("503", route=REFRESH, times=None)
    with pytest.raises(AuthUnavailableError):
        await client.devices.get("0001")


async def test_the_deadline_of_a_call_that_met_a_401_bounds_its_wait_for_the_renewal(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """Its renewal goes on for the others."""
    loop = asyncio.get_running_loop()
    async with make_client(deadline=3.0) as client:
        await client.connect()
        sandbox.expire_tokens()
        sandbox.script("503", route=REFRESH, retry_after=10)
        began = loop.time()
        with pytest.raises(DeadlineError):
            await client.devices.get("0001")
        assert loop.time() - began == pytest.approx(3.0, abs=0.1)
        assert await client.devices.get("0001") is not None
    assert token_calls(sandbox) == (1, 2)


# --- 403 -------------------------------------------------------------------------------------------


async def test_a_meter_that_is_new_is_found_by_one_login(sandbox: Sandbox, client: VoltawareClient) -> None:
    """T11: by a login, for a refreshed token knows no more devices than its login did."""
    await client.connect()
    new = sandbox.register_device()
    assert await client.metadata.get_property(new) is None
    assert token_calls(sandbox) == (2, 0)
    assert [request.status for request in sandbox.requests if request.route == PROPERTY] == [403, 404]


async def test_a_meter_that_is_new_can_be_updated_by_one_login(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """T12."""
    await client.connect()
    new = sandbox.register_device()
    await client.metadata.set_geolocation(new, LONDON)
    updates = [request for request in sandbox.requests if request.method == "PUT"]
    assert [request.status for request in updates] == [403, 204]
    assert updates[0].body == updates[1].body
    assert token_calls(sandbox) == (2, 0)


async def test_300_meters_that_are_new_at_once_cost_one_login(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    async with make_client(concurrency=300) as client:
        ids = await client.devices.list()
        forbidding = sandbox.script(status=403, route=PROPERTY, times=300)
        ends = await asyncio.gather(*(client.metadata.get_property(device_id) for device_id in ids))
    assert len(ends) == 300
    assert forbidding.hit == 300
    assert token_calls(sandbox) == (2, 0)


async def test_a_403_that_arrives_after_the_login_that_it_needs_costs_no_other(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """The minute between two such logins is no reason to give it up: one that is newer is there."""
    await client.connect()
    first, second = sandbox.register_device(), sandbox.register_device()
    sandbox.script("slow", device_id=second)
    assert await asyncio.gather(
        client.metadata.get_property(first), client.metadata.get_property(second)
    ) == [None, None]
    assert token_calls(sandbox) == (2, 0)
    asked = [(it.device_id, it.status) for it in sandbox.requests if it.route == PROPERTY]
    assert sorted(asked) == [(first, 403), (first, 404), (second, 403), (second, 404)]


async def test_300_meters_that_stay_unknown_cost_one_login_and_two_requests_each(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    ids = await client.devices.list()
    sandbox.script(status=403, route=PROPERTY, times=None)
    ends = await asyncio.gather(
        *(client.metadata.get_property(device_id) for device_id in ids), return_exceptions=True
    )
    assert {type(end) for end in ends} == {DeviceNotRegisteredError}
    assert sandbox.count(PROPERTY) <= 600
    assert token_calls(sandbox) == (2, 0)


async def test_meters_that_are_new_in_a_renewal_wait_for_the_login_after_it(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """One found that a login was about to be made, and was told so; the others gave up."""
    async with make_client(concurrency=300) as client:
        ids = await client.devices.list()
        await asyncio.sleep(43_200 - 800)
        sandbox.script("503", route=REFRESH, retry_after=2)
        sandbox.script(status=403, route=PROPERTY, times=300)
        ends = await asyncio.gather(*(client.metadata.get_property(device_id) for device_id in ids))
    assert len(ends) == 300
    assert token_calls(sandbox) == (2, 2)


async def test_a_meter_that_stays_unknown_ends_after_one_replay(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    sandbox.script(status=403, route=PROPERTY, times=None)
    with pytest.raises(DeviceNotRegisteredError, match="even after a fresh login") as caught:
        await client.metadata.get_property("0001")
    assert caught.value.context.attempts == 2
    assert token_calls(sandbox) == (2, 0)


async def test_within_a_minute_of_such_a_login_no_other_is_made(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    sandbox.script(status=403, route=PROPERTY, times=None)
    for device_id, logins, attempts in (("0001", 2, 2), ("0002", 2, 1), ("0003", 2, 1)):
        with pytest.raises(DeviceNotRegisteredError, match="even after a fresh login") as caught:
            await client.metadata.get_property(device_id)
        assert caught.value.context.attempts == attempts
        assert token_calls(sandbox) == (logins, 0)
    await asyncio.sleep(61)
    with pytest.raises(DeviceNotRegisteredError):
        await client.metadata.get_property("0002")
    assert token_calls(sandbox) == (3, 0)


async def test_a_client_that_must_not_log_in_for_it_says_how_to(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    async with make_client(reconnect_on_403=False) as client:
        await client.connect()
        new = sandbox.register_device()
        with pytest.raises(DeviceNotRegisteredError, match=r"needs `reconnect\(\)`") as caught:
            await client.metadata.get_property(new)
        assert "even after" not in str(caught.value)
        assert token_calls(sandbox) == (1, 0)
        await client.reconnect()
        assert await client.metadata.get_property(new) is None
    assert token_calls(sandbox) == (2, 0)


async def test_a_login_that_fails_after_a_403_is_what_the_call_ends_with(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    await client.connect()
    new = sandbox.register_device()
    sandbox.revoke_credentials()
    with pytest.raises(CredentialsRefusedError):
        await client.metadata.get_property(new)
    assert await client.devices.get("0001") is not None


async def test_the_deadline_of_a_call_that_met_a_403_bounds_its_wait_for_the_login(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    loop = asyncio.get_running_loop()
    async with make_client(deadline=3.0) as client:
        await client.connect()
        new = sandbox.register_device()
        sandbox.script("stall", route=LOGIN)
        began = loop.time()
        with pytest.raises(DeadlineError) as caught:
            await client.metadata.get_property(new)
        assert loop.time() - began == pytest.approx(3.0, abs=0.1)
        assert caught.value.context.device_id == new
        assert caught.value.context.attempts == 1


async def test_a_401_and_a_403_in_one_call_are_both_put_right(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    await client.connect()
    sandbox.expire_tokens()
    new = sandbox.register_device()
    assert await client.metadata.get_property(new) is None
    assert [request.status for request in sandbox.requests if request.route == PROPERTY] == [401, 403, 404]
    assert token_calls(sandbox) == (2, 1)


async def test_a_403_of_the_list_of_devices_costs_no_login(sandbox: Sandbox, client: VoltawareClient) -> None:
    sandbox.script(status=403, route="sensors")
    with pytest.raises(UnexpectedResponseError, match="refuses access"):
        await client.devices.list()
    assert token_calls(sandbox) == (1, 0)
