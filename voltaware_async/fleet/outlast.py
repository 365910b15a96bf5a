"""Outlast: see work to its end, also when whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from anyio import CancelScope

__all__ = ["outlasted"]

T = TypeVar("T")


async def outlasted(work: asyncio.Future[T]) -> asyncio.CancelledError | None:
    """Wait until work has ended, however it ends; return a cancellation that came meanwhile, to be raised.

    The shield holds off scopes. The loop holds off `Task.cancel`, which is also what `asyncio.timeout` does,
    and how asyncio closes a generator that was left by a `break`.
    """
    cancelled: asyncio.CancelledError | None = None
    with CancelScope(shield=True):
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError as error:
                cancelled = error
    return cancelled
