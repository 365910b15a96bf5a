"""Outage: a silent API ends the run, instead of marking the whole fleet failed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeGuard

from attrs import evolve

from voltaware_async.cells import Failed
from voltaware_async.errors import AuthUnavailableError, OutageError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voltaware_async.cells import Cell, Outcome

__all__ = ["OutageGuard"]

# A cell that cannot reach the API waits out a short outage, before it counts as failed.
_HOLDS_S: Final = (1.0, 2.0, 4.0)
_CELLS_IN_A_ROW: Final = 50


class OutageGuard:
    """Fetch cells, and raise OutageError once so many in a row could not reach the API.

    A cell that is not reached is tried again after a while. One that fails again, while others were answered
    meanwhile, is at fault itself; one that fails like all others waits for longer.
    """

    def __init__(self, fetch: Callable[[Cell], Awaitable[Outcome]], *, concurrency: int) -> None:
        self._fetch = fetch
        self._limit = max(_CELLS_IN_A_ROW, concurrency)
        self._answers = 0
        self._unreached = 0

    async def fetch(self, cell: Cell) -> Outcome:
        """Fetch one cell, waiting out an outage of a few seconds."""
        outcome = await self._fetch(cell)
        if _is_unreached(outcome):
            return await self._fetch_again(cell, outcome)
        self._answered()
        return outcome

    async def _fetch_again(self, cell: Cell, failed: Failed) -> Outcome:
        for hold_s in _HOLDS_S:
            answers = self._answers
            await asyncio.sleep(hold_s)
            outcome = await self._fetch(cell)
            outcome = evolve(outcome, attempts=failed.attempts + outcome.attempts)
            if not _is_unreached(outcome):
                self._answered()
                return outcome
            failed = outcome
            if self._answers > answers:
                break
        return self._given_up(failed)

    def _answered(self) -> None:
        self._answers += 1
        self._unreached = 0

    def _given_up(self, failed: Failed) -> Failed:
        self._unreached += 1
        if self._unreached >= self._limit:
            raise OutageError(
                f"{self._unreached} cells in a row could not reach the API; the last: {failed.error}"
            )
        return failed


def _is_unreached(outcome: Outcome) -> TypeGuard[Failed]:
    return isinstance(outcome, Failed) and isinstance(outcome.error, UnreachableError | AuthUnavailableError)
