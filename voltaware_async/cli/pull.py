"""`voltaware pull`: land the named periods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voltaware_async.cli.cell_options import device_options, period_options, refresh_option, wanted
from voltaware_async.cli.landing import land_shown
from voltaware_async.cli.options import connection_options, store_option
from voltaware_async.cli.run import run
from voltaware_async.cli.run_options import run_options

if TYPE_CHECKING:
    import anyio

    from voltaware_async.cells import Dataset
    from voltaware_async.cli.cell_options import Wanted
    from voltaware_async.cli.landing import Work
    from voltaware_async.cli.options import Connection
    from voltaware_async.cli.run_options import RunOptions
    from voltaware_async.client import VoltawareClient
    from voltaware_async.fleet.landing import Watcher
    from voltaware_async.fleet.summary import Summary
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores import Store

__all__ = ["landing", "pull"]


@click.command()
@store_option
@period_options
@refresh_option
@device_options
@run_options
@connection_options
def pull(
    *,
    connection: Connection,
    options: RunOptions,
    target: str,
    periods: tuple[Period, ...],
    datasets: tuple[Dataset, ...],
    devices: tuple[DeviceId, ...] | None,
    refresh: bool,
) -> None:
    """Land the named periods in a store.

    What has landed before is not asked again, but with --refresh; what was absent or failed is. Without
    --device all devices that the API lists are asked.
    """
    chosen = wanted(datasets, periods, devices)
    work = landing(chosen, options.max_duration, command="pull", refresh=refresh)
    run(lambda: land_shown(connection, target, options, "pull", work))


def landing(wanted: Wanted, max_duration: float | None, command: str, *, refresh: bool = False) -> Work:
    """Return the work that lands what is wanted; `command` names it in the table `runs`."""

    async def land(client: VoltawareClient, store: Store, watcher: Watcher, stop: anyio.Event) -> Summary:
        return await client.fleet.land(
            store,
            wanted.datasets,
            wanted.periods,
            wanted.devices,
            refresh=refresh,
            command=command,
            watcher=watcher,
            stop=stop,
            max_duration=max_duration,
        )

    return land
