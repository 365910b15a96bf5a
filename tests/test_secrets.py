"""Secrets: whatever goes wrong, no secret shows in a log, a repr, an error, or a captured variable."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
import warnings
from typing import TYPE_CHECKING

import attrs
import pytest
from byte_server import ByteServer, closing, reply, resetting, saying

from voltaware_async import DeviceId, Month, RetryPolicy, VoltawareClient, VoltawareError
from voltaware_async.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from byte_server import Script

PLANTED = ("planted-secret", "planted-access", "planted-refresh", "planted-latitude")
TOKEN = reply(
    b'{"access_token": "planted-access", "token_type": "Bearer", "expires_in_secs": 43200,'
    b' "refresh_token": "planted-refresh"}'
)
GARBAGE_GRANT = b'{"access_token": "planted-access", "token_type": 7, "refresh_token": "planted-refresh"}'
DEVICE = DeviceId("0001")


def assert_hidden(*texts: object) -> None:
    for text in texts:
        for planted in PLANTED:
            assert planted not in str(text)


def client_of(server: ByteServer) -> VoltawareClient:
    quick = RetryPolicy(wait_initial=0.001)
    return VoltawareClient("me", "planted-secret", base_url=server.base_url, retry=quick, deadline=5)


async def month(client: VoltawareClient) -> None:
    await client.disaggregation.month(DEVICE, Month(2024, 7))


async def geolocation(client: VoltawareClient) -> None:
    await client.metadata.get_geolocation(DEVICE)


MISFORTUNES = {
    "refused credentials": ([reply(b'{"error": "planted-secret is wrong"}', "401 Unauthorized")], month),
    "a grant that is garbage": ([reply(GARBAGE_GRANT)], month),
    "a grant that is cut off": ([saying(b"HTTP/1.1 200 OK\r\n\r\n" + GARBAGE_GRANT[:30], close=True)], month),
    "a token call that is lost": ([closing], month),
    "a token call that is redirected": ([reply(GARBAGE_GRANT, "307 Moved", "Location: http://evil/")], month),
    "a token call that fails": ([reply(GARBAGE_GRANT, "500 Oh")], month),
    "a call that is lost": ([TOKEN, resetting], month),
    "a reply that is no HTTP": ([TOKEN, saying(b"planted-access\r\n\r\n", close=True)], month),
    "a token that is refused twice": ([TOKEN, reply(b"{}", "401 No"), TOKEN, reply(b"{}", "401 No")], month),
    "a malformed reply": ([TOKEN, reply(b'{"total_consumption": []}')], month),
    "a malformed private reply": ([TOKEN, reply(b'{"latitude": "planted-latitude"}')], geolocation),
    "a refused private request": ([TOKEN, reply(b'"planted-latitude"', "400 No")], geolocation),
}


@pytest.mark.anyio
@pytest.mark.parametrize("misfortune", MISFORTUNES)
async def test_no_misfortune_shows_a_secret(misfortune: str, caplog: pytest.LogCaptureFixture) -> None:
    scripts, call = MISFORTUNES[misfortune]
    caplog.set_level(logging.DEBUG)

    error = await _failing(scripts, call)

    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert_hidden(error, repr(error), error.args, "".join(captured.format()))
    assert_hidden(getattr(error, "support_report", dict)())
    for record in caplog.records:
        assert_hidden(record.getMessage(), record.args, record.exc_info)


async def _failing(
    scripts: list[Script], call: Callable[[VoltawareClient], Awaitable[None]]
) -> VoltawareError:
    async with ByteServer([*scripts]) as server, client_of(server) as client:
        with pytest.raises(VoltawareError) as raised:
            await call(client)
        assert_hidden(repr(client), vars(client))
    return raised.value


@pytest.mark.anyio
async def test_the_secret_is_sent_to_the_token_endpoint_and_nowhere_else() -> None:
    body = b'{"total_consumption": 1, "disconnection_percentage": 0, "appliances": []}'
    async with ByteServer([TOKEN, reply(body)]) as server, client_of(server) as client:
        await month(client)

    grant, asked = server.requests
    assert b"planted-secret" in grant
    assert b"Authorization" not in grant
    assert b"planted-secret" not in asked
    assert b"Authorization: Bearer planted-access" in asked


def test_a_secret_shows_in_no_form() -> None:
    secret = Secret("planted-secret")
    holder = attrs.make_class("Holder", ["secret"])(secret)

    assert_hidden(secret, repr(secret), f"{secret} {secret!r} {secret:>20}", str([secret]))
    assert_hidden(repr(secret.reveal()), repr(secret.bearer()), attrs.asdict(holder), [secret])
    assert secret.reveal() == "planted-secret"
    assert secret.bearer() == "Bearer planted-secret"
    for spill in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be pickled"):
            spill(secret)


def test_secrets_are_equal_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.anyio
async def test_nothing_is_warned_of_on_a_good_day(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("always")
    async with ByteServer([TOKEN, reply(b"[0001]")]) as server, client_of(server) as client:
        assert await client.devices.list() == ("0001",)

    assert not list(recwarn)
