"""`voltaware status`: what a store holds and what it lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.hints import hint
from voltaware_async.cli.options import json_option, store_option
from voltaware_async.cli.restated import MOST_REVISIONS, print_revisions
from voltaware_async.cli.run import run
from voltaware_async.cli.tables import print_table
from voltaware_async.cli.talk import say
from voltaware_async.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voltaware_async.stores import Coverage, FailureReason, LastRun

__all__ = ["status"]

_COVERAGE = ("dataset", "period", "landed", "absent", "failed", "never_asked")
_MOST_REASONS = 100
_FAILURES = ("cells", "example", "reason")


@click.command()
@store_option
@click.option("--failed", "of_failures", is_flag=True, help="Show why cells failed, with an example of each.")
@click.option(
    "--restated", "of_revisions", is_flag=True, help="Show what the API has restated, newest first."
)
@json_option
def status(*, target: str, of_failures: bool, of_revisions: bool, as_json: bool) -> None:
    """Show the coverage per dataset and period, the oldest gap, and how the last run ended.

    Sends nothing. A gap is what failed or was never asked; an absent cell is none, for the API has answered
    that there is no result. What a run was to ask and did not come to counts as never asked.
    """
    if of_failures and of_revisions:
        raise click.UsageError("--failed and --restated are two questions: ask one at a time")
    run(lambda: _status(target, of_failures=of_failures, of_revisions=of_revisions, as_json=as_json))


async def _status(target: str, *, of_failures: bool, of_revisions: bool, as_json: bool) -> Exit:
    with open_store(target, read_only=True) as store:
        if of_failures:
            _print_failures(store.failures(_MOST_REASONS), store.last_run(), as_json=as_json)
        elif of_revisions:
            print_revisions(store.revisions(MOST_REVISIONS), target, as_json=as_json)
        else:
            coverage = store.coverage()
            _print_coverage(coverage, as_json=as_json)
            if not as_json:
                for line in _lines(coverage, store.last_run(), target):
                    click.echo(line)
    return Exit.COMPLETE


def _print_coverage(coverage: Sequence[Coverage], *, as_json: bool) -> None:
    rows = [
        (str(it.dataset), str(it.period), it.landed, it.absent, it.failed, it.never_asked) for it in coverage
    ]
    if as_json:
        gap = _oldest_gap(coverage)
        objects = (dict(zip(_COVERAGE, row, strict=True)) for row in rows)
        click.echo(
            json.dumps([{**one, "oldest_gap": it is gap} for one, it in zip(objects, coverage, strict=True)])
        )
    elif rows:
        print_table(_COVERAGE, rows)
    else:
        say("voltaware: nothing has been asked yet")


def _oldest_gap(coverage: Sequence[Coverage]) -> Coverage | None:
    gaps = [it for it in coverage if it.missing]
    return min(gaps, key=lambda it: (it.period.start, it.period.end), default=None)


def _lines(coverage: Sequence[Coverage], last: LastRun | None, target: str) -> Iterator[str]:
    gap = _oldest_gap(coverage)
    if coverage:
        yield "no gap: every cell has landed, or the API has no result" if gap is None else _gap(gap)
    if last is not None:
        yield _last_run(last)
    if any(it.failed for it in coverage):
        yield f"why cells failed:  {hint('status --failed', target)}"


def _gap(gap: Coverage) -> str:
    return f"oldest gap: {gap.dataset} {gap.period}: {gap.failed} failed, {gap.never_asked} never asked"


def _last_run(last: LastRun) -> str:
    began = f"last run: {last.command}, begun {last.started_at:%Y-%m-%d %H:%M:%S} UTC"
    if last.outcome is None:
        return f"{began}, was killed before its end; the same command again goes on where it stopped"
    left = f"{last.failed} failed, {last.unasked} unasked" if last.failed or last.unasked else ""
    return f"{began}: {last.outcome}{f' ({left})' if left else ''}"


def _print_failures(reasons: Sequence[FailureReason], last: LastRun | None, *, as_json: bool) -> None:
    rows = [(it.cells, str(it.example), it.reason) for it in reasons]
    if as_json:
        click.echo(json.dumps([dict(zip(_FAILURES, row, strict=True)) for row in rows]))
        return
    if rows:
        print_table(_FAILURES, rows)
    if len(rows) == _MOST_REASONS:
        say(f"voltaware: there may be more than these {_MOST_REASONS} reasons; ask the table ledger")
    elif last is not None and (last.failed or 0) > sum(it.cells for it in reasons):
        # The ledger goes on saying that they have landed.
        say("voltaware: in the last run cells failed that had landed before: what had landed stays")
    elif not rows:
        say("voltaware: no cell failed")
