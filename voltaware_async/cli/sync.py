"""`voltaware sync`: land everything that is due and has not landed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voltaware_async.cells import Dataset
from voltaware_async.cli.cell_options import device_options, night_options
from voltaware_async.cli.landing import land_shown
from voltaware_async.cli.options import connection_options, store_option
from voltaware_async.cli.run import run
from voltaware_async.cli.run_options import run_options

if TYPE_CHECKING:
    import anyio

    from voltaware_async.cli.cell_options import NightOptions
    from voltaware_async.cli.options import Connection
    from voltaware_async.cli.run_options import RunOptions
    from voltaware_async.client import VoltawareClient
    from voltaware_async.fleet.landing import Watcher
    from voltaware_async.fleet.summary import Summary
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores import Store

__all__ = ["sync"]


@click.command()
@store_option
@night_options
@device_options
@run_options
@connection_options
def sync(
    *,
    connection: Connection,
    options: RunOptions,
    target: str,
    night: NightOptions,
    datasets: tuple[Dataset, ...],
    devices: tuple[DeviceId, ...] | None,
) -> None:
    """Land everything that is due and has not landed: the command for every night.

    A month is due from the third of the next, a week once its Sunday has passed, back to the horizon. What
    has landed is not asked again, but with --refresh-months. What failed is asked again every night, what was
    absent at growing intervals until it lies behind the horizon. A device that is new gets its back-fill;
    what ended before its first event is never asked.
    """

    async def work(client: VoltawareClient, store: Store, watcher: Watcher, stop: anyio.Event) -> Summary:
        return await client.fleet.sync(
            store,
            devices,
            datasets=datasets or tuple(Dataset),
            as_of=night.as_of,
            horizon_months=night.horizon_months,
            refresh_months=night.refresh_months,
            max_duration=options.max_duration,
            watcher=watcher,
            stop=stop,
        )

    run(lambda: land_shown(connection, target, options, "sync", work))
