"""Supply: cells in pages, handed to many workers one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from voltaware_async.cells import Cell

__all__ = ["Supply", "one_page"]


async def one_page(cells: Iterable[Cell]) -> AsyncIterator[Iterable[Cell]]:
    """Make a single page of cells that need no waiting."""
    yield cells


class Supply:
    """Hand out cells, turning the page when one is used up; no worker waits but for the turning."""

    def __init__(self, pages: AsyncIterator[Iterable[Cell]]) -> None:
        self._pages = pages
        self._page: Iterator[Cell] = iter(())
        self._turning = asyncio.Lock()

    async def take(self) -> Cell | None:
        """Return the next cell, or None when there are no more."""
        cell = next(self._page, None)
        if cell is not None:
            return cell
        async with self._turning:
            return await self._turned()

    async def _turned(self) -> Cell | None:
        """Return the next cell of the first page that has one; another worker may have turned to it."""
        while (cell := next(self._page, None)) is None:
            page = await anext(self._pages, None)
            if page is None:
                return None
            self._page = iter(page)
        return cell
