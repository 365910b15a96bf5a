"""Lent sessions: whatever their owner set, calls mean the same, and the session stays as it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from byte_server import ByteServer, closing, reply, silent

from voltaware_async import (
    ConfigurationError,
    DeadlineError,
    DeviceId,
    Month,
    RedirectError,
    RetryPolicy,
    VoltawareClient,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voltaware_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
TOKEN = reply(b'{"access_token": "t", "token_type": "Bearer", "expires_in_secs": 43200}')
BODY = b'{"total_consumption": 1.5, "disconnection_percentage": 0, "appliances": []}'
GOOD = reply(BODY)


async def meddling(request: aiohttp.ClientRequest, _: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    raise AssertionError(f"{request.method} came through a middleware")


def client_of(server: ByteServer, session: aiohttp.ClientSession, **options: float) -> VoltawareClient:
    return VoltawareClient("id", "planted-secret", base_url=server.base_url, session=session, **options)


HOSTILE: dict[str, Callable[[], dict[str, object]]] = {
    "middlewares": lambda: {"middlewares": (meddling,)},
    "raise_for_status": lambda: {"raise_for_status": True},
    "a time-out of its own": lambda: {"timeout": aiohttp.ClientTimeout(total=1e-6, sock_read=1e-6)},
    "a base URL": lambda: {"base_url": "http://127.0.0.1:9/elsewhere/"},
    "headers": lambda: {
        "headers": {"Accept": "text/html", "Content-Type": "text/plain", "User-Agent": "Mozilla"}
    },
    "no headers": lambda: {"skip_auto_headers": {"Accept", "Content-Type", "User-Agent", "Accept-Encoding"}},
    "HTTP/1.0": lambda: {"version": aiohttp.HttpVersion10},
    "small buffers": lambda: {"read_bufsize": 1},
    "one connection": lambda: {"connector": aiohttp.TCPConnector(limit=1)},
    "no kept connections": lambda: {"connector": aiohttp.TCPConnector(force_close=True)},
    "a strict cookie jar": lambda: {"cookie_jar": aiohttp.CookieJar(unsafe=True)},
    "trust_env": lambda: {"trust_env": True},
}


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_its_owner_set_does_not_change_what_calls_mean(
    hostile: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    scripts = [TOKEN, GOOD, reply(b"{}", "404 Not Found"), reply(b"", "307 Moved", "Location: /elsewhere")]
    async with ByteServer(scripts) as server, aiohttp.ClientSession(**HOSTILE[hostile]()) as lent:
        async with client_of(server, lent) as client:
            record = await client.disaggregation.month(DEVICE, JULY)
            nothing = await client.disaggregation.month(DEVICE, JULY)
            with pytest.raises(RedirectError):
                await client.disaggregation.month(DEVICE, JULY)
        assert not lent.closed
        assert not lent.connector.closed

    assert record.total_consumption == 1.5
    assert nothing is None
    assert len(server.requests) == 4
    for request in server.requests:
        assert b"\r\nAccept: application/json\r\n" in request
        assert b"\r\nUser-Agent: voltaware-async\r\n" in request
    assert b"\r\nContent-Type: application/json\r\n" in server.requests[0]
    assert b"\r\nAuthorization: Bearer t\r\n" in server.requests[1]


async def test_nothing_of_it_is_changed() -> None:
    async with (
        ByteServer([TOKEN, GOOD]) as server,
        aiohttp.ClientSession(headers={"X-Ours": "1"}, raise_for_status=True) as lent,
    ):
        before = {name: value for name, value in vars(lent).items() if name not in LIVE}
        headers = dict(lent.headers)
        async with client_of(server, lent) as client:
            await client.disaggregation.month(DEVICE, JULY)

        assert {name: value for name, value in vars(lent).items() if name not in LIVE} == before
        assert dict(lent.headers) == headers
        assert not list(lent.cookie_jar)


# What any use of a session moves on.
LIVE = {"_retry_options", "_resolved_proxies"}


async def test_its_own_calls_go_on_after_ours() -> None:
    async with ByteServer([TOKEN, GOOD]) as server, aiohttp.ClientSession() as lent:
        async with client_of(server, lent) as client:
            await client.disaggregation.month(DEVICE, JULY)
        async with lent.get(server.base_url) as response:
            assert await response.read() == BODY

    assert b"Authorization" not in server.requests[-1]
    assert server.connections == 1


async def test_its_cookie_jar_works_as_its_owner_set_it() -> None:
    """F67: aiohttp cannot be told otherwise for one request."""
    baking = reply(BODY, "200 OK", "Set-Cookie: crumb=1; Path=/")
    async with (
        ByteServer([TOKEN, baking, GOOD]) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as lent,
        client_of(server, lent) as client,
    ):
        await client.disaggregation.month(DEVICE, JULY)
        await client.disaggregation.month(DEVICE, JULY)
        assert [cookie.key for cookie in lent.cookie_jar] == ["crumb"]

    assert b"\r\nCookie: crumb=1\r\n" in server.requests[-1]


async def test_it_sends_a_request_at_most_twice_where_a_kept_connection_was_closed() -> None:
    """F24: the second time by aiohttp itself, which nothing of a lent session can forbid for one request."""
    async with (
        ByteServer([TOKEN, closing, GOOD]) as server,
        aiohttp.ClientSession() as lent,
        client_of(server, lent) as client,
    ):
        assert await client.disaggregation.month(DEVICE, JULY) is not None
        sent = client._traffic.requests

    assert (sent, len(server.requests)) == (2, 3)


async def test_a_client_that_is_forgotten_with_a_lent_session_is_not_warned_of() -> None:
    """Its connections are the owner's, so that nothing is left open; warnings are errors here."""
    async with ByteServer([TOKEN, GOOD]) as server, aiohttp.ClientSession() as lent:
        client = client_of(server, lent)
        await client.disaggregation.month(DEVICE, JULY)
        del client

        assert not lent.closed


