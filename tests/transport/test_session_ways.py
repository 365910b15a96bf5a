"""Ways to the API that do not lead there: names, addresses, certificates and proxies."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from byte_server import ByteServer, Connection, closing, reply, saying

from voltaware_async import (
    AuthUnavailableError,
    DeviceId,
    Month,
    RetryPolicy,
    UnreachableError,
    VoltawareClient,
    VoltawareError,
)
from voltaware_async.protocol import requests
from voltaware_async.sandbox import Sandbox
from voltaware_async.transport.session import HttpSession

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
TOKEN = reply(b'{"access_token": "t", "token_type": "Bearer", "expires_in_secs": 43200}')
GOOD = reply(b'{"total_consumption": 1.5, "disconnection_percentage": 0, "appliances": []}')
QUICK = RetryPolicy(wait_initial=0.001)


class Names(AbstractResolver):
    """Resolve every name to these addresses, or to none."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        del family
        self.asked += 1
        if not self.addresses:
            raise OSError(None, "Name or service not known")
        return [self._found(host, address, port) for address in self.addresses]

    @staticmethod
    def _found(host: str, address: str, port: int) -> aiohttp.abc.ResolveResult:
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return {
            "hostname": host,
            "host": address,
            "port": port,
            "family": kind,
            "proto": 0,
            "flags": socket.AI_NUMERICHOST,
        }

    async def close(self) -> None:
        pass


async def failing(
    base_url: str, *, connector: aiohttp.TCPConnector | None = None, **options: object
) -> VoltawareError:
    """Connect in vain by a lent session, and return why."""
    async with aiohttp.ClientSession(connector=connector, **options) as lent:
        client = VoltawareClient("id", "planted-secret", base_url=base_url, session=lent, retry=QUICK)
        with pytest.raises(VoltawareError) as raised:
            await client.disaggregation.month(DEVICE, JULY)
        await client.aclose()
    assert "planted-secret" not in str(raised.value)
    return raised.value


# Names and addresses.


async def test_a_name_that_nobody_knows_is_asked_for_three_times_and_named() -> None:
    names = Names()
    connector = aiohttp.TCPConnector(resolver=names)

    error = await failing("https://voltaware.invalid", connector=connector)

    assert isinstance(error, AuthUnavailableError)
    assert "the name of voltaware.invalid:443 cannot be resolved: check the base URL" in str(error)
    assert names.asked == 3


async def test_a_call_that_cannot_connect_any_more_is_unreachable_and_was_never_sent() -> None:
    async with ByteServer([TOKEN, GOOD]) as server:
        client = VoltawareClient("id", "s", base_url=server.base_url, retry=QUICK)
        await client.connect()
        port = server.base_url.rpartition(":")[2]

    with pytest.raises(UnreachableError, match=rf"cannot connect to 127\.0\.0\.1:{port}: connection refused"):
        await client.disaggregation.month(DEVICE, JULY)
    await client.aclose()


async def test_a_dead_address_is_passed_over_for_one_that_lives() -> None:
    async with ByteServer([TOKEN, GOOD]) as server:
        port = server.base_url.rpartition(":")[2]
        connector = aiohttp.TCPConnector(resolver=Names("::1", "127.0.0.2", "127.0.0.1"))
        async with aiohttp.ClientSession(connector=connector) as lent:
            base_url = f"http://localhost:{port}"
            client = VoltawareClient("id", "s", base_url=base_url, session=lent, retry=QUICK)
            assert await asyncio.wait_for(client.disaggregation.month(DEVICE, JULY), 1)

    assert b"\r\nHost: localhost:" in server.requests[0]


async def test_a_name_that_takes_for_ever_is_given_up_with_the_deadline() -> None:
    class Slow(Names):
        async def resolve(self, *_: object, **__: object) -> list[aiohttp.abc.ResolveResult]:
            await asyncio.Event().wait()
            raise AssertionError

    connector = aiohttp.TCPConnector(resolver=Slow())
    async with aiohttp.ClientSession(connector=connector) as lent:
        failure = await HttpSession("https://slow.example", lent).send(requests.list_devices(), None, 0.05)

    assert isinstance(failure.error, UnreachableError)


# Prefixes and origins.


