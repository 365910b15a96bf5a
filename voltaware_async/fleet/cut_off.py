"""Cut-off: a run that may take only so long ends in time, and what has arrived by then lands."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CutOff", "asking_s"]

# What is under way has that long to arrive; the last of it is left for the commit.
_LAST_CALL_S: Final = 10.0
_LAST_CALL_SHARE: Final = 0.1
_COMMIT_S: Final = 1.0
_COMMIT_SHARE: Final = 0.02


def asking_s(seconds: float) -> float:
    """Return for how long a run of so many seconds asks for anything new."""
    return _drop_s(seconds) - min(_LAST_CALL_S, seconds * _LAST_CALL_SHARE)


def _drop_s(seconds: float) -> float:
    """Return after how long what is still under way is dropped."""
    return seconds - min(_COMMIT_S, seconds * _COMMIT_SHARE)


class CutOff:
    """Bound a run by `seconds` from now; None is no bound."""

    def __init__(self, seconds: float | None) -> None:
        self._end: float | None = None
        if seconds is not None:
            now = asyncio.get_running_loop().time()
            self._end = now + _drop_s(seconds)
            self._last_call = now + asking_s(seconds)
        self._has_struck = False

    @property
    def has_struck(self) -> bool:
        """Whether it has ended the handing out: something may be left unasked."""
        return self._has_struck

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[anyio.Event]:
        """Call `close` in time, to hand out no more; later set the event, to drop what is under way."""
        late = anyio.Event()
        if self._end is None:
            yield late
            return
        loop = asyncio.get_running_loop()
        timers = [loop.call_at(self._end, late.set)]
        if loop.time() < self._last_call:
            timers.append(loop.call_at(self._last_call, self._strike, close))
        else:  # a timer would let the first through
            self._strike(close)
        try:
            yield late
        finally:
            for timer in timers:
                timer.cancel()

    def _strike(self, close: Callable[[], None]) -> None:
        self._has_struck = True
        close()
