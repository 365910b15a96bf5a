"""A night: what it asks, what it leaves alone, and that what lands is what the API has."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from accounts import check_account, last_run
from landed import expected, found

from voltaware_async import (
    ConfigurationError,
    Dataset,
    Month,
    OutageError,
    VoltawareClient,
    Week,
    open_store,
)
from voltaware_async.fleet.due import due_slices, today
from voltaware_async.sandbox import Sandbox
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from voltaware_async import Period, Summary
    from voltaware_async.sandbox import Fleet
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

NIGHT = timedelta(days=1)
SEPTEMBER_15 = date(2024, 9, 15)
MONTHS_ONLY = [Dataset.MONTH]
UNREADABLE = '{"total_consumption": "a lot"}'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def night(
    client: VoltawareClient, sandbox: Sandbox, store: Store, as_of: date, **options: object
) -> Summary:
    """Run one night, on which the API has what it has by then."""
    sandbox.today = as_of
    return await client.fleet.sync(store, as_of=as_of, **options)


def due(
    as_of: date, datasets: Iterable[Dataset] = Dataset, horizon_months: int = 3
) -> list[tuple[Dataset, Period]]:
    return [(part.dataset, part.period) for part in due_slices(datasets, as_of, horizon_months)]


def has_begun(fleet: Fleet, device: str, period: Period) -> bool:
    """Tell whether a period ends on the day of a device's first event or later."""
    first_day = fleet.household(device).first_day
    return first_day is not None and first_day <= period.end.toordinal()


def entries(store: Store, **facts: object) -> list[dict[str, object]]:
    """Return the ledger's rows that say so."""
    return [row for row in store.table("ledger").to_pylist() if facts.items() <= row.items()]


def asked(sandbox: Sandbox) -> Counter[tuple[str, str, str]]:
    """Count the requests for each cell: route, device, query."""
    return Counter(
        (request.route, request.device_id, request.query)
        for request in sandbox.requests
        if request.route.startswith("sm/")
    )


def contents(store: Store) -> dict[str, list[str]]:
    """Return all but the runs."""
    return {
        name: sorted(repr(row) for row in store.table(name).to_pylist()) for name in TABLES if name != "runs"
    }


def requests_for(sandbox: Sandbox, device: str) -> list[str]:
    return [f"{it.route} {it.query}".strip() for it in sandbox.requests if it.device_id == device]


# --- what lands -------------------------------------------------------------------------------------