@pytest.mark.parametrize("prefix", ["/gateway", "/gateway/v1/", "/a%20b", "/a;b=c"])
async def test_a_prefix_of_the_base_url_stands_before_every_path(prefix: str) -> None:
    async with ByteServer([TOKEN, GOOD]) as server:
        client = VoltawareClient("id", "s", base_url=server.base_url + prefix, retry=QUICK)
        async with client:
            assert await client.disaggregation.month(DeviceId("a/b ü"), JULY)

    prefix = prefix.rstrip("/")
    lines = [request.split(b"\r\n")[0].decode() for request in server.requests]
    assert lines == [
        f"POST {prefix}/auth/token HTTP/1.1",
        f"GET {prefix}/sensors/a%2Fb%20%C3%BC/sm/disag/month?year=2024&month=7 HTTP/1.1",
    ]


# Certificates.


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for a name of another host, signed by itself, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    pem = tmp_path_factory.mktemp("certificate") / "elsewhere.pem"
    ask = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=elsewhere"
    name = ["-addext", "subjectAltName=DNS:elsewhere.example"]
    subprocess.run(
        [openssl, *ask.split(), *name, "-keyout", pem, "-out", pem], check=True, capture_output=True
    )
    return pem


@pytest.fixture
async def secure(certificate: Path) -> object:
    # In debug mode, asyncio's server complains of every handshake that its client breaks off.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with Sandbox(devices=1, ssl_context=context) as sandbox:
        yield sandbox


async def test_a_certificate_that_nobody_trusts_is_refused_at_once_by_default(secure: Sandbox) -> None:
    async with VoltawareClient("id", "s", base_url=secure.base_url, retry=QUICK) as client:
        with pytest.raises(AuthUnavailableError, match="no trusted TLS connection to 127") as raised:
            await client.connect()

    assert raised.value.context.attempts == 1
    assert not secure.requests


async def test_a_trusted_certificate_of_another_host_is_refused(secure: Sandbox, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)

    error = await failing(secure.base_url, connector=aiohttp.TCPConnector(ssl=trusting))

    assert "no trusted TLS connection to 127.0.0.1" in str(error)
    assert not secure.requests


async def test_a_certificate_that_is_not_the_expected_one_is_refused(secure: Sandbox) -> None:
    pinned = aiohttp.Fingerprint(bytes(32))

    error = await failing(secure.base_url, connector=aiohttp.TCPConnector(ssl=pinned))

    assert "the certificate is not the expected one" in str(error)
    assert not secure.requests


async def test_a_certificate_that_its_owner_trusts_is_used(secure: Sandbox, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    trusting.check_hostname = False

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as lent:
        client = VoltawareClient("sandbox-client", "sandbox-secret", base_url=secure.base_url, session=lent)
        assert await client.devices.list() == ("0001",)


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n")
    writer.close()


@pytest.mark.parametrize(
    ("server", "why"), [(plain, "no trusted TLS connection"), (hanging_up, "cannot connect to 127.0.0.1")]
)
async def test_a_server_that_does_not_speak_tls_gets_no_secret(server: object, why: str) -> None:
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        error = await failing(f"https://127.0.0.1:{port}")

    assert why in str(error)


# Proxies.


async def tunnelled(*scripts: object) -> tuple[VoltawareError, ByteServer]:
    async with ByteServer(list(scripts)) as proxy:
        error = await failing(
            "https://api.example",
            proxy=proxy.base_url,
            proxy_auth=aiohttp.BasicAuth("me", "planted-password"),
        )
    return error, proxy


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
async def test_a_proxy_that_refuses_is_asked_once_and_named_without_its_password(status: str) -> None:
    error, proxy = await tunnelled(saying(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))

    assert isinstance(error, AuthUnavailableError)
    assert "the proxy refuses to connect to the API" in str(error)
    assert "planted-password" not in f"{error!r} {error.args}"
    assert [it.split(b"\r\n")[0] for it in proxy.requests] == [b"CONNECT api.example:443 HTTP/1.1"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_proxy_that_hangs_up_gets_no_secret() -> None:
    error, proxy = await tunnelled(closing)

    assert isinstance(error, AuthUnavailableError)
    assert b"planted-secret" not in b"".join(proxy.requests)


async def test_a_proxy_that_cannot_be_reached_is_named() -> None:
    error = await failing("https://api.example", proxy="http://127.0.0.1:9")

    assert "the proxy cannot be reached" in str(error)


async def test_a_connection_that_nobody_answers_is_not_waited_for_longer_than_asked() -> None:
    async def deaf(_: Connection) -> None:
        await asyncio.Event().wait()

    async with ByteServer([deaf]) as server:
        session = HttpSession(server.base_url)
        started = asyncio.get_running_loop().time()
        failure = await session.send(requests.list_devices(), None, 0.05)
        await session.aclose()

    assert isinstance(failure.error, UnreachableError)
    assert "fell silent" in str(failure.error)
    assert asyncio.get_running_loop().time() - started < 0.3
