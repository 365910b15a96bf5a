"""Whom and what a run asks: listed devices; what was never asked, then what did not land; each cell once."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from accounts import Watched, check_account, last_run, ledger_of
from anyio.lowlevel import checkpoint
from fleets import fleet_of

from voltaware_async import (
    Absent,
    CredentialsRefusedError,
    Dataset,
    DeviceId,
    ErrorContext,
    Failed,
    Month,
    OutageError,
    ServerError,
    Week,
    open_store,
)
from voltaware_async.cells import Seen
from voltaware_async.fleet import landing
from voltaware_async.records.devices import Device, Locale

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voltaware_async import Cell, Outcome, VoltawareClient
    from voltaware_async.cells import Lookup
    from voltaware_async.sandbox import Sandbox
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

JULY = Month(2024, 7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def test_a_cell_that_fails_in_its_first_turn_is_not_asked_again_in_the_second_of_the_same_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 1)
    asked: list[str] = []

    async def failing(cell: Cell) -> Outcome:
        asked.append(cell.device_id)
        await checkpoint()
        return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))

    await fleet_of(2, failing, concurrency=1).land(store, [Dataset.MONTH], [JULY])
    summary = await fleet_of(5, failing, concurrency=1).land(store, [Dataset.MONTH], [JULY])

    assert asked == ["0000", "0001", "0002", "0003", "0004", "0000", "0001"]
    assert (summary.planned, summary.failed, summary.unasked) == (5, 5, 0)
    check_account(summary, store, "incomplete")


async def test_what_was_never_asked_is_asked_first_in_every_period_and_then_what_did_not_land(
    store: Store,
) -> None:
    asked: list[tuple[str, str]] = []

    async def absent(cell: Cell) -> Outcome:
        asked.append((str(cell.period), cell.device_id))
        await checkpoint()
        return Absent(cell)

    june = JULY.previous()
    await fleet_of(1, absent, concurrency=1).land(store, [Dataset.MONTH], [june, JULY])
    asked.clear()
    summary = await fleet_of(2, absent, concurrency=1).land(store, [Dataset.MONTH], [JULY, june])

    assert asked == [("2024-06", "0001"), ("2024-07", "0001"), ("2024-06", "0000"), ("2024-07", "0000")]
    assert summary.planned == summary.absent == 4
    check_account(summary, store, "complete")


async def test_a_cell_that_is_absent_in_its_first_turn_is_not_asked_again_although_others_like_it_are_due(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 1)
    asked: list[str] = []

    async def absent(cell: Cell) -> Outcome:
        asked.append(cell.device_id)
        await checkpoint()
        return Absent(cell)

    await fleet_of(1, absent, concurrency=1).land(store, [Dataset.MONTH], [JULY])
    summary = await fleet_of(4, absent, concurrency=1).land(store, [Dataset.MONTH], [JULY])

    assert asked == ["0000", "0001", "0002", "0003", "0000"]
    assert (summary.planned, summary.absent, summary.unasked) == (4, 4, 0)
    check_account(summary, store, "complete")


async def test_a_plan_after_a_run_counts_what_that_run_left_failed(store: Store) -> None:
    async def failing(cell: Cell) -> Outcome:
        return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))

    fleet = fleet_of(3, failing)
    await fleet.land(store, [Dataset.MONTH], [JULY])
    plan = await fleet.plan_land(store, [Dataset.MONTH], [JULY])

    assert (plan.requests, plan.skipped) == (3, 0)


async def test_only_failed_cells_are_asked_by_a_retry_of_any_period(store: Store) -> None:
    asked: list[tuple[str, str]] = []

    async def failing_at_first(cell: Cell) -> Outcome:
        asked.append((str(cell.period), cell.device_id))
        await checkpoint()
        number = int(cell.device_id)
        if number == 0 and len(asked) <= 6:
            return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))
        return Absent(cell)

    fleet = fleet_of(3, failing_at_first, concurrency=1)
    await fleet.land(store, [Dataset.MONTH], [JULY, JULY.previous()])
    assert len(asked) == 6
    summary = await fleet.retry_failed(store)

    assert asked[6:] == [("2024-06", "0000"), ("2024-07", "0000")]
    assert (summary.planned, summary.absent, summary.skipped) == (2, 2, 0)
    check_account(summary, store, "complete")


async def test_a_cell_that_failed_and_is_asked_again_lands_and_adds_up_its_attempts(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    device = next(it for it in sandbox.fleet.device_ids() if sandbox.fleet.month(it, 2024, 7))
    broken = sandbox.script("500", times=None, route="sm/disag/month", device_id=device)
    await client.fleet.land(store, [Dataset.MONTH], [JULY])
    broken.cancel()

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    healed = ledger_of(store)[device]
    assert (healed["status"], healed["attempts"], healed["http_status"]) == ("landed", 4, 200)
    assert healed["error"] is None
    assert healed["run_id"] == summary.run_id
    check_account(summary, store, "complete")


async def test_what_is_absent_today_is_asked_again_and_lands_once_it_is_there(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    published = sandbox.today
    sandbox.today = JULY.end
    early = await client.fleet.land(store, [Dataset.MONTH], [JULY])
    sandbox.today = published

    late = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    assert (early.absent, early.landed) == (30, 0)
    assert late.planned == 30
    assert late.landed > 0
    check_account(late, store, "complete")


# --- the devices that are listed -----------------------------------------------------------------


async def test_a_device_that_the_api_lists_twice_is_asked_once(store: Store) -> None:
    listed = [DeviceId("0001"), DeviceId("0002"), DeviceId("0001")]

    summary = await fleet_of(listed).land(store, [Dataset.MONTH], [JULY])

    assert summary.planned == summary.landed == 2


def unlisted(store: Store) -> dict[str, date | None]:
    return {row["device_id"]: row["unlisted_since"] for row in store.table("devices").to_pylist()}


async def absent_for(cell: Cell) -> Outcome:
    await checkpoint()
    return Absent(cell)


async def seen(device_id: DeviceId) -> Lookup:
    await checkpoint()
    return Seen(device_id, Device())


AS_OF = date(2024, 9, 15)
# Due is August alone.
NIGHT = {"datasets": [Dataset.MONTH], "horizon_months": 1}


async def test_a_device_that_the_api_lists_no_more_is_unlisted_since_that_night_and_is_missing_no_more(
    store: Store,
) -> None:
    listed = [DeviceId(it) for it in ("1", "2", "3")]
    fleet = fleet_of(listed, absent_for, look_up=seen)
    await fleet.sync(store, **NIGHT, as_of=AS_OF)
    assert unlisted(store) == dict.fromkeys("123")

    del listed[1:]
    await fleet.sync(store, **NIGHT, as_of=AS_OF + timedelta(days=1))
    await fleet.land(store, [Dataset.WEEK], [Week.of(AS_OF)])

    assert unlisted(store) == {"1": None, "2": AS_OF + timedelta(days=1), "3": AS_OF + timedelta(days=1)}
    assert [(it.absent, it.never_asked) for it in store.coverage()] == [(3, 0), (1, 0)]

    listed.append(DeviceId("3"))
    await fleet.sync(store, **NIGHT, as_of=AS_OF + timedelta(days=2))

    assert unlisted(store) == {"1": None, "2": AS_OF + timedelta(days=1), "3": None}
    assert [it.never_asked for it in store.coverage()] == [0, 1]


@pytest.mark.parametrize(("devices", "is_warned_of"), [(20, True), (21, False)])
async def test_a_list_that_lacks_more_than_a_twentieth_is_warned_of(
    store: Store, caplog: pytest.LogCaptureFixture, devices: int, *, is_warned_of: bool
) -> None:
    listed = [DeviceId(f"{n}") for n in range(devices)]
    fleet = fleet_of(listed, absent_for)
    await fleet.land(store, [Dataset.MONTH], [JULY])
    listed.pop()
    for _ in range(2):
        await fleet.land(store, [Dataset.MONTH], [JULY])

    assert [record.getMessage() for record in caplog.records] == (
        ["the API lists 19 devices, and 1 no more"] if is_warned_of else []
    )


async def test_a_run_of_named_devices_unlists_nobody_and_adds_none_but_those_that_it_looks_up(
    store: Store,
) -> None:
    fleet = fleet_of([DeviceId("1"), DeviceId("2")], absent_for, look_up=seen)
    await fleet.sync(store, **NIGHT, as_of=AS_OF)
    await fleet.sync(store, [DeviceId("2"), DeviceId("3")], **NIGHT, as_of=AS_OF)
    await fleet.land(store, [Dataset.MONTH], [JULY], [DeviceId("4")])
    assert unlisted(store) == dict.fromkeys("123")


async def test_a_retry_unlists_nobody(store: Store) -> None:
    async def failing(cell: Cell) -> Outcome:
        await checkpoint()
        return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))

    fleet = fleet_of(2, failing)
    await fleet.land(store, [Dataset.MONTH], [JULY])
    await fleet.retry_failed(store)
    assert unlisted(store) == {"0000": None, "0001": None}


async def test_an_empty_list_is_refused_where_the_store_knows_devices_and_unlists_nobody(
    store: Store,
) -> None:
    listed = [DeviceId("1"), DeviceId("2")]
    fleet, watched = fleet_of(listed, absent_for, look_up=seen), Watched()
    await fleet.sync(store, **NIGHT, as_of=AS_OF)
    listed.clear()
    runs = (
        lambda: fleet.sync(store, **NIGHT, as_of=AS_OF, watcher=watched),
        lambda: fleet.land(store, [Dataset.MONTH], [JULY], watcher=watched),
    )
    for run in runs:
        with pytest.raises(OutageError, match=r"the API lists no devices, and .* knows some: nothing"):
            await run()
        assert last_run(store)["outcome"] == "unreachable"
    for plan in (
        fleet.plan_sync(store, **NIGHT, as_of=AS_OF),
        fleet.plan_land(store, [Dataset.MONTH], [JULY]),
    ):
        with pytest.raises(OutageError, match="lists no devices"):
            await plan

    assert not watched.summaries
    assert unlisted(store) == dict.fromkeys("12")
    assert store.table("runs").num_rows == 3


async def test_an_empty_list_is_a_fleet_of_nobody_where_the_store_knows_none(store: Store) -> None:
    summary = await fleet_of(0).land(store, [Dataset.MONTH], [JULY])

    assert summary.planned == 0
    check_account(summary, store, "complete")


# --- what a run was to ask -----------------------------------------------------------------------


@pytest.mark.parametrize("answers", [0, 3])
async def test_what_an_interrupted_run_did_not_come_to_is_missing(store: Store, answers: int) -> None:
    asked = 0

    async def refused_after(cell: Cell) -> Outcome:
        nonlocal asked
        asked += 1
        if asked > answers:
            raise CredentialsRefusedError("refused", ErrorContext("POST", "/auth/token"))
        return await absent_for(cell)

    fleet = fleet_of(5, refused_after, concurrency=1)
    with pytest.raises(CredentialsRefusedError):
        await fleet.land(store, [Dataset.MONTH, Dataset.MONTH_WEEKS], [JULY, JULY.next()])

    assert [(it.dataset, it.period, it.absent, it.never_asked) for it in store.coverage()] == [
        (Dataset.MONTH, JULY, answers, 5 - answers),
        (Dataset.MONTH, JULY.next(), 0, 5),
        (Dataset.MONTH_WEEKS, JULY, 0, 5),
        (Dataset.MONTH_WEEKS, JULY.next(), 0, 5),
    ]


async def test_a_run_that_ends_among_its_look_ups_has_said_what_it_was_to_ask(store: Store) -> None:
    async def refused(device_id: DeviceId) -> Lookup:
        if device_id == "0002":
            raise CredentialsRefusedError("refused", ErrorContext("POST", "/auth/token"))
        return await seen(device_id)

    with pytest.raises(CredentialsRefusedError):
        await fleet_of(5, look_up=refused, concurrency=1).sync(store, **NIGHT, as_of=AS_OF)

    [august] = store.coverage()
    assert (august.period, august.never_asked) == (JULY.next(), 2), "of the devices that are known by then"


async def test_what_came_due_in_nights_that_were_skipped_is_missing_and_warned_of(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = fleet_of(2, absent_for, look_up=seen)
    await fleet.sync(store, **NIGHT, as_of=date(2024, 5, 3))
    await fleet.land(store, [Dataset.MONTH], [Month(2024, 6)])
    assert not caplog.records

    summary = await fleet.sync(store, **NIGHT, as_of=AS_OF)
    await fleet.sync(store, **NIGHT, as_of=AS_OF + timedelta(days=1))

    [warning] = caplog.records
    assert warning.getMessage().startswith("nights were skipped: 2024-05 to 2024-07 ")
    assert summary.planned == 2
    assert {str(it.period): (it.absent, it.never_asked) for it in store.coverage()} == {
        "2024-04": (2, 0),
        "2024-05": (0, 2),
        "2024-06": (2, 0),
        "2024-07": (0, 2),
        "2024-08": (2, 0),
    }


async def test_the_newest_month_behind_the_horizon_is_among_the_skipped(store: Store) -> None:
    fleet = fleet_of(2, absent_for, look_up=seen)
    await fleet.sync(store, **NIGHT, as_of=date(2024, 6, 3))
    await fleet.sync(store, **NIGHT, as_of=AS_OF)

    assert [str(it.period) for it in store.coverage() if it.never_asked] == ["2024-06", "2024-07"]


async def test_a_young_device_is_looked_up_again_after_a_week_and_asked_for_what_came_late(
    store: Store,
) -> None:
    first_events = ["2024-09-01T12:00Z", "2024-09-01T12:00Z", "2024-08-31T12:00Z"]
    looked_up: list[date] = []

    async def younger(device_id: DeviceId) -> Lookup:
        await checkpoint()
        looked_up.append(day)
        first_event = datetime.fromisoformat(first_events[len(looked_up) - 1])
        return Seen(device_id, Device(first_event=first_event, locale=Locale(time_zone_id="UTC")))

    fleet = fleet_of(1, absent_for, look_up=younger)
    planned = {}
    for days in range(15):
        day = AS_OF + timedelta(days=days)
        planned[days] = (await fleet.sync(store, **NIGHT, as_of=day)).planned

    assert looked_up == [AS_OF, AS_OF + timedelta(days=7), AS_OF + timedelta(days=14)]
    assert planned == {**dict.fromkeys(range(14), 0), 14: 1}
