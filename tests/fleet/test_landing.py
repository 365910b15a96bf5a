"""Landing: whatever happens, the store holds what arrived, and the account adds up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import anyio
import pytest

from voltaware_async import (
    AuthUnavailableError,
    CredentialsRefusedError,
    Dataset,
    DeviceId,
    DeviceIdError,
    Month,
    OutageError,
    StoreError,
    VoltawareClient,
    Week,
    open_store,
)
from voltaware_async.fleet import landing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from voltaware_async import Progress, Summary
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


class Watched:
    """Keep what a run said of itself, and act on its progress."""

    def __init__(self, react: Callable[[], None] | None = None) -> None:
        self.progress: list[Progress] = []
        self.summaries: list[Summary] = []
        self._react = react

    def progressed(self, progress: Progress) -> None:
        self.progress.append(progress)
        if self._react is not None:
            self._react()

    def finished(self, summary: Summary) -> None:
        self.summaries.append(summary)

    @property
    def summary(self) -> Summary:
        [summary] = self.summaries
        return summary


def rows(table: pa.Table) -> list[dict[str, object]]:
    return table.to_pylist()


def ledger(store: Store) -> dict[str, str]:
    return {row["device_id"]: row["status"] for row in rows(store.table("ledger"))}


def last_run(store: Store) -> dict[str, object]:
    return rows(store.table("runs"))[-1]


def assert_adds_up(summary: Summary, store: Store) -> None:
    """Check the promise of every ending: nothing planned is unaccounted for, and the ledger agrees."""
    assert summary.planned == summary.landed + summary.absent + summary.failed + summary.unasked
    statuses = [row["status"] for row in rows(store.table("ledger")) if row["run_id"] == summary.run_id]
    assert statuses.count("landed") == summary.landed
    assert statuses.count("absent") == summary.absent
    assert statuses.count("failed") == summary.failed
    run = last_run(store)
    assert {name: run[name] for name in summary.counts()} == summary.counts()


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
    assert_adds_up(second, store)


async def test_a_device_that_always_fails_does_not_stop_the_others_and_is_explained(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script("500", times=None, route="sm/disag/month", device_id="0003")

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    [failed] = [row for row in rows(store.table("ledger")) if row["status"] == "failed"]
    assert (failed["device_id"], failed["http_status"], failed["attempts"]) == ("0003", 500, 3)
    assert failed["error"] == (
        f"the API failed to answer (GET {MONTH_PATH}, device 0003, status 500, after 3 attempts)"
    )
    assert summary.landed + summary.absent == 29
    assert last_run(store)["outcome"] == "incomplete"
    assert_adds_up(summary, store)


async def test_a_reply_that_is_not_as_documented_is_failed_with_endpoint_and_json_path(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    body = b'{"total_consumption": 1.5, "disconnection_percentage": 0, "appliances": [{"appliance_key": 7}]}'
    sandbox.script(status=200, body=body, times=None, route="sm/disag/month", device_id="0004")

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    [failed] = [row for row in rows(store.table("ledger")) if row["status"] == "failed"]
    assert "$.appliances[0].appliance_key" in str(failed["error"])
    assert f"GET {MONTH_PATH}, device 0004" in str(failed["error"])
    assert not [row for row in rows(store.table("consumption")) if row["device_id"] == "0004"]
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
    assert ledger(store).get("0020") is None
    assert watched.summary == summary
    assert last_run(store)["outcome"] == "interrupted"
    assert_adds_up(summary, store)


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
    assert last_run(store)["outcome"] == "interrupted"
    assert_adds_up(watched.summary, store)


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
    assert last_run(store)["outcome"] == "credentials refused"
    assert_adds_up(watched.summary, store)
    assert watched.summary.token_calls <= 4


async def test_an_api_that_falls_silent_ends_the_run_with_its_work_landed(
    sandbox: Sandbox,
    make_client: Callable[..., VoltawareClient],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voltaware_async.fleet.outage._HOLDS_S", ())
    watched = Watched()
    sandbox.script("reset", times=None, route="sm/reports/monthly")
    devices = [DeviceId(f"{n:04d}") for n in range(1, 200)]

    async with make_client(concurrency=4) as client:
        with pytest.raises(OutageError, match="50 cells in a row"):
            await client.fleet.land(
                store, [Dataset.MONTH, Dataset.MONTH_REPORT], [JULY], devices, watcher=watched
            )

    assert watched.summary.landed >= 28
    assert watched.summary.failed <= 53
    assert watched.summary.unasked > 0
    assert last_run(store)["outcome"] == "unreachable"
    assert_adds_up(watched.summary, store)


class BreakingStore:
    """Wrap a store, and break at the n-th commit, with nothing of it written."""

    def __init__(self, store: Store, at: int) -> None:
        self._store = store
        self._left = at

    def commit(self, batch: Batch) -> None:
        self._left -= 1
        if self._left == 0:
            raise StoreError("the disk is full")
        self._store.commit(batch)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def test_a_batch_that_could_not_be_written_does_not_count_as_landed(
    client: VoltawareClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 10)
    watched = Watched()

    with pytest.raises(StoreError, match="the disk is full"):
        await client.fleet.land(BreakingStore(store, at=2), [Dataset.MONTH], [JULY], watcher=watched)

    assert watched.summary.landed + watched.summary.absent == len(ledger(store)) == 10
    assert last_run(store)["outcome"] == "failed"
    assert_adds_up(watched.summary, store)


async def test_a_device_that_is_listed_twice_lands_once(client: VoltawareClient, store: Store) -> None:
    twice = [DeviceId("0001"), DeviceId("0002"), DeviceId("0001")]

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY], twice)

    assert summary.planned == 2
    assert sorted(ledger(store)) == ["0001", "0002"]


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


async def test_an_unreachable_api_leaves_the_store_as_it_was(store: Store) -> None:
    async with VoltawareClient("id", "secret", base_url="http://127.0.0.1:9") as client:
        with pytest.raises(AuthUnavailableError, match="connection refused"):
            await client.fleet.land(store, [Dataset.MONTH], [JULY])

    assert not rows(store.table("runs"))


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
