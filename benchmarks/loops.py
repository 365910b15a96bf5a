"""The event loops that the figures are taken on: the stock one, and uvloop where it is installed."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LOOPS"]


def _loops() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if find_spec("uvloop") is None:
        return {"asyncio": asyncio.SelectorEventLoop}
    import uvloop  # noqa: PLC0415  an extra

    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


LOOPS = _loops()
