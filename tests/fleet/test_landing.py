"""Landing: whatever happens, the store holds what arrived, and the account adds up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import pytest
from accounts import Watched, check_account, last_run, ledger_of
from fleets import answered, fleet_of
from store_doubles import Broken, Wrapped
from virtual_time import in_virtual_time

from voltaware_async import (
    CredentialsRefusedError,
    Dataset,
    DeviceId,
    DeviceIdError,
    Month,
    OutageError,
    StoreError,
    Week,
    open_store,
)
from voltaware_async.fleet import landing
from voltaware_async.fleet.store_thread import StoreThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from voltaware_async import Cell, Outcome, VoltawareClient
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.sandbox import Sandbox
    from voltaware_async.stores import Store
    from voltaware_async.stores.batches import Batch

pytestmark = pytest.mark.anyio

JULY = Month(2024, 7)
MONTH_PATH = "/sensors/{device_id}/sm/disag/month"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


def failed_rows(store: Store) -> list[dict[str, object]]:
    return [row for row in ledger_of(store).values() if row["status"] == "failed"]


async def test_a_second_run_asks_only_what_has_not_landed(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script("500", times=None, route="sm/disag/month", device_id="0003")
    first = await client.fleet.land(store, [Dataset.MONTH], [JULY])
    before = sandbox.count("sm/disag/month")

    second = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    assert first.failed == 1
    assert second.skipped == first.landed
    assert second.planned == first.absent + 1
    assert sandbox.count("sm/disag/month") - before == first.absent + 3
    check_account(second, store, "incomplete")


async def test_a_device_that_always_fails_does_not_stop_the_others_and_is_explained(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script("500", times=None, route="sm/disag/month", device_id="0003")

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    [failed] = failed_rows(store)
    assert (failed["device_id"], failed["http_status"], failed["attempts"]) == ("0003", 500, 3)
    assert failed["error"] == (
        f"the API failed to answer (GET {MONTH_PATH}, device 0003, status 500, after 3 attempts)"
    )
    assert summary.landed + summary.absent == 29
    check_account(summary, store, "incomplete")


async def test_a_reply_that_is_not_as_documented_is_failed_with_endpoint_and_json_path(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    body = b'{"total_consumption": 1.5, "disconnection_percentage": 0, "appliances": [{"appliance_key": 7}]}'
    sandbox.script(status=200, body=body, times=None, route="sm/disag/month", device_id="0004")

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    [failed] = failed_rows(store)
    assert "$.appliances[0].appliance_key" in str(failed["error"])
    assert f"GET {MONTH_PATH}, device 0004" in str(failed["error"])
    assert not [row for row in store.table("consumption").to_pylist() if row["device_id"] == "0004"]
    assert summary.failed == 1


async def test_a_run_that_is_asked_to_stop_lands_what_has_arrived_and_counts_the_rest(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    stop = anyio.Event()
    sandbox.script("stall", times=None, route="sm/disag/month", device_id="0020")
    watched = Watched()

    async with anyio.create_task_group() as group:
        group.start_soon(_stop_when, stop, lambda: sandbox.count("sm/disag/month") >= 30)
        summary = await client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched, stop=stop)

    assert summary.unasked >= 1
    assert "0020" not in ledger_of(store)
    assert watched.summary == summary
    check_account(summary, store, "interrupted")


async def _stop_when(stop: anyio.Event, condition: Callable[[], bool]) -> None:
    while not condition():
        await anyio.sleep(0.005)
    stop.set()


async def test_a_cancelled_run_lands_what_has_arrived(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script("stall", times=None, route="sm/disag/month", device_id="0020")
    watched = Watched()

    async with anyio.create_task_group() as group:

        async def run() -> None:
            await client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched)

        group.start_soon(run)
        while sandbox.count("sm/disag/month") < 30:
            await anyio.sleep(0.005)
        group.cancel_scope.cancel()

    assert watched.summary.landed > 0
    check_account(watched.summary, store, "interrupted")


async def test_credentials_that_are_revoked_in_mid_run_end_it_with_its_work_landed(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], store: Store
) -> None:
    async def revoke() -> None:
        while sandbox.count("sm/disag/month") < 10:
            await anyio.sleep(0.001)
        sandbox.revoke_credentials()
        sandbox.revoke_refresh_tokens()
        sandbox.expire_tokens()

    watched = Watched()
    async with make_client(concurrency=2, rate=300) as client, anyio.create_task_group() as group:
        group.start_soon(revoke)
        with pytest.raises(CredentialsRefusedError):
            await client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched)

    assert 0 < watched.summary.landed < 30
    check_account(watched.summary, store, "credentials refused")
    assert watched.summary.token_calls <= 4


async def test_an_api_that_falls_silent_ends_the_run_with_its_work_landed(
    sandbox: Sandbox,
    make_client: Callable[..., VoltawareClient],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voltaware_async.fleet.outage._HOLDS_S", ())
    watched = Watched()
    for route in ("sm/reports/monthly", "sensor", "sensors"):
        sandbox.script("reset", times=None, route=route)
    devices = [DeviceId(f"{n:04d}") for n in range(1, 200)]

    async with make_client(concurrency=4) as client:
        with pytest.raises(OutageError, match="50 requests in a row"):
            await client.fleet.land(
                store, [Dataset.MONTH, Dataset.MONTH_REPORT], [JULY], devices, watcher=watched
            )

    assert watched.summary.landed >= 28
    assert watched.summary.failed <= 53
    assert watched.summary.unasked > 0
    check_account(watched.summary, store, "unreachable")


async def test_a_batch_that_could_not_be_written_does_not_count_as_landed(
    client: VoltawareClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 10)
    watched = Watched()

    with pytest.raises(StoreError, match="commit no longer works"):
        await client.fleet.land(Broken(store, commit=2), [Dataset.MONTH], [JULY], watcher=watched)

    assert watched.summary.landed + watched.summary.absent == len(ledger_of(store)) == 10
    check_account(watched.summary, store, "failed")


async def test_a_device_that_is_listed_twice_lands_once(client: VoltawareClient, store: Store) -> None:
    twice = [DeviceId("0001"), DeviceId("0002"), DeviceId("0001")]

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY], twice)

    assert summary.planned == 2
    assert sorted(ledger_of(store)) == ["0001", "0002"]


async def test_a_text_that_is_no_device_id_is_refused_before_anything_is_sent(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    with pytest.raises(DeviceIdError):
        await client.fleet.land(store, [Dataset.MONTH], [JULY], [DeviceId("../sensors")[:2]])

    assert not sandbox.requests


async def test_a_fleet_of_nobody_is_complete(client: VoltawareClient, sandbox: Sandbox, store: Store) -> None:
    sandbox.script(status=204, body=b"", route="sensors")

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    assert summary.is_complete
    assert summary.planned == 0
    assert summary.requests == 2


async def test_progress_is_told_while_the_run_goes_on(
    make_client: Callable[..., VoltawareClient], store: Store
) -> None:
    watched = Watched()

    async with make_client(rate=100) as client:
        summary = await client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched)

    done = [progress.done for progress in watched.progress]
    assert done == sorted(done)
    assert watched.progress[0].planned == summary.planned == 30
    assert last_run(store)["outcome"] == "complete"


async def test_progress_comes_at_most_ten_times_a_second_and_never_runs_backwards(
    make_client: Callable[..., VoltawareClient], store: Store
) -> None:
    watched = Watched()

    async with make_client(rate=60) as client:
        await client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched)

    times = [progress.elapsed_s for progress in watched.progress]
    assert len(times) >= 2
    assert all(later - sooner >= 0.1 for sooner, later in pairwise(times))
    assert [it.done for it in watched.progress] == sorted(it.done for it in watched.progress)
    assert watched.summary.requests >= watched.progress[-1].requests


async def beat(beats: list[float]) -> None:
    """Measure how long 5 ms take on the loop."""
    while True:
        before = anyio.current_time()
        await anyio.sleep(0.005)
        beats.append(anyio.current_time() - before)


async def test_writing_never_holds_the_event_loop(
    client: VoltawareClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 20)
    beats: list[float] = []

    async with anyio.create_task_group() as group:
        group.start_soon(beat, beats)
        await client.fleet.land(store, [Dataset.MONTH, Dataset.MONTH_WEEKS], [JULY])
        group.cancel_scope.cancel()

    assert max(beats) < 0.25


async def test_every_kind_of_ending_is_stamped_and_named(client: VoltawareClient, store: Store) -> None:
    before = datetime.now(UTC)

    await client.fleet.land(store, [Dataset.WEEK], [Week.of(date(2024, 7, 8))], command="nightly")

    run = last_run(store)
    assert (run["command"], run["outcome"]) == ("nightly", "complete")
    assert before <= run["started_at"] <= run["finished_at"] <= datetime.now(UTC)


# --- batches that grow old --------------------------------------------------------------------------


class Dated(Wrapped):
    """Keep when each batch was committed, by the clock of the loop."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.times: list[float] = []

    def commit(self, batch: Batch, *, refreshes: bool = False) -> int:
        restated = super().commit(batch, refreshes=refreshes)
        self.times.append(anyio.current_time())
        return restated


