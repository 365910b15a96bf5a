"""Slots: how many requests may be under way at once, a number that may change while callers wait."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Slots"]


class Slots:
    """Give out up to `limit` slots, in the order asked. A slot that is cancelled while it waits is not lost.

    A limit that falls takes no slot away: none is given until enough have come back.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def value(self) -> int:
        """How many are free, as semaphores call it; below 0 after a fall, until enough have come back."""
        return self._limit - self._taken

    def take_at_once(self) -> bool:
        """Take a slot if one is free and nobody waits; tell whether it was taken."""
        if self._taken >= self._limit or self._waiters:
            return False
        self._taken += 1
        return True

    async def take(self) -> None:
        """Wait for a slot and take it."""
        if self.take_at_once():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def give_back(self) -> None:
        """Free a slot that was taken; the next in line has it already when this returns."""
        self._taken -= 1
        self._give()

    def resize(self, limit: int) -> None:
        """Set how many there are, from 1 up."""
        self._limit = limit
        self._give()

    def _give(self) -> None:
        while self._waiters and self._taken < self._limit:
            waiter = self._waiters.popleft()
            # One that was cancelled in this very step of the loop has not left the line yet.
            if not waiter.done():
                self._taken += 1
                waiter.set_result(None)

    def _leave(self, waiter: asyncio.Future[None]) -> None:
        """Leave the line; a slot that was given in the same step of the loop goes to the next."""
        if not waiter.cancelled():
            self.give_back()
        elif waiter in self._waiters:
            self._waiters.remove(waiter)
