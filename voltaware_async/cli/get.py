"""`voltaware get`: one record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voltaware_async.cells import Absent, Cell, Dataset, Fetched
from voltaware_async.cli.arguments import DATASET, PERIOD
from voltaware_async.cli.exits import Exit
from voltaware_async.cli.options import connection_options
from voltaware_async.cli.run import run
from voltaware_async.cli.talk import say
from voltaware_async.protocol import codec
from voltaware_async.records.devices import DeviceId
from voltaware_async.records.disaggregation import Disaggregation, MonthByWeeks
from voltaware_async.records.reports import Report

if TYPE_CHECKING:
    from voltaware_async.cells import Record
    from voltaware_async.cli.options import Connection
    from voltaware_async.periods import Period

__all__ = ["get"]


@click.command()
@click.argument("dataset", type=DATASET)
@click.argument("device_id", metavar="ID")
@click.argument("period", type=PERIOD)
@connection_options
def get(*, connection: Connection, dataset: Dataset, device_id: str, period: Period) -> None:
    """Print one record as JSON, as the API words it.

    DATASET is one of month, month_weeks, week, month_cycles, week_cycles, month_report, week_report. PERIOD
    is a month, as 2024-07, or a week, as 2024-W28 or its Monday 2024-07-08.
    """
    try:
        cell = Cell(DeviceId(device_id), dataset, period)
    except TypeError:
        kind = dataset.period_type.__name__.lower()
        raise click.UsageError(f"{dataset} is asked for a {kind}, and {period} is none") from None
    run(lambda: _get(connection, cell))


async def _get(connection: Connection, cell: Cell) -> Exit:
    async with connection.client() as client:
        outcome = await client.fleet.fetch(cell)
    match outcome:
        case Fetched(record=record):
            click.echo(_as_json(cell.dataset, record))
        case Absent():
            say(f"voltaware: no {cell.dataset} of device {cell.device_id} for {cell.period}")
        case failed:
            raise failed.error
    return Exit.COMPLETE


def _as_json(dataset: Dataset, record: Record) -> bytes:
    match record:
        case Disaggregation():
            return codec.DISAGGREGATION.encode(record)
        case MonthByWeeks():
            return codec.MONTH_BY_WEEKS.encode(record)
        case Report():
            report = codec.MONTH_REPORT if dataset is Dataset.MONTH_REPORT else codec.WEEK_REPORT
            return report.encode(record)
        case cycles:
            return codec.CYCLES.encode(cycles)