@pytest.fixture
def dated(store: Store, monkeypatch: pytest.MonkeyPatch) -> Dated:
    """Make a store that is called on the spot: a jump of virtual time does not wait for its thread."""

    async def on_the_spot(_: StoreThread, call: Callable[..., object], *arguments: object) -> object:
        return call(*arguments)

    monkeypatch.setattr(StoreThread, "call", on_the_spot)
    return Dated(store)


def stalling(at: str, seconds: float) -> FetchCell:
    """Answer at once, but for one device."""

    async def fetch(cell: Cell) -> Outcome:
        if cell.device_id == at:
            await anyio.sleep(seconds)
        return await answered(cell)

    return fetch


@in_virtual_time
async def test_what_has_arrived_is_written_within_seconds_although_the_api_stalls(dated: Dated) -> None:
    begun = anyio.current_time()

    fleet = fleet_of(7, stalling("0003", 3600.0), concurrency=1)
    summary = await fleet.land(dated, [Dataset.MONTH], [JULY])

    assert dated.committed == [3, 1, 3]
    assert [round(time - begun) for time in dated.times] == [5, 3600, 3600]
    check_account(summary, dated.store, "complete")


@in_virtual_time
async def test_a_batch_that_is_still_young_waits_for_more(dated: Dated) -> None:
    async def slow(cell: Cell) -> Outcome:
        await anyio.sleep(1.5)
        return await answered(cell)

    begun = anyio.current_time()
    await fleet_of(40, slow, concurrency=1).land(dated, [Dataset.MONTH], [JULY])

    gaps = [later - sooner for sooner, later in pairwise([begun, *dated.times])]
    assert sum(dated.committed) == 40
    assert all(5.0 <= gap < 10.0 for gap in gaps[:-1])


@in_virtual_time
async def test_a_store_that_breaks_while_the_api_stalls_ends_the_run_at_once(dated: Dated) -> None:
    begun, watched = anyio.current_time(), Watched()

    with pytest.raises(StoreError, match="commit no longer works"):
        await fleet_of(7, stalling("0003", 3600.0), concurrency=1).land(
            Broken(dated, commit=1), [Dataset.MONTH], [JULY], watcher=watched
        )

    assert anyio.current_time() - begun < 10.0
    assert (watched.summary.landed, watched.summary.unasked) == (0, 7)
    check_account(watched.summary, dated.store, "failed")


@in_virtual_time
async def test_a_stall_without_anything_to_write_writes_nothing(dated: Dated) -> None:
    await fleet_of(1, stalling("0000", 3600.0)).land(dated, [Dataset.MONTH], [JULY])

    assert dated.committed == [1]
