"""Landing, as the commands do it: shown while it goes on, ended in order by a signal, and accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import anyio

from voltaware_async.cli.account import print_account
from voltaware_async.cli.exits import Exit, of_summary
from voltaware_async.cli.follower import Followers
from voltaware_async.cli.heartbeat import Heartbeat
from voltaware_async.cli.interrupts import Interruptible
from voltaware_async.cli.progress import display
from voltaware_async.stores import open_store
from voltaware_async.stores.targets import require_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voltaware_async.cli.follower import Follower
    from voltaware_async.cli.options import Connection
    from voltaware_async.cli.progress import Display
    from voltaware_async.cli.run_options import RunOptions
    from voltaware_async.client import VoltawareClient
    from voltaware_async.fleet.landing import Watcher
    from voltaware_async.fleet.summary import Summary
    from voltaware_async.stores import Store

__all__ = ["Work", "land_followed", "land_shown"]

Work: TypeAlias = "Callable[[VoltawareClient, Store, Watcher, anyio.Event], Awaitable[Summary]]"

_TICK_S: Final = 1.0


async def land_shown(
    connection: Connection,
    target: str,
    options: RunOptions,
    command: str,
    work: Work,
    *,
    must_exist: bool = False,
) -> Exit:
    """Do the work under display, heartbeat and signals, and print its account.

    The work gets the client, the store, a watcher to report to, and the event that asks it to stop. A store
    that is not there is created, but where it `must_exist`.
    """
    shown = display(quiet=options.quiet)
    with Heartbeat(options.heartbeat, command, target) as heartbeat:
        try:
            client = connection.client(options.rate, options.concurrency)
            if must_exist:
                require_store(target)
            code = await land_followed(client, target, work, shown, heartbeat)
        finally:
            if shown.summary is not None and (options.as_json or not options.quiet):
                print_account(shown.summary, command, target, as_json=options.as_json)
        heartbeat.ended(code)
    return code


async def land_followed(
    client: VoltawareClient, target: str, work: Work, shown: Display, *others: Follower
) -> Exit:
    """Do the work with an open client and store, showing it; a signal ends it in order."""
    followers = Followers((shown, *others))

    async def until_stopped(stop: anyio.Event) -> Exit:
        with shown:
            return of_summary(await work(client, store, followers, stop))

    async def tick() -> None:
        while True:
            await anyio.sleep(_TICK_S)
            followers.ticked()

    async with client:
        with open_store(target) as store:
            return await Interruptible().run(until_stopped, beside=tick)
