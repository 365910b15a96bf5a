"""Interrupts: the first SIGINT or SIGTERM ends a run in order, the second at once."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import anyio
from rich.console import Console

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.talk import is_heard_live, say
from voltaware_async.errors import VoltawareError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from anyio.abc import TaskStatus

__all__ = ["Interruptible"]

# Under the 5 s that are promised: what is left of them is for the last commit.
_GRACE_S: Final = 3.5
_CODES: Final = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}


class Interruptible:
    """Run work that can be asked to stop; `farewell` is what the first signal makes it say."""

    def __init__(self, farewell: str = "stopping; what has arrived is landed") -> None:
        self._farewell = farewell
        self._stop = anyio.Event()
        self._code: Exit | None = None
        self._error: VoltawareError | None = None

    async def run(
        self,
        work: Callable[[anyio.Event], Awaitable[Exit]],
        *,
        beside: Callable[[], Coroutine[object, object, None]] | None = None,
    ) -> Exit:
        """Return the work's exit code, or the signal's; raise the VoltawareError that ended the work.

        The work gets an event that asks it to stop; if it has not, it is cancelled after a grace of 3.5 s.
        What runs `beside` it is cancelled when the work has ended.
        """
        code = Exit.BUG
        async with anyio.create_task_group() as group:
            await group.start(self._watch, group.cancel_scope)
            if beside is not None:
                group.start_soon(beside)
            try:
                code = await work(self._stop)
            except VoltawareError as error:
                self._error = error  # raised below: a task group would wrap it
            group.cancel_scope.cancel()
        if self._error is not None:
            raise self._error
        return self._code or code

    async def _watch(self, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(*_CODES) as signals:
            task_status.started()
            first = await anext(signals)
            self._code = _CODES[first]
            say(f"voltaware: {self._farewell}. Once more ends it at once.")
            self._stop.set()
            with anyio.move_on_after(_GRACE_S):
                _end_at_once(await anext(signals))
            scope.cancel()


def _end_at_once(signum: signal.Signals) -> None:
    """Die of the signal itself, as a scheduler expects; the store rolls back what was not committed."""
    if is_heard_live():  # the live display that hid the cursor does not come to its end
        Console(stderr=True).show_cursor()
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
