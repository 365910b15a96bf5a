"""What a server saw of a client: when its requests came, and how many in any second."""

from __future__ import annotations

import asyncio
import time
from array import array
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import asdict, frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Arrivals", "Seen", "seen"]

_TICK_S: Final = 0.005
_Times: TypeAlias = "array[float]"


@frozen
class Seen:
    """Hold the figures of one client: requests, and requests per second.

    `stalled_ms` is the longest that the server itself was kept from looking: requests that came meanwhile
    count as one burst, which nobody may have sent.
    """

    count: int
    first_second: int
    worst_second: int
    sustained: float
    stalled_ms: float


class Arrivals:
    """Note when requests come, and how long the event loop stood still."""

    def __init__(self) -> None:
        self._times: _Times = array("d")
        self._stalled_s = 0.0

    def add(self) -> None:
        """Note that a request came."""
        self._times.append(time.monotonic())

    def watch(self, due: float | None = None) -> None:
        """Look from now on how late the event loop is, every 5 ms."""
        now = time.monotonic()
        if due is not None:
            self._stalled_s = max(self._stalled_s, now - due)
        asyncio.get_running_loop().call_later(_TICK_S, self.watch, now + _TICK_S)

    def told(self) -> dict[str, float]:
        """Return the figures since the last such question, and begin anew."""
        figures = seen(self._times, self._stalled_s)
        del self._times[:]
        self._stalled_s = 0.0
        return asdict(figures)


def seen(times: Sequence[float], stalled_s: float) -> Seen:
    """Work out the figures of ascending times, in seconds; nothing is sustained by a single request."""
    lasted = times[-1] - times[0] if times else 0.0
    sustained = (len(times) - 1) / lasted if lasted else 0.0
    first = _before(times, 0, times[0] + 1) if times else 0
    return Seen(len(times), first, _worst_second(times), sustained, stalled_s * 1000)


def _worst_second(times: Sequence[float]) -> int:
    """Count the requests of the fullest sliding second: one that begins with a request is as full as any."""
    end = worst = 0
    for start, arrival in enumerate(times):
        end = _before(times, end, arrival + 1)
        worst = max(worst, end - start)
    return worst


def _before(times: Sequence[float], at: int, instant: float) -> int:
    """Return the index of the first arrival, from `at` on, that is not before an instant."""
    while at < len(times) and times[at] < instant:
        at += 1
    return at
