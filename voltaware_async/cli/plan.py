"""`voltaware plan`: what a pull or a sync would ask, and how long it would take."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from voltaware_async.cells import Dataset
from voltaware_async.cli.arguments import DURATION, RATE
from voltaware_async.cli.cell_options import (
    device_options,
    night_options,
    period_options,
    refresh_option,
    wanted,
)
from voltaware_async.cli.exits import Exit
from voltaware_async.cli.options import connection_options, json_option
from voltaware_async.cli.run import run
from voltaware_async.cli.shown import instant
from voltaware_async.cli.tables import print_table
from voltaware_async.stores.targets import open_to_plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from voltaware_async.cli.cell_options import NightOptions
    from voltaware_async.cli.options import Connection
    from voltaware_async.client import VoltawareClient
    from voltaware_async.fleet.plan import Plan
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores import Store

__all__ = ["plan"]

_HOUR_S: Final = 3600.0

Fact: TypeAlias = "str | int | float | bool | None"


@click.command()
@click.argument("of", type=click.Choice(["pull", "sync"]), required=False, metavar="[pull|sync]")
@click.option("--store", "target", help="The store to be filled; without it, as if nothing had landed.")
@period_options
@refresh_option
@night_options
@device_options
@click.option("--rate", type=RATE, default=50.0, show_default=True, help="Most requests/s, or `none`.")
@click.option("--window", type=DURATION, help="The time there is, such as 8h: does it fit?")
@json_option
@connection_options
def plan(
    *,
    connection: Connection,
    of: str | None,
    target: str | None,
    night: NightOptions,
    periods: tuple[Period, ...],
    datasets: tuple[Dataset, ...],
    devices: tuple[DeviceId, ...] | None,
    refresh: bool,
    rate: float | None,
    window: float | None,
    as_json: bool,
) -> None:
    """Show what a pull or a sync would ask: requests per dataset and period, hours, finish time.

    A period makes it a pull's plan, none a sync's. Sends nothing but GET /sensors, and writes nothing. A sync
    looks each new device up with a request, counted here as `devices`; the periods before its first event
    then fall away, so that it may ask less than planned. A pull looks a device with cycles up, once, for its
    time zone, which is not counted.
    """
    if of == "sync" and periods:
        raise click.UsageError("sync works its periods out by itself: leave --month and --week out")
    if periods and night.as_of is not None:
        raise click.UsageError("a pull asks for its periods on any day: leave --as-of out")
    if periods and night.refresh_months:
        raise click.UsageError("--refresh-months is a sync's; a pull takes --refresh")
    if refresh and of != "pull" and not periods:
        raise click.UsageError("--refresh is a pull's: name a period of it; a sync takes --refresh-months")

    async def of_sync(client: VoltawareClient, store: Store, ids: Sequence[DeviceId] | None) -> Plan:
        return await client.fleet.plan_sync(
            store,
            ids,
            datasets=datasets or tuple(Dataset),
            as_of=night.as_of,
            horizon_months=night.horizon_months,
            refresh_months=night.refresh_months,
        )

    async def of_pull(client: VoltawareClient, store: Store, ids: Sequence[DeviceId] | None) -> Plan:
        return await client.fleet.plan_land(store, chosen.datasets, chosen.periods, ids, refresh=refresh)

    if of == "pull" or periods:
        chosen = wanted(datasets, periods, devices)
        run(lambda: _show(_planned(connection, target, devices, of_pull), rate, window, as_json=as_json))
    run(lambda: _show(_planned(connection, target, devices, of_sync), rate, window, as_json=as_json))


async def _planned(
    connection: Connection,
    target: str | None,
    devices: Sequence[DeviceId] | None,
    work_out: Callable[[VoltawareClient, Store, Sequence[DeviceId] | None], Awaitable[Plan]],
) -> Plan:
    # The rate is that of the run to come: at one an hour, the plan's own two requests would take an hour.
    async with connection.client() as client:
        # Before the store is opened: whoever holds it keeps a run waiting.
        ids = await client.devices.list() if devices is None else devices
        with open_to_plan(target) as store:
            # An empty list is for the fleet to judge: the store may know better.
            return await work_out(client, store, ids or None)


async def _show(plan: Awaitable[Plan], rate: float | None, window: float | None, *, as_json: bool) -> Exit:
    planned = await plan
    facts = _facts(planned, rate, window, datetime.now(UTC))
    if as_json:
        click.echo(json.dumps({**facts, "parts": _parts(planned)}))
    else:
        _print(planned, facts, rate, window)
    return Exit.COMPLETE


def _facts(planned: Plan, rate: float | None, window: float | None, now: datetime) -> dict[str, Fact]:
    """Return what there is to say, under the names of the JSON object."""
    facts: dict[str, Fact] = {
        "requests": planned.requests,
        "devices": planned.look_ups,
        "skipped": planned.skipped,
        "rate_per_s": rate,
        "hours": None,
        "finish_at": None,
    }
    if rate is not None:
        seconds = planned.seconds_at(rate)
        facts["hours"] = round(seconds / _HOUR_S, 3)
        facts["finish_at"] = _finish(now, seconds)
    if window is not None:
        facts["window_hours"] = round(window / _HOUR_S, 3)
        facts["fits"] = None if rate is None else planned.fits(window, rate)
        facts["rate_needed_per_s"] = math.ceil(planned.rate_for(window))
        facts["nights_needed"] = None if rate is None else planned.nights_for(window, rate)
    return facts


def _finish(now: datetime, seconds: float) -> str | None:
    try:
        finish = now + timedelta(seconds=seconds)
    except OverflowError:  # thousands of years
        return None
    return instant(finish)


def _parts(planned: Plan) -> list[dict[str, str | int]]:
    return [
        {
            "dataset": count.dataset.value,
            "period": str(count.period),
            "never_asked": count.never_asked,
            "again": count.again,
            "refresh": count.refresh,
            "requests": count.planned,
        }
        for count in planned.counts
    ]


def _print(planned: Plan, facts: Mapping[str, Fact], rate: float | None, window: float | None) -> None:
    rows = [tuple(part.values()) for part in _parts(planned) if part["requests"]]
    if planned.look_ups:
        rows.insert(0, ("devices", "", planned.look_ups, 0, 0, planned.look_ups))
    if rows:
        print_table(("dataset", "period", "never_asked", "again", "refresh", "requests"), rows)
    for line in _lines(planned, facts, rate, window):
        click.echo(line)


def _lines(
    planned: Plan, facts: Mapping[str, Fact], rate: float | None, window: float | None
) -> Iterator[str]:
    already = f"; {planned.skipped} cells need no asking" if planned.skipped else ""
    if not planned.requests:
        yield f"nothing to ask{already}"
        return
    yield f"{planned.requests} requests{already}"
    if rate is None:
        yield "without a rate cap there is no telling how long it takes: give --rate"
    else:
        yield f"{_time(planned.seconds_at(rate))} at {rate:g}/s; begun now, done {facts['finish_at']}"
    if window is not None:
        yield _verdict(planned, rate, window)


def _verdict(planned: Plan, rate: float | None, window: float) -> str:
    needed = f"{math.ceil(planned.rate_for(window))}/s"
    if rate is None:
        return f"{_time(window)} need {needed}"
    if planned.fits(window, rate):
        return f"fits: {_time(planned.seconds_at(rate))} of {_time(window)}"
    return (
        f"does not fit: {_time(planned.seconds_at(rate))} for a window of {_time(window)}; "
        f"it needs {needed}, or {planned.nights_for(window, rate)} nights"
    )


def _time(seconds: float) -> str:
    """Word a time as people plan by it."""
    if seconds >= _HOUR_S:
        return f"{seconds / _HOUR_S:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"  # noqa: PLR2004
