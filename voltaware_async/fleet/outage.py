"""Outage: an API that is out ends the run, instead of marking the whole fleet failed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from attrs import evolve

from voltaware_async.cells import Failed, Lookup, Outcome, Unseen
from voltaware_async.errors import (
    AuthenticationError,
    DecodeError,
    OutageError,
    ProtocolError,
    RedirectError,
    ServerError,
    ThrottledError,
    UnavailableError,
    UnexpectedResponseError,
    VoltawareError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["OutageGuard", "is_from_elsewhere", "is_no_answer"]

# A short outage is waited out, before a cell counts as failed or the API as out.
_HOLDS_S: Final = (1.0, 2.0, 4.0)
_IN_A_ROW: Final = 50
# An outage that begins while an endpoint is broken must show too: after 800 cells, where 50 is the limit.
_LONGEST_ROW: Final = 16
# The gateway's word for a service that is away. Any other 5xx may be the device's own.
_AWAY: Final = frozenset({502, 503, 504})


T = TypeVar("T")
R = TypeVar("R", Outcome, Lookup)


class OutageGuard(Generic[T, R]):
    """Fetch cells or devices, and raise OutageError once so many in a row got no usable answer.

    One that finds the API away is tried again after a while. One that fails again, while others were answered
    meanwhile, is at fault itself; one that fails like all others waits for longer.

    A row may also mean that one endpoint is broken for all devices. `probe` takes the item that completed the
    row and tells whether the API answers elsewhere: if so, nobody waits any more, and the next row that is
    looked into is twice as long, until there is an answer. Without it every row is an outage.
    """

    def __init__(
        self,
        fetch: Callable[[T], Awaitable[R]],
        *,
        concurrency: int,
        probe: Callable[[T], Awaitable[bool]] | None = None,
    ) -> None:
        self._fetch: Callable[[T], Awaitable[R]] = fetch
        self._probe = probe
        self._probing = asyncio.Lock()
        self._first_limit = max(_IN_A_ROW, concurrency)
        self._limit = self._first_limit
        self._row = 0
        self._answers = 0

    async def fetch(self, item: T) -> R:
        """Fetch one, waiting out an outage of a few seconds."""
        outcome = await self._fetch(item)
        error = _unavailability(outcome)
        if error is not None and _is_away(error) and not self._is_known_to_answer_elsewhere:
            outcome = await self._fetch_again(item, outcome)
            error = _unavailability(outcome)
        if error is None:
            self._answered()
        else:
            await self._unanswered(item, error)
        return outcome

    async def _fetch_again(self, item: T, outcome: R) -> R:
        for hold_s in _HOLDS_S:
            answers = self._answers
            await asyncio.sleep(hold_s)
            again = await self._fetch(item)
            outcome = evolve(again, attempts=outcome.attempts + again.attempts)
            error = _unavailability(outcome)
            if self._answers > answers or error is None or not _is_away(error):
                break
        return outcome

    @property
    def _is_known_to_answer_elsewhere(self) -> bool:
        return self._limit > self._first_limit

    def _answered(self) -> None:
        self._answers += 1
        self._row = 0
        self._limit = self._first_limit

    def _answered_elsewhere(self) -> None:
        self._answers += 1
        self._row = 0
        self._limit = min(2 * self._limit, _LONGEST_ROW * self._first_limit)

    async def _unanswered(self, item: T, error: VoltawareError) -> None:
        self._row += 1
        if not self._is_row_complete():
            return
        # Whoever completes it too waits: cells that went on meanwhile would fail for nothing.
        async with self._probing:
            if self._is_row_complete():
                await self._look_into_row(item, error)

    def _is_row_complete(self) -> bool:
        return self._row >= self._limit

    async def _look_into_row(self, item: T, error: VoltawareError) -> None:
        if self._probe is not None and await self._answers_elsewhere(item, self._probe):
            self._answered_elsewhere()
        elif self._is_row_complete():  # nobody was answered meanwhile
            self._probe = None  # those who wait need not ask again
            if isinstance(error, AuthenticationError):
                raise error
            raise OutageError(f"{self._limit} requests in a row got no usable answer, the last: {error}")

    async def _answers_elsewhere(self, item: T, probe: Callable[[T], Awaitable[bool]]) -> bool:
        """Ask as patiently as for a cell: one lost answer must not end a run of hours."""
        for hold_s in (0.0, *_HOLDS_S):
            await asyncio.sleep(hold_s)
            if not self._is_row_complete():
                return False
            if await probe(item):
                return True
        return False


def _unavailability(outcome: Outcome | Lookup) -> VoltawareError | None:
    """Return the error of an outcome without a usable answer."""
    if not isinstance(outcome, Failed | Unseen):
        return None
    return outcome.error if is_no_answer(outcome.error) else None


def is_no_answer(error: VoltawareError) -> bool:
    """Tell whether the API itself has not answered: it is away, lets nobody in, or is not what answers."""
    return isinstance(error, UnavailableError | AuthenticationError) or is_from_elsewhere(error)


def is_from_elsewhere(error: VoltawareError) -> bool:
    """Tell whether something else answers in the API's place, such as a login wall or a redirection.

    JSON that is not as documented is the API's own answer, if a bad one.
    """
    if isinstance(error, DecodeError):
        return False
    return isinstance(error, ProtocolError | RedirectError | UnexpectedResponseError)


def _is_away(error: VoltawareError) -> bool:
    """Tell whether it says that the API is away, or nothing at all.

    A throttled cell has waited until its deadline already.
    """
    if isinstance(error, ServerError):
        return error.context.status in _AWAY
    return isinstance(error, UnavailableError) and not isinstance(error, ThrottledError)
