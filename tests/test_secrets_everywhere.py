"""Secrets, at the loudest: whatever is logged, raised, printed or dumped holds none of them."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
import warnings
from typing import TYPE_CHECKING

import attrs
import pytest
from byte_server import ByteServer, Connection, closing, reply, resetting, saying, silent

from voltaware_async import (
    ApiError,
    DeviceId,
    Month,
    RetryPolicy,
    VoltawareClient,
    VoltawareError,
    settings,
)
from voltaware_async.protocol.secret import Secret
from voltaware_async.protocol.token import StoredToken, Token
from voltaware_async.records.metadata import Geolocation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from byte_server import Script

pytestmark = pytest.mark.anyio

DEVICE = DeviceId("0001")
PLANTED = ("planted-secret", "planted-access", "planted-refresh", "51.509865", "-0.118092")
GRANT = {
    "access_token": "planted-access",
    "token_type": "Bearer",
    "expires_in_secs": 43200,
    "refresh_token": "planted-refresh",
}
TOKEN = reply(json.dumps(GRANT).encode())
ECHO = json.dumps({"error": "no", "you": "planted-secret planted-access planted-refresh"}).encode()
# Not in the lines of source that a traceback shows.
HOME = Geolocation(latitude=51.509865, longitude=-0.118092)
SECRET = Secret("planted-secret")
PLACE = b'{"latitude": 51.509865, "longitude": -0.118092}'


def assert_hidden(shown: object) -> None:
    text = str(shown)
    assert not [planted for planted in PLANTED if planted in text], text[:300]


def granting(**changed: object) -> Script:
    return reply(json.dumps({**GRANT, **changed}).encode())


async def month(client: VoltawareClient) -> None:
    await client.disaggregation.month(DEVICE, Month(2024, 7))


async def locate(client: VoltawareClient) -> None:
    await client.metadata.set_geolocation(DEVICE, HOME)


async def view(client: VoltawareClient) -> None:
    await client.metadata.get_geolocation(DEVICE)


async def many(client: VoltawareClient) -> None:
    for end in await asyncio.gather(*(month(client) for _ in range(20)), return_exceptions=True):
        if isinstance(end, BaseException):
            raise end


async def renewed(client: VoltawareClient) -> None:
    await client.connect()
    await client.reconnect()


async def echoing(connection: Connection) -> None:
    """Send the request back, as a debugging proxy does, in a body that is no JSON and in the headers."""
    line = connection.request.replace(b"\r\n", b" ")
    await connection.say(b"HTTP/1.1 500 Oh\r\nX-Echo: " + line + b"\r\nContent-Length: 0\r\n\r\n")


UNAUTHORIZED = reply(ECHO, "401 Unauthorized")
MISFORTUNES: dict[str, tuple[list[Script], Callable[[VoltawareClient], Awaitable[None]]]] = {
    "credentials refused by 400": ([reply(ECHO, "400 Bad Request")], month),
    "credentials refused by 401": ([UNAUTHORIZED], many),
    "credentials refused by 403": ([reply(ECHO, "403 Forbidden")], month),
    "a token with a line end": ([granting(access_token="planted-access\r\nX: y")], month),
    "a token that is a number": ([granting(access_token=7)], month),
    "a token of another type": ([granting(token_type="planted-secret")], month),
    "a refresh token that is a list": ([granting(refresh_token=["planted-refresh"])], month),
    "a grant that is a list": ([reply(b'["planted-access"]')], month),
    "a grant in a page": ([reply(b"<html>planted-access")], month),
    "a grant after garbage": ([saying(b"planted-access HTTP/1.1\r\n\r\n", close=True)], month),
    "a grant that is no gzip": ([reply(ECHO, "200 OK", "Content-Encoding: gzip")], month),
    "a token call that is reset": ([resetting], many),
    "a token call that nobody answers": ([silent], month),
    "a token call that is echoed": ([echoing], month),
    "a token call that moved": ([reply(ECHO, "308 Moved", "Location: /planted-secret")], month),
    "a renewal that is refused": ([TOKEN, UNAUTHORIZED], renewed),
    "a renewal that is lost": ([TOKEN, closing], renewed),
    "a call that is echoed": ([TOKEN, echoing], month),
    "a call that nobody answers": ([TOKEN, silent], month),
    "a call that is closed upon": ([TOKEN, closing], many),
    "a token that is refused twice": ([TOKEN, reply(b"", "401 No"), TOKEN, reply(b"", "401 No")], month),
    "a refresh that is refused, then a login": ([TOKEN, reply(b"", "401 No"), UNAUTHORIZED], month),
    "a device that is not known": ([TOKEN, reply(b"", "403 No"), TOKEN, reply(b"", "403 No")], month),
    "a reply that is too large": (
        [TOKEN, saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")],
        month,
    ),
    "a place that is not taken": ([TOKEN, reply(PLACE, "422 No")], locate),
    "a place that is reset": ([TOKEN, resetting], locate),
    "a place that is malformed": ([TOKEN, reply(b"[" + PLACE + b"]")], view),
    "a place out of the world": ([TOKEN, reply(PLACE.replace(b"51.509865", b'"51.509865"'))], view),
    "a place that fails": ([TOKEN, reply(PLACE, "500 No")], view),
}


@pytest.fixture
def heard() -> Iterator[list[logging.LogRecord]]:
    """Collect every record of every logger, at its loudest."""
    records: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    root, ear = logging.getLogger(), Ear(level=1)
    before = root.level
    root.addHandler(ear)
    root.setLevel(1)
    yield records
    root.removeHandler(ear)
    root.setLevel(before)


def everything_of(error: BaseException) -> Iterator[object]:
    """Yield what an error reporter would send of an error: text, values, and the variables of its frames."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "".join(captured.format())
    yield (error, repr(error), error.args, vars(error), getattr(error, "__notes__", ()))
    yield (repr(error.__cause__), repr(error.__context__))
    yield pickle.dumps(error)
    if isinstance(error, ApiError):
        yield error.support_report()
        yield attrs.asdict(error.context)


