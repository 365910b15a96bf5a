"""A night that is cut off, by its deadline in virtual time or by a stop: what is left out harms least."""

from __future__ import annotations

import asyncio
import functools
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from accounts import Watched, check_account
from virtual_time import JumpingLoop

from voltaware_async import Dataset, OutageError, VoltawareClient, Week, open_store
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


def client_of(sandbox: Sandbox, concurrency: int = 2, rate: float | None = None) -> VoltawareClient:
    return VoltawareClient(
        *(sandbox.client_id, sandbox.client_secret),
        base_url=sandbox.base_url,
        rate=rate,
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
async def test_a_deadline_before_the_first_look_up_is_answered_asks_no_cell(
    slow: Sandbox, store: Store
) -> None:
    """After token and list, two seconds are over."""
    async with client_of(slow) as client:
        summary = await client.fleet.sync(store, as_of=AS_OF, max_duration=2.8)

    assert slow.count("sensor") == 2
    assert not asked(slow)
    assert summary.unasked == summary.planned > 0
    check_account(summary, store, "out of time")


@in_virtual_time
async def test_a_deadline_whose_last_call_comes_before_the_list_sends_nothing_after_it(
    slow: Sandbox, store: Store
) -> None:
    async with client_of(slow) as client:
        summary = await client.fleet.sync(store, as_of=AS_OF, max_duration=2.2)

    assert [it.route for it in slow.requests] == ["auth/token", "sensors"]
    assert summary.unasked == summary.planned > 0
    check_account(summary, store, "out of time")


NOT_LISTED = "the API did not list the devices within the time of the run"


@in_virtual_time
@pytest.mark.parametrize(
    ("slow", "max_duration"),
    [(1.0, 0.5), (1.0, 1.0), (1.0, 1.5), (9.0, 10.0), (100_000.0, 20.0)],
    indirect=["slow"],
)
@pytest.mark.parametrize("command", ["sync", "pull"])
async def test_devices_that_are_not_listed_in_time_make_the_api_unreachable(
    slow: Sandbox, store: Store, max_duration: float, command: str
) -> None:
    watched = Watched()
    began = anyio.current_time()
    async with client_of(slow) as client:
        options = {"max_duration": max_duration, "watcher": watched, "command": command}
        runs = {
            "sync": functools.partial(client.fleet.sync, store, as_of=AS_OF),
            "pull": functools.partial(client.fleet.land, store, [Dataset.WEEK], [Week.of(AS_OF)]),
        }
        with pytest.raises(OutageError, match=NOT_LISTED):
            await runs[command](**options)
        took = anyio.current_time() - began

    assert 0.9 * max_duration < took <= max_duration
    assert not asked(slow)
    assert not slow.count("sensor")
    assert not watched.summaries, "the error says it all"
    [run] = store.table("runs").to_pylist()
    assert (run["command"], run["outcome"], run["planned"]) == (command, "unreachable", 0)
    assert run["elapsed_s"] == pytest.approx(took, abs=0.1)
    assert not store.table("expected").num_rows
    assert not store.table("devices").num_rows


@in_virtual_time
async def test_the_night_after_one_that_was_not_given_the_list_in_time_is_as_the_first(
    slow: Sandbox, store: Store
) -> None:
    options = {"datasets": [Dataset.WEEK], "horizon_months": 1}
    async with client_of(slow) as client:
        with pytest.raises(OutageError, match=NOT_LISTED):
            await client.fleet.sync(store, as_of=AS_OF, max_duration=1.5, **options)
        summary = await client.fleet.sync(store, as_of=AS_OF, max_duration=3600.0, **options)

    assert summary.planned == len(asked(slow)) == 6 * DEVICES
    check_account(summary, store, "complete")


@in_virtual_time
@pytest.mark.parametrize("rate", [2.0, 5.0])
async def test_a_night_that_its_plan_says_fits_is_complete_and_one_that_does_not_is_cut_off(
    slow: Sandbox, store: Store, tmp_path: Path, rate: float
) -> None:
    options = {"datasets": [Dataset.WEEK], "as_of": AS_OF}
    async with client_of(slow, concurrency=50, rate=rate) as client:
        planned = await client.fleet.plan_sync(store, **options)
        window = next(it for it in range(10, 10_000) if planned.fits(it, rate))
        tight = next(it for it in range(10, 10_000) if planned.seconds_at(rate) <= it)
        with open_store(tmp_path / "other.duckdb") as other:
            short = await client.fleet.sync(other, max_duration=float(tight), **options)
        whole = await client.fleet.sync(store, max_duration=float(window), **options)

    assert tight < window
    assert short.unasked
    assert whole.is_complete
    check_account(whole, store, "complete")


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


@in_virtual_time
@pytest.mark.parametrize("after", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("max_duration", [None, 60.0])
async def test_a_stop_while_the_devices_are_listed_ends_the_run_at_once_with_an_account_of_zeros(
    slow: Sandbox, store: Store, after: float, max_duration: float | None
) -> None:
    """The token takes a second, and the list another."""
    stop, watched = anyio.Event(), Watched()

    async def stop_later() -> None:
        await anyio.sleep(after)
        stop.set()

    async with client_of(slow) as client, anyio.create_task_group() as group:
        group.start_soon(stop_later)
        summary = await client.fleet.sync(
            store, as_of=AS_OF, stop=stop, watcher=watched, max_duration=max_duration
        )

    assert summary == watched.summary
    assert summary.elapsed_s == pytest.approx(after, abs=0.1)
    assert (summary.planned, summary.unasked, summary.skipped) == (0, 0, 0)
    assert not asked(slow)
    check_account(summary, store, "interrupted")
    assert not store.table("expected").num_rows


@in_virtual_time
async def test_a_stop_that_is_set_from_the_start_sends_nothing(slow: Sandbox, store: Store) -> None:
    stop = anyio.Event()
    stop.set()
    async with client_of(slow) as client:
        summary = await client.fleet.sync(store, as_of=AS_OF, stop=stop)

    assert not slow.requests
    check_account(summary, store, "interrupted")


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
