"""Wire: one attempt, counted and logged."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from voltaware_async.protocol.replies import HttpResponse, Reply, read
from voltaware_async.protocol.retry import Failure

if TYPE_CHECKING:
    from voltaware_async.protocol.replies import Verdict
    from voltaware_async.protocol.requests import HttpRequest
    from voltaware_async.protocol.secret import Secret
    from voltaware_async.transport.pace import Pace
    from voltaware_async.transport.session import HttpSession
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Wire"]

R = TypeVar("R")

logger: Final = logging.getLogger("voltaware_async")


class Wire:
    """Send one request and say what became of it. Whoever calls has waited for its turn."""

    def __init__(self, session: HttpSession, pace: Pace, traffic: Traffic, longest_pause_s: float) -> None:
        self._session = session
        self._pace = pace
        self._traffic = traffic
        self._longest_pause_s = longest_pause_s

    async def attempt(
        self, request: HttpRequest[R], within_s: float, bearer: Secret | None = None
    ) -> Verdict[R]:
        """Send once, bounded in time; a reply that asks for a pause holds every other request too."""
        self._traffic.requests += 1
        self._traffic.token_calls += request.endpoint.is_auth
        started = asyncio.get_running_loop().time() if logger.isEnabledFor(logging.DEBUG) else 0.0
        response = await self._session.send(request, bearer, within_s)
        verdict = read(request, response) if isinstance(response, HttpResponse) else response
        if started:
            self._log(request, verdict, asyncio.get_running_loop().time() - started)
        if isinstance(verdict, Failure):
            self._heed(verdict)
        return verdict

    def _heed(self, failure: Failure) -> None:
        self._traffic.throttled += failure.is_throttle
        if failure.retry_after is not None:
            self._pace.pause(min(failure.retry_after, self._longest_pause_s))

    def _log(self, request: HttpRequest[R], verdict: Verdict[R], seconds: float) -> None:
        """Log the template, never the target, a header or a body."""
        match verdict:
            case Reply(status=status):
                ended = str(status)
            case Failure(error=error):
                ended = str(error.context.status or error.message)
            case refused:
                ended = f"{refused.name.lower()} refused"
        endpoint = request.endpoint
        logger.debug(
            "%s %s device=%s: %s in %.3f s", endpoint.method, endpoint.path, request.device_id, ended, seconds
        )
