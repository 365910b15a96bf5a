"""Run a command's coroutine: on the fastest loop there is, to an exit code and never to a traceback."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Final, NoReturn

from voltaware_async.cli.exits import Exit, of_error
from voltaware_async.cli.talk import Log, let_go, say
from voltaware_async.errors import VoltawareError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["run"]

_STDERR: Final = 2


def run(main: Callable[[], Coroutine[object, object, Exit]]) -> NoReturn:
    """Run to the end and exit with its code."""
    _hold_standard_streams()
    # What is loaded by now stays: the collector need not look at it again, nor at young objects so often.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    logging.basicConfig(format="voltaware: %(message)s", level=logging.WARNING, handlers=[Log()])
    # A warning is a sentence here: the line of code that raised it says nothing to who runs a command.
    warnings.formatwarning = lambda message, *_where, **_more: f"voltaware: {message}\n"
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(main())
    except VoltawareError as error:
        say(f"voltaware: {error}")
        code = of_error(error)
    except (OSError, ExceptionGroup) as caught:
        refused = _system_error(caught)
        if refused is None or refused.errno == errno.EPIPE:
            raise  # a bug; or a reader that has gone, for which click ends quietly
        say(f"voltaware: the system refused: {refused}")
        # What could not be written would be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = Exit.BUG
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("voltaware: interrupted")
        code = Exit.INTERRUPTED
    let_go()
    sys.exit(code)


def _system_error(error: Exception) -> OSError | None:
    """Return what the system refused, also from within groups; None if there is anything else."""
    if isinstance(error, OSError):
        return error
    if not isinstance(error, ExceptionGroup):
        return None
    refused = [_system_error(one) for one in error.exceptions]
    return refused[0] if all(refused) else None


def _hold_standard_streams() -> None:
    """Open what the caller has closed of the three: no socket or store may come in its place."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, where it is installed: a faster loop."""
    try:
        import uvloop  # noqa: PLC0415  the extra `speed`
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
