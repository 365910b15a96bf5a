"""`voltaware export`: rows out of a store."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import click
from anyio import to_thread
from attrs import frozen

from voltaware_async.cli.arguments import MONTH, WEEK
from voltaware_async.cli.cell_options import device_options
from voltaware_async.cli.exits import Exit
from voltaware_async.cli.interrupts import Interruptible
from voltaware_async.cli.options import store_option
from voltaware_async.cli.run import run
from voltaware_async.cli.talk import let_go, say
from voltaware_async.errors import ConfigurationError
from voltaware_async.stores import open_store
from voltaware_async.stores.export import Filter, Format
from voltaware_async.stores.export.output import OutputError, place_of, standard_output, whole_file
from voltaware_async.stores.targets import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Month, Week
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.export.output import Output

__all__ = ["export"]

_STDOUT: Final = "-"


class _StoppedError(Exception):
    """Was asked to stop."""


@frozen
class _Order:
    """Name the rows that are wanted, and where to."""

    target: str
    table: str
    wanted: Filter
    path: Path | None
    form: Format

    @property
    def output(self) -> str:
        """What people call where the rows go."""
        return "stdout" if self.path is None else str(self.path)

    def open(self) -> AbstractContextManager[Output]:
        """Open the output."""
        return standard_output() if self.path is None else whole_file(self.path)


@click.command()
@store_option
@click.option("--table", required=True, help="A table or view of the store.")
@click.option("--to", "to", required=True, metavar="FILE", help="FILE.parquet, .csv or .jsonl; - is stdout.")
@click.option(
    "--format",
    "chosen",
    type=click.Choice([it.value for it in Format]),
    help="Whatever the file's name tells.",
)
@click.option("--month", "months", type=MONTH, multiple=True, help="Only rows of it; may be repeated.")
@click.option("--week", "weeks", type=WEEK, multiple=True, help="Only rows of it; may be repeated.")
@device_options
def export(
    *,
    target: str,
    table: str,
    to: str,
    chosen: str | None,
    months: tuple[Month, ...],
    weeks: tuple[Week, ...],
    datasets: tuple[Dataset, ...],
    devices: tuple[DeviceId, ...] | None,
) -> None:
    """Write the rows of a table or view to a file: Parquet, CSV or JSON lines.

    Tables: consumption, totals, cycles, report_days, reports, devices, expected, ledger, revisions, runs.
    Views: monthly_kwh, ev_charging_by_hour, coverage, checks.

    Sends nothing, and changes nothing in the store. The file is there when it is whole, in place of one of
    the same name; until then, and if it never is, that one stays. A row is of a month, or of a week, if its
    period lies within it: a month has its clipped weeks too, and the full weeks that begin and end in it.
    """
    wanted = Filter(datasets=datasets, periods=(*months, *weeks), devices=devices or ())
    path, form = _destination(to, Format(chosen) if chosen else None)
    run(lambda: _export(_Order(target, table, wanted, path, form)))


def _destination(to: str, chosen: Format | None) -> tuple[Path | None, Format]:
    """Tell file and format; None for stdout."""
    if to != _STDOUT:
        try:
            return Path(to), chosen or Format.of(Path(to))
        except ConfigurationError as error:
            raise click.UsageError(f"{error} with --format") from None
    if chosen is None or chosen is Format.PARQUET:
        raise click.UsageError("rows go to stdout as text: say which, --format csv or --format jsonl")
    return None, chosen


async def _export(order: _Order) -> Exit:
    if order.path is not None:
        _refuse_store(order.path, order.target)
    has_ended = threading.Event()

    def work(stop: anyio.Event) -> Exit:
        try:
            return _carry_out(order, stop.is_set)
        finally:
            has_ended.set()

    async def until_stopped(stop: anyio.Event) -> Exit:
        return await to_thread.run_sync(partial(work, stop), abandon_on_cancel=True)

    code = await Interruptible("stopping").run(until_stopped)
    if not has_ended.is_set():
        let_go()
        os._exit(code)  # the store still works out the first row, and Python would wait for it
    return code


def _refuse_store(path: Path, target: str) -> None:
    """Refuse to replace a store by rows of it, or to lay them among the files of one."""
    if holds(target, place_of(path)):
        raise ConfigurationError(f"{path} is the store itself, or lies within it: name another file")


def _carry_out(order: _Order, is_stopped: Callable[[], bool]) -> Exit:
    """Write the rows and say how many; what the system refuses is said too."""
    try:
        rows = _write(order, is_stopped)
    except _StoppedError:
        return Exit.INCOMPLETE  # the code is the signal's
    except OutputError as error:
        if not isinstance(error.__cause__, BrokenPipeError):  # whoever read has gone, and wants no more
            say(f"voltaware: {error}")
        return Exit.BUG
    say(f"voltaware: {rows:,} rows of {order.table} to {order.output}")
    return Exit.COMPLETE


def _write(order: _Order, is_stopped: Callable[[], bool]) -> int:
    with open_store(order.target, read_only=True) as store, store.rows(order.table, order.wanted) as batches:
        from voltaware_async.stores.export.writing import write_rows  # noqa: PLC0415  an extra

        with order.open() as output:
            return write_rows(_until(is_stopped, batches), batches.schema, order.form, output)


def _until(is_stopped: Callable[[], bool], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if is_stopped():
            raise _StoppedError
        yield batch