async def test_a_lent_session_that_waits_for_a_connection_is_bounded_by_the_deadline() -> None:
    connector = aiohttp.TCPConnector(limit=1)
    async with ByteServer([TOKEN, silent]) as server, aiohttp.ClientSession(connector=connector) as lent:
        client = client_of(server, lent, deadline=0.1)
        ends = await asyncio.gather(
            *(client.disaggregation.month(DEVICE, JULY) for _ in range(3)), return_exceptions=True
        )
        await client.aclose()

    assert [type(it) for it in ends] == [DeadlineError] * 3


@pytest.mark.parametrize("entry", ["machine 127.0.0.1", "default"])
async def test_a_password_of_a_netrc_file_is_refused_before_it_breaks_every_call(
    entry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"{entry} login me password planted-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    async with ByteServer([TOKEN, GOOD]) as server:
        async with aiohttp.ClientSession(trust_env=True) as lent:
            with pytest.raises(ConfigurationError, match=r"takes a password for 127\.0\.0\.1") as raised:
                client_of(server, lent)
        async with aiohttp.ClientSession() as lent, client_of(server, lent) as client:
            assert await client.disaggregation.month(DEVICE, JULY)

    assert "planted-password" not in str(raised.value)
    assert b"Basic" not in b"".join(server.requests)


async def test_a_netrc_entry_for_another_host_is_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine example.com login me password planted-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    async with (
        ByteServer([TOKEN, GOOD]) as server,
        aiohttp.ClientSession(trust_env=True) as lent,
        client_of(server, lent) as client,
    ):
        assert await client.disaggregation.month(DEVICE, JULY)


async def test_our_own_session_takes_neither_proxies_nor_passwords_from_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password planted-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async with VoltawareClient("sandbox-client", "sandbox-secret", base_url=sandbox.base_url) as client:
        assert await client.disaggregation.month(DEVICE, JULY)


async def test_two_clients_share_a_lent_session_and_not_their_tokens() -> None:
    other = reply(b'{"access_token": "u", "token_type": "Bearer", "expires_in_secs": 43200}')
    async with ByteServer([TOKEN, GOOD, other, GOOD]) as server, aiohttp.ClientSession() as lent:
        for _ in range(2):
            async with client_of(server, lent, retry=RetryPolicy()) as client:
                await client.disaggregation.month(DEVICE, JULY)

    assert b"Bearer t\r\n" in server.requests[1]
    assert b"Bearer u\r\n" in server.requests[3]
    assert server.connections == 1
