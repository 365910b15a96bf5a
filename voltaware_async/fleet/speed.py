"""Speed: how fast a run goes now, not on the average since it began."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Speed"]

_SPAN_S: Final = 10.0


class Speed:
    """Tell the rate of a growing count over the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def at(self, now: float, count: int) -> float:
        """Take note of the count, and return how much it grows in a second; 0 at first."""
        self._samples.append((now, count))
        while now - self._samples[0][0] > _SPAN_S:
            self._samples.popleft()
        since, earlier = self._samples[0]
        return (count - earlier) / (now - since) if now > since else 0.0
