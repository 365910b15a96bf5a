"""Wire: one attempt, counted and logged."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from voltaware_async.protocol.replies import Reply, read
from voltaware_async.protocol.retry import Failure, http_date

if TYPE_CHECKING:
    from datetime import datetime

    from voltaware_async.protocol.replies import HttpResponse, Verdict
    from voltaware_async.protocol.requests import HttpRequest
    from voltaware_async.protocol.secret import Secret
    from voltaware_async.transport.regulator import Regulator
    from voltaware_async.transport.session import HttpSession
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Wire"]

R = TypeVar("R")

logger: Final = logging.getLogger("voltaware_async")


class Wire:
    """Send one request and say what became of it. Whoever calls has waited for its turn."""

    def __init__(self, session: HttpSession, regulator: Regulator, traffic: Traffic) -> None:
        self._session = session
        self._regulator = regulator
        self._traffic = traffic
        self._date = ""

    def server_time(self) -> datetime | None:
        """Return what the API's own clock said with its last token or list of devices; None before that."""
        return http_date(self._date)

    async def attempt(
        self, request: HttpRequest[R], within_s: float, bearer: Secret | None = None
    ) -> Verdict[R]:
        """Send once, bounded in time; how it ends decides what others may send."""
        self._traffic.requests += 1
        self._traffic.token_calls += request.endpoint.is_auth
        clock = asyncio.get_running_loop().time
        sent_at = clock()
        response = await self._session.send(request, bearer, within_s)
        now = clock()
        verdict = response if isinstance(response, Failure) else self._read(request, response)
        if logger.isEnabledFor(logging.DEBUG):
            self._log(request, verdict, now - sent_at)
        if isinstance(verdict, Failure):
            self._traffic.throttled += verdict.is_throttle
            self._regulator.failed(verdict, sent_at, now)
        else:
            self._regulator.answered(now, now - sent_at, request.endpoint.path)
        return verdict

    def _read(self, request: HttpRequest[R], response: HttpResponse) -> Verdict[R]:
        # Of a fleet's thousands of cells, none need tell the time again.
        if request.device_id is None:
            self._date = response.headers.get("Date", "")
        return read(request, response)

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
