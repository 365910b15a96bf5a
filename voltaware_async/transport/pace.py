"""Pace: at most `rate` requests in any sliding second, as the server sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from math import ceil
from typing import Final

from aiolimiter import AsyncLimiter

from voltaware_async.errors import ConfigurationError

__all__ = ["Pace"]

# A leaky bucket alone must choose: one that lets a late request be made up for lets that much more than its
# rate through in some second. So it spreads the requests, at 98.5 % of the cap and with room to make up
# for 50 ms; and a window sees to it that no second holds more than the cap, with 20 ms to spare for requests
# that reach the server closer together than they were sent.
_RATE_SHARE: Final = 0.985
_BUCKET_SHARE: Final = 0.05
_BUCKET_LEAST: Final = 2.0
_WINDOW_S: Final = 1.02


class Pace:
    """Let requests go one by one, and hold them all when the API asks for a pause.

    `rate` is in requests per second, None for no limit. Turns are given in the order asked. A turn that is
    cancelled while it waits is not lost.
    """

    def __init__(self, rate: float | None) -> None:
        if rate is not None and not 0 < rate < float("inf"):
            raise ConfigurationError(f"rate must be over 0 requests/s, or None for no limit; got {rate!r}")
        self._cap = rate
        self._rate = rate
        self._limiter = None if rate is None else _limiter(rate)
        self._window = None if rate is None else _Window(rate)
        self._gate = asyncio.Lock()
        self._held_until = 0.0

    async def turn(self) -> None:
        """Wait until one request may be sent."""
        if self._limiter is None:
            await self._until_free()
            if self._limiter is None:
                return
        # One at a time: whoever gives up at the gate has taken nothing from those behind.
        async with self._gate:
            await self._until_free()
            limiter = None
            # A pause may begin meanwhile, or the rate change: a turn taken at another rate is worth nothing.
            while limiter is not self._limiter:
                limiter = self._limiter
                if limiter is not None:
                    await limiter.acquire()
                await self._until_free()
            if self._window is not None:
                self._window.add(asyncio.get_running_loop().time())

    async def _until_free(self) -> None:
        """Wait out a pause and a full second."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            left = self._held_until - now if self._held_until else 0.0
            if self._window is not None:
                left = max(left, self._window.left(now))
            if left <= 0:
                return
            await asyncio.sleep(left)

    def slow_to(self, rate: float | None) -> None:
        """Go at this rate from now on where it is below the cap; None for the cap alone.

        The turns of the last second count on.
        """
        if rate is None or (self._cap is not None and rate >= self._cap):
            rate = self._cap
        if rate == self._rate:
            return
        self._rate = rate
        self._limiter = None if rate is None else _limiter(rate)
        self._window = None if rate is None else _Window(rate, self._window)

    def pause(self, seconds: float) -> None:
        """Hold every request for that long from now; never shortens a longer pause."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    def held_until(self) -> float:
        """Return when the pause ends, on the loop's clock; now, if there is none."""
        return max(self._held_until, asyncio.get_running_loop().time())

    def is_holding(self) -> bool:
        """Tell whether a request waits for its turn, or would."""
        return self._gate.locked() or self._held_until > asyncio.get_running_loop().time()


class _Window:
    """Remember the last turns: as many as a second may hold, or could have held at a rate before."""

    def __init__(self, rate: float, previous: _Window | None = None) -> None:
        size = ceil(rate)
        self._size = size
        self._span_s = size / rate * _WINDOW_S
        turns = previous.turns if previous else ()
        self.turns: deque[float] = deque(turns, maxlen=max(size, previous.remembered if previous else 0))

    @property
    def remembered(self) -> int:
        """How many turns it remembers at most."""
        return self.turns.maxlen or 0

    def left(self, now: float) -> float:
        """Return how long until one more fits, in seconds."""
        if len(self.turns) < self._size:
            return 0.0
        return self.turns[-self._size] + self._span_s - now

    def add(self, now: float) -> None:
        """Take note of a turn; the oldest is forgotten."""
        self.turns.append(now)


def _limiter(rate: float) -> AsyncLimiter:
    bucket = max(_BUCKET_LEAST, rate * _BUCKET_SHARE)
    return AsyncLimiter(bucket, bucket / (rate * _RATE_SHARE))
