"""Options that say which cells a command is about: periods, datasets, devices."""

from __future__ import annotations

import functools
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click
from attrs import frozen

from voltaware_async.cells import Dataset
from voltaware_async.cli.arguments import DATASET, DAY, MONTH, WEEK
from voltaware_async.cli.exits import Exit
from voltaware_async.cli.talk import say
from voltaware_async.errors import ConfigurationError, DeviceIdError
from voltaware_async.fleet.due import HORIZON_MONTHS, as_of_day
from voltaware_async.fleet.plan import slices
from voltaware_async.periods import Month, Period, Week
from voltaware_async.protocol.requests import checked_device_id
from voltaware_async.records.devices import DeviceId

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "NightOptions",
    "Wanted",
    "device_options",
    "night_options",
    "period_options",
    "refresh_option",
    "wanted",
]

T = TypeVar("T")


@frozen
class Wanted:
    """Name what is to be landed; `devices` is None for all."""

    datasets: tuple[Dataset, ...]
    periods: tuple[Period, ...]
    devices: tuple[DeviceId, ...] | None = None


@frozen
class NightOptions:
    """Name the day that a night takes for today, None for the clock's, and how far it looks back.

    Of so many months at the end it asks once more what has landed.
    """

    as_of: date | None
    horizon_months: int
    refresh_months: int


def period_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add the flags that name periods; the command gets them as `periods`."""

    @click.option("--month", "months", type=MONTH, multiple=True, help="The four month datasets of it.")
    @click.option("--week", "weeks", type=WEEK, multiple=True, help="The three week datasets of it.")
    @click.option("--with-weeks", is_flag=True, help="With --month: its full weeks too.")
    @functools.wraps(command)
    def with_periods(
        *, months: tuple[Month, ...], weeks: tuple[Week, ...], with_weeks: bool, **arguments: object
    ) -> T:
        if with_weeks and not months:
            raise click.UsageError("--with-weeks adds the weeks of a month: name one with --month 2024-07")
        their_weeks = (week for month in months if with_weeks for week in month.weeks())
        return command(periods=(*months, *weeks, *their_weeks), **arguments)

    return with_periods


refresh_option: Final = click.option(
    "--refresh", is_flag=True, help="Ask once more what has landed, in case it was restated."
)


def night_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add the flags that name a night; the command gets them as `night`."""

    @click.option("--as-of", type=DAY, help="The day to take for today.  [default: today in UTC]")
    @click.option(
        "--horizon-months",
        type=click.IntRange(1, 120),
        default=HORIZON_MONTHS,
        show_default=True,
        help="How far back results are due.",
    )
    @click.option(
        "--refresh-months",
        type=click.IntRange(0, 120),
        default=0,
        show_default=True,
        help="Of how many of these months to ask once more what has landed, in case it was restated.",
    )
    @functools.wraps(command)
    def with_night(*, as_of: date | None, horizon_months: int, refresh_months: int, **arguments: object) -> T:
        if refresh_months > horizon_months:
            raise click.UsageError("--refresh-months goes no further back than --horizon-months")
        try:
            as_of_day(as_of)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None
        return command(night=NightOptions(as_of, horizon_months, refresh_months), **arguments)

    return with_night


def device_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add the flags that narrow a run; the command gets `datasets`, and `devices`, None for all."""

    @click.option("--dataset", "datasets", type=DATASET, multiple=True, help="Only this; may be repeated.")
    @click.option("--device", "ids", multiple=True, metavar="ID", help="Only this one; may be repeated.")
    @click.option(
        "--devices-from",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
        help="Only the ids in a file, one a line; - reads stdin.",
    )
    @functools.wraps(command)
    def with_devices(*, ids: tuple[str, ...], devices_from: Path | None, **arguments: object) -> T:
        return command(devices=_devices(ids, devices_from), **arguments)

    return with_devices


def wanted(
    datasets: tuple[Dataset, ...], periods: tuple[Period, ...], devices: tuple[DeviceId, ...] | None
) -> Wanted:
    """Return what the flags name, all datasets of the periods by default; a UsageError if it is nothing."""
    if not periods:
        raise click.UsageError("name at least one period: --month 2024-07 or --week 2024-W28")
    kinds = {type(period) for period in periods}
    chosen = datasets or tuple(dataset for dataset in Dataset if dataset.period_type in kinds)
    try:
        slices(chosen, periods)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return Wanted(chosen, periods, devices)


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
        say("voltaware: interrupted")
        sys.exit(Exit.INTERRUPTED)
