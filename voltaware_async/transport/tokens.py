"""Tokens: one renewal at a time, for all callers together.

A renewal is a *flight*: a task of its own, so that cancelling any caller disturbs no other, and so that it
outlives the caller that started it. Its end is a value, not an exception: nobody needs to wait for it.

Source: Authentication.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from enum import Enum, auto
from math import inf
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

from voltaware_async.errors import ApiError, ClientClosedError, CredentialsRefusedError

if TYPE_CHECKING:
    from voltaware_async.protocol.token import Token
    from voltaware_async.transport.grants import Grants

__all__ = ["TokenSource"]

logger: Final = logging.getLogger("voltaware_async")

_SOFT_RETRY_S: Final = 30.0
_LOGIN_EVERY_S: Final = 60.0
_REFUSAL_HOLD_S: Final = 5.0
_REFUSAL_HOLD_MAX_S: Final = 60.0


def _closed() -> ClientClosedError:
    return ClientClosedError("this client has been closed")


class _Kind(Enum):
    """Tell how far a renewal may go."""

    SOFT = auto()  # a refresh ahead of time; its failure is harmless
    HARD = auto()  # a refresh, else a login: callers wait for it
    LOGIN = auto()  # a login, whatever token there is


@define
class _Flight:
    """Hold a renewal under way; `error` tells how it failed once `done` is set.

    Until it lands it counts as ended by closing: a task that is cancelled before its first step runs none
    of its own code.
    """

    kind: _Kind
    done: asyncio.Event = field(factory=asyncio.Event)
    error: Exception | None = field(factory=_closed)
    task: asyncio.Task[None] | None = None


class TokenSource:
    """Give out the current token, and renew it early, at its end, and when it is refused."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._token: Token | None = None
        self._is_refused = False
        self._fresh_until = -inf
        self._flight: _Flight | None = None
        self._refusal: CredentialsRefusedError | None = None
        self._refusal_hold_s = 0.0
        self._refused_until = 0.0
        self._soft_not_before = 0.0
        self._login_not_before = 0.0
        self._is_closed = False

    def peek(self) -> Token | None:
        """Return the token if it may be sent now; late in its life, start renewing it meanwhile."""
        now = _now()
        return self._token if now < self._fresh_until else self._peek_late(now)

    def _peek_late(self, now: float) -> Token | None:
        token = self._token
        if token is None or self._is_refused or now >= token.usable_until:
            return None
        if self._flight is None and now >= self._soft_not_before and token.refresh is not None:
            self._soft_not_before = now + _SOFT_RETRY_S
            self._take_off(_Kind.SOFT)
        return token

    async def renewed(self) -> None:
        """Wait for a usable token: join the renewal under way, or start one.

        Raises CredentialsRefusedError at once for 5 to 60 s after a refusal, without another request;
        AuthUnavailableError if no token is to be had now.
        """
        if self._refusal is not None and _now() < self._refused_until:
            raise _fresh(self._refusal)
        if self._flight is not None and self._flight.kind is _Kind.SOFT:
            await self._flight.done.wait()
            if self.peek() is not None:
                return
        await _landed(self._flight or self._take_off(_Kind.HARD))

    def refuse(self, token: Token) -> None:
        """Stop using a token that the API refused, unless it has been replaced since."""
        if token is self._token:
            self._is_refused = True
            self._fresh_until = -inf

    async def login(self) -> None:
        """Log in anew by the client's credentials, joining a login under way."""
        await self._renewal_over()
        await _landed(self._flight or self._take_off(_Kind.LOGIN))

    async def is_newer_login_at_hand(self, token: Token) -> bool:
        """After a 403: tell whether a later login than the token's can be tried, making one if it is time.

        At most one login a minute is made for this, for all callers together.
        """
        # First of all: whoever came before may be waiting for the same to make the one login of this minute.
        await self._renewal_over()
        if self._token is not None and self._token.login > token.login:
            return True
        if self._flight is None:
            if _now() < self._login_not_before:
                return False
            self._login_not_before = _now() + _LOGIN_EVERY_S
        await self.login()
        return True

    async def _renewal_over(self) -> None:
        """Wait until there is no renewal under way but a login."""
        while self._flight is not None and self._flight.kind is not _Kind.LOGIN:
            await self._flight.done.wait()

    async def aclose(self) -> None:
        """End a renewal under way; its waiters get ClientClosedError."""
        self._is_closed = True
        flight = self._flight
        if flight is not None and flight.task is not None:
            flight.task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([flight.task])
            flight.done.set()

    def _take_off(self, kind: _Kind) -> _Flight:
        if self._is_closed:
            raise _closed()
        flight = self._flight = _Flight(kind)
        # A task of its own and not of a task group: it must outlive the call that needs it first. The empty
        # context keeps that call's tracing and variables out of everybody else's renewal.
        flight.task = asyncio.get_running_loop().create_task(
            self._fly(flight), name="voltaware token renewal", context=contextvars.Context()
        )
        return flight

    async def _fly(self, flight: _Flight) -> None:
        try:
            self._accept(await self._obtain(flight.kind))
            flight.error = None
        except Exception as error:  # noqa: BLE001  every waiter raises it: see _landed
            flight.error = error.with_traceback(None)
            self._note(flight.kind, error)
        finally:
            self._flight = None
            flight.done.set()

    async def _obtain(self, kind: _Kind) -> Token:
        if kind is _Kind.LOGIN:
            return await self._grants.login()
        token = self._token
        if kind is _Kind.SOFT and token is not None and token.refresh is not None:
            return await self._grants.refresh(token, token.refresh)
        return await self._grants.renew(token)

    def _accept(self, token: Token) -> None:
        self._token = token
        self._fresh_until = token.fresh_until
        self._is_refused = False
        self._refusal = None
        self._refusal_hold_s = 0.0

    def _note(self, kind: _Kind, error: Exception) -> None:
        if kind is _Kind.SOFT:
            logger.warning("the token could not be renewed ahead of time, and is used on: %s", error)
        if isinstance(error, CredentialsRefusedError):
            doubled = max(_REFUSAL_HOLD_S, 2 * self._refusal_hold_s)
            self._refusal_hold_s = min(_REFUSAL_HOLD_MAX_S, doubled)
            self._refused_until = _now() + self._refusal_hold_s
            self._refusal = error


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _landed(flight: _Flight) -> None:
    await flight.done.wait()
    if flight.error is not None:
        raise _fresh(flight.error)


def _fresh(error: Exception) -> Exception:
    """Return a copy: one exception raised by a thousand callers would gather all their tracebacks."""
    return type(error)(*error.args) if isinstance(error, ApiError | ClientClosedError) else error
