"""A server that answers from memory, in a process of its own: its CPU does not count as the client's.

    python benchmarks/canned.py [--devices 1000] [--latency-ms 0]

It prints `ready` and its base URL. `/auth/token` grants, `/sensors` lists the devices with leading zeros as
the documentation does, and every device and result is the documentation's example, whatever id and period.
`/arrivals` tells what came since it was last asked: how many requests, the most in any sliding second, and
the sustained rate.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import orjson
from arrivals import Arrivals, Seen
from loops import LOOPS

from voltaware_async.protocol.endpoints import BY_DATASET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voltaware_async.cells import Dataset

__all__ = ["CannedServer", "canned_server", "documented", "documented_grant", "documented_ids"]

_HOST: Final = "127.0.0.1"
_SAMPLES: Final = Path(__file__).parents[1] / "tests" / "samples"
_END_OF_HEAD: Final = b"\r\n\r\n"
_DEVICE: Final = re.compile(rb"(?<=/sensors/)[^/?]+")
_BODY_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_READY: Final = "ready "


def documented(dataset: Dataset) -> bytes:
    """Return the documentation's example of a reply."""
    return (_SAMPLES / f"{dataset}.json").read_bytes()


def documented_grant() -> bytes:
    """Return the documentation's example of a token."""
    return (_SAMPLES / "token_reply.json").read_bytes()


def documented_device() -> bytes:
    """Return the documentation's example of a device."""
    return (_SAMPLES / "device.json").read_bytes()


def documented_ids(devices: int) -> bytes:
    """Return a list of ids as the documentation prints it, which is not JSON."""
    return b"[%s]" % b",".join(b"%04d" % number for number in range(1, devices + 1))


class CannedServer:
    """Hold the address of a running server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def arrivals(self) -> Seen:
        """Return what came since the last such question."""
        connection = HTTPConnection(self.base_url.removeprefix("http://"), timeout=10)
        try:
            connection.request("GET", "/arrivals")
            return Seen(**orjson.loads(connection.getresponse().read()))
        finally:
            connection.close()


@contextmanager
def canned_server(devices: int, *, latency_ms: float = 0) -> Iterator[CannedServer]:
    """Run a server while the block runs."""
    command = [sys.executable, __file__, f"--devices={devices}", f"--latency-ms={latency_ms}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = process.stdout.readline() if process.stdout is not None else ""
            if not told.startswith(_READY):
                raise RuntimeError("the canned server did not start")
            yield CannedServer(told.removeprefix(_READY).strip())
        finally:
            process.terminate()


class _Replies:
    """Hold every reply, ready to be sent."""

    def __init__(self, devices: int) -> None:
        templates = {endpoint.path: documented(dataset) for dataset, endpoint in BY_DATASET.items()}
        bodies = {path.replace("{device_id}", "*"): body for path, body in templates.items()}
        bodies["/auth/token"] = documented_grant()
        bodies["/sensors"] = documented_ids(devices)
        bodies["/sensors/*"] = documented_device()
        self._by_path = {path.encode(): _reply(b"200 OK", body) for path, body in bodies.items()}
        self._unknown = _reply(b"400 Bad Request", b'{"error": "the canned server does not know this"}')

    def to(self, target: bytes) -> bytes:
        """Return the reply to a request, whatever its device and query."""
        path = _DEVICE.sub(b"*", target.partition(b"?")[0], count=1)
        return self._by_path.get(path, self._unknown)


def _reply(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d" % (status, len(body))
    return head + _END_OF_HEAD + body


class _Connection(asyncio.Protocol):
    """Answer the requests of one connection."""

    def __init__(self, replies: _Replies, arrivals: Arrivals, latency_s: float) -> None:
        self._replies = replies
        self._arrivals = arrivals
        self._latency_s = latency_s
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer what has come in full, and keep the rest."""
        self._received += data
        while (end := self._received.find(_END_OF_HEAD)) >= 0:
            head = self._received[:end]
            length = _BODY_LENGTH.search(head) if head.startswith(b"P") else None
            whole = end + len(_END_OF_HEAD) + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._answer(head.split(b" ", 2)[1])

    def _answer(self, target: bytes) -> None:
        if target == b"/arrivals":
            self._transport.write(_reply(b"200 OK", orjson.dumps(self._arrivals.told())))
            return
        self._arrivals.add()
        if self._latency_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._latency_s, self._transport.write, self._replies.to(target))
        else:
            self._transport.write(self._replies.to(target))


async def _serve(devices: int, latency_s: float) -> None:
    replies = _Replies(devices)
    arrivals = Arrivals()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(replies, arrivals, latency_s), _HOST, 0, backlog=1024
    )
    arrivals.watch()
    print(f"{_READY}http://{_HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    gc.freeze()
    _leave_with(os.getppid())
    await server.serve_forever()


def _leave_with(starter: int) -> None:
    """End with the process that started this one: a killed benchmark must not leave its server behind."""
    if os.getppid() != starter:
        raise SystemExit
    asyncio.get_running_loop().call_later(1, _leave_with, starter)


def main() -> None:
    """Serve until terminated, or until whoever started it is gone, by the fastest loop there is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--latency-ms", type=float, default=0, help="the least time before an answer")
    settings = parser.parse_args()
    with asyncio.Runner(loop_factory=list(LOOPS.values())[-1]) as runner:
        runner.run(_serve(settings.devices, settings.latency_ms / 1000))


if __name__ == "__main__":
    main()
