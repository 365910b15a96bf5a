"""The group of commands."""

from __future__ import annotations

import click

from voltaware_async import __version__
from voltaware_async.cli.check import check
from voltaware_async.cli.demo import demo
from voltaware_async.cli.devices import devices
from voltaware_async.cli.export import export
from voltaware_async.cli.get import get
from voltaware_async.cli.plan import plan
from voltaware_async.cli.pull import pull
from voltaware_async.cli.retry_failed import retry_failed
from voltaware_async.cli.sandbox import sandbox
from voltaware_async.cli.status import status
from voltaware_async.cli.sync import sync

__all__ = ["voltaware"]

_EPILOG = (
    "Exit codes: 0 complete, 2 wrong usage or configuration, 3 finished but some cells failed or were not "
    "asked in time, 4 credentials refused, 5 store locked or unusable, 6 API unreachable, 130 interrupted, "
    "143 terminated, 1 a bug."
)


@click.group(
    epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__)
def voltaware() -> None:
    """Get disaggregated energy data out of the Voltaware smart-meter API.

    Try `voltaware demo` first: it needs no account.
    """


for command in (demo, sandbox, devices, get, plan, pull, sync, retry_failed, status, check, export):
    voltaware.add_command(command)
