"""`voltaware devices`: the ids, or one device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from voltaware_async.cli.exits import Exit
from voltaware_async.cli.options import connection_options
from voltaware_async.cli.run import run
from voltaware_async.cli.shown import shown
from voltaware_async.cli.talk import say
from voltaware_async.protocol import codec
from voltaware_async.records.devices import DeviceId

if TYPE_CHECKING:
    from voltaware_async.cli.options import Connection

__all__ = ["devices"]


@click.command()
@click.argument("device_id", metavar="[ID]", required=False)
@connection_options
def devices(*, connection: Connection, device_id: str | None) -> None:
    """Print the ids of all devices, one a line; or one device as JSON."""
    if device_id is None:
        run(lambda: _list(connection))
    run(lambda: _show(connection, DeviceId(device_id)))


async def _list(connection: Connection) -> Exit:
    async with connection.client() as client:
        for device_id in await client.devices.list():
            click.echo(shown(device_id))
    return Exit.COMPLETE


async def _show(connection: Connection, device_id: DeviceId) -> Exit:
    async with connection.client() as client:
        device = await client.devices.get(device_id)
    if device is None:
        say(f"voltaware: the API knows no device {device_id!r}")
    else:
        click.echo(codec.DEVICE.encode(device))
    return Exit.COMPLETE
