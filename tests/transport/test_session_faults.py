"""Faults of one exchange, each looked at in full: the error, the wire, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tracemalloc
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen
from byte_server import ByteServer, Connection, closing, reply, resetting, saying, silent

from voltaware_async import (
    AuthenticationError,
    AuthUnavailableError,
    BadRequestError,
    DeadlineError,
    DecodeError,
    DeviceId,
    Month,
    ProtocolError,
    RedirectError,
    ResponseTooLargeError,
    RetryPolicy,
    UnexpectedResponseError,
    UnreachableError,
    VoltawareClient,
    VoltawareError,
)
from voltaware_async.records.metadata import Geolocation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from byte_server import Script

pytestmark = pytest.mark.anyio

DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
SECRETS = ("planted-secret", "planted-access", "planted-refresh")
TOKEN = reply(
    b'{"access_token": "planted-access", "token_type": "Bearer", "expires_in_secs": 43200,'
    b' "refresh_token": "planted-refresh"}'
)
BODY = b'{"total_consumption": 1.5, "disconnection_percentage": 0, "appliances": []}'
GOOD = reply(BODY)
DESCRIPTORS = Path("/proc/self/fd")
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@frozen
class End:
    """How a call ended, and what was on the wire for it, token calls apart."""

    error: VoltawareError | None
    asked: list[bytes]
    connections: int


def open_descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir()))


async def july(client: VoltawareClient) -> object:
    return await client.disaggregation.month(DEVICE, JULY)


async def locate(client: VoltawareClient) -> object:
    return await client.metadata.set_geolocation(DEVICE, Geolocation(latitude=1.0, longitude=2.0))


async def ended(
    *scripts: Script,
    token: Script = TOKEN,
    call: Callable[[VoltawareClient], Awaitable[object]] = july,
    deadline: float = 20.0,
) -> End:
    """Make one call of a server that follows the scripts, and see that it leaves nothing behind."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = open_descriptors()
    tasks = asyncio.all_tasks()
    error: VoltawareError | None = None
    async with ByteServer([token, *scripts]) as server:
        client = VoltawareClient(
            "me",
            "planted-secret",
            base_url=server.base_url,
            retry=RetryPolicy(wait_initial=0.001),
            deadline=deadline,
        )
        async with client:
            try:
                await call(client)
            except VoltawareError as failure:
                error = failure
            assert not client._http._session.connector._acquired
    assert not {task for task in asyncio.all_tasks() - tasks if not task.done()}
    await asyncio.sleep(0)
    assert open_descriptors() <= before
    # Streams of Python 3.11 complain of every handler that is cancelled: those are the server's own.
    assert not [it for it in complaints if "StreamReaderProtocol" not in str(it.get("message"))]
    loop.set_exception_handler(handler)
    return End(error, server.requests[1:], server.connections)


@pytest.fixture(autouse=True)
def _no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> object:
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.records:
        shown = f"{record.getMessage()} {record.args} {record.exc_info}"
        assert not [secret for secret in SECRETS if secret in shown]


def both(*scripts: Script) -> Script:
    async def script(connection: Connection) -> None:
        for one in scripts:
            await one(connection)

    return script


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *lines)).encode() + b"\r\n\r\n"


# Cut off.


