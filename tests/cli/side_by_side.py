"""Commands that need nothing of each other, run side by side: a process spends most of its time starting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conftest import Ended

Arguments = tuple[str, ...]


def side_by_side(
    voltaware: Callable[..., Ended], lines: Sequence[Arguments], **variables: str
) -> dict[Arguments, Ended]:
    """Return how each command line ended."""
    with ThreadPoolExecutor(3) as pool:
        return dict(zip(lines, pool.map(lambda line: voltaware(*line, **variables), lines), strict=True))
