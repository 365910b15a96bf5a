"""Supply: cells, or whatever else is to be asked, in pages, handed to many workers one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

__all__ = ["Supply", "one_page", "paged"]

T = TypeVar("T")


async def one_page(items: Iterable[T]) -> AsyncIterator[Iterable[T]]:
    """Make a single page of what needs no waiting."""
    yield items


async def paged(
    turn: Callable[[int], Awaitable[tuple[Sequence[T], int]]],
) -> AsyncIterator[Sequence[T]]:
    """Turn the pages of a store, first to last; `turn` takes the position to go on after."""
    last = -1
    while True:
        page, last = await turn(last)
        if not page:
            return
        yield page


class Supply(Generic[T]):
    """Hand out one by one, turning the page when one is used up; no worker waits but for the turning."""

    def __init__(self, pages: AsyncIterator[Iterable[T]]) -> None:
        self._pages = pages
        self._page: Iterator[T] = iter(())
        self._turning = asyncio.Lock()
        self._is_closed = False

    def close(self) -> None:
        """Hand out no more."""
        self._is_closed = True

    async def take(self) -> T | None:
        """Return the next one, or None when there are no more."""
        if self._is_closed:
            return None
        item = next(self._page, None)
        if item is not None:
            return item
        async with self._turning:
            return await self._turned()

    async def _turned(self) -> T | None:
        """Return the next one of the first page that has any; another worker may have turned to it."""
        while not self._is_closed:
            item = next(self._page, None)
            if item is not None:
                return item
            page = await anext(self._pages, None)
            if page is None:
                return None
            self._page = iter(page)
        return None