CUTS = {
    "closed before the reply": closing,
    "reset before the reply": resetting,
    "closed in the status line": saying(b"HTTP/1.1 2", close=True),
    "closed in a header": saying(b"HTTP/1.1 200 OK\r\nContent-Le", close=True),
    "closed in a body of known length": saying(head("Content-Length: 75") + b"{", close=True),
    "reset in a body of known length": both(saying(head("Content-Length: 75") + b"{"), resetting),
    "closed in a chunk": saying(head("Transfer-Encoding: chunked") + b"5\r\n{", close=True),
    "closed before the last chunk": saying(head("Transfer-Encoding: chunked") + b"1\r\n{\r\n", close=True),
    "reset in a chunk": both(saying(head("Transfer-Encoding: chunked") + b"5\r\n{"), resetting),
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_reply_that_is_always_cut_off_is_asked_for_three_times_and_ends_unreachable(cut: str) -> None:
    end = await ended(CUTS[cut])

    assert type(end.error) is UnreachableError
    assert end.error.context.attempts == len(end.asked) == 3


@pytest.mark.parametrize("cut", CUTS)
async def test_an_update_whose_reply_is_cut_off_is_sent_again_as_it_was(cut: str) -> None:
    end = await ended(CUTS[cut], reply(b""), call=locate)

    assert end.error is None
    assert len(end.asked) == 2
    assert end.asked[0] == end.asked[1]
    assert end.asked[0].endswith(b'\r\n\r\n{"latitude":1.0,"longitude":2.0}')


async def test_a_reply_without_a_length_that_is_always_cut_off_may_have_been_cut_off() -> None:
    end = await ended(saying(head("Connection: close") + BODY[:30], close=True))

    assert isinstance(end.error, DecodeError)
    assert "may have been cut off" in str(end.error)
    assert len(end.asked) == 3


@pytest.mark.parametrize("cut", [cut for cut in CUTS if cut != "reset before the reply"])
async def test_a_token_call_that_is_cut_off_is_not_sent_again_for_it_may_have_been_acted_on(cut: str) -> None:
    end = await ended(token=CUTS[cut])

    assert isinstance(end.error, AuthUnavailableError)
    assert not end.asked


@pytest.mark.parametrize("broken", [closing, resetting], ids=["closed", "reset"])
@pytest.mark.parametrize("call", [july, locate])
async def test_a_kept_connection_that_is_broken_under_a_request_costs_one_more(
    broken: Script, call: Callable[[VoltawareClient], Awaitable[object]]
) -> None:
    async def twice(client: VoltawareClient) -> None:
        await july(client)
        await call(client)

    end = await ended(GOOD, broken, GOOD, call=twice)

    assert end.error is None
    assert len(end.asked) == 3
    assert end.asked[1] == end.asked[2]
    assert end.connections == 2


# Not HTTP.


GARBLED = {
    "garbage": saying(b"garbage\r\n\r\n", close=True),
    "another protocol": saying(b"SSH-2.0-OpenSSH_9.6\r\n", close=True),
    "a status that is no number": saying(b"HTTP/1.1 twohundred OK\r\n\r\n", close=True),
    "a header without a colon": saying(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", close=True),
    "a header of 9 kB": saying(head("X: " + "x" * 9000)),
    "500 headers": saying(head(*(f"X-{n}: 1" for n in range(500)))),
    "two lengths": saying(head("Content-Length: 1", "Content-Length: 2") + b"xx"),
    "a length that is no number": saying(head("Content-Length: ten") + b"{}"),
    "a negative length": saying(head("Content-Length: -1") + b"{}"),
    "a length and chunks": saying(
        head("Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"
    ),
    "not gzip": reply(b"not gzip", "200 OK", "Content-Encoding: gzip"),
    "not deflate": reply(b"not deflate", "200 OK", "Content-Encoding: deflate"),
    "not brotli": reply(b"not brotli", "200 OK", "Content-Encoding: br"),
    "not zstandard": reply(b"not zstandard", "200 OK", "Content-Encoding: zstd"),
    "chunks of not gzip": saying(
        head("Transfer-Encoding: chunked", "Content-Encoding: gzip") + b"2\r\n{}\r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("garbled", GARBLED)
async def test_what_is_no_http_is_asked_for_once_and_has_no_status(garbled: str) -> None:
    """Its status would be aiohttp's own 400, which says nothing of the request."""
    end = await ended(GARBLED[garbled])

    assert isinstance(end.error, ProtocolError)
    assert end.error.context.status is None
    assert len(end.asked) == 1


@pytest.mark.parametrize("garbled", GARBLED)
async def test_a_token_call_that_meets_no_http_says_nothing_of_the_credentials(garbled: str) -> None:
    end = await ended(token=GARBLED[garbled])

    assert isinstance(end.error, AuthUnavailableError)
    assert "not valid HTTP" in str(end.error)


# Odd, but fine.


FINE = {
    "an early hint": both(saying(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), GOOD),
    "many early hints": saying(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50 + head("Content-Length: 75") + BODY),
    "a continue that nobody asked for": both(saying(b"HTTP/1.1 100 Continue\r\n\r\n"), GOOD),
    "HTTP/1.0": saying(b"HTTP/1.0 200 OK\r\n\r\n" + BODY, close=True),
    "no length and closed": saying(head("Connection: close") + BODY, close=True),
    "chunks": saying(
        head("Transfer-Encoding: chunked") + b"a\r\n" + BODY[:10] + b"\r\n41;x=y\r\n" + BODY[10:],
        b"\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ),
    "deflate": reply(zlib.compress(BODY), "200 OK", "Content-Encoding: deflate"),
    "gzip named in capitals": reply(zlib.compress(BODY, wbits=31), "200 OK", "Content-Encoding: GZIP"),
    "no reason": reply(BODY, "200 "),
    "another reason": reply(BODY, "200 Not Found"),
    "the wrong charset": saying(
        head("Content-Type: application/json; charset=latin-1", "Content-Length: 75") + BODY
    ),
    "no content type": saying(head("Content-Length: 75") + BODY),
    "a storm of cookies": reply(BODY, "200 OK", *(f"Set-Cookie: c{n}=1" for n in range(60))),
    "a cookie that is none": reply(BODY, "200 OK", "Set-Cookie: \x01;;;=\x02"),
    "a byte at a time": saying(*(bytes([it]) for it in head("Content-Length: 75") + BODY)),
}


@pytest.mark.parametrize("odd", [odd for odd in FINE if odd != "a cookie that is none"])
async def test_a_reply_that_is_odd_and_valid_is_read(odd: str) -> None:
    end = await ended(FINE[odd])

    assert end.error is None
    assert len(end.asked) == 1


async def test_a_server_that_closes_each_time_is_met_anew_each_time() -> None:
    async def thrice(client: VoltawareClient) -> None:
        for _ in range(3):
            await july(client)

    end = await ended(both(reply(BODY, "200 OK", "Connection: close"), closing), call=thrice)

    assert end.error is None
    assert (len(end.asked), end.connections) == (3, 3)


# No content.


@pytest.mark.parametrize("call", [july, locate])
async def test_no_content_is_no_result(call: Callable[[VoltawareClient], Awaitable[object]]) -> None:
    end = await ended(saying(b"HTTP/1.1 204 No Content\r\n\r\n"), call=call)

    assert end.error is None
    assert len(end.asked) == 1


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"Content-Length: 2\r\n\r\n{}", id="with a length"),
        pytest.param(b"\r\nstray bytes", id="without a length"),
        pytest.param(b"\r\n" + head("Content-Length: 2") + b"[]", id="which is another reply"),
    ],
)
async def test_content_after_no_content_is_nobodys_reply(content: bytes) -> None:
    """The call ends as no result or as no HTTP; the one after it gets its own reply in either case."""

    async def twice(client: VoltawareClient) -> None:
        with contextlib.suppress(ProtocolError):
            assert await july(client) is None
        assert await july(client) is not None

    end = await ended(saying(b"HTTP/1.1 204 No Content\r\n" + content), GOOD, call=twice)

    assert end.error is None
    assert len(end.asked) == 2


async def test_a_second_reply_in_the_wake_of_the_first_is_nobodys() -> None:
    other = BODY.replace(b"1.5", b"9.9")
    records = []

    async def twice(client: VoltawareClient) -> None:
        for _ in range(2):
            try:
                records.append(await july(client))
            except ProtocolError:
                records.append(None)

    end = await ended(
        saying(head("Content-Length: 75") + BODY + head("Content-Length: 75") + other), GOOD, call=twice
    )

    assert end.error is None
    assert [record.total_consumption for record in records if record] in ([1.5, 1.5], [1.5])


async def speaking_unasked(connection: Connection) -> None:
    await connection.say(head("Content-Length: 75") + BODY)
    await asyncio.sleep(0.01)
    await connection.say(head("Content-Length: 75") + BODY.replace(b"1.5", b"9.9"))


async def test_a_reply_that_comes_unasked_is_not_taken_for_the_next_ones() -> None:
    """Or every call after it would get the record of the one before: another device's."""
    records = []

    async def twice(client: VoltawareClient) -> None:
        records.append(await july(client))
        await asyncio.sleep(0.03)
        records.append(await july(client))

    end = await ended(speaking_unasked, GOOD, call=twice)

    assert [it.total_consumption for it in records] == [1.5, 1.5]
    assert (len(end.asked), end.connections) == (2, 2)


# Too much.


async def endless_chunks(connection: Connection) -> None:
    await connection.say(head("Transfer-Encoding: chunked"))
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    while not connection.writer.is_closing():
        await connection.say(chunk)


async def endless(connection: Connection) -> None:
    await connection.say(head("Connection: close"))
    while not connection.writer.is_closing():
        await connection.say(b" " * 0x100000)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(endless_chunks, id="chunks"),
        pytest.param(endless, id="no length"),
        pytest.param(saying(head(f"Content-Length: {16 * 2**20 + 1}")), id="a length over the limit"),
        pytest.param(saying(head("Content-Length: 1" + "0" * 17)), id="a length of 18 digits"),
    ],
)
async def test_a_reply_over_the_limit_is_not_read_and_not_asked_for_again(script: Script) -> None:
    end = await ended(script)

    assert isinstance(end.error, ResponseTooLargeError)
    assert len(end.asked) == 1


def bomb(wbits: int) -> bytes:
    """Pack one MiB of blanks so that it can be repeated; the checksum at the end is never reached."""
    packer = zlib.compressobj(9, wbits=wbits)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    return head + 200 * (packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH))


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15)])
async def test_a_bomb_of_200_mib_is_put_out_at_the_limit(encoding: str, wbits: int) -> None:
    script = reply(bomb(wbits), "200 OK", f"Content-Encoding: {encoding}")
    tracemalloc.start()
    try:
        end = await ended(script)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(end.error, ResponseTooLargeError)
    assert peak < 64 * 2**20


