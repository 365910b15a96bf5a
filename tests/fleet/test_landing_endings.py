"""The account of a landing: in every ending, also with a store that breaks, hangs or is asked by many."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from accounts import Watched, check_account, last_run, ledger_of
from anyio.lowlevel import checkpoint
from fleets import answered, fleet_of
from store_doubles import PATIENCE_S, Broken, Held, Wrapped

from voltaware_async import (
    AuthUnavailableError,
    CredentialsRefusedError,
    Dataset,
    ErrorContext,
    Month,
    OutageError,
    StoreError,
    UnexpectedResponseError,
    UnreachableError,
    VoltawareClient,
    open_store,
)
from voltaware_async.errors import ApiError, DecodeError, RedirectError
from voltaware_async.fleet import landing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from voltaware_async import Cell, DeviceId, Outcome, Progress, VoltawareError
    from voltaware_async.fleet.crew import FetchCell
    from voltaware_async.stores import Store
    from voltaware_async.stores.batches import Batch

pytestmark = pytest.mark.anyio

JULY = Month(2024, 7)
NOT_LANDED = "what had arrived could not be landed: commit no longer works"
NOT_RECORDED = "the run's end could not be recorded: finish no longer works"
REFUSED = CredentialsRefusedError("refused", ErrorContext("POST", "/auth/token"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 10)
    return 10


def refused_from(number: int) -> FetchCell:
    async def fetch(cell: Cell) -> Outcome:
        if int(cell.device_id) >= number:
            raise REFUSED
        return await answered(cell)

    return fetch


# --- endings ----------------------------------------------------------------------------------------


async def test_a_complete_run_is_accounted_for(client: VoltawareClient, store: Store) -> None:
    watched = Watched()

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched)

    assert summary.is_complete
    assert summary.planned == 30 == summary.landed + summary.absent
    assert watched.summary == summary
    check_account(summary, store, "complete")


async def test_a_run_that_is_stopped_before_it_begins_asks_nothing(store: Store) -> None:
    stop = anyio.Event()
    stop.set()

    async def never(_: Cell) -> Outcome:
        await anyio.sleep_forever()
        raise AssertionError

    summary = await fleet_of(30, never).land(store, [Dataset.MONTH], [JULY], stop=stop)

    assert summary.unasked == summary.planned == 30
    assert not summary.is_complete
    check_account(summary, store, "interrupted")


async def test_refused_credentials_leave_what_had_arrived_landed(store: Store) -> None:
    watched = Watched()

    with pytest.raises(CredentialsRefusedError):
        await fleet_of(100, refused_from(60)).land(store, [Dataset.MONTH], [JULY], watcher=watched)

    assert 60 - 4 <= watched.summary.landed <= 60, "what was in flight is dropped, what had arrived is not"
    check_account(watched.summary, store, "credentials refused")


# --- runs that end while the devices are listed ------------------------------------------------------

UNREACHABLE = UnreachableError("no route", ErrorContext("GET", "/sensors"))
GARBLED = DecodeError("no list", ErrorContext("GET", "/sensors"))
ENDS = {
    "the API cannot be reached": (UNREACHABLE, "unreachable"),
    "the API is out": (OutageError("out"), "unreachable"),
    "the token service is out": (
        AuthUnavailableError("out", ErrorContext("POST", "/auth/token")),
        "unreachable",
    ),
    "the credentials are refused": (REFUSED, "credentials refused"),
    "the reply cannot be read": (GARBLED, "failed"),
    "the store breaks": (StoreError("broken"), "failed"),
}


@pytest.mark.parametrize(("error", "outcome"), ENDS.values(), ids=ENDS)
async def test_a_run_that_dies_while_devices_are_listed_leaves_its_row_and_no_account(
    store: Store, error: VoltawareError, outcome: str
) -> None:
    watched = Watched()

    async def dying() -> Sequence[DeviceId]:
        row = last_run(store)
        assert (row["command"], row["outcome"], row["finished_at"]) == ("nightly", None, None), "begun before"
        await checkpoint()
        raise error

    with pytest.raises(type(error)) as caught:
        await fleet_of(0, list_devices=dying).sync(store, command="nightly", watcher=watched)

    assert caught.value is error
    assert not watched.summaries
    row = last_run(store)
    assert (row["outcome"], row["planned"], row["requests"]) == (outcome, 0, 0)
    assert row["started_at"] <= row["finished_at"]
    assert not ledger_of(store)
    assert not store.coverage()


@pytest.mark.parametrize("kind", [UnexpectedResponseError, RedirectError])
async def test_where_something_else_answers_in_the_apis_place_the_api_is_out(
    store: Store, kind: type[ApiError]
) -> None:
    async def answered_by_another() -> Sequence[DeviceId]:
        await checkpoint()
        raise kind("a page to log in", ErrorContext("GET", "/sensors"))

    with pytest.raises(OutageError, match="there is no list of devices to go by: a page to log in"):
        await fleet_of(0, list_devices=answered_by_another).land(store, [Dataset.MONTH], [JULY])

    assert last_run(store)["outcome"] == "unreachable"


async def test_a_run_that_cannot_reach_the_api_leaves_its_row(store: Store) -> None:
    async with VoltawareClient("id", "secret", base_url="http://127.0.0.1:9") as client:
        with pytest.raises(AuthUnavailableError, match="connection refused"):
            await client.fleet.land(store, [Dataset.MONTH], [JULY])

    assert last_run(store)["outcome"] == "unreachable"
    assert store.table("runs").num_rows == 1
    assert not store.knows_devices()


async def test_a_run_that_is_cancelled_while_devices_are_listed_leaves_its_row(store: Store) -> None:
    watched, listing = Watched(), anyio.Event()

    async def endless() -> Sequence[DeviceId]:
        listing.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def run() -> None:
        await fleet_of(0, list_devices=endless).land(store, [Dataset.MONTH], [JULY], watcher=watched)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await listing.wait()
        group.cancel_scope.cancel()

    assert watched.summary.planned == 0
    check_account(watched.summary, store, "interrupted")


async def test_a_run_that_is_stopped_while_devices_are_listed_ends_at_once_with_its_account(
    store: Store,
) -> None:
    watched, stop = Watched(), anyio.Event()

    async def endless() -> Sequence[DeviceId]:
        stop.set()
        await anyio.sleep_forever()
        raise AssertionError

    fleet = fleet_of(0, list_devices=endless)
    summary = await fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched, stop=stop)

    assert watched.summary == summary
    check_account(summary, store, "interrupted")


async def test_a_run_whose_time_is_up_before_devices_are_listed_says_so(store: Store) -> None:
    async def endless() -> Sequence[DeviceId]:
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(OutageError, match="did not list the devices within the time of the run"):
        await fleet_of(0, list_devices=endless).land(store, [Dataset.MONTH], [JULY], max_duration=0.01)

    assert last_run(store)["outcome"] == "unreachable"


# --- a store that breaks ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [1, 2, 3, 4])
async def test_no_cell_of_a_batch_that_could_not_be_written_counts_as_landed(
    store: Store, small_batches: int, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    watched, broken = Watched(), Broken(store, commit=first)

    with pytest.raises(StoreError, match="commit no longer works"):
        await fleet_of(35).land(broken, [Dataset.MONTH], [JULY], watcher=watched)

    assert not caplog.records, "a broken store is not tried again"
    assert len(broken.committed) == first - 1
    assert all(size >= small_batches for size in broken.committed)
    assert watched.summary.landed == len(ledger_of(store)) == sum(broken.committed) < 35
    check_account(watched.summary, store, "failed")


@pytest.mark.parametrize(
    ("method", "planned"),
    [
        ("expect", 0),
        ("consider", 0),
        ("count_unseen", 0),
        ("take_stock", 0),
        ("count", 0),
        ("outstanding", 30),
    ],
)
async def test_a_store_that_cannot_say_what_is_outstanding_ends_the_run_with_its_account(
    store: Store, method: str, planned: int
) -> None:
    watched = Watched()

    with pytest.raises(StoreError, match=f"{method} no longer works"):
        await fleet_of(30).land(Broken(store, **{method: 1}), [Dataset.MONTH], [JULY], watcher=watched)

    assert watched.summary.unasked == watched.summary.planned == planned
    check_account(watched.summary, store, "failed")


async def test_a_store_that_breaks_between_two_pages_keeps_what_was_committed(
    store: Store, small_batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_PAGE_DEVICES", 2 * small_batches)
    watched = Watched()

    with pytest.raises(StoreError, match="outstanding no longer works"):
        await fleet_of(100).land(Broken(store, outstanding=2), [Dataset.MONTH], [JULY], watcher=watched)

    assert 0 < watched.summary.landed <= 20
    check_account(watched.summary, store, "failed")


async def test_a_run_that_cannot_be_opened_says_so_and_leaves_no_trace(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched()

    with pytest.raises(StoreError, match="begin no longer works"):
        await fleet_of(30).land(Broken(store, begin=1), [Dataset.MONTH], [JULY], watcher=watched)

    assert not watched.summaries
    assert not store.table("runs").num_rows
    assert not caplog.records


async def test_a_run_whose_end_cannot_be_recorded_has_landed_all_the_same(store: Store) -> None:
    watched = Watched()

    with pytest.raises(StoreError, match="finish no longer works"):
        await fleet_of(30).land(Broken(store, finish=1), [Dataset.MONTH], [JULY], watcher=watched)

    assert watched.summary.landed == len(ledger_of(store)) == 30
    check_account(watched.summary, store, None)


@pytest.mark.parametrize(
    ("breaks", "said", "outcome"),
    [
        ({"commit": 1}, [NOT_LANDED], "credentials refused"),
        ({"finish": 1}, [NOT_RECORDED], None),
        ({"commit": 1, "finish": 1}, [NOT_LANDED, NOT_RECORDED], None),
    ],
)
async def test_a_store_that_breaks_in_an_ending_is_logged_and_the_reason_of_the_ending_is_raised(
    store: Store,
    caplog: pytest.LogCaptureFixture,
    breaks: dict[str, int],
    said: list[str],
    outcome: str | None,
) -> None:
    watched, broken = Watched(), Broken(store, **breaks)

    with caplog.at_level(logging.WARNING, "voltaware_async"), pytest.raises(CredentialsRefusedError):
        await fleet_of(100, refused_from(60)).land(broken, [Dataset.MONTH], [JULY], watcher=watched)

    assert [record.message for record in caplog.records] == said
    assert watched.summary.landed == len(ledger_of(store)) == sum(broken.committed)
    assert bool(broken.committed) == ("commit" not in breaks)
    check_account(watched.summary, store, outcome)


async def test_a_stopped_run_whose_last_batch_cannot_be_written_is_a_broken_one(store: Store) -> None:
    stop, watched = anyio.Event(), Watched()

    async def stopping(cell: Cell) -> Outcome:
        if cell.device_id == "0020":
            stop.set()
            await anyio.sleep_forever()
        return await answered(cell)

    with pytest.raises(StoreError, match="commit no longer works"):
        await fleet_of(30, stopping).land(
            Broken(store, commit=1), [Dataset.MONTH], [JULY], watcher=watched, stop=stop
        )

    assert watched.summary.unasked == 30
    check_account(watched.summary, store, "failed")


async def test_a_watcher_that_fails_ends_the_run_with_its_account(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_PROGRESS_EVERY_S", 0.0)

    def react(progress: Progress) -> None:
        if progress.done == 20:
            raise LookupError("no terminal")

    watched = Watched(react)

    with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
        await fleet_of(30).land(store, [Dataset.MONTH], [JULY], watcher=watched)

    assert 20 <= watched.summary.landed < 30
    check_account(watched.summary, store, "failed")


# --- the store and the loop -------------------------------------------------------------------------


async def test_the_loop_goes_round_while_a_batch_is_written(store: Store, small_batches: int) -> None:
    """Hold every commit until the loop has gone round ten times: a commit on the loop would wait for ever."""
    beats, enough = 0, threading.Event()

    class Patient(Wrapped):
        def commit(self, batch: Batch, *, refreshes: bool = False) -> int:
            enough.clear()
            assert enough.wait(PATIENCE_S), "the loop stood still"
            return super().commit(batch, refreshes=refreshes)

    async def beat() -> None:
        nonlocal beats
        while True:
            await anyio.sleep(0.0005)
            beats += 1
            if beats % 10 == 0:
                enough.set()

    patient = Patient(store)
    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        await fleet_of(35).land(patient, [Dataset.MONTH], [JULY])
        group.cancel_scope.cancel()

    assert sum(patient.committed) == 35
    assert max(patient.committed) <= small_batches + 4


async def test_a_store_that_hangs_stops_the_asking_after_one_batch_and_what_is_in_flight(
    store: Store, small_batches: int
) -> None:
    asked, held = 0, Held(store, "commit")

    async def counting(cell: Cell) -> Outcome:
        nonlocal asked
        asked += 1
        return await answered(cell)

    async with anyio.create_task_group() as group:
        fleet = fleet_of(500, counting, concurrency=4)
        group.start_soon(fleet.land, held, [Dataset.MONTH], [JULY])
        while not held.entered.is_set():
            await anyio.sleep(0.001)
        await anyio.wait_all_tasks_blocked()
        asked_while_it_hung = asked
        held.let_go.set()

    assert small_batches <= asked_while_it_hung <= small_batches + 4
    assert sum(held.committed) == asked == 500
    assert min(held.committed[:-1]) >= small_batches, "workers that waited write no crumbs"


async def test_the_store_is_called_by_one_thread_at_a_time_however_many_workers_there_are(
    store: Store, small_batches: int
) -> None:
    wrapped = Wrapped(store)

    summary = await fleet_of(500, concurrency=64).land(wrapped, [Dataset.MONTH], [JULY])

    assert summary.landed == 500
    assert wrapped.most_inside == 1
    assert min(wrapped.committed[:-1]) >= small_batches


async def test_a_batch_is_written_when_it_is_old_although_it_is_small(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_AGE_S", 0.0)
    wrapped = Wrapped(store)

    await fleet_of(5, concurrency=1).land(wrapped, [Dataset.MONTH], [JULY])

    assert wrapped.committed == [1] * 5


async def test_a_run_leaves_no_thread_behind(store: Store) -> None:
    before = set(threading.enumerate())

    await fleet_of(30).land(store, [Dataset.MONTH], [JULY])

    assert not [it for it in set(threading.enumerate()) - before if it.name.startswith("voltaware store")]


# --- a summary -------------------------------------------------------------------------------------


async def test_a_summary_reads_as_the_command_prints_it(store: Store) -> None:
    summary = await fleet_of(3).land(store, [Dataset.MONTH], [JULY])

    assert list(summary.as_dict()) == [
        *("run_id", "planned", "landed", "absent", "failed", "unasked", "skipped"),
        *("requests", "retries", "throttled", "token_calls", "elapsed_s", "rate_per_s"),
        *("restated", "kept", "zone_unknown", "reports_wh", "reports_kwh", "reports_unknown"),
    ]
    assert summary.counts() == {name: it for name, it in summary.as_dict().items() if name != "run_id"}
    assert last_run(store)["command"] == "land"
