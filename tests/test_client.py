"""The client: all its calls, and its life from construction to close."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
from datetime import date
from typing import TYPE_CHECKING

import anyio
import processes
import pytest

from voltaware_async import (
    ClientClosedError,
    ClientLoopError,
    ConfigurationError,
    CredentialsRefusedError,
    Dataset,
    DeviceId,
    IncompleteError,
    Month,
    VoltawareClient,
    VoltawareError,
    Week,
)
from voltaware_async.protocol import codec
from voltaware_async.records.appliance_choices import AcType, AcUsageType
from voltaware_async.records.appliances import AC, Appliances
from voltaware_async.records.metadata import Geolocation, HomeUsageType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voltaware_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
WEEK = Week.of(date(2024, 7, 8))


async def test_every_reading_call_returns_what_the_api_says(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    fleet, ours, reports = sandbox.fleet, client.disaggregation, client.reports
    july, monday = ("0001", 2024, 7), ("0001", WEEK.start)
    calls = [
        (codec.DEVICE, client.devices.get(DEVICE), fleet.device("0001")),
        (codec.DISAGGREGATION, ours.month(DEVICE, JULY), fleet.month(*july)),
        (codec.MONTH_BY_WEEKS, ours.month_weeks(DEVICE, JULY), fleet.month_weeks(*july)),
        (codec.DISAGGREGATION, ours.week(DEVICE, WEEK), fleet.week(*monday)),
        (codec.CYCLES, ours.month_cycles(DEVICE, JULY), fleet.month_cycles(*july)),
        (codec.CYCLES, ours.week_cycles(DEVICE, WEEK), fleet.week_cycles(*monday)),
        (codec.MONTH_REPORT, reports.month(DEVICE, JULY), fleet.month_report(*july)),
        (codec.WEEK_REPORT, reports.week(DEVICE, WEEK), fleet.week_report(*monday)),
    ]

    assert await client.devices.list() == tuple(fleet.device_ids())
    for kind, call, expected in calls:
        assert expected is not None
        assert await call == kind.decode(json.dumps(expected).encode())


async def test_no_result_is_none_and_no_devices_are_none_of_them(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    nobody = DeviceId("nobody")

    assert await client.devices.get(nobody) is None
    assert await client.disaggregation.month(nobody, JULY) is None
    assert await client.disaggregation.month(DEVICE, Month(2024, 9)) is None
    assert await client.reports.week(nobody, WEEK) is None
    for status, body in ((204, b""), (200, b"[]")):
        sandbox.script(status=status, body=body, route="sensors")
        assert await client.devices.list() == ()


async def test_metadata_is_what_was_set(client: VoltawareClient) -> None:
    location = Geolocation(latitude=51.509865, longitude=-0.118092)
    appliances = Appliances((AC(amount=1, type=AcType.MINI_SPLIT, usage_type=AcUsageType.BOTH),))

    await client.metadata.set_geolocation(DEVICE, location)
    await client.metadata.set_appliances(DEVICE, appliances)

    assert await client.metadata.get_geolocation(DEVICE) == location
    assert await client.metadata.get_appliances(DEVICE) == appliances


async def test_a_view_of_a_property_is_set_only_when_it_is_complete(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    known = [
        request.device_id
        for device in sandbox.fleet.device_ids()
        for request in [await _view(client, sandbox, device)]
        if request
    ]
    view = await client.metadata.get_property(DeviceId(known[0]))
    assert view is not None
    before = len(sandbox.requests)

    with pytest.raises(IncompleteError, match="home_usage_type"):
        await client.metadata.set_property(DeviceId(known[0]), view)

    assert len(sandbox.requests) == before
    await client.metadata.set_property(
        DeviceId(known[0]), view.to_update(home_usage_type=HomeUsageType.PRIMARY)
    )
    changed = await client.metadata.get_property(DeviceId(known[0]))
    assert changed is not None
    await client.metadata.set_property(DeviceId(known[0]), changed)


async def _view(client: VoltawareClient, sandbox: Sandbox, device: str) -> object:
    """Return the last request, if the device has a property that lacks only its use."""
    view = await client.metadata.get_property(DeviceId(device))
    return sandbox.requests[-1] if view is not None and view.property_type == "HOME" else None


async def test_a_cell_can_be_fetched_alone(client: VoltawareClient) -> None:
    async for outcome in client.fleet.pull([Dataset.MONTH], [JULY], [DEVICE]):
        assert await client.fleet.fetch(outcome.cell) == outcome


# Life.


async def test_nothing_is_sent_before_the_first_call(
    make_client: Callable[..., VoltawareClient], sandbox: Sandbox
) -> None:
    async with make_client() as client:
        assert not sandbox.requests
        await client.connect()
        await client.connect()

    assert sandbox.count("auth/token") == 1


async def test_connecting_with_wrong_credentials_fails_at_once(sandbox: Sandbox) -> None:
    async with VoltawareClient("sandbox-client", "wrong", base_url=sandbox.base_url) as client:
        for _ in range(5):
            with pytest.raises(CredentialsRefusedError):
                await client.connect()

    assert sandbox.count("auth/token") == 1


async def test_reconnecting_is_a_login_and_not_a_refresh(client: VoltawareClient, sandbox: Sandbox) -> None:
    await client.connect()
    await client.reconnect()

    assert (sandbox.count("auth/token"), sandbox.count("auth/token/refresh")) == (2, 0)


async def test_a_closed_client_says_so_and_can_be_closed_again(client: VoltawareClient) -> None:
    await client.devices.list()
    await client.aclose()
    await client.aclose()

    with pytest.raises(ClientClosedError, match="has been closed"):
        await client.devices.list()
    with pytest.raises(ClientClosedError):
        async with client:
            pass


async def test_closing_while_calls_are_under_way_ends_them_and_starts_nothing(
    make_client: Callable[..., VoltawareClient], sandbox: Sandbox
) -> None:
    sandbox.script("stall", times=None, route="sm/disag/month")
    client = make_client()
    errors: list[VoltawareError] = []

    async def call() -> None:
        try:
            await client.disaggregation.month(DEVICE, JULY)
        except VoltawareError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)
        while sandbox.count("sm/disag/month") < 5:
            await anyio.sleep(0.005)
        await client.aclose()

    assert len(errors) == 5
    assert sandbox.count("sm/disag/month") == 5


async def test_two_hundred_cancelled_calls_leave_a_client_that_works(
    make_client: Callable[..., VoltawareClient], sandbox: Sandbox
) -> None:
    stall = sandbox.script("stall", times=None, route="sm/disag/month")
    async with make_client(concurrency=200) as client:
        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(client.disaggregation.month, DEVICE, JULY)
            while sandbox.count("sm/disag/month") < 200:
                await anyio.sleep(0.005)
            group.cancel_scope.cancel()
        stall.cancel()

        assert await client.disaggregation.month(DEVICE, JULY)
        assert not client._http._session.connector._acquired


def test_a_client_is_made_without_a_loop_and_belongs_to_its_first(sandbox_process: str) -> None:
    client = VoltawareClient("sandbox-client", "sandbox-secret", base_url=sandbox_process)

    async def first() -> None:
        await client.devices.list()

    async def second() -> None:
        with pytest.raises(ClientLoopError, match="make one client per loop"):
            await client.devices.list()

    with asyncio.Runner() as one, asyncio.Runner() as other:
        one.run(first())
        other.run(second())
        one.run(client.aclose())


def forget_all(clients: list[VoltawareClient]) -> None:
    clients.clear()
    gc.collect()


def test_a_client_that_is_never_closed_is_warned_of(sandbox_process: str) -> None:
    async def forget() -> None:
        client = VoltawareClient("sandbox-client", "sandbox-secret", base_url=sandbox_process)
        await client.devices.list()
        http = client._http
        clients = [client]
        del client
        with pytest.warns(ResourceWarning, match=r"VoltawareClient .* was never closed"):
            forget_all(clients)
        await http.aclose()

    asyncio.run(forget())


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[str]:
    """A sandbox that outlives any loop."""
    with processes.sandbox("--devices", "3") as api:
        yield api.base_url


def test_a_client_cannot_be_pickled_and_shows_no_secret() -> None:
    client = VoltawareClient("me", "hunter2")

    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(client)
    assert repr(client) == "<VoltawareClient https://smart-meter-reseller-api.voltaware.com>"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"rate": -1},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"concurrency": 0},
        {"concurrency": 1.5},
        {"concurrency": True},
        {"deadline": 0},
        {"deadline": float("inf")},
        {"deadline": float("nan")},
        {"base_url": "http://example.com"},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_at_once(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        VoltawareClient("id", "secret", **wrong)