async def test_the_first_night_lands_all_that_is_due_as_the_sandbox_computes_it(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    devices = sandbox.fleet.device_ids()
    parts = due(SEPTEMBER_15)

    summary = await night(client, sandbox, store, SEPTEMBER_15)

    cells = [
        (device, *part) for part in parts for device in devices if has_begun(sandbox.fleet, device, part[1])
    ]
    assert summary.planned == len(cells) == summary.landed + summary.absent
    assert summary.requests == 1 + 1 + len(devices) + len(cells), "token, /sensors, look-ups, cells"
    assert found(store) == expected(sandbox.fleet, devices, parts)
    check_account(summary, store, "complete")
    assert last_run(store)["command"] == "sync"


async def test_the_second_night_sends_only_sensors(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    first = await night(client, sandbox, store, SEPTEMBER_15)

    second = await night(client, sandbox, store, SEPTEMBER_15 + NIGHT, datasets=MONTHS_ONLY)
    same_night = await night(client, sandbox, store, SEPTEMBER_15)

    assert second.requests == same_night.requests == 1
    assert second.planned == same_night.planned == 0
    assert same_night.skipped == first.planned
    assert sandbox.count("sensors") == 3
    check_account(same_night, store, "complete")


async def test_no_cell_is_asked_twice_in_a_night(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    await night(client, sandbox, store, SEPTEMBER_15, horizon_months=1)

    assert set(asked(sandbox).values()) == {1}


async def test_a_night_asks_only_the_named_devices_and_datasets(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    summary = await night(
        client, sandbox, store, SEPTEMBER_15, devices=["0002", "0001", "0002"], datasets=MONTHS_ONLY
    )

    assert summary.planned == 2 * 3
    assert {device for _, device, _ in asked(sandbox)} == {"0001", "0002"}
    assert sandbox.count("sensors") == 0


async def test_a_week_is_asked_for_the_first_time_on_the_night_after_its_sunday(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    options = {"datasets": [Dataset.WEEK], "devices": ["0001"], "horizon_months": 1}
    await night(client, sandbox, store, SEPTEMBER_15, **options)

    summary = await night(client, sandbox, store, SEPTEMBER_15 + NIGHT, **options)

    assert summary.planned == 1
    assert entries(store, run_id=summary.run_id)[0]["period_start"] == date(2024, 9, 9)


# --- late, failed and absent ------------------------------------------------------------------------


async def test_late_results_land_on_later_nights_at_few_requests(store: Store) -> None:
    third = date(2024, 9, 3)
    async with (
        Sandbox(devices=20, today=third, late_share=1.0) as sandbox,
        VoltawareClient(
            sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, rate=None
        ) as client,
    ):
        options = {"datasets": MONTHS_ONLY, "horizon_months": 1}
        nights = [await night(client, sandbox, store, third + n * NIGHT, **options) for n in range(7)]

        assert [it.planned for it in nights[:3]] == [20, 0, 20]
        assert nights[0].landed == 0 < nights[2].landed < 20
        assert nights[5].landed > 0
        assert found(store) == expected(sandbox.fleet, sandbox.fleet.device_ids(), due(third, MONTHS_ONLY, 1))
        assert max(asked(sandbox).values()) == 3


async def test_a_failed_cell_is_asked_again_on_the_next_night_and_on_the_same(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    broken = sandbox.script(status=200, body=UNREADABLE, times=None, route="sm/disag/month", device_id="0001")
    first = await night(client, sandbox, store, SEPTEMBER_15, datasets=MONTHS_ONLY)
    again = await night(client, sandbox, store, SEPTEMBER_15, datasets=MONTHS_ONLY)
    broken.cancel()

    healed = await night(client, sandbox, store, SEPTEMBER_15 + NIGHT, datasets=MONTHS_ONLY)

    assert (first.failed, again.planned, again.failed) == (3, 3, 3)
    assert not first.is_complete
    assert (healed.planned, healed.landed) == (3, 3)
    assert {row["attempts"] for row in entries(store, device_id="0001")} == {3}
    assert found(store) == expected(sandbox.fleet, sandbox.fleet.device_ids(), due(SEPTEMBER_15, MONTHS_ONLY))


async def test_an_absent_cell_is_settled_once_its_period_lies_behind_the_horizon(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    """It would be there by then: nobody asks."""
    options = {"datasets": MONTHS_ONLY, "devices": ["0001"]}
    lacking = sandbox.script(status=404, body="{}", times=None, route="sm/disag/month")
    first = await night(client, sandbox, store, SEPTEMBER_15, **options)
    lacking.cancel()

    # On the first of October the horizon moves past June; on the third September is there.
    for n in range(5):
        await night(client, sandbox, store, date(2024, 10, 1) + n * NIGHT, **options)

    statuses = {row["period_start"]: row["status"] for row in entries(store)}
    assert first.absent == 3
    assert statuses == {
        date(2024, 6, 1): "absent",
        **{date(2024, month, 1): "landed" for month in (7, 8, 9)},
    }
    assert asked(sandbox)["sm/disag/month", "0001", "year=2024&month=6"] == 1


async def test_a_failed_cell_is_settled_too_once_its_period_lies_behind_the_horizon(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    options = {"datasets": MONTHS_ONLY, "devices": ["0001"]}
    broken = sandbox.script(status=200, body=UNREADABLE, times=None, route="sm/disag/month")
    await night(client, sandbox, store, SEPTEMBER_15, **options)
    broken.cancel()

    await night(client, sandbox, store, date(2024, 10, 1), **options)

    assert [row["period_start"] for row in entries(store, status="failed")] == [date(2024, 6, 1)]


async def test_a_204_of_cycles_is_left_alone_for_two_weeks_but_for_its_last_chance(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    device = next(it for it in sandbox.fleet.device_ids() if sandbox.fleet.household(it).silent_cycles)
    options = {"datasets": [Dataset.WEEK_CYCLES], "devices": [device], "horizon_months": 1}
    first = await night(client, sandbox, store, SEPTEMBER_15, **options)

    planned = [
        (await night(client, sandbox, store, SEPTEMBER_15 + n * NIGHT, **options)).planned
        for n in range(1, 15)
    ]

    assert first.absent == first.planned == 6
    # A new week becomes due on each Monday. The weeks that ended in August are asked a last time a week
    # before October begins, and the two others on the last night.
    assert planned == [1, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 2]


# --- devices that come ------------------------------------------------------------------------------


async def test_a_device_that_joins_later_gets_its_back_fill_from_its_first_event_on(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    await night(client, sandbox, store, date(2024, 9, 9), horizon_months=1)
    sandbox.today = date(2024, 9, 10)
    joined = sandbox.register_device()

    for n in range(25):
        await night(client, sandbox, store, date(2024, 9, 11) + n * NIGHT, horizon_months=1)

    kinds = Counter(row["dataset"] for row in entries(store, device_id=joined))
    starts = {row["period_start"] for row in entries(store, device_id=joined)}
    assert min(starts) == date(2024, 9, 1), "the month of its first event"
    assert sorted(starts)[1:] == [date(2024, 9, 9), date(2024, 9, 16), date(2024, 9, 23)]
    assert kinds == {dataset: 3 if dataset.period_type is Week else 1 for dataset in Dataset}
    # Weekly, as long as its first event leaves a due week out: its history may come late.
    assert requests_for(sandbox, joined).count("sensor") == 4
    assert sandbox.count("sensor") == 30 + 4, "the others are all older"
    assert entries(store, device_id=joined, status="landed")


async def test_history_that_comes_late_is_asked_within_a_week_of_the_first_event_that_tells_of_it(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    short = sandbox.script(
        status=200,
        body='{"connection_state": "online", "first_event": "2024-08-20T10:00:00Z"}',
        times=None,
        route="sensor",
        device_id="0001",
    )
    options = {"devices": ["0001", "0002"], "datasets": MONTHS_ONLY}
    first = await night(client, sandbox, store, SEPTEMBER_15, **options)
    short.cancel()

    weeks = [await night(client, sandbox, store, SEPTEMBER_15 + n * NIGHT, **options) for n in range(1, 16)]

    assert first.landed == 1 + 3
    assert [it.landed for it in weeks] == [0] * 6 + [2] + [0] * 8, "June and July"
    assert requests_for(sandbox, "0001").count("sensor") == 2, "it leaves nothing out any more"
    assert requests_for(sandbox, "0002").count("sensor") == 1


async def test_history_of_a_device_that_is_new_to_the_fleet_is_back_filled(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    """Its meter had been sending for years before the API listed it."""
    ids = list(sandbox.fleet.device_ids())
    await night(client, sandbox, store, SEPTEMBER_15, devices=ids[:-1], datasets=MONTHS_ONLY)

    summary = await night(client, sandbox, store, SEPTEMBER_15 + NIGHT, datasets=MONTHS_ONLY)

    assert summary.planned == 3
    assert {row["device_id"] for row in entries(store, run_id=summary.run_id)} == {ids[-1]}


async def test_a_period_that_ended_before_a_devices_first_event_is_never_asked(store: Store) -> None:
    async with (
        Sandbox(devices=400, today=SEPTEMBER_15) as sandbox,
        VoltawareClient(
            sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, rate=None
        ) as client,
    ):
        young = [
            device
            for device in sandbox.fleet.device_ids()
            if not has_begun(sandbox.fleet, device, Month(2024, 5))
        ]
        await night(client, sandbox, store, SEPTEMBER_15, devices=young)

        cells = {(row["device_id"], row["dataset"], row["period_start"]) for row in entries(store)}
        assert len(young) > 5
        assert cells == {
            (device, str(dataset), period.start)
            for device in young
            for dataset, period in due(SEPTEMBER_15)
            if has_begun(sandbox.fleet, device, period)
        }


async def test_a_sensor_that_was_never_connected_costs_a_look_up_a_week(store: Store) -> None:
    async with (
        Sandbox(devices=200, today=SEPTEMBER_15) as sandbox,
        VoltawareClient(
            sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, rate=None
        ) as client,
    ):
        [device] = [
            it
            for it in sandbox.fleet.device_ids()
            if sandbox.fleet.household(it).connection_state == "never_connected"
        ]
        nights = [
            await night(client, sandbox, store, SEPTEMBER_15 + n * NIGHT, devices=[device]) for n in range(8)
        ]

        assert [it.planned for it in nights] == [0] * 8
        assert [it.requests - it.token_calls for it in nights] == [1, 0, 0, 0, 0, 0, 0, 1]
        assert all(it.is_complete for it in nights)
        assert requests_for(sandbox, device) == ["sensor"] * 2


async def test_a_sensor_that_connects_at_last_is_asked_once_it_is_looked_up_again(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    silent = sandbox.script(
        status=200, body='{"connection_state": "never_connected"}', times=None, route="sensor"
    )
    options = {"devices": ["0001"], "datasets": MONTHS_ONLY}
    first = await night(client, sandbox, store, SEPTEMBER_15, **options)
    silent.cancel()

    sixth = await night(client, sandbox, store, SEPTEMBER_15 + 6 * NIGHT, **options)
    seventh = await night(client, sandbox, store, SEPTEMBER_15 + 7 * NIGHT, **options)

    assert (first.planned, sixth.planned, seventh.landed) == (0, 0, 3)


async def test_a_device_whose_look_up_fails_is_asked_all_the_same_and_looked_up_when_it_lacks_more(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script(status=200, body='{"first_event": 7}', route="sensor", device_id="0001")
    options = {"devices": ["0001"], "datasets": MONTHS_ONLY}

    first = await night(client, sandbox, store, SEPTEMBER_15, **options)
    second = await night(client, sandbox, store, SEPTEMBER_15 + NIGHT, **options)
    later = await night(client, sandbox, store, date(2024, 10, 3), **options)

    assert (first.landed, second.requests) == (3, 0)
    assert later.planned == 1
    assert requests_for(sandbox, "0001").count("sensor") == 2
    [device] = store.table("devices").to_pylist()
    assert device["first_event"] is not None


# --- /sensors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, "[]")])
async def test_an_api_that_lists_no_devices_where_the_store_knows_some_is_not_believed(
    client: VoltawareClient, sandbox: Sandbox, store: Store, status: int, body: str
) -> None:
    """A night that asked nothing would look complete, and all devices as if they were gone."""
    options = {"datasets": MONTHS_ONLY, "horizon_months": 1}
    await night(client, sandbox, store, SEPTEMBER_15, **options)
    before = contents(store)
    empty = sandbox.script(status=status, body=body, times=None, route="sensors")
    sentence = r"the API lists no devices, and .*fleet.duckdb knows some: nothing was asked"

    for run in (
        night(client, sandbox, store, SEPTEMBER_15 + NIGHT, **options),
        client.fleet.land(store, MONTHS_ONLY, [Month(2024, 7)]),
        client.fleet.plan_sync(store, as_of=SEPTEMBER_15),
    ):
        with pytest.raises(OutageError, match=sentence):
            await run
    empty.cancel()

    assert contents(store) == before
    runs = [(it["command"], it["outcome"]) for it in store.table("runs").to_pylist()]
    assert runs == [("sync", "complete"), ("sync", "unreachable"), ("land", "unreachable")]
    healed = await night(client, sandbox, store, SEPTEMBER_15 + NIGHT, **options)
    assert healed.is_complete


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, "[]")])
async def test_a_fleet_without_devices_is_a_complete_night_where_the_store_knows_none(
    client: VoltawareClient, sandbox: Sandbox, store: Store, status: int, body: str
) -> None:
    sandbox.script(status=status, body=body, times=2, route="sensors")

    first = await night(client, sandbox, store, SEPTEMBER_15)
    second = await night(client, sandbox, store, SEPTEMBER_15 + NIGHT)

    for it in (first, second):
        assert (it.planned, it.requests - it.token_calls, it.is_complete) == (0, 1, True)
    check_account(second, store, "complete")


async def test_devices_that_the_api_lists_twice_are_looked_up_and_asked_once(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script(status=200, body="[0002, 0001, 0002, 0001, 0001]", route="sensors")

    summary = await night(client, sandbox, store, SEPTEMBER_15, datasets=MONTHS_ONLY)

    assert summary.planned == summary.landed == 2 * 3
    assert sandbox.count("sensor") == 2
    assert set(asked(sandbox).values()) == {1}


# --- the day ----------------------------------------------------------------------------------------


async def test_a_night_to_come_is_refused_and_asks_and_writes_nothing(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    with pytest.raises(ConfigurationError, match="lies in the future"):
        await client.fleet.sync(store, ["0001"], as_of=today() + 3 * NIGHT)

    assert not sandbox.requests
    assert not store.table("runs").num_rows


async def test_a_clock_that_differs_from_the_apis_asks_no_cell_and_writes_nothing_but_the_failed_run(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    theirs = {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}
    sandbox.script(status=200, body="[0001]", headers=theirs, route="sensors")

    with pytest.raises(ConfigurationError, match=r"and the API's 2030-01-01 00:00: set it"):
        await client.fleet.sync(store)

    assert [it.route for it in sandbox.requests] == ["auth/token", "sensors"]
    assert not any(contents(store).values())
    [run] = store.table("runs").to_pylist()
    assert (run["command"], run["outcome"], run["planned"], run["requests"]) == ("sync", "failed", 0, 2)
    assert run["finished_at"] is not None


async def test_a_store_whose_last_run_lies_in_the_future_goes_on_where_the_api_tells_the_time(
    client: VoltawareClient, store: Store
) -> None:
    """The clock was wrong then, and is right now."""
    store.begin("ahead", "sync", datetime.now(UTC) + 400 * NIGHT)
    options = {"datasets": [Dataset.WEEK], "horizon_months": 1}

    with pytest.raises(ConfigurationError, match="the store's last run began"):
        await client.fleet.sync(store, ["0001"], **options)
    summary = await client.fleet.sync(store, **options)

    assert summary.is_complete


async def test_without_a_day_a_night_is_todays(client: VoltawareClient, store: Store) -> None:
    options = {"devices": ["0001"], "datasets": [Dataset.WEEK], "horizon_months": 2}

    summary = await client.fleet.sync(store, **options)

    assert summary.absent == summary.planned, "the sandbox stands still in 2024"
    [asked_on] = {row["asked_on"] for row in entries(store)}
    assert today() - NIGHT <= asked_on <= today()


@pytest.mark.parametrize("as_of", [date(1970, 1, 1), date(1969, 12, 31), date(1, 1, 1)])
async def test_a_clock_that_was_never_set_asks_nothing(
    client: VoltawareClient, sandbox: Sandbox, store: Store, as_of: date
) -> None:
    summary = await client.fleet.sync(store, as_of=as_of)

    assert (summary.planned, summary.unasked, summary.requests) == (0, 0, 2)
    assert sandbox.count("sensor") == 0
    check_account(summary, store, "complete")


async def test_a_night_that_took_a_later_day_for_today_is_made_good_by_the_next_right_one(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    """The clock had jumped ahead: what was not there yet counted as absent, asked on a day to come."""
    options = {"datasets": MONTHS_ONLY, "devices": ["0001"]}
    early = await client.fleet.sync(store, as_of=date(2025, 1, 3), horizon_months=3, **options)

    right = await night(client, sandbox, store, date(2024, 11, 3), horizon_months=3, **options)

    assert (early.planned, early.absent) == (3, 3), "October, November and December"
    assert (right.planned, right.landed) == (3, 3), "August, September and October"
