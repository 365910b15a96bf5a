"""The client: the composition root, where settings become parts and parts are put together."""

from __future__ import annotations

import asyncio
import os
import warnings
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

import anyio

from voltaware_async import settings
from voltaware_async.cells import Absent, Cell, Failed, Fetched, Lookup, Outcome, Seen, Unseen
from voltaware_async.errors import (
    ApiError,
    ClientClosedError,
    ClientLoopError,
    ConfigurationError,
    CredentialsRefusedError,
    DeviceIdError,
)
from voltaware_async.fleet.fleet import Fleet
from voltaware_async.protocol.endpoints import BY_DATASET
from voltaware_async.protocol.pressure import Pressure
from voltaware_async.protocol.requests import for_a_period
from voltaware_async.protocol.retry import RetryPolicy
from voltaware_async.resources import DeviceCalls, DisaggregationCalls, MetadataCalls, ReportCalls
from voltaware_async.transport.grants import Grants
from voltaware_async.transport.pace import Pace
from voltaware_async.transport.regulator import Regulator
from voltaware_async.transport.retrier import Retrier
from voltaware_async.transport.sender import Sender
from voltaware_async.transport.session import HttpSession
from voltaware_async.transport.slots import Slots
from voltaware_async.transport.tokens import TokenSource
from voltaware_async.transport.traffic import Traffic
from voltaware_async.transport.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

    from aiohttp import ClientSession

    from voltaware_async.protocol.requests import HttpRequest
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.transport.grants import TokenStore
    from voltaware_async.transport.sender import Answer

__all__ = ["VoltawareClient"]

R = TypeVar("R")


class VoltawareClient:
    """Talk to the Voltaware API by `devices`, `metadata`, `disaggregation`, `reports` and `fleet`.

    Settings are the argument, else `VOLTAWARE_BASE_URL`, `VOLTAWARE_CLIENT_ID`, `VOLTAWARE_CLIENT_SECRET` (or
    `…_FILE`, naming a file that holds it), else the default.

    `rate` is the most requests in any second, None for no limit: one client's, so that two clients or two
    processes send twice as many. `concurrency` is the most requests under way at once. `deadline` bounds
    a call in seconds, retries included, from its first request on, and the wait for a token before that.
    `session` lends an aiohttp session, which is never closed or changed; what it does by itself it goes on
    doing: it keeps the cookies that its jar accepts, and sends a GET or PUT twice, uncounted, where a kept
    connection turns out to be closed. `reconnect_on_403` logs in anew when a device is not known, at most
    once a minute.

    Construction sends nothing and needs no event loop. A client belongs to the loop it is first used on,
    and is closed by `async with` or `aclose()`.
    """

    def __init__(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        base_url: str | None = None,
        rate: float | None = 50.0,
        concurrency: int = 32,
        deadline: float = 60.0,
        retry: RetryPolicy | None = None,
        token_store: TokenStore | None = None,
        session: ClientSession | None = None,
        reconnect_on_403: bool = True,
    ) -> None:
        _check_bounds(concurrency, deadline)
        policy = retry or RetryPolicy()
        credentials = settings.credentials(
            os.environ, base_url=base_url, client_id=client_id, client_secret=client_secret
        )
        self._base_url = credentials.base_url
        self._traffic = Traffic(concurrency=concurrency)
        self._http = HttpSession(credentials.base_url, session)
        pace = Pace(rate)
        slots = Slots(concurrency)
        pressure = Pressure(concurrency, rate)
        regulator = Regulator(pressure, pace, slots, self._traffic, policy.retry_after_max)
        wire = Wire(self._http, regulator, self._traffic)
        retrier = Retrier(policy, self._traffic)
        self._tokens = TokenSource(Grants(wire, pace, retrier, credentials, token_store))
        self._sender = Sender(
            wire, pace, self._tokens, retrier, slots, deadline_s=deadline, reconnect_on_403=reconnect_on_403
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self.devices = DeviceCalls(self._fetch)
        self.metadata = MetadataCalls(self._fetch)
        self.disaggregation = DisaggregationCalls(self._fetch)
        self.reports = ReportCalls(self._fetch)
        self.fleet = Fleet(
            self._fetch_cell,
            self.devices.list,
            self._traffic.snapshot,
            look_up=self._look_up,
            server_time=wire.server_time,
            concurrency=concurrency,
        )

    @classmethod
    def from_env(cls) -> Self:
        """Make a client of the environment alone; ConfigurationError names what is missing."""
        return cls()

    async def connect(self) -> None:
        """Get a token now, so that wrong credentials show before the first call; a request if none is held.

        Raises CredentialsRefusedError or AuthUnavailableError.

        Source: Authentication, Access Token.
        """
        self._check_usable()
        if self._tokens.peek() is None:
            await self._tokens.renewed()

    async def reconnect(self) -> None:
        """Log in anew, so that the API sees devices that are new; a request.

        Source: Debugging/Status code, 403.
        """
        self._check_usable()
        await self._tokens.login()

    async def aclose(self) -> None:
        """Close the connections; calls still waiting end with ClientClosedError or UnreachableError."""
        self._is_closed = True
        with anyio.CancelScope(shield=True):
            await self._tokens.aclose()
            await self._http.aclose()

    def _fetch(self, request: HttpRequest[R]) -> Awaitable[Answer[R]]:
        self._check_usable()
        return self._sender.fetch(request)

    async def _fetch_cell(self, cell: Cell) -> Outcome:
        """Fetch one cell of a fleet; only what concerns every cell is raised."""
        self._check_usable()
        try:
            request = for_a_period(BY_DATASET[cell.dataset], cell.device_id, cell.period)
            answer = await self._sender.fetch(request)
        except CredentialsRefusedError:
            raise
        except ApiError as error:
            # Kept in a ledger or a list: its frames would keep the reply's body alive.
            failure = error.with_traceback(None)
            return Failed(cell, failure, http_status=error.context.status, attempts=error.context.attempts)
        except DeviceIdError as error:
            return Failed(cell, error.with_traceback(None), attempts=0)
        if answer.value is None:
            return Absent(cell, http_status=answer.status, attempts=answer.attempts)
        return Fetched(cell, answer.value, attempts=answer.attempts)

    async def _look_up(self, device_id: DeviceId) -> Lookup:
        """Look up one device of a fleet; only what concerns every device is raised."""
        try:
            return Seen(device_id, await self.devices.get(device_id))
        except CredentialsRefusedError:
            raise
        except ApiError as error:
            return Unseen(device_id, error.with_traceback(None), attempts=error.context.attempts)
        except DeviceIdError as error:
            return Unseen(device_id, error.with_traceback(None), attempts=0)

    def _check_usable(self) -> None:
        if self._is_closed:
            raise ClientClosedError("this client has been closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise ClientLoopError(
                "this client belongs to another event loop or thread: make one client per loop, "
                "inside the function that asyncio.run() runs"
            )

    async def __aenter__(self) -> Self:
        self._check_usable()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True) and self._http.is_open:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<VoltawareClient {self._base_url}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a VoltawareClient cannot be pickled: make one in each process")


def _check_bounds(concurrency: int, deadline: float) -> None:
    if type(concurrency) is not int or concurrency < 1:
        raise ConfigurationError(f"concurrency must be a whole number from 1, not {concurrency!r}")
    if not 0 < deadline < float("inf"):
        raise ConfigurationError(f"deadline must be over 0 seconds and finite, not {deadline!r}")
