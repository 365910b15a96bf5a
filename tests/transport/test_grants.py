"""Token calls over real HTTP: what is sent, what each answer comes to, and the store."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from datetime import date
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from virtual_time import in_virtual_time

from voltaware_async import VoltawareClient
from voltaware_async.errors import AuthenticationError, AuthUnavailableError, CredentialsRefusedError
from voltaware_async.protocol.secret import Secret
from voltaware_async.protocol.token import StoredToken
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = [pytest.mark.anyio, in_virtual_time]

LOGIN, REFRESH = "auth/token", "auth/token/refresh"
LIFE_S = 1_900.0


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    clock = asyncio.get_running_loop().time
    async with Sandbox(devices=3, today=date(2024, 9, 15), token_ttl=LIFE_S, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def token_calls(sandbox: Sandbox) -> tuple[int, int]:
    return sandbox.count(LOGIN), sandbox.count(REFRESH)


def bodies(sandbox: Sandbox, route: str) -> list[dict[str, str]]:
    return [json.loads(request.body) for request in sandbox.requests if request.route == route]


def grant(**changes: object) -> str:
    return json.dumps({"access_token": "a", "token_type": "Bearer", "expires_in_secs": 43200, **changes})


# --- what is sent ----------------------------------------------------------------------------------


async def test_a_login_sends_exactly_what_is_documented(sandbox: Sandbox, client: VoltawareClient) -> None:
    """T02, T13."""
    await client.connect()
    (request,) = sandbox.requests
    assert (request.method, request.path, request.query) == ("POST", "/auth/token", "")
    assert request.content_type == "application/json"
    assert not request.has_authorization
    assert json.loads(request.body) == {
        "grant_type": "client_credentials",
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
    }


async def test_a_refresh_sends_exactly_what_is_documented_and_no_secret(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """T04."""
    sandbox.script(status=200, body=grant(refresh_token="the-refresh-token"), route=LOGIN)
    sandbox.script(status=401, route="sensors")
    sandbox.script(status=200, body=grant(access_token="b"), route=REFRESH)
    sandbox.script(status=200, body="[]", route="sensors")
    await client.devices.list()
    request = next(request for request in sandbox.requests if request.route == REFRESH)
    assert (request.method, request.path, request.query) == ("POST", "/auth/token/refresh", "")
    assert request.content_type == "application/json"
    assert not request.has_authorization
    assert json.loads(request.body) == {
        "grant_type": "refresh_token",
        "client_id": sandbox.client_id,
        "refresh_token": "the-refresh-token",
    }


async def test_every_other_call_is_authorised(sandbox: Sandbox, client: VoltawareClient) -> None:
    await client.devices.list()
    await client.devices.get("0001")
    await client.metadata.get_property("0001")
    others = [request for request in sandbox.requests if not request.route.startswith("auth/")]
    assert len(others) == 3
    assert all(request.has_authorization and request.content_type is None for request in others)


async def test_connecting_twice_costs_one_token_call(sandbox: Sandbox, client: VoltawareClient) -> None:
    await client.connect()
    await client.connect()
    await client.devices.list()
    assert token_calls(sandbox) == (1, 0)


# --- refresh tokens --------------------------------------------------------------------------------


async def test_a_refresh_reply_without_a_refresh_token_keeps_the_original(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """T03: the second and third refresh still send the one of the login."""
    for _ in range(4):
        await client.devices.list()
        sandbox.expire_tokens()
    assert token_calls(sandbox) == (1, 3)
    assert len({body["refresh_token"] for body in bodies(sandbox, REFRESH)}) == 1


@pytest.mark.parametrize("nothing", [None, ""])
async def test_a_refresh_reply_with_an_empty_refresh_token_keeps_the_original(
    sandbox: Sandbox, client: VoltawareClient, nothing: str | None
) -> None:
    """F18."""
    sandbox.script(status=200, body=grant(refresh_token=nothing, access_token="stale"), route=REFRESH)
    await client.connect()
    sandbox.expire_tokens()
    with pytest.raises(AuthenticationError):
        await client.devices.list()
    await client.devices.list()
    assert token_calls(sandbox) == (1, 2)
    assert len({body["refresh_token"] for body in bodies(sandbox, REFRESH)}) == 1


async def test_a_rotated_refresh_token_replaces_the_one_before() -> None:
    """T08: each works once."""
    async with Sandbox(devices=1, rotate_refresh_tokens=True) as sandbox:
        async with VoltawareClient(
            sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url
        ) as client:
            for _ in range(4):
                await client.devices.list()
                sandbox.expire_tokens()
        assert token_calls(sandbox) == (1, 3)
        assert len({body["refresh_token"] for body in bodies(sandbox, REFRESH)}) == 3


async def test_a_login_without_a_refresh_token_is_followed_by_a_login(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    sandbox.script(status=200, body=grant(), route=LOGIN)
    await client.devices.list()
    assert token_calls(sandbox) == (2, 0)


# --- what the answers come to ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_refused_refresh_is_followed_by_one_login_in_the_same_renewal(
    sandbox: Sandbox, client: VoltawareClient, status: int
) -> None:
    """F08: the caller sees nothing of it."""
    await client.connect()
    sandbox.expire_tokens()
    sandbox.script(status=status, body="{}", route=REFRESH, times=None)
    assert len(await client.devices.list()) == 3
    assert token_calls(sandbox) == (2, 1)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "garbage"},
        {"kind": "cut"},
        {"kind": "reset"},
        {"kind": "stall"},
        {"status": 200, "body": "<html>", "headers": {"Content-Type": "text/html"}},
        {"status": 200, "body": grant(token_type="mac")},
        {"status": 204, "body": ""},
        {"status": 501, "body": ""},
        {"raw": b"HTTP/1.1 200 OK\r\n\r\n{"},
    ],
    ids=lambda fault: fault.get("kind") or f"{fault.get('status', 'raw')}",
)
async def test_a_refresh_whose_answer_is_lost_or_worthless_is_followed_by_one_login(
    sandbox: Sandbox, client: VoltawareClient, fault: dict[str, object]
) -> None:
    """A refresh token that works once may be used up by then."""
    await client.connect()
    sandbox.expire_tokens()
    sandbox.script(route=REFRESH, times=None, **fault)
    assert len(await client.devices.list()) == 3
    assert token_calls(sandbox) == (2, 1)


@pytest.mark.parametrize("kind", ["500", "502", "503", "429"])
async def test_a_refresh_endpoint_that_is_busy_is_asked_again_and_no_login_is_made(
    sandbox: Sandbox, client: VoltawareClient, kind: str
) -> None:
    await client.connect()
    sandbox.expire_tokens()
    sandbox.script(kind, route=REFRESH, times=2)
    assert len(await client.devices.list()) == 3
    assert token_calls(sandbox) == (1, 3)


@pytest.mark.parametrize("kind", ["500", "502", "503"])
async def test_a_token_endpoint_that_stays_down_says_nothing_of_the_credentials(
    sandbox: Sandbox, client: VoltawareClient, kind: str
) -> None:
    """F11."""
    await client.connect()
    sandbox.expire_tokens()
    sandbox.script(kind, route=REFRESH, times=None)
    with pytest.raises(AuthUnavailableError, match="no token to be had: the API failed to answer") as caught:
        await client.devices.list()
    assert caught.value.context.path == "/auth/token/refresh"
    assert caught.value.context.status == int(kind)
    assert token_calls(sandbox) == (1, 3)


async def test_a_token_endpoint_that_cannot_be_reached_says_nothing_of_the_credentials(
    unused_tcp_port: int,
) -> None:
    async with VoltawareClient("id", "secret", base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(AuthUnavailableError, match="connection refused"):
            await client.connect()
        with pytest.raises(AuthUnavailableError, match="connection refused"):
            await client.devices.list()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "stall"}, "fell silent"),
        ({"kind": "reset"}, "ended before the reply"),
        ({"kind": "garbage"}, "not as documented"),
        ({"status": 204, "body": ""}, "status 204"),
        ({"status": 404, "body": "{}"}, "refuses the request"),
        ({"status": 403, "body": "<html>", "headers": {"Content-Type": "text/html"}}, "a web page"),
        ({"status": 301, "body": "", "headers": {"Location": "/"}}, "redirects"),
    ],
)
async def test_a_login_without_a_usable_answer_is_no_refusal(
    sandbox: Sandbox, client: VoltawareClient, fault: dict[str, object], words: str
) -> None:
    sandbox.script(route=LOGIN, **fault)
    with pytest.raises(AuthUnavailableError, match=words):
        await client.connect()
    assert token_calls(sandbox) == (1, 0)
    await client.connect()


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_refused_credentials_say_what_to_check(
    sandbox: Sandbox, client: VoltawareClient, status: int
) -> None:
    sandbox.script(status=status, body="{}", route=LOGIN)
    with pytest.raises(CredentialsRefusedError, match="VOLTAWARE_CLIENT_SECRET"):
        await client.connect()


async def test_refused_twice_over_a_thousand_callers_cost_two_token_calls_and_each_has_an_error_of_its_own(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """F09."""
    await client.connect()
    sandbox.expire_tokens()
    sandbox.revoke_refresh_tokens()
    sandbox.revoke_credentials()
    ends = await asyncio.gather(*(client.devices.get("0001") for _ in range(1_000)), return_exceptions=True)
    assert {type(end) for end in ends} == {CredentialsRefusedError}
    assert len({id(end) for end in ends}) == 1_000
    assert token_calls(sandbox) == (2, 1)
    assert sandbox.count("sensor") <= 32


async def test_credentials_that_work_again_are_found_out_after_a_while(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    sandbox.script(status=401, body="{}", route=LOGIN)
    with pytest.raises(CredentialsRefusedError):
        await client.connect()
    await asyncio.sleep(5.1)
    await client.connect()


async def test_a_throttled_login_waits_as_long_as_it_was_told(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    loop = asyncio.get_running_loop()
    sandbox.script("429", retry_after=7, route=LOGIN)
    began = loop.time()
    await client.connect()
    assert 7 <= loop.time() - began <= 7.3


async def test_a_token_is_given_up_after_45_seconds(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """Here its second attempt would have to wait 50 s for its turn."""
    loop = asyncio.get_running_loop()
    sandbox.script("503", route=LOGIN, times=None)
    async with make_client(rate=0.02) as client:
        began = loop.time()
        with pytest.raises(AuthUnavailableError, match="no token within 45 s"):
            await client.connect()
    assert loop.time() - began == pytest.approx(45, abs=0.1)
    assert token_calls(sandbox) == (1, 0)


async def test_a_renewal_in_a_long_pause_comes_after_it_and_fails_nobody(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """Its 45 s begin with its first request, as every call's deadline does."""
    sandbox.script("429", retry_after=55, route="sensor")
    async with make_client(deadline=120.0) as client:
        throttled = asyncio.create_task(client.devices.get("0001"))
        await asyncio.sleep(0.5)
        assert sandbox.count("sensor") == 1
        sandbox.expire_tokens()
        await client.reconnect()
        await client.devices.get("0002")
        await throttled


