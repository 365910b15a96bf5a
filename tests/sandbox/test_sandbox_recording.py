import inspect
import re
from functools import partial

import aiohttp
import pytest
from anyio import create_task_group
from sandbox_caller import JULY, Caller, calling

from voltaware_async.sandbox import ROUTE_NAMES, Sandbox, endpoints
from voltaware_async.sandbox.recording import Recording

pytestmark = pytest.mark.anyio

PATHS = {
    "sensors": "/sensors",
    "sensor": "/sensors/0001",
    "metadata/property": "/sensors/0001/metadata/property",
    "sm/disag/month": f"/sensors/0001/sm/disag/month?{JULY}",
    "sm/disag/cycles/monthly": f"/sensors/0001/sm/disag/cycles/monthly?{JULY}",
    "sm/reports/weekly": "/sensors/0001/sm/reports/weekly?startDate=2024-07-08&endDate=2024-07-14",
    "unknown": "/health",
}


@pytest.mark.parametrize("route", PATHS)
async def test_requests_are_counted_under_the_words_of_their_path(
    sandbox: Sandbox, caller: Caller, route: str
) -> None:
    await caller.get(PATHS[route])
    await caller.get(PATHS[route])
    assert sandbox.count(route) == sandbox.count(route, method="GET") == 2
    assert sandbox.count(route, method="PUT") == 0


async def test_a_request_is_recorded_as_it_came(sandbox: Sandbox, caller: Caller) -> None:
    await caller.send("PUT", "/sensors/0001/metadata/geolocation?x=%31", b'{"latitude": 1}')
    login, put = sandbox.requests
    assert (login.route, login.status, login.device_id) == ("auth/token", 200, None)
    assert (login.has_authorization, login.content_type) == (False, "application/json")
    assert b'"grant_type"' in login.body
    assert (put.method, put.path, put.query) == ("PUT", "/sensors/0001/metadata/geolocation", "x=%31")
    assert (put.route, put.device_id, put.status) == ("metadata/geolocation", "0001", 400)
    assert (put.has_authorization, put.body) == (True, b'{"latitude": 1}')
    assert login.at < put.at


async def test_only_the_last_requests_are_kept_but_all_are_counted() -> None:
    async with Sandbox(record=3) as sandbox, calling(sandbox) as caller:
        for number in range(1, 6):
            await caller.get(f"/sensors/{number:04d}")
        assert [request.device_id for request in sandbox.requests] == ["0003", "0004", "0005"]
        assert sandbox.count("sensor") == 5


def test_a_route_that_does_not_exist_is_not_counted_as_nothing() -> None:
    with pytest.raises(ValueError, match="sm/disag/month"):
        Sandbox().count("month")


def test_the_worst_second_slides() -> None:
    recording = Recording(limit=0)
    for at in (0.0, 0.5, 0.9, 1.0, 1.4, 1.45, 3.0):
        recording.arrived(at, "sensor", "GET")
    assert recording.worst_second() == 5
    assert recording.delivered_rate() == pytest.approx(6 / 3)


def test_one_request_has_no_rate() -> None:
    recording = Recording(limit=0)
    assert recording.delivered_rate() == 0
    recording.arrived(5.0, "sensor", "GET")
    assert recording.delivered_rate() == 0


async def test_the_stats_need_no_token_and_do_not_count_themselves() -> None:
    async with Sandbox(rate_limit=2) as sandbox, calling(sandbox) as caller:
        await caller.get("/sensors/0001")
        for _ in range(5):
            answer = await caller.send("GET", "/sandbox/stats", authorized=False)
            assert answer.status == 200
        assert answer.json == {
            "routes": {"auth/token": 1, "sensor": 1},
            "total": 2,
            "worst_second": sandbox.worst_second(),
            "delivered_rate": sandbox.delivered_rate(),
        }
        assert sandbox.delivered_rate() > 0
        assert len(sandbox.requests) == 2


async def test_many_callers_at_once_are_all_answered(sandbox: Sandbox, caller: Caller) -> None:
    statuses: list[int] = []

    async def ask(device_id: str) -> None:
        statuses.append((await caller.get(f"/sensors/{device_id}")).status)

    async with create_task_group() as group:
        for device_id in sandbox.fleet.device_ids()[:200]:
            group.start_soon(partial(ask, device_id))
    assert statuses == [200] * 200
    assert sandbox.worst_second() >= 100


def test_there_are_seventeen_endpoints_and_each_names_its_source() -> None:
    handlers = [
        function
        for name, function in inspect.getmembers(endpoints, inspect.isfunction)
        if list(inspect.get_annotations(function)) == ["call", "return"]
        and inspect.get_annotations(function)["return"] is endpoints.Reply
        and not name.startswith("_")
    ]
    assert len(handlers) == 17
    assert len(ROUTE_NAMES) == 14
    for handler in handlers:
        assert re.search(r"^Source: .+\.$", inspect.getdoc(handler) or "", re.MULTILINE)


async def test_a_caller_that_leaves_is_still_recorded(sandbox: Sandbox) -> None:
    sandbox.script("stall", route="unknown")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await session.get(sandbox.base_url, timeout=aiohttp.ClientTimeout(sock_read=0.02))
    assert [(request.route, request.status) for request in sandbox.requests] == [("unknown", None)]
