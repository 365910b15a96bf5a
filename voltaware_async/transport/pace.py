"""Pace: at most `rate` requests in any sliding second, as the server sees it."""

from __future__ import annotations

import asyncio
from typing import Final

from aiolimiter import AsyncLimiter

from voltaware_async.errors import ConfigurationError

__all__ = ["Pace"]

# A leaky bucket of size B and rate r lets B + r through in its first second. With 1 % of the cap as
# the bucket and 98.5 % as the rate, the sum stays under the cap, and 5 to 15 ms are left for requests
# that reach the server closer together than they were sent.
_BUCKET_SHARE: Final = 0.01
_RATE_SHARE: Final = 0.985


class Pace:
    """Let requests go one by one, and hold them all when the API asks for a pause.

    `rate` is in requests per second, None for no limit. Turns are given in the order asked. A turn that is
    cancelled while it waits is not lost.
    """

    def __init__(self, rate: float | None) -> None:
        if rate is not None and not 0 < rate < float("inf"):
            raise ConfigurationError(f"rate must be over 0 requests/s, or None for no limit; got {rate!r}")
        self._limiter = None if rate is None else _limiter(rate)
        self._held_until = 0.0

    async def turn(self) -> None:
        """Wait until one request may be sent."""
        while True:
            if self._limiter is not None:
                await self._limiter.acquire()
            # A pause may have begun while we stood in the queue: then this turn lapses.
            left = self._pause_left()
            if left <= 0:
                return
            await asyncio.sleep(left)

    def pause(self, seconds: float) -> None:
        """Hold every request for that long from now; never shortens a longer pause."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    def _pause_left(self) -> float:
        return self._held_until - asyncio.get_running_loop().time() if self._held_until else 0.0


def _limiter(rate: float) -> AsyncLimiter:
    bucket = max(1.0, rate * _BUCKET_SHARE)
    return AsyncLimiter(bucket, bucket / (rate * _RATE_SHARE))
