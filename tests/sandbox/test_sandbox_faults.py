import json
import socket

import aiohttp
import pytest
from anyio import create_task_group, fail_after
from anyio.lowlevel import checkpoint
from sandbox_caller import JULY, Answer, Caller, calling

from voltaware_async.sandbox import Fault, FaultKind, Sandbox

pytestmark = pytest.mark.anyio

DEVICE = "/sensors/0001"
MONTH = f"{DEVICE}/sm/disag/month?{JULY}"


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("500", 500, "application/json"),
        ("502", 502, "text/html; charset=utf-8"),
        ("503", 503, "application/json"),
        ("429", 429, "application/json"),
        ("garbage", 200, "application/json"),
    ],
)
async def test_a_scripted_fault_hits_the_next_requests_only(
    sandbox: Sandbox, caller: Caller, kind: str, status: int, content_type: str
) -> None:
    script = sandbox.script(kind, times=2)
    answers = [await caller.get(DEVICE) for _ in range(3)]
    assert [answer.status for answer in answers] == [status, status, 200]
    assert answers[0].headers["Content-Type"] == content_type
    assert (script.hit, script.left) == (2, 0)


async def test_garbage_is_not_json(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("garbage")
    with pytest.raises(json.JSONDecodeError):
        (await caller.get(DEVICE)).json  # noqa: B018 - reading the property is what raises


async def test_retry_after_is_sent_when_asked_and_always_with_429(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("503")
    sandbox.script("503", retry_after=7)
    sandbox.script("429")
    sandbox.script("429", retry_after=1.5)
    sent = [(await caller.get(DEVICE)).headers.get("Retry-After") for _ in range(4)]
    assert sent == [None, "7", "1", "1.5"]


async def test_a_reset_connection_ends_without_a_byte(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("reset")
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await caller.get(DEVICE)
    assert (await caller.get(DEVICE)).status == 200


@pytest.mark.parametrize("path", [DEVICE, "/sensors", MONTH])
async def test_a_cut_reply_announces_more_than_it_sends(sandbox: Sandbox, caller: Caller, path: str) -> None:
    sandbox.script("cut")
    with pytest.raises(aiohttp.ClientPayloadError):
        await caller.get(path)


async def test_a_cut_put_has_been_carried_out(sandbox: Sandbox, caller: Caller) -> None:
    here = {"latitude": 1, "longitude": 2}
    sandbox.script("cut")
    with pytest.raises(aiohttp.ClientPayloadError):
        await caller.put(f"{DEVICE}/metadata/geolocation", here)
    assert (await caller.get(f"{DEVICE}/metadata/geolocation")).json == here


async def test_a_failed_put_has_not_been_carried_out(sandbox: Sandbox, caller: Caller) -> None:
    path = f"{DEVICE}/metadata/geolocation"
    before = await caller.get(path)
    sandbox.script("500")
    await caller.put(path, {"latitude": 1, "longitude": 2})
    assert (await caller.get(path)).body == before.body


async def test_a_stalled_request_is_never_answered_and_others_are(sandbox: Sandbox, caller: Caller) -> None:
    script = sandbox.script("stall")
    async with create_task_group() as group:
        group.start_soon(caller.get, DEVICE)
        while not script.hit:
            await checkpoint()
        with fail_after(5):
            assert (await caller.get(DEVICE)).status == 200
        assert sandbox.requests[-2].status is None
        group.cancel_scope.cancel()


async def test_a_slow_reply_dribbles(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("slow")
    headers = {"Authorization": f"Bearer {caller.token}"}
    async with caller.session.get(sandbox.base_url + DEVICE, headers=headers) as response:
        assert response.content_length is not None
        assert response.content_length > 200
        assert await response.content.readany() == b"{"


async def test_a_slow_reply_comes_to_its_end(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("slow", body=b"7")
    assert (await caller.get(DEVICE)).body == b"7"


async def test_a_script_picks_route_device_and_method(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("500", times=None, route="sensor", device_id="0002", method="GET")
    assert (await caller.get("/sensors/0001")).status == 200
    assert (await caller.get("/sensors/0002/metadata/property")).status in {200, 404}
    assert [(await caller.get("/sensors/0002")).status for _ in range(3)] == [500] * 3
    assert (await caller.send("PUT", "/sensors/0002")).status == 405


async def test_a_script_for_ever_can_be_cancelled(sandbox: Sandbox, caller: Caller) -> None:
    script = sandbox.script("503", times=None)
    assert [(await caller.get(DEVICE)).status for _ in range(2)] == [503, 503]
    script.cancel()
    assert (await caller.get(DEVICE)).status == 200


async def test_older_scripts_go_first(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("500")
    sandbox.script("503")
    assert [(await caller.get(DEVICE)).status for _ in range(3)] == [500, 503, 200]


async def test_auth_is_hit_only_when_it_is_named(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("500")
    assert (await caller.refresh()).status == 200
    sandbox.script("502", route="auth/token/refresh")
    assert (await caller.refresh()).status == 502
    assert (await caller.log_in()).status == 200


async def test_any_reply_can_be_served(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script(status=200, body=b'{"total_consumption": "12"}', route="sm/disag/month")
    answer = await caller.get(MONTH)
    assert (answer.status, answer.json) == (200, {"total_consumption": "12"})
    assert answer.headers["Content-Type"] == "application/json"
    sandbox.script(status=404, body="<p>no</p>", headers={"content-type": "text/html", "X-Way": "proxy"})
    answer = await caller.get(MONTH)
    assert (answer.status, answer.body) == (404, b"<p>no</p>")
    assert (answer.headers["Content-Type"], answer.headers["X-Way"]) == ("text/html", "proxy")


async def test_a_kind_can_be_given_another_body(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script("503", body=b"", retry_after=3)
    answer = await caller.get(DEVICE)
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (503, b"", "3")
    sandbox.script("cut", body=b"abcdef")
    with pytest.raises(aiohttp.ClientPayloadError, match="received 3 of 6"):
        await caller.get(DEVICE)


async def test_raw_bytes_are_sent_as_they_stand(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.script(raw=b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi")
    with pytest.raises(aiohttp.ClientResponseError, match="status line"):
        await caller.get(DEVICE)
    sandbox.script(raw=b"HTTP/1.0 200 OK\r\n\r\n[1, 2")
    assert (await caller.get(DEVICE)).body == b"[1, 2"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "needs a kind"),
        ({"kind": "501"}, "garbage"),
        ({"kind": "500", "route": "sensors/"}, "sm/disag/month"),
        ({"kind": "reset", "status": 200}, "no reply"),
    ],
)
def test_a_script_that_cannot_be_is_refused_with_what_can(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Sandbox().script(**arguments)


async def test_random_faults_come_at_their_rate_and_not_on_auth() -> None:
    async with Sandbox(faults=("500:0.25", "503:0.25")) as sandbox, calling(sandbox) as caller:
        statuses = [(await caller.get(DEVICE)).status for _ in range(400)]
        assert {(await caller.refresh()).status for _ in range(20)} == {200}
    assert 70 < statuses.count(500) < 130
    assert 50 < statuses.count(503) < 105


async def test_random_faults_are_the_same_for_the_same_seed() -> None:
    async def statuses(seed: int) -> list[int]:
        async with Sandbox(seed=seed, faults=("500:0.5",)) as sandbox, calling(sandbox) as caller:
            return [(await caller.get("/sensors/0001")).status for _ in range(40)]

    assert await statuses(1) == await statuses(1)
    assert await statuses(1) != await statuses(2)


async def test_a_random_fault_can_name_its_route() -> None:
    faults = ("500@sensors:1", Fault(FaultKind.UNAVAILABLE, 1, "auth/token/refresh"))
    async with Sandbox(faults=faults) as sandbox, calling(sandbox) as caller:
        assert (await caller.get("/sensors")).status == 500
        assert (await caller.get(DEVICE)).status == 200
        assert (await caller.refresh()).status == 503


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("500:0.01", Fault(FaultKind.INTERNAL_ERROR, 0.01)),
        (" reset:1 ", Fault(FaultKind.RESET, 1)),
        ("429@sm/disag/month/weeks:0", Fault(FaultKind.TOO_MANY, 0, "sm/disag/month/weeks")),
    ],
)
def test_a_fault_is_read_from_text(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("500", "KIND:PROBABILITY"),
        ("", "KIND:PROBABILITY"),
        ("404:0.1", "garbage"),
        ("500:often", "from 0 to 1"),
        ("500:1.5", "from 0 to 1"),
        ("500:nan", "from 0 to 1"),
        ("500@:0.5", "auth/token"),
        ("500@disag:0.5", "sm/disag/month"),
    ],
)
def test_a_fault_that_cannot_be_read_is_refused_with_what_can(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Fault.parse(text)


async def test_more_requests_than_the_limit_are_told_to_come_back() -> None:
    now = [0.0]
    async with Sandbox(rate_limit=5, clock=lambda: now[0]) as sandbox, calling(sandbox) as caller:
        answers = [await caller.get(DEVICE) for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 4 + [429] * 2
        assert int(answers[-1].headers["Retry-After"]) == 1
        now[0] = 0.999
        assert (await caller.get(DEVICE)).status == 429
        now[0] = 1.0
        assert (await caller.get(DEVICE)).status == 200


async def test_latency_holds_every_reply_back() -> None:
    async with Sandbox(latency_ms=20) as sandbox, aiohttp.ClientSession() as session:
        before = sandbox.count("unknown")
        with pytest.raises(TimeoutError):
            await session.get(sandbox.base_url, timeout=aiohttp.ClientTimeout(sock_read=0.01))
        assert sandbox.count("unknown") == before + 1
        async with session.get(sandbox.base_url) as response:
            assert response.status == 404


async def test_a_connection_that_says_nothing_does_not_disturb_the_others(
    sandbox: Sandbox, caller: Caller
) -> None:
    address = ("127.0.0.1", int(sandbox.base_url.rpartition(":")[2]))
    with socket.create_connection(address):
        answer: Answer = await caller.get(DEVICE)
    assert answer.status == 200
