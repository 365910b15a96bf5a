"""`voltaware sandbox`: serve the emulator."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.interrupts import Interruptible
from voltaware_async.cli.run import run
from voltaware_async.cli.talk import say
from voltaware_async.errors import ConfigurationError

if TYPE_CHECKING:
    import anyio

    from voltaware_async.sandbox import Sandbox

__all__ = ["sandbox"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
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
    run(lambda: _serve(emulator, f"{host}, port {port}"))


async def _serve(emulator: Sandbox, address: str) -> Exit:
    async def until_stopped(stop: anyio.Event) -> Exit:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(emulator)
            except OSError as error:
                raise ConfigurationError(f"cannot listen on {address}: {error.strerror}") from None
            say(f"client id {emulator.client_id}, client secret {emulator.client_secret}")
            click.echo(f"ready {emulator.base_url}")
            await stop.wait()
        return Exit.COMPLETE

    return await Interruptible("stopping").run(until_stopped)
