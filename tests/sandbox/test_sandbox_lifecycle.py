import asyncio
import gc
import shutil
import ssl
import subprocess
import time
from datetime import date
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint
from sandbox_caller import Caller, calling

from voltaware_async.sandbox import Sandbox, serve

pytestmark = pytest.mark.anyio


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def test_shutdown_is_quick_with_requests_stalled_dribbling_and_held_back() -> None:
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as session:
        ended = 0

        async def ask(path: str) -> None:
            nonlocal ended
            with pytest.raises(aiohttp.ClientError):
                async with session.get(path) as response:
                    await response.read()
            ended += 1

        async with create_task_group() as group:
            async with Sandbox() as sandbox:
                for kind in ("stall", "slow"):
                    script = sandbox.script(kind, times=20, route="unknown")
                    for _ in range(20):
                        group.start_soon(ask, sandbox.base_url)
                    while script.hit < 20:
                        await checkpoint()
                started = time.monotonic()
            assert time.monotonic() - started < 0.5
        assert ended == 40
    assert asyncio.all_tasks() == before
    gc.collect()


async def test_shutdown_does_not_wait_for_whoever_does_not_read() -> None:
    async with Sandbox(devices=1_000_000) as sandbox, calling(sandbox) as caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(sandbox.base_url))
        writer.write(b"GET /sensors HTTP/1.1\r\nHost: x\r\n")
        writer.write(f"Authorization: Bearer {caller.token}\r\n\r\n".encode())
        assert await reader.read(15) == b"HTTP/1.1 200 OK"
        started = time.monotonic()
    assert time.monotonic() - started < 0.5
    writer.close()
    gc.collect()


async def test_others_are_served_while_a_long_list_is_sent() -> None:
    async with Sandbox(devices=1_000_000) as sandbox, calling(sandbox) as caller:
        headers = {"Authorization": f"Bearer {caller.token}"}
        async with caller.session.get(f"{sandbox.base_url}/sensors", headers=headers) as response:
            assert (await response.content.readany()).startswith(b"[0001, ")
            assert (await caller.get("/sensors/1000000")).status == 200


async def test_serve_tells_the_url_once_it_listens_and_runs_until_cancelled() -> None:
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with create_task_group() as group:
        group.start_soon(partial(serve, Sandbox(devices=1), ready=url.set_result))
        async with aiohttp.ClientSession() as session, session.get(f"{await url}/sandbox/stats") as response:
            assert response.status == 200
        group.cancel_scope.cancel()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port_of(url.result()))


async def test_the_port_that_was_asked_for_is_used_and_free_again_afterwards() -> None:
    async with Sandbox(devices=1) as first:
        port = port_of(first.base_url)
    async with Sandbox(devices=1, port=port) as second:
        assert second.base_url == f"http://127.0.0.1:{port}"


async def test_a_port_in_use_is_an_oserror(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"):
        async with Sandbox(port=port_of(sandbox.base_url)):
            pass


async def test_ipv6_addresses_are_written_in_brackets() -> None:
    async with Sandbox(host="::1", devices=1) as sandbox, calling(sandbox) as caller:
        assert sandbox.base_url.startswith("http://[::1]:")
        assert (await caller.get("/sensors")).body == b"[0001]"


async def test_leaving_a_sandbox_that_never_listened_is_harmless() -> None:
    await Sandbox().__aexit__(None, None, None)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    pem = tmp_path_factory.mktemp("tls") / "localhost.pem"
    ask = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([openssl, *ask.split(), "-keyout", pem, "-out", pem], check=True, capture_output=True)
    return pem


async def test_https_is_served_with_a_certificate(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        Sandbox(devices=1, ssl_context=context) as sandbox,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
    ):
        assert sandbox.base_url.startswith("https://127.0.0.1:")
        async with session.get(f"{sandbox.base_url}/sensors") as response:
            assert response.status == 401
        # aiohttp asks once more where a reused connection breaks.
        sandbox.script("reset", times=2)
        with pytest.raises(aiohttp.ClientOSError):
            await session.get(f"{sandbox.base_url}/sensors/0001")


def test_there_is_no_url_before_the_sandbox_listens() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        Sandbox().base_url  # noqa: B018 - reading the property is what raises


@pytest.mark.parametrize(
    "arguments",
    [
        {"devices": -1},
        {"token_ttl": 0},
        {"rate_limit": 0},
        {"latency_ms": -1},
        {"late_share": 1.1},
        {"id_style": "hex"},
        {"faults": ("500",)},
    ],
)
def test_settings_out_of_range_are_refused_by_name(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments)).removesuffix("s")):
        Sandbox(**arguments)


async def test_today_can_be_set(sandbox: Sandbox, caller: Caller) -> None:
    assert sandbox.today == date(2024, 9, 15)
    sandbox.today = date(2025, 1, 2)
    device_id = next(
        it
        for it in sandbox.fleet.device_ids()
        if (home := sandbox.fleet.household(it)) and home.connection_state is None
    )
    shown = (await caller.get(f"/sensors/{device_id}")).json
    assert shown["last_event"].startswith("2025-01-02T")
