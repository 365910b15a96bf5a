"""What the API has restated, for `voltaware status --restated`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from voltaware_async.cli.hints import hint
from voltaware_async.cli.shown import instant
from voltaware_async.cli.tables import print_table
from voltaware_async.cli.talk import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.stores import Revision

__all__ = ["MOST_REVISIONS", "print_revisions"]

MOST_REVISIONS: Final = 100
_COLUMNS: Final = ("revised_at", "device", "dataset", "period", "old_kwh", "new_kwh", "change")
_OBJECT: Final = ("revised_at", "device_id", "dataset", "period", "old_total_wh", "new_total_wh", "run_id")
_WH_PER_KWH: Final = 1000


def print_revisions(revisions: Sequence[Revision], target: str, *, as_json: bool) -> None:
    """Print the latest revisions, the newest first."""
    if as_json:
        click.echo(json.dumps([_object(it) for it in revisions]))
    elif revisions:
        print_table(_COLUMNS, [_row(it) for it in revisions])
        if len(revisions) == MOST_REVISIONS:
            say(f"all of them:  {hint('export --table revisions --to revisions.csv', target)}")
    else:
        say("voltaware: nothing was restated; a pull --refresh or a sync --refresh-months would find it")


def _object(it: Revision) -> dict[str, str | float | None]:
    identity = (instant(it.revised_at), str(it.device_id), it.dataset.value, str(it.period))
    return dict(zip(_OBJECT, (*identity, it.old_total_wh, it.new_total_wh, it.run_id), strict=True))


def _row(it: Revision) -> tuple[str, ...]:
    return (
        instant(it.revised_at),
        str(it.device_id),
        it.dataset.value,
        str(it.period),
        _kwh(it.old_total_wh),
        _kwh(it.new_total_wh),
        _change(it.old_total_wh, it.new_total_wh),
    )


def _kwh(wh: float | None) -> str:
    return "" if wh is None else f"{wh / _WH_PER_KWH:,.2f}"


def _change(old: float | None, new: float | None) -> str:
    """Word a change of the total; where that is the same, the appliances or cycles have changed."""
    if not old or new is None:
        return ""
    return f"{new / old - 1:+.2%}" if new != old else "its parts"
