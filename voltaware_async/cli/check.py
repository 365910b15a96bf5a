"""`voltaware check`: what does not add up in a store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.options import json_option, store_option
from voltaware_async.cli.run import run
from voltaware_async.cli.tables import print_table
from voltaware_async.cli.talk import say
from voltaware_async.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.stores import FindingCount

__all__ = ["check"]

_COLUMNS: Final = ("finding", "dataset", "period_start", "cells", "example")


@click.command()
@store_option
@json_option
def check(*, target: str, as_json: bool) -> None:
    """Show what does not add up: sums against totals, units, clock readings, values that cannot be.

    Sends nothing and changes nothing: rows are flagged in the view `checks`, never dropped. That something is
    found is no failure; the API's own examples break several of these sums.
    """
    run(lambda: _check(target, as_json=as_json))


async def _check(target: str, *, as_json: bool) -> Exit:
    with open_store(target, read_only=True) as store:
        findings = store.findings()
    if as_json:
        rows = [dict(zip(_COLUMNS, _row(it), strict=True)) for it in findings]
        click.echo(json.dumps(rows))
    else:
        _print(findings, target)
    return Exit.COMPLETE


def _print(findings: Sequence[FindingCount], target: str) -> None:
    if not findings:
        click.echo("everything adds up")
        return
    print_table(_COLUMNS, [_row(it) for it in findings])
    say(f"each of them:  voltaware export --store {target} --table checks --to checks.csv")


def _row(it: FindingCount) -> tuple[str, str, str, int, str]:
    return (it.finding, it.dataset, str(it.period_start), it.cells, str(it.example))
