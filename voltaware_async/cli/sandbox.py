"""`voltaware sandbox`: serve the emulator."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio
import click

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.interrupts import Interruptible
from voltaware_async.cli.run import run

if TYPE_CHECKING:
    from voltaware_async.sandbox import Sandbox

__all__ = ["sandbox"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--devices", default=300, show_default=True, type=click.IntRange(0))
@click.option("--seed", default=7, show_default=True, help="Decides the fleet and the random faults.")
@click.option("--latency-ms", default=0.0, show_default=True, type=click.FloatRange(0))
@click.option("--rate-limit", type=click.FloatRange(0, min_open=True), help="Requests/s before a 429.")
@click.option(
    "--token-ttl",
    default=43_200.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds.",
)
@click.option(
    "--faults", multiple=True, metavar="KIND[@ROUTE]:PROBABILITY", help="Such as 500:0.01; may be repeated."
)
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day that decides which results exist; default: the real one.",
)
def sandbox(
    *,
    host: str,
    port: int,
    devices: int,
    seed: int,
    latency_ms: float,
    rate_limit: float | None,
    token_ttl: float,
    faults: tuple[str, ...],
    today: datetime | None,
) -> None:
    """Serve an emulator of the API with a synthetic fleet, until it is interrupted.

    Prints `ready http://127.0.0.1:PORT` on stdout once it listens.
    """
    from voltaware_async.sandbox import Sandbox  # noqa: PLC0415  only this command serves

    try:
        emulator = Sandbox(
            host=host,
            port=port,
            devices=devices,
            seed=seed,
            latency_ms=latency_ms,
            rate_limit=rate_limit,
            token_ttl=token_ttl,
            faults=tuple(part for text in faults for part in text.split(",")),
            today=(today or datetime.now(UTC)).date(),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    run(lambda: _serve(emulator))


async def _serve(emulator: Sandbox) -> Exit:
    from voltaware_async.sandbox import serve  # noqa: PLC0415  only this command serves

    async def until_stopped(stop: anyio.Event) -> Exit:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(serve, emulator, ready=_ready))
            click.echo(f"client id {emulator.client_id}, client secret {emulator.client_secret}", err=True)
            await stop.wait()
            group.cancel_scope.cancel()
        return Exit.COMPLETE

    return await Interruptible().run(until_stopped)


def _ready(base_url: str) -> None:
    click.echo(f"ready {base_url}")
