"""Sender: one call to the API, until it is answered or given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from attrs import define, field, frozen

from voltaware_async.errors import (
    AuthenticationError,
    AuthUnavailableError,
    DeadlineError,
    DeviceNotRegisteredError,
    UnreachableError,
)
from voltaware_async.protocol.replies import Refused, Reply, forbidden_message
from voltaware_async.protocol.retry import Failure, Resend
from voltaware_async.transport.retrier import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from voltaware_async.errors import ApiError
    from voltaware_async.protocol.replies import Verdict
    from voltaware_async.protocol.requests import HttpRequest
    from voltaware_async.protocol.token import Token
    from voltaware_async.transport.pace import Pace
    from voltaware_async.transport.retrier import Retrier
    from voltaware_async.transport.slots import Slots
    from voltaware_async.transport.tokens import TokenSource
    from voltaware_async.transport.wire import Wire

__all__ = ["Answer", "Fetch", "Sender"]

R = TypeVar("R")

# Only tokens that live shorter than a turn takes to come use them up: without a bound, they would be made
# for ever.
_TURNS_MAX: Final = 5


@frozen
class Answer(Generic[R]):
    """Hold a call's end: a value, or None where the API has no result; and the requests it took."""

    value: R | None
    status: int
    attempts: int


class Fetch(Protocol):
    """Send one request and return its answer: what the calls above know of the transport."""

    def __call__(self, request: HttpRequest[R], /) -> Awaitable[Answer[R]]:
        """Return the API's answer, or raise the ApiError that ended the call."""


@define
class _Errand(Call, Generic[R]):
    """Follow one request through renewals and logins too; `token` is the one it last carried."""

    request: HttpRequest[R] = field(kw_only=True)
    token: Token | None = None
    is_replayed: bool = False
    has_logged_in: bool = False


class Sender:
    """Send calls: slot -> token -> pace -> send -> read -> decide, again where that can help.

    A slot and a turn are taken per attempt and never held during a back-off. The deadline starts with the
    first attempt; from then on it bounds everything. The wait for a first token has one of its own.
    """

    def __init__(
        self,
        wire: Wire,
        pace: Pace,
        tokens: TokenSource,
        retrier: Retrier,
        slots: Slots,
        *,
        deadline_s: float,
        reconnect_on_403: bool,
    ) -> None:
        self._wire = wire
        self._pace = pace
        self._tokens = tokens
        self._retrier = retrier
        self._slots = slots
        self._deadline_s = deadline_s
        self._reconnect_on_403 = reconnect_on_403

    async def fetch(self, request: HttpRequest[R]) -> Answer[R]:
        """Return the API's answer, or raise the ApiError that ended the call."""
        errand = _Errand(
            is_idempotent=request.endpoint.is_idempotent, deadline_s=self._deadline_s, request=request
        )
        while True:
            verdict = await self._attempt(errand)
            match verdict:
                case Reply(value=value, status=status):
                    self._retrier.succeeded()
                    return Answer(value, status, errand.attempts)
                case Failure(error=error):
                    if not await self._retrier.backed_off(verdict, errand):
                        raise self._final(error, errand)
                case Refused.DEVICE:
                    await self._log_in_anew(errand)
                case _:
                    self._drop_token(errand)

    # Every coroutine that a call passes through costs it half a microsecond: those that need not wait
    # themselves hand out another's.
    def _attempt(self, errand: _Errand[R]) -> Awaitable[Verdict[R]]:
        """Send once; the first time without a deadline, for queueing is bounded by our own cap."""
        if errand.deadline_at is None:
            return self._attempt_in_slot(errand)
        return self._attempt_in_time(errand)

    async def _attempt_in_time(self, errand: _Errand[R]) -> Verdict[R]:
        try:
            async with asyncio.timeout_at(errand.deadline_at):
                return await self._attempt_in_slot(errand)
        except TimeoutError:
            pass
        return Failure(self._late(errand), Resend.NEVER)

    async def _attempt_in_slot(self, errand: _Errand[R]) -> Verdict[R]:
        """Wait for a slot, a token and a turn, and send with the token that is current when the turn comes.

        After its turn nobody waits: requests held back there would leave in one burst. A turn whose
        token has died meanwhile lapses.
        """
        if not self._slots.take_at_once():
            await self._slots.take()
        try:
            for _ in range(_TURNS_MAX):
                if self._tokens.peek() is None:
                    await self._renewed_in_time(errand)
                await self._pace.turn()
                token = self._tokens.peek()
                if token is not None:
                    errand.token = token
                    errand.begin()
                    return await self._wire.attempt(errand.request, errand.remaining(), token.access)
        finally:
            self._slots.give_back()
        message = "the API's tokens end before a request can be sent"
        return Failure(AuthUnavailableError(message, errand.request.context), Resend.NEVER)

    async def _renewed_in_time(self, errand: _Errand[R]) -> None:
        """Wait for a token no longer than the deadline, but for what we hold requests back ourselves."""
        while True:
            try:
                async with asyncio.timeout_at(self._pace.held_until() + self._deadline_s):
                    return await self._tokens.renewed()
            except TimeoutError:
                if not self._pace.is_holding():
                    break
        message = f"no token within {self._deadline_s:g} s"
        raise DeadlineError(message, errand.request.context).after(errand.attempts)

    def _final(self, error: ApiError, errand: _Errand[R]) -> ApiError:
        """Return what the call ends with: silence up to its end is its deadline's doing."""
        if isinstance(error, UnreachableError) and errand.remaining() <= 0:
            error = self._late(errand)
        return error.after(errand.attempts)

    def _late(self, errand: _Errand[R]) -> DeadlineError:
        return DeadlineError(f"no complete answer within {self._deadline_s:g} s", errand.request.context)

    def _drop_token(self, errand: _Errand[R]) -> None:
        """After a 401: have the token renewed for one replay.

        Source: Authentication, Refresh Token.
        """
        if errand.is_replayed or errand.token is None:
            context = errand.request.context
            raise AuthenticationError("the API refuses even a new token here", context).after(errand.attempts)
        errand.is_replayed = True
        self._tokens.refuse(errand.token)

    async def _log_in_anew(self, errand: _Errand[R]) -> None:
        """After a 403: make sure of a later login for one replay.

        Source: Debugging/Status code, 403.
        """
        if errand.has_logged_in or not self._reconnect_on_403 or errand.token is None:
            raise _not_registered(errand)
        try:
            async with asyncio.timeout_at(errand.deadline_at):
                is_newer = await self._tokens.is_newer_login_at_hand(errand.token)
        except TimeoutError:
            raise self._late(errand).after(errand.attempts) from None
        errand.has_logged_in = True  # or others did, within the minute
        if not is_newer:
            raise _not_registered(errand)


def _not_registered(errand: _Errand[R]) -> Exception:
    message = forbidden_message(after_reconnect=errand.has_logged_in)
    return DeviceNotRegisteredError(message, errand.request.context).after(errand.attempts)
