"""`voltaware check`: what does not add up in a store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.hints import hint
from voltaware_async.cli.options import json_option, store_option
from voltaware_async.cli.run import run
from voltaware_async.cli.tables import print_table
from voltaware_async.cli.talk import say
from voltaware_async.stores import open_store
from voltaware_async.stores.sql.checks import FINDINGS

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
        has_landed = bool(findings) or any(it.landed for it in store.coverage())
    if as_json:
        rows = [dict(zip(_COLUMNS, _row(it), strict=True)) for it in findings]
        click.echo(json.dumps(rows))
    elif findings:
        _print(findings, target)
    elif has_landed:
        click.echo("everything adds up")
    else:
        say("voltaware: nothing has landed yet, so there is nothing to check")
    return Exit.COMPLETE


def _print(findings: Sequence[FindingCount], target: str) -> None:
    print_table(_COLUMNS, [_row(it) for it in findings])
    for name in dict.fromkeys(it.finding for it in findings):
        click.echo(f"{name}: {FINDINGS[name]}")
    say(f"each of them:  {hint('export --table checks --to checks.csv', target)}")


def _row(it: FindingCount) -> tuple[str, str, str, int, str]:
    return (it.finding, it.dataset, str(it.period_start), it.cells, str(it.example))
