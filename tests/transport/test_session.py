"""One exchange: whatever the server does, it ends in a response or in a failure with a name."""

from __future__ import annotations

import gzip
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from byte_server import ByteServer, closing, dribbling, reply, resetting, saying, silent

from voltaware_async import (
    ClientClosedError,
    ConfigurationError,
    DeadlineError,
    DecodeError,
    DeviceId,
    Month,
    ProtocolError,
    RedirectError,
    ResponseTooLargeError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
    UnreachableError,
    VoltawareClient,
    VoltawareError,
)
from voltaware_async.protocol import endpoints, requests
from voltaware_async.protocol.retry import Failure, Resend
from voltaware_async.transport import session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from byte_server import Script

pytestmark = pytest.mark.anyio

DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
TOKEN = reply(b'{"access_token": "t", "token_type": "Bearer", "expires_in_secs": 43200}')
BODY = b'{"total_consumption": 1.5, "disconnection_percentage": 0, "appliances": []}'
GOOD = reply(BODY)
DESCRIPTORS = Path("/proc/self/fd")
QUICK = RetryPolicy(wait_initial=0.001)


def client_of(server: ByteServer, *, retry: RetryPolicy = QUICK, deadline: float = 20.0) -> VoltawareClient:
    return VoltawareClient("id", "secret", base_url=server.base_url, retry=retry, deadline=deadline)


async def july_of(server: ByteServer, **settings: float) -> tuple[object, VoltawareError | None]:
    """Ask for a month, and return the record or the error."""
    async with client_of(server, **settings) as client:
        try:
            return await client.disaggregation.month(DEVICE, JULY), None
        except VoltawareError as error:
            return None, error


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    """Count the open descriptors around each test."""
    before = len(list(DESCRIPTORS.iterdir()))
    yield
    assert len(list(DESCRIPTORS.iterdir())) <= before


# What passes: the same request is sent again, and nobody notices.


@pytest.mark.parametrize(
    "fault",
    [
        closing,
        resetting,
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 75\r\n\r\n{", close=True),
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", close=True),
        saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY[:30], close=True),
        reply(b"{}", "500 Internal Server Error"),
        reply(b"<html>", "502 Bad Gateway"),
        reply(b"", "504 Gateway Timeout"),
        reply(b"", "408 Request Timeout"),
        reply(b"", "425 Too Early"),
        reply(b"", "429 Too Many Requests", "Retry-After: 0"),
    ],
    ids=[
        "closes before the reply",
        "resets before the reply",
        "closes in a body of known length",
        "closes in a chunk",
        "closes in a body of unknown length",
        *("500", "502", "504", "408", "425", "429"),
    ],
)
async def test_a_fault_that_passes_costs_one_more_request(fault: Script) -> None:
    async with ByteServer([TOKEN, fault, GOOD]) as server:
        record, error = await july_of(server)

    assert error is None
    assert record is not None
    assert len(server.requests) == 3
    assert server.requests[1].split(b"\r\n")[0] == server.requests[2].split(b"\r\n")[0]


# What does not pass: one request, and an error that names it.


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        (saying(b"garbage\r\n\r\n", close=True), ProtocolError, "not valid HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n"), ProtocolError, "not valid HTTP"),
        (
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
            ProtocolError,
            "not valid HTTP",
        ),
        (reply(b"not gzip", "200 OK", "Content-Encoding: gzip"), ProtocolError, "not valid HTTP"),
        (reply(b"<html>please log in"), UnexpectedResponseError, "a web page answered \\(200\\)"),
        (reply(b"<html>", "404 Not Found"), UnexpectedResponseError, "a web page answered \\(404\\)"),
        (reply(b"<html>", "403 Forbidden"), UnexpectedResponseError, "a web page answered \\(403\\)"),
        (reply(b"", "200 OK"), DecodeError, "not as documented"),
        (reply(b"null"), DecodeError, "@ \\$"),
        (reply(BODY[:-4]), DecodeError, "not as documented"),
        (reply(b"{}", "501 Not Implemented"), VoltawareError, "does not pass"),
        (reply(b'{"error": "no"}', "400 Bad Request"), VoltawareError, "refuses the request, saying"),
        (reply(b"{}", "422 Unprocessable Entity"), VoltawareError, "refuses the request"),
        (reply(b"{}", "201 Created"), UnexpectedResponseError, "does not document"),
        (
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"),
            ResponseTooLargeError,
            "larger than 16 MiB",
        ),
        (
            reply(gzip.compress(b" " * 64 * 1024 * 1024), "200 OK", "Content-Encoding: gzip"),
            ResponseTooLargeError,
            "larger than 16 MiB",
        ),
    ],
)
async def test_a_fault_that_does_not_pass_is_one_request_and_an_error_that_names_it(
    fault: Script, kind: type[VoltawareError], why: str
) -> None:
    async with ByteServer([TOKEN, fault]) as server:
        _, error = await july_of(server)

    assert isinstance(error, kind)
    with pytest.raises(kind, match=why):
        raise error
    assert "GET /sensors/{device_id}/sm/disag/month, device 0001" in str(error)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "to", ["/elsewhere", "http://127.0.0.1:9/", "//evil.invalid/", "http://u:p@127.0.0.1:9/"]
)
async def test_a_redirect_is_never_followed_and_carries_no_secret_away(status: int, to: str) -> None:
    moved = reply(b"", f"{status} Moved", f"Location: {to}")
    async with ByteServer([moved]) as server:
        _, error = await july_of(server)

    async with ByteServer([TOKEN, moved]) as later:
        _, later_error = await july_of(later)

    assert "redirects, which is not followed" in str(error)
    assert len(server.requests) == 1
    assert isinstance(later_error, RedirectError)
    assert len(later.requests) == 2


