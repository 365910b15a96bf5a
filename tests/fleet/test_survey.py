"""The survey: new devices are looked up once, before anything is asked of them; and what an ending keeps."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from accounts import Watched, check_account, last_run, ledger_of
from anyio.lowlevel import checkpoint
from fleets import answered, fleet_of
from store_doubles import Broken, Held, Wrapped
from virtual_time import in_virtual_time

from voltaware_async import (
    CredentialsRefusedError,
    Dataset,
    DeviceId,
    ErrorContext,
    Failed,
    Month,
    OutageError,
    StoreError,
    UnreachableError,
    open_store,
)
from voltaware_async.cells import Seen, Unseen
from voltaware_async.errors import DecodeError
from voltaware_async.fleet import landing, survey
from voltaware_async.records.devices import Device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from voltaware_async import Cell, Outcome, VoltawareClient
    from voltaware_async.cells import Lookup
    from voltaware_async.sandbox import Sandbox
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

AS_OF = date(2024, 9, 15)
AUGUST = Month(2024, 8)
# Due is August alone.
NIGHT = {"datasets": [Dataset.MONTH], "as_of": AS_OF, "horizon_months": 1}
CONTEXT = ErrorContext("GET", "/sensors/{device_id}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


def seen(store: Store) -> list[str]:
    """Return the devices that were looked up."""
    rows = store.table("devices").to_pylist()
    assert len({row["device_id"] for row in rows}) == len(rows)
    return sorted(row["device_id"] for row in rows if row["seen_at"] is not None)


async def seen_by_somebody(device_id: DeviceId) -> Lookup:
    """Tell of no first event, after a trip through the loop."""
    await checkpoint()
    return Seen(device_id, Device())


# --- who is looked up -------------------------------------------------------------------------------


async def test_new_devices_are_looked_up_once_and_as_the_api_describes_them(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    await client.fleet.sync(store, **NIGHT)
    await client.fleet.sync(store, **{**NIGHT, "horizon_months": 2, "datasets": list(Dataset)})

    assert sandbox.count("sensor") == 30
    assert seen(store) == list(sandbox.fleet.device_ids())
    for row in store.table("devices").to_pylist():
        said = sandbox.fleet.device(row["device_id"])
        assert said is not None
        assert (row["connection_state"], row["firmware"]) == (said["connection_state"], said["firmware"])
        assert row["time_zone_id"] == said["locale"]["timeZoneId"]
        assert row["asked_on"] == AS_OF
        assert row["first_day"].isoformat() == said["first_event"][:10]


async def test_every_look_up_comes_before_the_first_cell(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    await client.fleet.sync(store, **NIGHT)

    routes = [request.route for request in sandbox.requests]
    assert routes == ["auth/token", "sensors", *["sensor"] * 30, *["sm/disag/month"] * 30]


async def test_a_device_that_joins_is_looked_up_alone_and_asked_for_no_period_before_it(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    await client.fleet.sync(store, **NIGHT)
    new = sandbox.register_device()

    watched = Watched()
    summary = await client.fleet.sync(store, **NIGHT, watcher=watched)

    assert [it.device_id for it in sandbox.requests if it.route == "sensor"][30:] == [new]
    assert summary.planned == 0
    assert new not in ledger_of(store)
    check_account(summary, store, "complete")


async def test_a_run_that_does_not_mind_first_events_looks_nobody_up_and_knows_its_devices_by_id(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    await client.fleet.land(store, [Dataset.MONTH], [AUGUST])

    assert sandbox.count("sensor") == 0
    assert store.table("devices").num_rows == 30
    assert seen(store) == []


async def test_a_plan_tells_how_many_would_be_looked_up_and_writes_nothing(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    before = await client.fleet.plan_sync(store, **NIGHT)
    assert (before.look_ups, before.requests) == (30, 60)
    assert store.table("devices").num_rows == sandbox.count("sensor") == 0

    await client.fleet.sync(store, **NIGHT)

    assert (await client.fleet.plan_sync(store, **NIGHT)).look_ups == 0


async def test_more_devices_than_a_page_and_a_batch_hold_are_all_looked_up_once_and_written_on_the_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_PAGE_DEVICES", 7)
    monkeypatch.setattr(survey, "_BATCH_DEVICES", 10)
    wrapped = Written(store)
    looked_up: list[str] = []

    async def look_up(device_id: DeviceId) -> Lookup:
        looked_up.append(device_id)
        return await seen_by_somebody(device_id)

    summary = await fleet_of(95, look_up=look_up).sync(wrapped, **NIGHT)

    assert sorted(looked_up) == seen(store) == [f"{n:04d}" for n in range(95)]
    assert sum(wrapped.sizes) == 95
    assert all(10 <= size <= 14 for size in wrapped.sizes[:-1])
    assert wrapped.most_inside == 1
    check_account(summary, store, "complete")


class Written(Wrapped):
    """Keep how many devices each write had."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.sizes: list[int] = []

    def see(self, devices: pa.Table) -> None:
        self.alone(lambda: self.store.see(devices))
        self.sizes.append(devices.num_rows)


