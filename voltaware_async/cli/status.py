"""`voltaware status`: what a store holds and what it lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.options import json_option, store_option
from voltaware_async.cli.run import run
from voltaware_async.cli.shown import shown
from voltaware_async.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.stores import Coverage, FailureReason

__all__ = ["status"]

_NO_END: Final = 10_000


@click.command()
@store_option
@click.option("--failed", "of_failures", is_flag=True, help="Show why cells failed, with an example of each.")
@json_option
def status(*, target: str, of_failures: bool, as_json: bool) -> None:
    """Show the coverage per dataset and period: landed, absent, failed, never asked.

    Sends nothing. A device counts as never asked if the store knows it from other cells only.
    """
    run(lambda: _status(target, of_failures=of_failures, as_json=as_json))


async def _status(target: str, *, of_failures: bool, as_json: bool) -> Exit:
    with open_store(target, read_only=True) as store:
        if of_failures:
            _print_failures(store.failures(), as_json=as_json)
        else:
            _print_coverage(store.coverage(), as_json=as_json)
    return Exit.COMPLETE


def _print_coverage(coverage: Sequence[Coverage], *, as_json: bool) -> None:
    names = ("dataset", "period", "landed", "absent", "failed", "never_asked")
    _print(
        names,
        [
            (str(it.dataset), str(it.period), it.landed, it.absent, it.failed, it.never_asked)
            for it in coverage
        ],
        as_json=as_json,
        empty="nothing has been asked yet",
    )


def _print_failures(reasons: Sequence[FailureReason], *, as_json: bool) -> None:
    _print(
        ("cells", "example", "reason"),
        [(it.cells, str(it.example), it.reason) for it in reasons],
        as_json=as_json,
        empty="no cell failed",
    )


def _print(
    names: tuple[str, ...], rows: Sequence[tuple[str | int, ...]], *, as_json: bool, empty: str
) -> None:
    if as_json:
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    if not rows:
        click.echo(f"voltaware: {empty}", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for name, value in zip(names, rows[0], strict=True):
        table.add_column(name.replace("_", " "), justify="right" if isinstance(value, int) else "left")
    for row in rows:
        table.add_row(*(shown(str(value)) for value in row))
    # As they are: an id or a reason may look like markup, and only a terminal's lines come to an end.
    width = None if Console().is_terminal else _NO_END
    Console(width=width, soft_wrap=True, markup=False, emoji=False, highlight=False).print(table)
