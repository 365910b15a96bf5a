"""The socket side: aiohttp requests in, deliveries out."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from aiohttp import web
from attrs import frozen

from voltaware_async.sandbox.api import Api
from voltaware_async.sandbox.delivery import Closing, deliver
from voltaware_async.sandbox.replies import Delivery
from voltaware_async.sandbox.requests import Request

STATS_PATH = "/sandbox/stats"

_BACKLOG = 2048
_SHUTDOWN_S = 0.1
"""How long a reply that is under way may take after the end; waits on purpose end at once."""

_STEPS = 5
"""Turns of the event loop in which an accepted socket gets its transport, or a cancelled task ends."""


@frozen
class _Serving:
    runner: web.ServerRunner
    server: web.Server
    socket: socket.socket


class Listener:
    """Serve an Api on a port.

    The low-level server is used without aiohttp's router, which would normalise paths that a strict emulator
    must see as they came, and would cost more than a reply takes to compute.
    """

    def __init__(self, api: Api, *, latency_s: float, clock: Callable[[], float]) -> None:
        self._api = api
        self._latency_s = latency_s
        self._clock = clock
        self._closing = Closing()
        self._serving: _Serving | None = None

    async def open(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> int:
        """Listen, and return the port; 0 asks for any free one."""
        # handler_cancellation: a stalled request ends with its connection, not only with the sandbox.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None, lingering_time=0)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._serving = _Serving(runner, server, listening)
        await web.SockSite(runner, listening, ssl_context=ssl_context, backlog=_BACKLOG).start()
        bound: int = listening.getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening, end every wait and close every connection."""
        self._closing.begin()
        if self._serving is None:
            return
        serving, self._serving = self._serving, None
        await _stop_accepting(serving.socket)
        connections = serving.server.connections
        transports = [each.transport for each in connections if each.transport is not None]
        await serving.runner.cleanup()
        for transport in transports:
            # Whoever does not read his reply would keep the connection open for ever.
            transport.abort()
        await _settle()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        at = self._clock()
        path, _, query = request.raw_path.partition("?")
        if path == STATS_PATH:
            return await deliver(request, Delivery(self._api.stats()), self._closing)
        self._api.arrive(at, request.method, path)
        body = await request.read() if request.body_exists else b""
        headers = request.headers
        delivery = self._api.answer(
            at,
            Request(
                method=request.method,
                path=path,
                query=query,
                authorization=headers.get("Authorization"),
                content_type=headers.get("Content-Type"),
                body=body,
            ),
        )
        if self._latency_s:
            await self._closing.pause(self._latency_s)
        return await deliver(request, delivery, self._closing)


async def _stop_accepting(listening: socket.socket) -> None:
    """Let connections that were accepted a moment ago become known before the server closes.

    asyncio makes the transport of an accepted connection some steps after accept(); if its server was closed
    in between, that fails and the socket leaks.
    """
    asyncio.get_running_loop().remove_reader(listening.fileno())
    await _settle()


async def _settle() -> None:
    """Give callbacks and cancelled tasks the few steps that they need to end."""
    for _ in range(_STEPS):
        await asyncio.sleep(0)
