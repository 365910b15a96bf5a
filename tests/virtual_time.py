"""Virtual time: an event loop whose clock jumps to the next timer whenever nothing else is left to do.

Hours pass in milliseconds. Real sockets of this machine work on it: a jump waits a moment for bytes that are
under way between two sockets.
"""

from __future__ import annotations

import asyncio
import selectors

import pytest

__all__ = ["JumpingLoop", "in_virtual_time", "run"]

# How long the kernel may take to carry bytes from one socket of this process to another.
_GRACE_S = 0.002
# No clock stands still: a turn of the loop takes this long.
_TURN_S = 1e-7
_START_S = 1_000.0


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = _START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += _TURN_S
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        # One file descriptor is the loop's own pipe: without another there is nothing to wait for.
        events = super().select(_GRACE_S if len(self.get_map()) > 1 else 0)
        if not events:
            self.now += timeout
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """Be a loop whose `time()` goes by its timers alone."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


in_virtual_time = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("asyncio", {"loop_factory": JumpingLoop}), id="virtual")]
)
"""Mark an async test that is to run on a JumpingLoop, its fixtures included."""


def run(main: object) -> object:
    """Run a coroutine on a JumpingLoop: for laws, whose every example needs a loop of its own."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)
