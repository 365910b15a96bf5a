"""A server of bytes: it says what the script says, and counts what was really on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Self

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    # Gets a connection that has sent a whole request, and answers it or not.
    Script = Callable[["Connection"], Awaitable[None]]


@define(repr=False)
class Connection:
    """One connection, with the request that was read from it last."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes = b""

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            with contextlib.suppress(ConnectionError):
                await self.writer.drain()

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


@define(repr=False)
class ByteServer:
    """Answer the n-th request by the n-th script, and all further ones by the last."""

    scripts: list[Script]
    connections: int = 0
    requests: list[bytes] = field(factory=list)
    arrived: asyncio.Event = field(factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(factory=set)

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        connection = Connection(reader, writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    connection.request = await _one_request(reader)
                    self.requests.append(connection.request)
                    self.arrived.set()
                    await self.scripts[min(len(self.requests), len(self.scripts)) - 1](connection)
        finally:
            writer.close()
            self._tasks.discard(task)


async def _one_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


def saying(*pieces: bytes, close: bool = False) -> Script:
    """Answer by these bytes."""

    async def script(connection: Connection) -> None:
        await connection.say(*pieces)
        if close:
            connection.close()

    return script


def reply(body: bytes, status: str = "200 OK", *headers: str) -> Script:
    """Answer by a whole reply of JSON."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return saying("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


async def closing(connection: Connection) -> None:
    """Close without a word."""
    connection.close()


async def resetting(connection: Connection) -> None:
    """Reset without a word."""
    connection.reset()


async def silent(_: Connection) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def dribbling(connection: Connection) -> None:
    """Send a byte now and then, for ever."""
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await connection.say(b" ")
        await asyncio.sleep(0.01)
