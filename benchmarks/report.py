"""What every benchmark prints alike: the machine, a table, and a figure beside its bar."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["print_bar", "print_machine", "print_table"]

_PACKAGES: Final = ("aiohttp", "anyio", "attrs", "cattrs", "duckdb", "orjson", "pyarrow", "uvloop")


def print_machine() -> None:
    """Print, in one line, what the figures depend on; the load tells whether the machine was quiet."""
    facts = [
        f"{datetime.now(UTC):%Y-%m-%d}",
        _cpu(),
        f"{os.cpu_count()} cores",
        f"load {os.getloadavg()[0]:.1f}",
        f"{platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}",
        *(f"{name} {found}" for name in _PACKAGES if (found := _version(name))),
    ]
    print(", ".join(facts), end="\n\n")


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as they need to be: the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, *figures in lines:
        cells = (f"{text:>{width}}" for text, width in zip(figures, widths[1:], strict=True))
        print(f"{name:<{widths[0]}}", *cells, sep="  ", flush=True)
    print()


def print_bar(what: str, figure: str, bar: str, *, is_met: bool) -> None:
    """Print a figure beside the bar of the design."""
    print(f"{what}: {figure}  (bar {bar}: {'met' if is_met else 'MISSED'})", flush=True)


def _cpu() -> str:
    """Return the CPU's model, where Linux tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