def in_one_chunk(body: bytes) -> Script:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return saying(head, f"{len(body):x}\r\n".encode(), body, b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("framed", [reply, in_one_chunk])
@pytest.mark.parametrize(("over", "error"), [(0, None), (1, ResponseTooLargeError)])
async def test_a_reply_of_exactly_the_limit_is_read_and_one_byte_more_is_not(
    framed: Callable[[bytes], Script], over: int, error: type[Exception] | None
) -> None:
    end = await ended(framed(BODY.ljust(16 * 2**20 + over)))

    assert end.error is None if error is None else isinstance(end.error, error)


# Too slow.


async def dribbling_head(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        await connection.say(b"x")
        await asyncio.sleep(0.01)


async def hinting(connection: Connection) -> None:
    while True:
        await connection.say(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("script", [silent, dribbling_head, hinting])
@pytest.mark.parametrize("call", [july, locate])
async def test_waiting_ends_with_the_deadline_even_between_two_attempts(
    script: Script, call: Callable[[VoltawareClient], Awaitable[object]]
) -> None:
    started = asyncio.get_running_loop().time()

    end = await ended(closing, script, call=call, deadline=0.1)

    assert isinstance(end.error, DeadlineError)
    assert end.error.context.attempts == len(end.asked) == 2
    assert asyncio.get_running_loop().time() - started < 0.5


# Pages and redirects.


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "403 Forbidden"])
async def test_a_login_wall_costs_no_token(status: str) -> None:
    page = saying(
        f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}\r\n\r\n".encode() + PAGE
    )

    async def twice(client: VoltawareClient) -> None:
        with pytest.raises(UnexpectedResponseError, match="a web page answered"):
            await july(client)
        assert await july(client)

    end = await ended(page, GOOD, call=twice)

    assert end.error is None
    assert [it.split(b" ")[0] for it in end.asked] == [b"GET", b"GET"]


