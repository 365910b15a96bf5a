"""`voltaware pull`: land the named periods."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen

from voltaware_async.cells import Dataset
from voltaware_async.cli.account import print_account
from voltaware_async.cli.arguments import DATASET, MONTH, RATE, WEEK
from voltaware_async.cli.exits import Exit, of_summary
from voltaware_async.cli.interrupts import Interruptible
from voltaware_async.cli.options import connection_options, json_option, store_option
from voltaware_async.cli.progress import display
from voltaware_async.cli.run import run
from voltaware_async.errors import DeviceIdError
from voltaware_async.fleet.plan import slices
from voltaware_async.periods import Month, Period, Week
from voltaware_async.protocol.requests import checked_device_id
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores import open_store

if TYPE_CHECKING:
    import anyio

    from voltaware_async.cli.options import Connection
    from voltaware_async.cli.progress import Display
    from voltaware_async.client import VoltawareClient

__all__ = ["Wanted", "land", "pull"]


@frozen
class Wanted:
    """Name what is to be landed where; `devices` is None for all."""

    target: str
    datasets: tuple[Dataset, ...]
    periods: tuple[Period, ...]
    devices: tuple[DeviceId, ...] | None = None


@click.command()
@store_option
@click.option("--month", "months", type=MONTH, multiple=True, help="Land the four month datasets of it.")
@click.option("--week", "weeks", type=WEEK, multiple=True, help="Land the three week datasets of it.")
@click.option("--with-weeks", is_flag=True, help="With --month: its full weeks too.")
@click.option(
    "--dataset", "datasets", type=DATASET, multiple=True, help="Land only this one; may be repeated."
)
@click.option("--device", "ids", multiple=True, metavar="ID", help="Only this one; may be repeated.")
@click.option(
    "--devices-from",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Only the ids in a file, one a line; - reads stdin.",
)
@click.option("--rate", type=RATE, default=50.0, show_default=True, help="Most requests/s, or `none`.")
@click.option(
    "--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Requests at once."
)
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress and no account.")
@connection_options
def pull(
    *,
    connection: Connection,
    target: str,
    months: tuple[Month, ...],
    weeks: tuple[Week, ...],
    with_weeks: bool,
    datasets: tuple[Dataset, ...],
    ids: tuple[str, ...],
    devices_from: Path | None,
    rate: float | None,
    concurrency: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Land the named periods in a store.

    What has landed before is not asked again; what was absent or failed is. Without --device all devices that
    the API lists are asked.
    """
    their_weeks = (week for month in months if with_weeks for week in month.weeks())
    periods: tuple[Period, ...] = (*months, *weeks, *their_weeks)
    wanted = Wanted(target, datasets or _datasets_of(periods), periods, _devices(ids, devices_from))
    _check(wanted)
    run(lambda: _pull(connection, wanted, rate, concurrency, as_json=as_json, quiet=quiet))


def _datasets_of(periods: tuple[Period, ...]) -> tuple[Dataset, ...]:
    kinds = {type(period) for period in periods}
    return tuple(dataset for dataset in Dataset if dataset.period_type in kinds)


def _devices(ids: tuple[str, ...], path: Path | None) -> tuple[DeviceId, ...] | None:
    if not ids and path is None:
        return None
    try:
        devices = tuple(checked_device_id(text) for text in (*ids, *(_lines(path) if path else ())))
    except DeviceIdError as error:
        raise click.UsageError(str(error)) from None
    if not devices:
        raise click.UsageError(f"{path} names no device; without --devices-from all devices are asked")
    return devices


def _lines(path: Path) -> tuple[str, ...]:
    if str(path) == "-" and sys.stdin is None:
        raise click.UsageError("- reads the ids from stdin, and stdin is closed")
    try:
        # The mark that editors put before UTF-8 is no part of the first id.
        with click.open_file(str(path), encoding="utf-8-sig") as file:
            return tuple(line.strip() for line in file if line.strip())
    except UnicodeDecodeError:
        raise click.UsageError(f"{path} is not UTF-8 text: give one id a line") from None
    except KeyboardInterrupt:
        click.echo("voltaware: interrupted", err=True)
        sys.exit(Exit.INTERRUPTED)


def _check(wanted: Wanted) -> None:
    if not wanted.periods:
        raise click.UsageError("name at least one period: --month 2024-07 or --week 2024-W28")
    try:
        slices(wanted.datasets, wanted.periods)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


async def _pull(
    connection: Connection,
    wanted: Wanted,
    rate: float | None,
    concurrency: int,
    *,
    as_json: bool,
    quiet: bool,
) -> Exit:
    shown = display(quiet=quiet)
    try:
        async with connection.client(rate, concurrency) as client:
            return await land(client, wanted, shown, command="pull")
    finally:
        if shown.summary is not None and (as_json or not quiet):
            print_account(shown.summary, wanted.target, as_json=as_json)


async def land(client: VoltawareClient, wanted: Wanted, shown: Display, *, command: str) -> Exit:
    """Land what is wanted, showing it; a signal ends it in order."""

    async def until_stopped(stop: anyio.Event) -> Exit:
        with shown:
            summary = await client.fleet.land(
                store,
                wanted.datasets,
                wanted.periods,
                wanted.devices,
                command=command,
                watcher=shown,
                stop=stop,
            )
        return of_summary(summary)

    with open_store(wanted.target) as store:
        return await Interruptible().run(until_stopped)
