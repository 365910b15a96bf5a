"""The thread that a store is called in: it wants one caller at a time, and must not hold the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from voltaware_async.fleet.outlast import outlasted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["StoreThread"]

P = ParamSpec("P")
T = TypeVar("T")


class StoreThread:
    """Call a store in its own thread; a context manager, which ends with the thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "voltaware store")

    async def call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns; see its end also when cancelled.

        A call that nobody waits for would go on while the store is closed, and what it lands be counted as
        unasked.
        """
        work = asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args, **kwargs))
        cancelled = await outlasted(work)
        result = work.result()
        if cancelled is not None:
            raise cancelled
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