async def test_a_page_of_401_costs_one_renewal_and_one_replay() -> None:
    page = reply(PAGE, "401 Unauthorized")

    end = await ended(page, TOKEN, page)

    assert isinstance(end.error, AuthenticationError)
    assert [it.split(b" ")[1].split(b"?")[0] for it in end.asked] == [
        b"/sensors/0001/sm/disag/month",
        b"/auth/token/refresh",
        b"/sensors/0001/sm/disag/month",
    ]


async def test_a_login_wall_before_the_token_says_nothing_of_the_credentials() -> None:
    end = await ended(token=reply(PAGE))

    assert isinstance(end.error, AuthUnavailableError)
    assert "a web page answered" in str(end.error)
    assert not end.asked


@pytest.mark.parametrize("reason", ["", "Unauthenticated", "OK"])
async def test_a_status_is_known_by_its_number_and_not_by_its_reason(reason: str) -> None:
    end = await ended(reply(b"{}", f"401 {reason}"), TOKEN, reply(b"{}", f"404 {reason}"))

    assert end.error is None
    assert len(end.asked) == 3


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize("call", [july, locate])
async def test_no_redirect_takes_a_request_to_another_server(
    status: int, call: Callable[[VoltawareClient], Awaitable[object]]
) -> None:
    async with ByteServer([GOOD]) as elsewhere:
        moved = reply(b"", f"{status} Moved", f"Location: {elsewhere.base_url}/elsewhere")
        end = await ended(moved, call=call)
        token_end = await ended(token=moved)

    assert isinstance(end.error, RedirectError)
    assert isinstance(token_end.error, AuthUnavailableError)
    assert "redirects" in str(token_end.error)
    assert elsewhere.connections == 0
    assert (len(end.asked), len(token_end.asked)) == (1, 0)


@pytest.mark.parametrize("location", ["", "Location: ", "Location: http://[", "Location: \u20ac"])
async def test_a_redirect_to_nowhere_is_one_all_the_same(location: str) -> None:
    end = await ended(saying(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n{location}\r\n\r\n".encode()))

    assert isinstance(end.error, RedirectError | ProtocolError)
    assert len(end.asked) == 1


async def test_a_switch_of_protocols_is_no_reply() -> None:
    switch = saying(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")

    end = await ended(switch, deadline=1)

    assert isinstance(end.error, UnexpectedResponseError)
    assert not isinstance(end.error, BadRequestError)
    assert len(end.asked) == 1
