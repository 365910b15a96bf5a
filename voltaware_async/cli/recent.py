"""Recent: what a run has reported of late, and for how long it has not."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from voltaware_async.fleet.summary import Progress

__all__ = ["SILENCE_S", "Recent"]

# As long as what Progress takes its rate over: after this there is none.
SILENCE_S: Final = 10.0

_WINDOW_S: Final = 60.0
_MEANINGFUL_S: Final = 10.0
_SAMPLE_EVERY_S: Final = 1.0
_FEWEST: Final = 2


@define
class Recent:
    """Remember where a run stands, and how it came there within the last minute; instants are in seconds.

    Progress is reported with what arrives. Only the clock can tell that nothing does.
    """

    _arrived_at: float
    _heard_at: float = field(init=False, default=0.0)
    progress: Progress | None = None
    _samples: deque[tuple[float, int]] = field(factory=deque)

    def hear(self, progress: Progress, now: float) -> bool:
        """Take note of where the run stands; return whether anything has arrived since."""
        is_news = _arrived(progress) != _arrived(self.progress)
        self.progress = progress
        self._heard_at = now
        if is_news:
            self._arrived_at = now
        if progress.planned and (not self._samples or now - self._samples[-1][0] >= _SAMPLE_EVERY_S):
            self._samples.append((now, progress.done))
        return is_news

    def silent_s(self, now: float) -> float:
        """Return for how long nothing has arrived."""
        return now - self._arrived_at

    def rate_per_s(self, now: float) -> float:
        """Return the requests per second of the last report; 0 where there has been none for ten seconds."""
        is_fresh = now - self._heard_at < SILENCE_S
        return self.progress.rate_per_s if self.progress is not None and is_fresh else 0.0

    def cells_per_s(self, now: float) -> float | None:
        """Return how many cells end in a second, over the last minute; None until that means something."""
        # As few are kept always: a slow run may go without for longer than the window.
        while len(self._samples) > _FEWEST and now - self._samples[0][0] > _WINDOW_S:
            self._samples.popleft()
        if self.progress is None or not self._samples:
            return None
        since, done = self._samples[0]
        ended = self.progress.done - done
        return ended / (now - since) if ended and now - since >= _MEANINGFUL_S else None


def _arrived(progress: Progress | None) -> tuple[int, int]:
    return (progress.done, progress.devices_done) if progress is not None else (0, 0)
