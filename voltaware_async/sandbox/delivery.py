"""How a reply reaches the wire, whole or broken on purpose."""

import asyncio
import socket
import struct

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from voltaware_async.sandbox.replies import Delivery, Manner, Reply

_DRIBBLE_S = 0.05
"""Between two bytes of a slow reply."""

_NO_CONTENT = 204

_LINGER_0 = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing sends RST instead of FIN."""


class Closing:
    """The end of the sandbox, which ends every wait at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def begin(self) -> None:
        """End all waits, now and from now on."""
        self._event.set()

    async def pause(self, seconds: float | None) -> None:
        """Wait so long, for ever if None, but no longer than until the end."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return

    @property
    def begun(self) -> bool:
        """Whether the end has come."""
        return self._event.is_set()


class Gone(web.StreamResponse):
    """Nothing more is to be sent: the connection was dealt with by hand.

    aiohttp takes a ConnectionError while a response is prepared for a client that has left, and closes the
    connection after what is already in its buffer, without a byte of its own.
    """

    async def prepare(self, _: web.BaseRequest) -> AbstractStreamWriter | None:
        """Refuse to send anything."""
        raise ConnectionResetError


async def deliver(request: web.BaseRequest, delivery: Delivery, closing: Closing) -> web.StreamResponse:
    """Send the reply in its manner and return what aiohttp is to finish."""
    reply = delivery.reply
    match delivery.manner:
        case Manner.WHOLE:
            return await _streamed(request, reply) if reply.chunks else _whole(reply)
        case Manner.CUT:
            return _cut(request, reply)
        case Manner.SLOW:
            return await _slow(request, reply, closing)
        case Manner.STALL:
            await closing.pause(None)
            return Gone()
        case Manner.RESET:
            return _reset(request)
        case Manner.RAW:
            return _raw(request, reply.body)


def _whole(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body or None, headers=reply.headers)


async def _streamed(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    await response.prepare(request)
    for chunk in reply.chunks() if reply.chunks else ():
        await response.write(chunk)
        # A write that fits the socket's buffer does not yield; others must be served meanwhile.
        await asyncio.sleep(0)
    await response.write_eof()
    return response


def _cut(request: web.BaseRequest, reply: Reply) -> Gone:
    """Announce the whole body, send half of it, and close."""
    body = _body_of(reply)
    head = _head(reply, announced=max(len(body), 2))
    return _raw(request, head + body[: len(body) // 2])


async def _slow(request: web.BaseRequest, reply: Reply, closing: Closing) -> web.StreamResponse:
    """Send the body byte by byte, for as long as it takes."""
    body = _body_of(reply)
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(body)
    await response.prepare(request)
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        await closing.pause(_DRIBBLE_S)
        if closing.begun:
            return Gone()
    await response.write_eof()
    return response


def _reset(request: web.BaseRequest) -> Gone:
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        transport.abort()
    return Gone()


def _raw(request: web.BaseRequest, data: bytes) -> Gone:
    if request.transport is not None:
        request.transport.write(data)
        request.transport.close()
    return Gone()


def _body_of(reply: Reply) -> bytes:
    return b"".join(reply.chunks()) if reply.chunks else reply.body


def _head(reply: Reply, *, announced: int) -> bytes:
    """Return a status line and headers; a 204 has no body to be cut off, so it becomes a 200."""
    status = 200 if reply.status == _NO_CONTENT else reply.status
    lines = [
        f"HTTP/1.1 {status} ",
        *(f"{name}: {value}" for name, value in reply.headers),
        f"Content-Length: {announced}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
