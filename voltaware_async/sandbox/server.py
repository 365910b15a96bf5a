"""The sandbox: the emulator, its listening socket, and what a test may do to it."""

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from types import TracebackType
from typing import Literal, Self

import anyio

from voltaware_async.sandbox.api import Api
from voltaware_async.sandbox.endpoints import World
from voltaware_async.sandbox.faults import Chance, Fault, Script, scripted_effect
from voltaware_async.sandbox.fleet import Fleet
from voltaware_async.sandbox.listener import Listener
from voltaware_async.sandbox.logins import Credentials, Logins, RefreshPolicy
from voltaware_async.sandbox.metadata import MetadataBook
from voltaware_async.sandbox.rate_limit import RateLimit
from voltaware_async.sandbox.recording import RecordedRequest, Recording
from voltaware_async.sandbox.route_names import check_route

CREDENTIALS = Credentials("sandbox-client", "sandbox-secret")
"""The same for every sandbox, so that a client in another process knows them."""


class Sandbox:
    """Emulate the Voltaware API over real HTTP on this machine, with a synthetic fleet and faults on purpose.

    Use it as `async with Sandbox() as sandbox`; one instance serves once.

    Args:
        devices: how many devices there are; ids run from "0001".
        seed: decides the fleet and the random faults.
        today: decides which results exist and how old devices are; `sandbox.today` can be set later.
        token_ttl: the life of an access token, in seconds.
        rate_limit: requests accepted in any sliding second, others get 429; None accepts all;
            `sandbox.rate_limit` can be set later.
        latency_ms: how long each reply is held back.
        faults: random faults, as `Fault` or as "KIND[@ROUTE]:PROBABILITY".
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        late_share: the share of results, from 0 to 1, that appears 1 to 4 days later than documented.
        report_unit: the unit of the days of a report: "kWh" as in the documentation's example, or "Wh" as in
            its table.
        rotate_refresh_tokens: a refresh token works once, and the refresh reply carries the next one.
        send_refresh_token_on_refresh: the refresh reply repeats the refresh token.
        ssl_context: serves https.
        record: how many requests are kept in `requests`.
        id_style: "documented" prints ids as bare numbers with leading zeros, "text" as JSON strings.
        clock: monotonic seconds, for token life, rate limit and times of arrival.

    Raises:
        ValueError: if a fault cannot be read, a number is out of its range, or a unit or style is unknown.
    """

    def __init__(
        self,
        *,
        devices: int = 300,
        seed: int = 7,
        today: date = date(2024, 9, 15),
        token_ttl: float = 43_200.0,
        rate_limit: float | None = None,
        latency_ms: float = 0.0,
        faults: Iterable[Fault | str] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        late_share: float = 0.0,
        report_unit: Literal["kWh", "Wh"] = "kWh",
        rotate_refresh_tokens: bool = False,
        send_refresh_token_on_refresh: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        record: int = 100_000,
        id_style: Literal["documented", "text"] = "documented",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_numbers(devices, token_ttl, rate_limit, latency_ms, late_share)
        if id_style not in {"documented", "text"}:
            raise ValueError(f"id_style {id_style!r} is neither 'documented' nor 'text'")
        self.fleet = Fleet(
            devices=devices, seed=seed, today=today, late_share=late_share, report_unit=report_unit
        )
        policy = RefreshPolicy(rotate_refresh_tokens, send_refresh_token_on_refresh)
        self._logins = Logins(CREDENTIALS, token_ttl=token_ttl, policy=policy, clock=clock)
        self._recording = Recording(record)
        self._scripts: list[Script] = []
        world = World(self.fleet, self._logins, MetadataBook(self.fleet), id_style == "text")
        self._rate_limit = RateLimit(rate_limit)
        api = Api(world, self._rate_limit, Chance(faults, seed), self._recording, self._scripts)
        self._listener = Listener(api, latency_s=latency_ms / 1000, clock=clock)
        self._address = (host, port, ssl_context)
        self._base_url: str | None = None

    async def __aenter__(self) -> Self:
        host, port, ssl_context = self._address
        bound = await self._listener.open(host, port, ssl_context)
        shown = f"[{host}]" if ":" in host else host
        self._base_url = f"{'https' if ssl_context else 'http'}://{shown}:{bound}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._listener.close()

    @property
    def base_url(self) -> str:
        """The URL to call, without a trailing slash; RuntimeError before the sandbox listens."""
        if self._base_url is None:
            raise RuntimeError("the sandbox does not listen yet: use `async with Sandbox() as sandbox`")
        return self._base_url

    @property
    def client_id(self) -> str:
        """The client id that the sandbox accepts."""
        return CREDENTIALS.client_id

    @property
    def client_secret(self) -> str:
        """The client secret that the sandbox accepts."""
        return CREDENTIALS.client_secret

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The last `record` requests in the order in which they were read: a copy, which does not grow."""
        return self._recording.requests

    def count(self, route: str, *, method: str | None = None) -> int:
        """Return how many requests a route had, of one method or of all.

        Raises:
            ValueError: if there is no such route; `ROUTE_NAMES` has them all, and "unknown" stands for any
                other path.
        """
        return self._recording.count(check_route(route), method)

    def worst_second(self) -> int:
        """Return the largest number of requests in any sliding second, refused ones included."""
        return self._recording.worst_second()

    def delivered_rate(self) -> float:
        """Return requests per second between the first and the last arrival; 0 before the second one."""
        return self._recording.delivered_rate()

    @property
    def today(self) -> date:
        """The day that decides which results exist."""
        return self.fleet.today

    @today.setter
    def today(self, today: date) -> None:
        self.fleet.today = today

    @property
    def rate_limit(self) -> float | None:
        """The requests accepted in any sliding second, or None for all; ValueError if set below 1."""
        return self._rate_limit.per_second

    @rate_limit.setter
    def rate_limit(self, per_second: float | None) -> None:
        _check_rate_limit(per_second)
        self._rate_limit.per_second = per_second

    def script(
        self,
        kind: str | None = None,
        *,
        times: int | None = 1,
        route: str | None = None,
        device_id: str | None = None,
        method: str | None = None,
        status: int | None = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        raw: bytes | None = None,
    ) -> Script:
        """Give the next matching requests a fault or a reply of your own; older scripts go first.

        Args:
            kind: a kind of fault, see `faults.FaultKind`; may be left out if `status` or `raw` is given.
            times: how many requests; None for all.
            route: one route; without it all routes but /auth/*.
            device_id: one device; without it all.
            method: one method; without it all.
            status: the status of the reply.
            body: the body of the reply, JSON unless `headers` says otherwise.
            headers: further headers of the reply.
            retry_after: the header Retry-After, in seconds.
            raw: bytes to be sent as they stand, status line included, before the connection is closed.

        Returns:
            The script, whose `hit` counts the requests it took so far and whose `cancel()` ends it.

        Raises:
            ValueError: if the kind or the route is unknown, or nothing says what is to happen.
        """
        effect = scripted_effect(
            kind, status=status, body=body, headers=headers, retry_after=retry_after, raw=raw
        )
        script = Script(effect, times, check_route(route) if route else None, device_id, method)
        self._scripts.append(script)
        return script

    def register_device(self) -> str:
        """Let a new meter send its first event now; return its id.

        It is listed at once. Its metadata is refused with 403 to every login made before, and to the tokens
        refreshed from it, until the client calls POST /auth/token again.
        """
        return self.fleet.register()

    def expire_tokens(self) -> None:
        """Refuse with 401 every access token issued so far."""
        self._logins.expire_tokens()

    def revoke_refresh_tokens(self) -> None:
        """Refuse with 401 every refresh token issued so far."""
        self._logins.revoke_refresh_tokens()

    def revoke_credentials(self) -> None:
        """Refuse with 401 the client credentials from now on; issued tokens go on working."""
        self._logins.revoke_credentials()


async def serve(sandbox: Sandbox, *, ready: Callable[[str], None]) -> None:
    """Serve until cancelled; call `ready` with the base URL once the sandbox listens."""
    async with sandbox:
        ready(sandbox.base_url)
        await anyio.sleep_forever()


def _check_numbers(
    devices: int, token_ttl: float, rate_limit: float | None, latency_ms: float, late_share: float
) -> None:
    """Raise ValueError for a number out of its range."""
    if devices < 0:
        raise ValueError(f"devices must be 0 or more, not {devices}")
    if token_ttl <= 0:
        raise ValueError(f"token_ttl must be more than 0 seconds, not {token_ttl}")
    _check_rate_limit(rate_limit)
    if latency_ms < 0:
        raise ValueError(f"latency_ms must be 0 or more, not {latency_ms}")
    if not 0 <= late_share <= 1:
        raise ValueError(f"late_share must be from 0 to 1, not {late_share}")


def _check_rate_limit(per_second: float | None) -> None:
    if per_second is not None and per_second < 1:
        raise ValueError(f"rate_limit must be 1 or more requests per second, not {per_second}")
