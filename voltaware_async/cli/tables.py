"""Tables on stdout: for people, and for whatever reads them line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from voltaware_async.cli.shown import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["print_table"]

_NO_END: Final = 10_000


def print_table(names: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    """Print rows under their names, numbers to the right; there must be a row."""
    table = Table(box=None, pad_edge=False)
    for name, value in zip(names, rows[0], strict=True):
        table.add_column(name.replace("_", " "), justify="right" if isinstance(value, int) else "left")
    for row in rows:
        table.add_row(*(shown(str(value)) for value in row))
    # As they are: an id or a reason may look like markup, and only a terminal's lines come to an end.
    width = None if Console().is_terminal else _NO_END
    Console(width=width, soft_wrap=True, markup=False, emoji=False, highlight=False).print(table)