@pytest.mark.parametrize("script", [silent, dribbling], ids=["never answers", "dribbles"])
async def test_a_server_that_takes_for_ever_costs_the_deadline_and_nothing_else(
    script: Script,
) -> None:
    async with ByteServer([TOKEN, script]) as server:
        _, error = await july_of(server, deadline=0.15)

    assert isinstance(error, DeadlineError)
    assert "no complete answer within 0.15 s" in str(error)
    assert len(server.requests) == 2


async def test_an_early_hint_is_not_the_reply() -> None:
    async with ByteServer([TOKEN, saying(b"HTTP/1.1 103 Early Hints\r\n\r\n"), GOOD]) as server:
        server.scripts[1] = _both(saying(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), GOOD)
        record, _ = await july_of(server)

    assert record is not None


def _both(*scripts: Script) -> Script:
    async def script(connection: object) -> None:
        for one in scripts:
            await one(connection)

    return script


@pytest.mark.parametrize(
    "body", [b"\xef\xbb\xbf" + BODY, BODY + b"\n"], ids=["byte order mark", "trailing newline"]
)
@pytest.mark.parametrize("content_type", ["text/plain", "application/problem+json", ""])
async def test_json_is_known_by_its_content_and_not_by_its_label(body: bytes, content_type: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with ByteServer([TOKEN, saying(head.encode() + body)]) as server:
        record, error = await july_of(server)

    assert error is None
    assert record is not None


async def test_cookies_are_not_kept() -> None:
    cookie = reply(BODY, "200 OK", "Set-Cookie: a=b")
    async with ByteServer([TOKEN, cookie]) as server, client_of(server) as client:
        for _ in range(2):
            await client.disaggregation.month(DEVICE, JULY)

    assert b"Cookie" not in server.requests[-1]


async def test_one_connection_serves_many_calls_and_its_end_is_noticed() -> None:
    last = reply(BODY, "200 OK", "Connection: close")
    async with ByteServer([TOKEN, GOOD, last, GOOD]) as server, client_of(server) as client:
        for _ in range(3):
            assert await client.disaggregation.month(DEVICE, JULY)

    assert server.connections == 2


async def test_every_request_on_the_wire_is_one_that_was_paced_and_counted() -> None:
    """F24: aiohttp would send again by itself what a kept connection has swallowed."""
    async with ByteServer([TOKEN, GOOD, closing, closing, GOOD]) as server, client_of(server) as client:
        for _ in range(2):
            assert await client.disaggregation.month(DEVICE, JULY)

        assert client._traffic.requests == len(server.requests) == 5


async def test_a_pause_that_is_too_long_to_wait_for_is_told_at_once() -> None:
    busy = reply(b"{}", "503 Service Unavailable", "Retry-After: 1000")
    async with ByteServer([TOKEN, busy]) as server:
        _, error = await july_of(server)

    assert isinstance(error, ServerError)
    assert error.retry_after == 1000
    assert len(server.requests) == 2


async def test_nothing_is_sent_to_a_host_that_refuses() -> None:
    client = VoltawareClient("id", "secret", base_url="http://127.0.0.1:9", retry=QUICK)
    async with client:
        with pytest.raises(VoltawareError, match=r"cannot connect to 127\.0\.0\.1:9: connection refused"):
            await client.devices.list()


# The map of exceptions.


def exceptions_of_aiohttp() -> list[type[Exception]]:
    found = {
        it
        for it in vars(aiohttp).values()
        if inspect.isclass(it)
        and issubclass(it, aiohttp.ClientError)
        and not issubclass(it, aiohttp.WSServerHandshakeError)
    }
    return [*sorted(found, key=lambda it: it.__name__), TimeoutError, ConnectionResetError, OSError]


@pytest.mark.parametrize("kind", exceptions_of_aiohttp())
def test_every_exception_below_is_one_of_ours_and_says_what_may_be_done(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    BaseException.__init__(error)
    if issubclass(kind, aiohttp.ClientConnectorError):
        error._conn_key = type("Key", (), {"host": "h", "port": 1, "ssl": True, "is_ssl": True})()
        error._os_error = OSError(1, "it broke")
        error._certificate_error = ValueError("it broke")

    failure = session._failure_of(error, requests.list_devices())

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, UnreachableError | ProtocolError)
    assert failure.error.__cause__ is None
    expected = {
        **dict.fromkeys([aiohttp.ClientConnectorDNSError, aiohttp.ClientConnectorError], Resend.SAFE),
        **dict.fromkeys([aiohttp.ClientProxyConnectionError, aiohttp.ConnectionTimeoutError], Resend.SAFE),
        **dict.fromkeys([aiohttp.ServerDisconnectedError, aiohttp.ClientOSError], Resend.IF_IDEMPOTENT),
        **dict.fromkeys([aiohttp.SocketTimeoutError, aiohttp.ClientPayloadError], Resend.IF_IDEMPOTENT),
        **dict.fromkeys([aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL], Resend.NEVER),
        **dict.fromkeys([aiohttp.ClientResponseError, aiohttp.ContentTypeError], Resend.NEVER),
        TimeoutError: Resend.IF_IDEMPOTENT,
    }
    assert failure.resend is expected.get(kind, failure.resend)


# Lent sessions.


@pytest.fixture
async def server() -> AsyncIterator[ByteServer]:
    async with ByteServer([TOKEN, GOOD]) as server:
        yield server


async def test_a_lent_session_is_used_as_it_is_and_never_closed(server: ByteServer) -> None:
    async with aiohttp.ClientSession(
        headers={"X-Ours": "1"}, raise_for_status=True, timeout=aiohttp.ClientTimeout(total=0.0001)
    ) as lent:
        async with VoltawareClient("id", "secret", base_url=server.base_url, session=lent) as client:
            assert await client.disaggregation.month(DEVICE, JULY)

        assert not lent.closed
        assert b"X-Ours: 1" in server.requests[-1]
        assert lent.timeout.total == 0.0001


async def test_a_lent_session_with_another_base_url_is_not_led_astray(server: ByteServer) -> None:
    async with aiohttp.ClientSession("http://127.0.0.1:9/") as lent:
        client = VoltawareClient("id", "secret", base_url=server.base_url, session=lent)

        assert await client.disaggregation.month(DEVICE, JULY)


async def test_a_lent_session_that_its_owner_closed_says_so(server: ByteServer) -> None:
    async with aiohttp.ClientSession() as lent:
        client = VoltawareClient("id", "secret", base_url=server.base_url, session=lent)

    with pytest.raises(ClientClosedError, match="lent to this client has been closed"):
        await client.disaggregation.month(DEVICE, JULY)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "hostile",
    [
        lambda: {"auth": aiohttp.BasicAuth("u", "p")},
        lambda: {"headers": {"authorization": "Basic dTpw"}},
        lambda: {"auto_decompress": False},
    ],
    ids=["auth", "Authorization header", "auto_decompress"],
)
async def test_a_lent_session_that_would_break_every_call_is_refused(
    hostile: Callable[[], dict[str, object]],
) -> None:
    async with aiohttp.ClientSession(**hostile()) as lent:
        with pytest.raises(ConfigurationError, match="lent session"):
            VoltawareClient("id", "secret", session=lent)


def test_the_list_of_devices_may_be_larger_than_any_other_reply() -> None:
    assert endpoints.DEVICES.max_body == 256 * 1024 * 1024
    assert {it.max_body for it in endpoints.ALL if it is not endpoints.DEVICES} == {16 * 1024 * 1024}