async def test_a_store_that_hangs_stops_the_look_ups_after_two_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_BATCH_DEVICES", 10)
    looked_up, held = 0, Held(store, "see")

    async def look_up(device_id: DeviceId) -> Lookup:
        nonlocal looked_up
        looked_up += 1
        return await seen_by_somebody(device_id)

    async with anyio.create_task_group() as group:
        group.start_soon(partial(fleet_of(95, look_up=look_up).sync, held, **NIGHT))
        while not held.entered.is_set():
            await anyio.sleep(0.001)
        await anyio.wait_all_tasks_blocked()
        looked_up_while_it_hung = looked_up
        held.let_go.set()

    assert 20 <= looked_up_while_it_hung <= 24
    assert looked_up == len(seen(store)) == 95


async def test_a_watcher_is_told_of_the_look_ups_and_then_of_the_cells(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_PROGRESS_EVERY_S", 0.0)
    watched = Watched()

    await fleet_of(20, look_up=seen_by_somebody).sync(store, **NIGHT, watcher=watched)

    told = [(it.devices_done, it.devices, it.done, it.planned) for it in watched.progress]
    assert told[:20] == [(n, 20, 0, 0) for n in range(1, 21)]
    assert [it[:2] for it in told[20:]] == [(20, 20)] * 20
    assert [it[2:] for it in told[20:]] == [(n, 20) for n in range(1, 21)]


# --- look-ups that fail -----------------------------------------------------------------------------


async def test_a_device_whose_look_up_fails_stays_unseen_its_cells_are_asked_and_it_is_looked_up_next_time(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    broken = sandbox.script("500", times=None, route="sensor", device_id="0003")
    first = await client.fleet.sync(store, **NIGHT)

    assert broken.hit == 3, "as often as a request is tried"
    assert seen(store) == [it for it in sandbox.fleet.device_ids() if it != "0003"]
    assert "0003" in ledger_of(store)
    check_account(first, store, "complete")

    broken.cancel()
    before = sandbox.count("sensor")
    await client.fleet.sync(store, **{**NIGHT, "datasets": [Dataset.WEEK]})

    assert sandbox.count("sensor") - before == 1
    assert seen(store) == list(sandbox.fleet.device_ids())


async def test_a_reply_that_cannot_be_read_leaves_its_device_unseen_alone(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script(status=200, body=b'{"first_event": 7}', times=None, route="sensor", device_id="0003")

    summary = await client.fleet.sync(store, **NIGHT)

    assert seen(store) == [it for it in sandbox.fleet.device_ids() if it != "0003"]
    assert summary.planned == 30
    check_account(summary, store, "complete")


async def test_a_device_that_the_api_lists_and_does_not_know_counts_as_looked_up_and_is_asked(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script(status=404, body=b"{}", times=None, route="sensor", device_id="0003")

    summary = await client.fleet.sync(store, **NIGHT)

    assert "0003" in seen(store)
    assert "0003" in ledger_of(store)
    check_account(summary, store, "complete")


async def test_look_ups_that_fail_are_warned_of_once_with_their_number_and_an_example(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def some_fail(device_id: DeviceId) -> Lookup:
        number = int(device_id)
        broken = Unseen(device_id, DecodeError(f"no JSON of {device_id}", CONTEXT), attempts=1)
        return broken if number >= 7 and number % 2 else await seen_by_somebody(device_id)

    with caplog.at_level(logging.WARNING, "voltaware_async"):
        summary = await fleet_of(20, look_up=some_fail, concurrency=1).sync(store, **NIGHT)

    [warning] = caplog.records
    assert warning.getMessage().startswith(
        "7 of 20 new devices could not be looked up, so that periods before"
    )
    assert warning.getMessage().endswith("; no JSON of 0007 (GET /sensors/{device_id})")
    assert len(seen(store)) == 13
    assert summary.planned == summary.landed == 20
    check_account(summary, store, "complete")


@in_virtual_time
async def test_look_ups_that_are_broken_for_everybody_cost_a_warning_and_no_cell(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(device_id: DeviceId) -> Lookup:
        await checkpoint()
        return silence(device_id)

    summary = await fleet_of(200, look_up=broken).sync(store, **NIGHT)

    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "200 of 200 new devices could not be looked up"
    ]
    assert summary.planned == summary.landed == 200
    check_account(summary, store, "complete")


@in_virtual_time
async def test_a_look_up_without_an_end_does_not_hold_up_the_cells_and_is_warned_of(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def endless_for_one(device_id: DeviceId) -> Lookup:
        if device_id == "0003":
            await anyio.sleep_forever()
        return await seen_by_somebody(device_id)

    summary = await fleet_of(20, look_up=endless_for_one).sync(store, **NIGHT)

    [warning] = caplog.records
    assert warning.getMessage().startswith("1 of 20 new devices could not be looked up")
    assert f"; no answer within {survey._STRAGGLERS_S:g} s" in warning.getMessage()
    assert len(seen(store)) == 19
    assert summary.planned == summary.landed == 20
    check_account(summary, store, "complete")


async def test_look_ups_that_all_succeed_are_no_reason_to_warn(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await fleet_of(20, look_up=seen_by_somebody).sync(store, **NIGHT)

    assert not caplog.records


async def test_credentials_that_are_refused_keep_the_look_ups_that_were_done(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], store: Store
) -> None:
    async def revoke() -> None:
        while sandbox.count("sensor") < 10:
            await anyio.sleep(0.001)
        sandbox.revoke_credentials()
        sandbox.revoke_refresh_tokens()
        sandbox.expire_tokens()

    watched = Watched()
    async with make_client(concurrency=2, rate=300) as client, anyio.create_task_group() as group:
        group.start_soon(revoke)
        with pytest.raises(CredentialsRefusedError):
            await client.fleet.sync(store, **NIGHT, watcher=watched)

    assert 0 < len(seen(store)) < 30
    assert (watched.summary.planned, watched.summary.unasked) == (0, 0)
    assert sandbox.count("sm/disag/month") == 0
    check_account(watched.summary, store, "credentials refused")


@in_virtual_time
async def test_an_api_that_is_silent_when_devices_are_looked_up_ends_the_run_before_a_cell_is_asked(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], store: Store
) -> None:
    for route in ("sensor", "sensors", "sm/disag/month"):
        sandbox.script("reset", times=None, route=route)
    devices = [DeviceId(f"{n:04d}") for n in range(1, 200)]
    watched = Watched()

    async with make_client(concurrency=4) as client:
        with pytest.raises(OutageError, match="50 requests in a row"):
            await client.fleet.sync(store, devices, **NIGHT, watcher=watched)

    assert seen(store) == []
    assert not ledger_of(store)
    assert sandbox.count("sm/disag/month") <= 12, "but to see whether the API answers elsewhere"
    check_account(watched.summary, store, "unreachable")


@in_virtual_time
async def test_a_silence_of_seconds_leaves_no_device_unseen(store: Store) -> None:
    silent_until = None

    async def silent_at_first(device_id: DeviceId) -> Lookup:
        nonlocal silent_until
        silent_until = silent_until or anyio.current_time() + 3.0
        await anyio.sleep(0.3)
        return silence(device_id) if anyio.current_time() < silent_until else Seen(device_id, Device())

    summary = await fleet_of(40, look_up=silent_at_first).sync(store, **NIGHT)

    assert len(seen(store)) == 40
    assert summary.is_complete
    check_account(summary, store, "complete")


@in_virtual_time
async def test_endless_silence_ends_the_run_and_keeps_what_was_seen_before_it(store: Store) -> None:
    tries, watched = 0, Watched()

    async def silent_from_20(device_id: DeviceId) -> Lookup:
        nonlocal tries
        tries += 1
        await anyio.sleep(0.3)
        return silence(device_id) if int(device_id) >= 20 else Seen(device_id, Device())

    async def silent(cell: Cell) -> Outcome:
        return Failed(cell, UnreachableError("no answer", CONTEXT))

    async def unlisted() -> list[DeviceId]:
        raise UnreachableError("no answer", CONTEXT)

    fleet = fleet_of(0, silent, look_up=silent_from_20, list_devices=unlisted)
    devices = [DeviceId(f"{n:04d}") for n in range(1000)]
    with pytest.raises(OutageError, match="50 requests in a row got no usable answer, the last: no answer"):
        await fleet.sync(store, devices, **NIGHT, watcher=watched)

    assert seen(store) == [f"{n:04d}" for n in range(20)]
    assert tries <= 20 + 4 * (50 + 4)
    assert not ledger_of(store)
    check_account(watched.summary, store, "unreachable")


def silence(device_id: DeviceId) -> Lookup:
    return Unseen(device_id, UnreachableError("no answer", CONTEXT), attempts=3)


# --- a store that breaks, and cancellation ----------------------------------------------------------


@pytest.mark.parametrize("method", ["expect", "count_unseen", "unseen", "see", "take_stock"])
async def test_a_store_that_breaks_during_the_survey_ends_the_run_before_a_cell_is_asked(
    store: Store, method: str
) -> None:
    watched = Watched()

    async def never(cell: object) -> object:
        raise AssertionError(cell)

    with pytest.raises(StoreError, match=f"{method} no longer works"):
        await fleet_of(30, never, look_up=seen_by_somebody).sync(
            Broken(store, **{method: 1}), **NIGHT, watcher=watched
        )

    assert len(seen(store)) == (30 if method == "take_stock" else 0)
    check_account(watched.summary, store, "failed")


async def test_a_run_that_is_cancelled_during_its_look_ups_keeps_those_that_were_done(store: Store) -> None:
    watched, stuck = Watched(), anyio.Event()

    async def look_up(device_id: DeviceId) -> Lookup:
        if device_id == "0020":
            stuck.set()
            await anyio.sleep_forever()
        return await seen_by_somebody(device_id)

    async def run() -> None:
        await fleet_of(30, look_up=look_up, concurrency=1).sync(store, **NIGHT, watcher=watched)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await stuck.wait()
        group.cancel_scope.cancel()

    assert seen(store) == [f"{n:04d}" for n in range(20)]
    assert watched.summary.planned == 0
    check_account(watched.summary, store, "interrupted")


async def test_the_next_night_looks_up_only_those_that_the_last_one_did_not_reach(store: Store) -> None:
    looked_up: list[str] = []

    async def look_up(device_id: DeviceId) -> Lookup:
        looked_up.append(device_id)
        if device_id == "0020" and len(looked_up) <= 21:
            raise CredentialsRefusedError("refused", CONTEXT)
        return await seen_by_somebody(device_id)

    fleet = fleet_of(30, answered, look_up=look_up, concurrency=1)
    with pytest.raises(CredentialsRefusedError):
        await fleet.sync(store, **NIGHT)
    summary = await fleet.sync(store, **{**NIGHT, "as_of": AS_OF + timedelta(days=1)})

    assert looked_up == [f"{n:04d}" for n in [*range(21), *range(20, 30)]]
    assert last_run(store)["outcome"] == "complete"
    check_account(summary, store, "complete")