# --- ahead of time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [{"kind": "500"}, {"kind": "503"}, {"kind": "reset"}, {"kind": "stall"}, {"status": 401}]
)
async def test_an_early_refresh_that_fails_is_harmless(
    sandbox: Sandbox,
    client: VoltawareClient,
    fault: dict[str, object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """F10: the old token is used on with one warning; the next try is at least 30 s later."""
    await client.connect()
    await asyncio.sleep(LIFE_S - 800)
    failing = sandbox.script(route=REFRESH, times=None, **fault)
    with caplog.at_level(logging.WARNING, "voltaware_async"):
        for _ in range(29):
            assert len(await client.devices.list()) == 3
            await asyncio.sleep(1)
        assert 1 <= failing.hit <= 3
        await asyncio.sleep(31)
        failing.cancel()
    (warning,) = caplog.records
    assert "used on" in warning.getMessage()
    await client.devices.list()
    await asyncio.sleep(1)
    assert sandbox.count(LOGIN) == 1
    assert (sandbox.requests[-1].route, sandbox.requests[-1].status) == (REFRESH, 200)


async def test_an_early_refresh_that_is_refused_says_nothing_of_the_credentials(
    sandbox: Sandbox, client: VoltawareClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions were revoked, tokens and all: the next call logs in, and does not wait for a hold to end."""
    await client.connect()
    await asyncio.sleep(LIFE_S - 800)
    sandbox.revoke_refresh_tokens()
    await client.devices.list()
    await asyncio.sleep(0.1)
    assert sandbox.count(REFRESH) == 1
    sandbox.expire_tokens()
    assert len(await client.devices.list()) == 3
    assert token_calls(sandbox) == (2, 2)
    assert "client id or secret" not in caplog.text


async def test_a_token_that_expires_costs_one_early_refresh_and_no_401(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    for _ in range(16):
        await client.devices.get("0001")
        await asyncio.sleep(300)
    assert token_calls(sandbox) == (1, 3)  # after 1,200 s each: the first call in the last 900 s of 1,900
    assert {request.status for request in sandbox.requests} == {200}


# --- the store -------------------------------------------------------------------------------------


class ShelfStore:
    """Keep the last token on a shelf, or fail as told."""

    def __init__(self, kept: StoredToken | None = None, error: Exception | None = None) -> None:
        self.kept = kept
        self.error = error
        self.loads = 0
        self.saved: list[StoredToken] = []

    async def load(self) -> StoredToken | None:
        self.loads += 1
        if self.error is not None:
            raise self.error
        return self.kept

    async def save(self, token: StoredToken) -> None:
        self.saved.append(token)
        if self.error is not None:
            raise self.error
        self.kept = token


@pytest.fixture
async def shelf(sandbox: Sandbox, make_client: Callable[..., VoltawareClient]) -> ShelfStore:
    """A shelf with the token of an earlier run, whose requests do not count."""
    shelf = ShelfStore()
    async with make_client(token_store=shelf) as earlier:
        await earlier.connect()
    assert token_calls(sandbox) == (1, 0)
    return shelf


async def test_a_kept_token_saves_the_login(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], shelf: ShelfStore
) -> None:
    async with make_client(token_store=shelf) as client:
        await client.devices.list()
        await client.devices.list()
    assert token_calls(sandbox) == (1, 0)
    assert shelf.loads == 2  # once per run
    assert len(shelf.saved) == 1


async def test_a_token_is_kept_for_its_api_and_client_and_without_the_secret(
    sandbox: Sandbox, shelf: ShelfStore
) -> None:
    kept = shelf.kept
    assert kept is not None
    assert (kept.base_url, kept.client_id) == (sandbox.base_url, sandbox.client_id)
    assert kept.expires_at == pytest.approx(time.time() + LIFE_S, abs=60)
    assert kept.access != kept.refresh
    texts = {kept.access.reveal(), kept.refresh and kept.refresh.reveal()}
    assert sandbox.client_secret not in texts


@pytest.mark.parametrize("foreign", [{"base_url": "https://other.example"}, {"client_id": "another"}])
async def test_a_kept_token_of_another_api_or_client_is_not_sent_anywhere(
    sandbox: Sandbox,
    make_client: Callable[..., VoltawareClient],
    shelf: ShelfStore,
    foreign: dict[str, str],
) -> None:
    shelf.kept = evolve(shelf.kept, **foreign)
    async with make_client(token_store=shelf) as client:
        await client.devices.list()
    assert token_calls(sandbox) == (2, 0)
    assert {request.status for request in sandbox.requests} == {200}


async def test_a_kept_token_that_has_expired_is_refreshed(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], shelf: ShelfStore
) -> None:
    shelf.kept = evolve(shelf.kept, expires_at=time.time() - 10)
    async with make_client(token_store=shelf) as client:
        await client.devices.list()
    assert token_calls(sandbox) == (1, 1)
    assert {request.status for request in sandbox.requests} == {200}
    assert len(shelf.saved) == 2


async def test_a_kept_token_that_has_expired_and_cannot_be_refreshed_is_followed_by_a_login(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], shelf: ShelfStore
) -> None:
    shelf.kept = evolve(shelf.kept, expires_at=0.0, refresh=None)
    async with make_client(token_store=shelf) as client:
        await client.devices.list()
    assert token_calls(sandbox) == (2, 0)


async def test_a_kept_refresh_token_that_was_used_up_meanwhile_is_followed_by_a_login(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], shelf: ShelfStore
) -> None:
    """F19: the run before ended between the server's rotation and its own saving."""
    sandbox.revoke_refresh_tokens()
    shelf.kept = evolve(shelf.kept, expires_at=0.0)
    async with make_client(token_store=shelf) as client:
        await client.devices.list()
    assert token_calls(sandbox) == (2, 1)


async def test_a_kept_token_of_unknown_life_is_used_until_it_is_refused(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], shelf: ShelfStore
) -> None:
    shelf.kept = evolve(shelf.kept, expires_at=None)
    async with make_client(token_store=shelf) as client:
        await client.devices.list()
        sandbox.expire_tokens()
        await client.devices.list()
    assert token_calls(sandbox) == (1, 1)


async def test_a_token_of_unknown_life_is_kept_without_an_end(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    sandbox.script(status=200, body=grant(expires_in_secs=None), route=LOGIN)
    shelf = ShelfStore()
    async with make_client(token_store=shelf) as client:
        await client.connect()
    assert shelf.saved == [StoredToken(sandbox.base_url, sandbox.client_id, Secret("a"), None, None)]


async def test_an_empty_store_is_followed_by_a_login(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    shelf = ShelfStore()
    async with make_client(token_store=shelf) as client:
        await client.devices.list()
    assert token_calls(sandbox) == (1, 0)
    assert len(shelf.saved) == 1


@pytest.mark.parametrize("error", [PermissionError("read-only"), ValueError("not JSON")])
async def test_a_store_that_fails_is_survived_with_a_warning_for_each_of_its_sides(
    sandbox: Sandbox,
    make_client: Callable[..., VoltawareClient],
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """F21."""
    async with make_client(token_store=ShelfStore(error=error)) as client:
        await client.devices.list()
        await client.devices.list()
    assert token_calls(sandbox) == (1, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "could not be read" in caplog.text
    assert "could not be written" in caplog.text


async def test_a_refreshed_token_is_kept_with_its_rotated_refresh_token() -> None:
    shelf = ShelfStore()
    async with Sandbox(devices=1, rotate_refresh_tokens=True) as sandbox:
        client = VoltawareClient(
            sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, token_store=shelf
        )
        async with client:
            await client.devices.list()
            sandbox.expire_tokens()
            await client.devices.list()
    first, second = shelf.saved
    assert first.access != second.access
    assert first.refresh != second.refresh
