"""Pace: at most `rate` requests in any sliding second, as the server sees it."""

from __future__ import annotations

import asyncio
from collections import deque
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
        self._limiter = None if rate is None else _limiter(rate)
        self._window = None if rate is None else _Window(rate)
        self._gate = asyncio.Lock()
        self._held_until = 0.0

    async def turn(self) -> None:
        """Wait until one request may be sent."""
        if self._limiter is None or self._window is None:
            await self._until_free(None)
            return
        # One at a time: whoever gives up at the gate has taken nothing from those behind.
        async with self._gate:
            await self._until_free(self._window)
            await self._limiter.acquire()
            # A pause may have begun meanwhile.
            await self._until_free(self._window)
            self._window.add(asyncio.get_running_loop().time())

    async def _until_free(self, window: _Window | None) -> None:
        """Wait out a pause and a full second."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            left = self._held_until - now if self._held_until else 0.0
            left = left if window is None else max(left, window.left(now))
            if left <= 0:
                return
            await asyncio.sleep(left)

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
    """Remember the last turns: as many as a second may hold."""

    def __init__(self, rate: float) -> None:
        size = max(1, int(rate))
        self._span_s = size / rate * _WINDOW_S
        self._turns: deque[float] = deque(maxlen=size)

    def left(self, now: float) -> float:
        """Return how long until one more fits, in seconds."""
        if len(self._turns) < (self._turns.maxlen or 0):
            return 0.0
        return self._turns[0] + self._span_s - now

    def add(self, now: float) -> None:
        """Take note of a turn; the oldest is forgotten."""
        self._turns.append(now)


def _limiter(rate: float) -> AsyncLimiter:
    bucket = max(_BUCKET_LEAST, rate * _BUCKET_SHARE)
    return AsyncLimiter(bucket, bucket / (rate * _RATE_SHARE))
