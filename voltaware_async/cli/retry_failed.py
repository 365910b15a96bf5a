"""`voltaware retry-failed`: ask again only for the cells that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voltaware_async.cli.landing import land_shown
from voltaware_async.cli.options import connection_options, store_option
from voltaware_async.cli.run import run
from voltaware_async.cli.run_options import run_options

if TYPE_CHECKING:
    import anyio

    from voltaware_async.cli.options import Connection
    from voltaware_async.cli.run_options import RunOptions
    from voltaware_async.client import VoltawareClient
    from voltaware_async.fleet.landing import Watcher
    from voltaware_async.fleet.summary import Summary
    from voltaware_async.stores import Store

__all__ = ["retry_failed"]


@click.command()
@store_option
@run_options
@connection_options
def retry_failed(*, connection: Connection, options: RunOptions, target: str) -> None:
    """Ask again only for the cells whose last answer was an error, of whatever period.

    See them first with `voltaware status --failed`. A nightly sync asks them again by itself, as long as they
    do not lie behind its horizon.
    """

    async def work(client: VoltawareClient, store: Store, watcher: Watcher, stop: anyio.Event) -> Summary:
        return await client.fleet.retry_failed(
            store, max_duration=options.max_duration, watcher=watcher, stop=stop
        )

    # A mistyped name must not make a new store, in which nothing has failed.
    run(lambda: land_shown(connection, target, options, "retry-failed", work, must_exist=True))
