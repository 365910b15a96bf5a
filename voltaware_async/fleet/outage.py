"""Outage: a silent API ends the run, instead of marking the whole fleet failed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from attrs import evolve

from voltaware_async.cells import Failed, Lookup, Outcome, Unseen
from voltaware_async.errors import AuthUnavailableError, OutageError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voltaware_async.errors import VoltawareError

__all__ = ["OutageGuard"]

# A cell that cannot reach the API waits out a short outage, before it counts as failed.
_HOLDS_S: Final = (1.0, 2.0, 4.0)
_CELLS_IN_A_ROW: Final = 50

T = TypeVar("T")
R = TypeVar("R", Outcome, Lookup)


class OutageGuard(Generic[T, R]):
    """Fetch cells or devices, and raise OutageError once so many in a row could not reach the API.

    A cell that is not reached is tried again after a while. One that fails again, while others were answered
    meanwhile, is at fault itself; one that fails like all others waits for longer.
    """

    def __init__(self, fetch: Callable[[T], Awaitable[R]], *, concurrency: int) -> None:
        self._fetch: Callable[[T], Awaitable[R]] = fetch
        self._limit = max(_CELLS_IN_A_ROW, concurrency)
        self._answers = 0
        self._unreached = 0

    async def fetch(self, item: T) -> R:
        """Fetch one, waiting out an outage of a few seconds."""
        outcome = await self._fetch(item)
        if _silence(outcome) is not None:
            return await self._fetch_again(item, outcome)
        self._answered()
        return outcome

    async def _fetch_again(self, item: T, outcome: R) -> R:
        for hold_s in _HOLDS_S:
            answers = self._answers
            await asyncio.sleep(hold_s)
            again = await self._fetch(item)
            outcome = evolve(again, attempts=outcome.attempts + again.attempts)
            if _silence(outcome) is None:
                self._answered()
                return outcome
            if self._answers > answers:
                break
        self._give_up(_silence(outcome))
        return outcome

    def _answered(self) -> None:
        self._answers += 1
        self._unreached = 0

    def _give_up(self, silence: VoltawareError | None) -> None:
        self._unreached += 1
        if self._unreached >= self._limit:
            raise OutageError(
                f"{self._unreached} cells in a row could not reach the API; the last: {silence}"
            )


def _silence(outcome: Outcome | Lookup) -> VoltawareError | None:
    """Return the error of an outcome that never reached the API."""
    if not isinstance(outcome, Failed | Unseen):
        return None
    return outcome.error if isinstance(outcome.error, UnreachableError | AuthUnavailableError) else None
