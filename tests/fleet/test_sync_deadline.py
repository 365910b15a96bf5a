"""A night that is cut off, by its deadline in virtual time or by a stop: what is left out harms least."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from accounts import Watched, check_account
from virtual_time import JumpingLoop

from voltaware_async import Dataset, VoltawareClient, Week, open_store
from voltaware_async.cli.exits import Exit, of_summary
from voltaware_async.fleet import survey
from voltaware_async.fleet.due import due_slices
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

NIGHT = timedelta(days=1)
AS_OF = date(2024, 9, 15)
LATENCY_S = 1.0
DEVICES = 12


class StoreTakesNoTime(JumpingLoop):
    """Call the store on the spot: a jump does not wait for its thread, which works by the real clock."""

    def run_in_executor(
        self, executor: object, call: Callable[..., Any], *arguments: object
    ) -> asyncio.Future[Any]:
        del executor
        done = self.create_future()
        done.set_result(call(*arguments))
        return done


in_virtual_time = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("asyncio", {"loop_factory": StoreTakesNoTime}), id="virtual")]
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def _on_the_spot(call: Callable[..., Any], *arguments: object) -> Any:
    return call(*arguments)


@pytest.fixture
async def slow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """An API that takes a second for each answer, or as long as the test asks for."""
    monkeypatch.setattr(anyio.to_thread, "run_sync", _on_the_spot)
    latency_s = getattr(request, "param", LATENCY_S)
    clock = asyncio.get_running_loop().time
    async with Sandbox(devices=DEVICES, today=AS_OF, latency_ms=latency_s * 1000, clock=clock) as sandbox:
        yield sandbox


def client_of(sandbox: Sandbox, concurrency: int = 2) -> VoltawareClient:
    return VoltawareClient(
        *(sandbox.client_id, sandbox.client_secret),
        base_url=sandbox.base_url,
        rate=None,
        concurrency=concurrency,
    )


def asked(sandbox: Sandbox, since: int = 0) -> list[tuple[str, str]]:
    """Return the cells in the order in which they were asked: query, device."""
    return [(it.query, it.device_id) for it in sandbox.requests[since:] if it.route.startswith("sm/")]


def statuses(store: Store) -> list[str]:
    return [row["status"] for row in store.table("ledger").to_pylist()]


# --- the deadline -----------------------------------------------------------------------------------


@in_virtual_time
async def test_a_night_that_runs_out_of_time_lands_what_arrived_and_counts_the_rest_as_unasked(
    slow: Sandbox, store: Store
) -> None:
    async with client_of(slow) as client:
        summary = await client.fleet.sync(store, as_of=AS_OF, max_duration=60.0)

    assert 50 < summary.elapsed_s <= 60
    assert summary.landed + summary.absent == len(statuses(store)) > 60
    assert summary.unasked > 300
    assert not summary.failed
    assert of_summary(summary) is Exit.INCOMPLETE == 3
    check_account(summary, store, "out of time")


@in_virtual_time
async def test_a_night_that_has_time_enough_is_complete(slow: Sandbox, store: Store) -> None:
    async with client_of(slow, concurrency=8) as client:
        summary = await client.fleet.sync(store, as_of=AS_OF, datasets=[Dataset.MONTH], max_duration=60.0)

    assert summary.is_complete
    assert summary.elapsed_s < 10
    check_account(summary, store, "complete")


@in_virtual_time
async def test_what_the_deadline_cuts_off_is_the_newest(slow: Sandbox, store: Store) -> None:
    async with client_of(slow) as client:
        await client.fleet.sync(store, as_of=AS_OF, max_duration=40.0)

    parts = due_slices(Dataset, AS_OF, 3)
    reached = list(dict.fromkeys((row["period_start"], row["dataset"]) for row in _in_order(store, parts)))
    in_full = [(part.period.start, str(part.dataset)) for part in parts][: len(reached)]
    assert 2 <= len(reached) < len(parts)
    assert reached == in_full, "oldest first, and no period begun before the one before it was handed out"


def _in_order(store: Store, parts: tuple[Any, ...]) -> list[dict[str, Any]]:
    order = {(str(part.dataset), part.period.start): n for n, part in enumerate(parts)}
    rows = store.table("ledger").to_pylist()
    return sorted(rows, key=lambda row: order[row["dataset"], row["period_start"]])


@in_virtual_time
async def test_what_was_never_asked_comes_first_and_what_was_absent_last(slow: Sandbox, store: Store) -> None:
    """A new week and re-asks of six older ones compete for time that is too short for all of them."""
    options = {"datasets": [Dataset.WEEK], "horizon_months": 1}
    lacking = slow.script(status=404, body="{}", times=None, route="sm/disag/week")
    async with client_of(slow) as client:
        first = await client.fleet.sync(store, as_of=AS_OF, **options)
        lacking.cancel()
        before = len(slow.requests)
        slow.today = AS_OF + 2 * NIGHT

        second = await client.fleet.sync(store, as_of=slow.today, max_duration=20.0, **options)

    weeks = list(dict.fromkeys(_week(query) for query, _ in asked(slow, before)))
    new, *old = (part.period for part in reversed(due_slices([Dataset.WEEK], slow.today, 1)))
    assert first.absent == first.planned == len(old) * DEVICES
    assert weeks == [new, *sorted(old)[: len(weeks) - 1]], "of those asked before, the oldest first"
    assert 1 < len(weeks) < 1 + len(old)
    assert sum(_week(query) == new for query, _ in asked(slow, before)) == DEVICES
    assert second.unasked
    check_account(second, store, "out of time")


def _week(query: str) -> Week:
    return Week.parse(re.findall(r"\d{4}-\d{2}-\d{2}", query)[0])


@in_virtual_time
async def test_the_night_after_goes_on_where_the_deadline_struck(slow: Sandbox, store: Store) -> None:
    options = {"datasets": [Dataset.WEEK], "horizon_months": 1}
    async with client_of(slow) as client:
        cut_off = await client.fleet.sync(store, as_of=AS_OF, max_duration=20.0, **options)
        rest = await client.fleet.sync(store, as_of=AS_OF, **options)

    assert cut_off.unasked == rest.planned > 0
    assert rest.skipped == cut_off.landed + cut_off.absent
    assert len(asked(slow)) == len(set(asked(slow))) == cut_off.planned
    assert rest.is_complete


@in_virtual_time
@pytest.mark.parametrize("slow", [9.0], indirect=True)
async def test_what_is_under_way_when_time_is_up_is_dropped_and_asked_again(
    slow: Sandbox, store: Store
) -> None:
    """Token, look-ups and cells take nine seconds each: the last ones would arrive after the end."""
    options = {"datasets": [Dataset.MONTH], "horizon_months": 1}
    async with client_of(slow, concurrency=DEVICES // 2) as client:
        summary = await client.fleet.sync(
            store, list(slow.fleet.device_ids()), as_of=AS_OF, max_duration=42.0, **options
        )
        dropped = len(asked(slow)) - len(statuses(store))
        rest = await client.fleet.sync(store, as_of=AS_OF, **options)

    assert 36 < summary.elapsed_s <= 42
    assert summary.landed + summary.absent == DEVICES // 2
    assert dropped == summary.unasked == rest.planned == DEVICES // 2
    assert rest.is_complete


@in_virtual_time
async def test_a_deadline_that_strikes_during_the_look_ups_asks_no_cell_and_keeps_what_was_seen(
    slow: Sandbox, store: Store
) -> None:
    async with client_of(slow, concurrency=1) as client:
        cut_off = await client.fleet.sync(store, as_of=AS_OF, max_duration=8.0)
        looked_up, cells = slow.count("sensor"), asked(slow)
        rest = await client.fleet.sync(store, as_of=AS_OF, datasets=[Dataset.MONTH], horizon_months=1)

    assert cut_off.elapsed_s <= 8
    assert 0 < looked_up < DEVICES
    assert not cells
    assert cut_off.unasked == cut_off.planned > 0
    assert rest.is_complete
    assert slow.count("sensor") <= DEVICES + 1, "but for what was under way, each is looked up once"
    runs = store.table("runs").to_pylist()
    assert [run["outcome"] for run in runs] == ["out of time", "complete"]


@in_virtual_time
@pytest.mark.parametrize("max_duration", [0.5, 1.0, 1.5])
async def test_a_deadline_before_the_first_answer_asks_no_cell(
    slow: Sandbox, store: Store, max_duration: float
) -> None:
    async with client_of(slow) as client:
        summary = await client.fleet.sync(store, as_of=AS_OF, max_duration=max_duration)

    assert not asked(slow)
    assert summary.unasked == summary.planned > 0
    check_account(summary, store, "out of time")


@in_virtual_time
async def test_a_pull_and_a_retry_of_what_failed_keep_their_deadline_too(slow: Sandbox, store: Store) -> None:
    week = Week.of(date(2024, 9, 2))
    broken = slow.script(status=200, body="{}", times=None, route="sm/disag/week")
    async with client_of(slow) as client:
        await client.fleet.land(store, [Dataset.WEEK], [week])
        broken.cancel()

        again = await client.fleet.retry_failed(store, max_duration=4.0)
        pulled = await client.fleet.land(store, [Dataset.WEEK], [week.previous()], max_duration=4.0)

    for summary in (again, pulled):
        assert summary.elapsed_s <= 4
        assert summary.planned == DEVICES
        assert 0 < summary.unasked < DEVICES
    check_account(pulled, store, "out of time")


# --- a stop -----------------------------------------------------------------------------------------


async def test_a_stop_during_the_look_ups_keeps_those_that_were_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = anyio.Event()
    watched = Watched()
    async with Sandbox(devices=40, today=AS_OF, latency_ms=5) as sandbox, client_of(sandbox) as client:

        async def stop_after_ten() -> None:
            while sandbox.count("sensor") < 10:
                await anyio.sleep(0.001)
            stop.set()

        async with anyio.create_task_group() as group:
            group.start_soon(stop_after_ten)
            summary = await client.fleet.sync(store, as_of=AS_OF, watcher=watched, stop=stop)
        seen = [row for row in store.table("devices").to_pylist() if row["seen_at"] is not None]
        asked_before = sandbox.count("sensor")

        monkeypatch.setattr(survey, "_BATCH_DEVICES", 7)
        rest = await client.fleet.sync(store, as_of=AS_OF, datasets=[Dataset.MONTH], horizon_months=1)

        assert not any(it.route.startswith("sm/") for it in sandbox.requests[: 2 + asked_before])
        assert summary.unasked == summary.planned == watched.summary.planned > 0
        assert asked_before - 2 <= len(seen) <= asked_before < 40
        assert sandbox.count("sensor") - asked_before == 40 - len(seen)
        assert rest.is_complete
        [stopped, complete] = store.table("runs").to_pylist()
        assert (stopped["outcome"], complete["outcome"]) == ("interrupted", "complete")


async def test_a_stop_among_the_cells_lands_what_has_arrived(store: Store) -> None:
    stop = anyio.Event()
    async with Sandbox(devices=40, today=AS_OF, latency_ms=5) as sandbox, client_of(sandbox) as client:

        async def stop_after_ten() -> None:
            while not sandbox.count("sm/disag/month") >= 10:
                await anyio.sleep(0.001)
            stop.set()

        async with anyio.create_task_group() as group:
            group.start_soon(stop_after_ten)
            summary = await client.fleet.sync(
                store, as_of=AS_OF, datasets=[Dataset.MONTH], stop=stop, max_duration=3600.0
            )

        assert 8 <= summary.landed + summary.absent <= sandbox.count("sm/disag/month") < summary.planned
        check_account(summary, store, "interrupted")


async def test_a_look_up_that_breaks_the_run_leaves_what_was_seen(store: Store) -> None:
    async with Sandbox(devices=10, today=AS_OF) as sandbox, client_of(sandbox, concurrency=1) as client:

        def broken(_: object) -> None:
            if sandbox.count("sensor") >= 5:
                raise LookupError("no terminal")

        watched = Watched(broken)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("voltaware_async.fleet.landing._PROGRESS_EVERY_S", 0.0)
            with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
                await client.fleet.sync(store, as_of=AS_OF, watcher=watched)

    seen = [row for row in store.table("devices").to_pylist() if row["seen_at"] is not None]
    assert len(seen) == 5
    assert [it.devices_done for it in watched.progress] == [1, 2, 3, 4, 5]
    assert {it.devices for it in watched.progress} == {10}
    check_account(watched.summary, store, "failed")