@pytest.mark.parametrize("misfortune", MISFORTUNES)
async def test_nothing_that_is_told_of_a_misfortune_holds_a_secret(
    misfortune: str, heard: list[logging.LogRecord]
) -> None:
    scripts, call = MISFORTUNES[misfortune]
    asyncio.get_running_loop().set_debug(True)
    asyncio.get_running_loop().slow_callback_duration = 0.0001

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        error = await _failing(scripts, call)

    for told in everything_of(error):
        assert_hidden(told)
    form = logging.Formatter("%(name)s %(message)s")
    for record in heard:
        assert_hidden(form.format(record))
        assert_hidden({name: repr(value) for name, value in vars(record).items()})
        for part in record.exc_info or ():
            if isinstance(part, BaseException):
                assert_hidden(list(everything_of(part)))
    assert_hidden([(it.message, it.source) for it in warned])


async def _failing(scripts: list[Script], call: Callable[[VoltawareClient], Awaitable[None]]) -> Exception:
    quick = RetryPolicy(wait_initial=0.001)
    async with ByteServer([*scripts]) as server:
        client = VoltawareClient(
            "me", "planted-secret", base_url=server.base_url, retry=quick, deadline=0.2, rate=None
        )
        async with client:
            with pytest.raises((VoltawareError, TimeoutError)) as raised:
                await asyncio.wait_for(call(client), 0.3)
            assert_hidden(_insides(client))
    return raised.value


def _insides(thing: object, depth: int = 6) -> str:
    """Print an object's attributes, and theirs, as a debugger would show them."""
    shown = repr(thing)
    names = getattr(thing, "__dict__", None)
    if depth and names and type(thing).__module__.startswith("voltaware_async"):
        shown += "".join(f" {name}={_insides(value, depth - 1)}" for name, value in names.items())
    return shown


async def test_a_good_day_tells_no_secret_either(heard: list[logging.LogRecord]) -> None:
    async with (
        ByteServer([TOKEN, reply(PLACE)]) as server,
        VoltawareClient("me", "planted-secret", base_url=server.base_url) as client,
    ):
        place = await client.metadata.get_geolocation(DEVICE)
        assert_hidden(_insides(client))

    assert place is not None
    assert [it.getMessage().split(" in ")[0] for it in heard if it.name == "voltaware_async"] == [
        "POST /auth/token device=None: 200",
        "GET /sensors/{device_id}/metadata/geolocation device=0001: 200",
    ]
    for record in heard:
        assert_hidden({name: repr(value) for name, value in vars(record).items()})


def test_what_holds_a_secret_shows_none_in_any_form() -> None:
    chosen = settings.credentials({}, client_id="me", client_secret="planted-secret")
    access, refresh = Secret("planted-access"), Secret("planted-refresh")
    token = Token(access=access, refresh=refresh, issued_at=0.0, life_s=1.0)
    stored = StoredToken("https://a.example", "me", access, refresh, None)

    for holder in (chosen, token, stored):
        assert_hidden(f"{holder} {holder!r} {holder!s:>200}")
        assert_hidden((attrs.asdict(holder), attrs.astuple(holder)))
        with pytest.raises(TypeError, match="not to be pickled"):
            pickle.dumps(holder)
        with pytest.raises(TypeError):
            json.dumps(attrs.asdict(holder))


def test_the_variables_of_a_frame_that_holds_a_revealed_secret_show_none() -> None:
    def holding(secret: Secret) -> None:
        text, header = secret.reveal(), secret.bearer()
        headers = {"Authorization": header}
        raise ValueError(len(text), len(headers))

    with pytest.raises(ValueError, match="14") as raised:
        holding(SECRET)

    captured = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert_hidden("".join(captured.format()))


@pytest.mark.parametrize("form", ["{}", "{!r}", "{!s}", "{!a}", "{:>30}", "{:s}"])
def test_a_secret_is_hidden_by_every_format(form: str) -> None:
    secret = Secret("planted-secret")

    assert form.format(secret).strip() == "<secret>"
    assert_hidden((f"{secret} {secret!r} {secret!a}", str([secret]), {secret: secret}))


def test_secrets_of_any_text_compare_by_it() -> None:
    for text in ("", "a", "\u00e9", "\U0001f512"):
        assert Secret(text) == Secret(text)
        assert Secret(text) != Secret(text + "x")
        assert Secret(text).reveal() == text
    assert Secret("a").__eq__("a") is NotImplemented
