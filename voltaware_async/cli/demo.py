"""`voltaware demo`: a whole fleet in a minute, without an account."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table

from voltaware_async.cells import Dataset
from voltaware_async.cli.account import print_account
from voltaware_async.cli.cell_options import Wanted
from voltaware_async.cli.landing import land_followed
from voltaware_async.cli.progress import display
from voltaware_async.cli.pull import landing
from voltaware_async.cli.run import run
from voltaware_async.cli.talk import say
from voltaware_async.client import VoltawareClient
from voltaware_async.errors import ConfigurationError
from voltaware_async.periods import Month
from voltaware_async.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from voltaware_async.cli.exits import Exit
    from voltaware_async.stores import ApplianceShare

__all__ = ["demo"]

_TARGET: Final = "voltaware-demo.duckdb"
_DEVICES: Final = 300
_RATE: Final = 400.0
_DATASETS: Final = (Dataset.MONTH, Dataset.MONTH_WEEKS, Dataset.MONTH_CYCLES, Dataset.WEEK)


@click.command()
def demo() -> None:
    """Pull a small synthetic fleet into ./voltaware-demo.duckdb, and show what landed.

    Starts the sandbox in a process of its own; needs no account and no network. Running it again asks only
    what has not landed.
    """
    run(_demo)


async def _demo() -> Exit:
    from voltaware_async.sandbox.server import CREDENTIALS  # noqa: PLC0415  other commands need no server

    month = _last_closed_month(datetime.now(UTC).date())
    say(f"A sandbox with {_DEVICES} devices, and {month} with its weeks into ./{_TARGET}:")
    work = landing(Wanted(_DATASETS, (month, *month.weeks())), None, command="demo")
    shown = display(quiet=False)
    with _sandbox() as base_url:
        client = VoltawareClient(
            CREDENTIALS.client_id, CREDENTIALS.client_secret, base_url=base_url, rate=_RATE
        )
        code = await land_followed(client, _TARGET, work, shown)
    with open_store(_TARGET, read_only=True) as store:
        _print_shares(month, store.consumption_by_appliance(Dataset.MONTH, month))
    if shown.summary is not None:
        print_account(shown.summary, "demo", _TARGET, as_json=False)
    _print_next(month)
    return code


def _last_closed_month(today: date) -> Month:
    month = Month.of(today).previous()
    return month if month.available_from <= today else month.previous()


@contextmanager
def _sandbox() -> Iterator[str]:
    """Run the sandbox in a process of its own, and give its base URL."""
    command = [sys.executable, "-m", "voltaware_async.cli", "sandbox", "--devices", str(_DEVICES)]
    # A session of its own: Ctrl-C is for us, and must not take the API away from under the pull.
    with subprocess.Popen(  # noqa: S603  our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        try:
            yield _base_url(process)
        finally:
            process.terminate()


def _base_url(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    word, _, base_url = line.strip().partition(" ")
    if word != "ready":
        raise ConfigurationError("the sandbox did not start: run `voltaware sandbox` to see why")
    return base_url


def _print_shares(month: Month, shares: Sequence[ApplianceShare]) -> None:
    table = Table(title=f"{month}, all devices", title_justify="left", box=None, pad_edge=False)
    table.add_column("appliance")
    for name in ("devices", "kWh", "share"):
        table.add_column(name, justify="right")
    for it in shares:
        table.add_row(
            it.appliance_key, str(it.devices), f"{it.consumption_wh / 1000:,.1f}", f"{it.share:.1%}"
        )
    Console().print(table)


def _print_next(month: Month) -> None:
    say(
        "\nTry next:\n"
        f"  voltaware status --store {_TARGET}\n"
        f"  voltaware check --store {_TARGET}\n"
        f"  voltaware export --store {_TARGET} --table monthly_kwh --to monthly_kwh.csv\n"
        f"  voltaware sandbox --port 8765     # then, in another shell, with the credentials it prints:\n"
        f"  voltaware pull --base-url http://127.0.0.1:8765 --store {_TARGET} --month {month.previous()}"
    )
