"""Options of the commands that land a fleet, handed over as one value."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from attrs import frozen

from voltaware_async.cli.arguments import DURATION, RATE
from voltaware_async.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RunOptions", "run_options"]

T = TypeVar("T")


@frozen
class RunOptions:
    """Hold what a command was told about its run.

    `rate` is in requests/s, None for no limit; `max_duration` is in seconds, None for no end; `heartbeat` is
    the file to keep current, None for none.
    """

    rate: float | None
    concurrency: int
    max_duration: float | None
    heartbeat: Path | None
    as_json: bool
    quiet: bool


def run_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add the flags that say how a run goes and is shown; the command gets them as `options`."""

    @click.option("--rate", type=RATE, default=50.0, show_default=True, help="Most requests/s, or `none`.")
    @click.option(
        "--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Requests at once."
    )
    @click.option(
        "--max-duration",
        type=DURATION,
        help="Stop after this, such as 8h or 1h30m; what has arrived is landed.",
    )
    @click.option(
        "--heartbeat",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Keep a small JSON file current, for monitoring.",
    )
    @json_option
    @click.option("--quiet", is_flag=True, help="Show no progress and no account.")
    @functools.wraps(command)
    def with_options(
        *,
        rate: float | None,
        concurrency: int,
        max_duration: float | None,
        heartbeat: Path | None,
        as_json: bool,
        quiet: bool,
        **arguments: object,
    ) -> T:
        options = RunOptions(rate, concurrency, max_duration, heartbeat, as_json, quiet)
        return command(options=options, **arguments)

    return with_options
