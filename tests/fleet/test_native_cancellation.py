"""Cancellation as asyncio itself does it: `Task.cancel`, `asyncio.timeout`, at the worst of moments.

An anyio scope shields from other scopes, and not from these.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest
from accounts import Watched, check_account, last_run, ledger_of
from store_doubles import Held, Wrapped

from voltaware_async import Dataset, Month, VoltawareClient, open_store
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

JULY = Month(2024, 7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def happened(event: threading.Event) -> None:
    while not event.is_set():
        await anyio.sleep(0.001)


def landing(client: VoltawareClient, store: Wrapped, watched: Watched) -> asyncio.Task[object]:
    return asyncio.create_task(client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched))


async def test_a_task_that_is_cancelled_while_it_waits_for_replies_lands_what_has_arrived(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script("stall", times=None, route="sm/disag/month", device_id="0020")
    watched = Watched()
    task = landing(client, Wrapped(store), watched)
    while sandbox.count("sm/disag/month") < 30:
        await anyio.sleep(0.001)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert watched.summary.landed > 0
    check_account(watched.summary, store, "interrupted")


async def test_a_task_that_is_cancelled_while_its_last_batch_is_written_counts_that_batch(
    client: VoltawareClient, store: Store
) -> None:
    held, watched = Held(store, "commit"), Watched()
    task = landing(client, held, watched)
    await happened(held.entered)

    task.cancel()
    await anyio.wait_all_tasks_blocked()
    held.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert held.committed == [30]
    assert watched.summary.unasked == 0
    assert held.most_inside == 1
    check_account(watched.summary, store, "interrupted")


@pytest.mark.parametrize(
    ("method", "landed", "outcome"),
    [
        ("begin", 0, "interrupted"),
        ("outstanding", 0, "interrupted"),
        ("commit", 30, "interrupted"),
        ("finish", 30, "complete"),
    ],
)
async def test_a_cancelled_task_does_not_end_before_the_store_has_answered_it(
    client: VoltawareClient, store: Store, method: str, landed: int, outcome: str
) -> None:
    held, watched = Held(store, method), Watched()
    task = landing(client, held, watched)
    await happened(held.entered)

    task.cancel()
    await anyio.wait_all_tasks_blocked()
    ended_too_early = task.done()
    held.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not ended_too_early
    assert held.most_inside <= 1
    assert len(ledger_of(store)) == landed
    check_account(watched.summary, store, outcome)


async def test_a_deadline_around_a_landing_is_kept_and_leaves_the_work_landed(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script("stall", times=None, route="sm/disag/month", device_id="0020")
    watched = Watched()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched)

    assert watched.summary.unasked >= 1
    assert ledger_of(store).get("0020") is None
    check_account(watched.summary, store, "interrupted")


async def test_a_landing_that_is_stopped_and_then_cancelled_is_cancelled(
    client: VoltawareClient, store: Store
) -> None:
    held, stop = Held(store, "commit"), anyio.Event()
    task = asyncio.create_task(client.fleet.land(held, [Dataset.MONTH], [JULY], stop=stop))
    await happened(held.entered)

    stop.set()
    task.cancel()
    await anyio.wait_all_tasks_blocked()
    held.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert last_run(store)["outcome"] == "interrupted"


async def test_a_task_that_is_cancelled_twice_still_closes_its_account(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script("stall", times=None, route="sm/disag/month", device_id="0020")
    held, watched = Held(store, "commit"), Watched()
    task = landing(client, held, watched)
    while sandbox.count("sm/disag/month") < 30:
        await anyio.sleep(0.001)

    task.cancel()
    await happened(held.entered)
    task.cancel()
    await anyio.wait_all_tasks_blocked()
    held.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert watched.summary.landed > 0
    check_account(watched.summary, store, "interrupted")


def test_a_landing_that_its_loop_leaves_behind_is_landed_before_the_loop_ends(tmp_path: Path) -> None:
    watched = Watched()

    async def main(store: Held) -> None:
        async with Sandbox(devices=30) as sandbox:
            client = VoltawareClient(
                sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, rate=None
            )
            async with client:
                held_up = landing(client, store, watched)
                await happened(store.entered)
                asyncio.get_running_loop().call_later(0.02, store.let_go.set)
                assert not held_up.done()

    with open_store(tmp_path / "fleet.duckdb") as store:
        asyncio.run(main(Held(store, "commit")))
        check_account(watched.summary, store, "interrupted")
