"""Cycles land as instants: the zone of a device is looked up once, where it has cycles."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from anyio.lowlevel import checkpoint
from fleets import fleet_of

from voltaware_async import Absent, Dataset, DeviceId, ErrorContext, Fetched, Month, Week, open_store
from voltaware_async.cells import Seen, Unseen
from voltaware_async.errors import ServerError
from voltaware_async.fleet import zones
from voltaware_async.records.devices import Device, Locale
from voltaware_async.records.disaggregation import ApplianceCycles, Cycle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from voltaware_async import Cell, Outcome, VoltawareClient
    from voltaware_async.cells import Lookup
    from voltaware_async.sandbox import Sandbox
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

JULY = Month(2024, 7)
OCTOBER = Month(2024, 10)
CYCLES = [Dataset.MONTH_CYCLES]
# The night on which summer time ends in Berlin: at 03:00 it is 02:00 again.
CHARGE = Cycle(datetime(2024, 10, 27, 2, 50), datetime(2024, 10, 27, 2, 10), 1200.0)  # noqa: DTZ001
BERLIN = Device(locale=Locale(time_zone_id="Europe/Berlin"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def charged(cell: Cell) -> Outcome:
    """Answer with one charge, but for devices whose id is odd: they have no car."""
    await checkpoint()
    if int(cell.device_id) % 2:
        return Absent(cell, http_status=204)
    return Fetched(cell, (ApplianceCycles("electric_vehicle", 1200.0, (CHARGE,)),))


def looked_up(device: Device | None, calls: Counter[DeviceId]) -> Callable[[DeviceId], Awaitable[Lookup]]:
    """Describe every device alike; None fails."""

    async def look_up(device_id: DeviceId) -> Lookup:
        await checkpoint()
        calls[device_id] += 1
        if device is None:
            context = ErrorContext("GET", "/sensors/{device_id}", device_id=device_id, status=500)
            return Unseen(device_id, ServerError("it broke", context))
        return Seen(device_id, device)

    return look_up


async def test_a_charge_on_the_night_that_summer_time_ends_lands_as_instants(store: Store) -> None:
    summary = await fleet_of(2, charged, look_up=looked_up(BERLIN, Counter())).land(store, CYCLES, [OCTOBER])

    [row] = store.table("cycles").to_pylist()
    assert (row["start_utc"], row["end_utc"], row["ambiguous"]) == (
        datetime(2024, 10, 27, 0, 50, tzinfo=UTC),
        datetime(2024, 10, 27, 1, 10, tzinfo=UTC),
        True,
    )
    assert row["start_local"] == CHARGE.start
    assert summary.zone_unknown == 0


async def test_only_devices_with_cycles_are_looked_up_each_once_and_kept_in_devices(store: Store) -> None:
    calls: Counter[DeviceId] = Counter()
    fleet = fleet_of(10, charged, look_up=looked_up(BERLIN, calls))

    await fleet.land(store, CYCLES, [OCTOBER])
    await fleet.land(store, [Dataset.WEEK_CYCLES], [Week(date(2024, 10, 21))])

    assert calls == Counter({DeviceId(f"{n:04d}"): 1 for n in range(0, 10, 2)})
    rows = store.table("devices").to_pylist()
    assert {row["device_id"]: row["time_zone_id"] for row in rows} == {
        f"{n:04d}": None if n % 2 else "Europe/Berlin" for n in range(10)
    }
    assert store.table("cycles").column("start_utc").null_count == 0


async def test_a_sync_that_has_seen_its_devices_looks_none_up_again(store: Store) -> None:
    calls: Counter[DeviceId] = Counter()
    fleet = fleet_of(4, charged, look_up=looked_up(BERLIN, calls))

    await fleet.sync(store, datasets=CYCLES, as_of=date(2024, 11, 15), horizon_months=1)

    assert set(calls.values()) == {1}
    assert store.table("cycles").column("start_utc").null_count == 0


@pytest.mark.parametrize(
    "device",
    [Device(), Device(locale=Locale()), Device(locale=Locale(time_zone_id="Europe/Atlantis"))],
    ids=["no locale", "no zone", "a zone that nobody knows"],
)
async def test_an_unknown_zone_leaves_the_instants_null_and_is_counted(store: Store, device: Device) -> None:
    fleet = fleet_of(2, charged, look_up=looked_up(device, Counter()))
    summary = await fleet.land(store, CYCLES, [OCTOBER])

    [row] = store.table("cycles").to_pylist()
    assert (row["start_utc"], row["end_utc"], row["ambiguous"]) == (None, None, None)
    assert (summary.landed, summary.zone_unknown) == (1, 1)
    assert store.table("runs").to_pylist()[0]["zone_unknown"] == 1


async def test_a_failed_look_up_fails_no_cell_and_the_next_run_fills_the_instants_in(store: Store) -> None:
    summary = await fleet_of(2, charged, look_up=looked_up(None, Counter())).land(store, CYCLES, [OCTOBER])
    assert (summary.landed, summary.failed, summary.zone_unknown) == (1, 0, 1)
    assert store.table("cycles").column("start_utc").null_count == 1

    fleet = fleet_of(2, charged, look_up=looked_up(BERLIN, Counter()))
    await fleet.sync(store, datasets=CYCLES, as_of=date(2024, 12, 15), horizon_months=2)

    october = [it for it in store.table("cycles").to_pylist() if it["period_start"] == OCTOBER.start]
    assert [(it["start_utc"], it["ambiguous"]) for it in october] == [
        (datetime(2024, 10, 27, 0, 50, tzinfo=UTC), True)
    ]


async def test_a_look_up_for_a_zone_lists_no_device(store: Store) -> None:
    """A pull of one device says nothing about which devices there are."""
    fleet = fleet_of(4, charged, look_up=looked_up(BERLIN, Counter()))
    await fleet.land(store, CYCLES, [OCTOBER], [DeviceId("0001")])
    await fleet.land(store, CYCLES, [OCTOBER.next()], [DeviceId("0000")])

    assert [(it.period, it.never_asked) for it in store.coverage()] == [(OCTOBER, 1), (OCTOBER.next(), 1)]


async def test_a_fleets_charges_land_with_their_real_durations(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    summary = await client.fleet.land(store, CYCLES, [JULY])

    rows = store.table("cycles").to_pylist()
    assert rows
    for row in rows:
        assert timedelta(0) < row["end_utc"] - row["start_utc"] == row["end_local"] - row["start_local"]
        assert row["ambiguous"] is False
    look_ups = sum(request.route == "sensor" for request in sandbox.requests)
    assert look_ups == len({row["device_id"] for row in rows})
    assert summary.zone_unknown == 0


async def test_a_car_is_looked_up_once_however_many_of_its_cells_are_under_way(store: Store) -> None:
    calls: Counter[DeviceId] = Counter()
    fleet = fleet_of(60, charged, look_up=looked_up(BERLIN, calls), concurrency=32)
    weeks = [Week(date(2024, 10, day)) for day in (7, 14, 21)]

    await fleet.land(
        store, [Dataset.MONTH_CYCLES, Dataset.WEEK_CYCLES], [OCTOBER, OCTOBER.previous(), *weeks]
    )

    assert set(calls.values()) == {1}
    assert len(calls) == 30
    assert store.table("cycles").column("start_utc").null_count == 0


async def test_zones_that_the_store_knows_are_not_asked_for_although_every_page_is_small(
    store: Store,
) -> None:
    """Of each device one month is left: six pages are under way at once."""
    months = [Month(2024, month) for month in range(5, 11)]
    devices = [DeviceId(f"{n:04d}") for n in range(0, 12, 2)]
    await fleet_of(12, charged, look_up=looked_up(BERLIN, Counter())).land(store, CYCLES, [Month(2024, 4)])
    for device, month in zip(devices, months, strict=True):
        others = [it for it in devices if it != device]
        await fleet_of(12, charged).land(store, CYCLES, [month], others)

    summary = await fleet_of(12, charged, concurrency=32).land(store, CYCLES, months, devices)

    assert (summary.landed, summary.zone_unknown) == (6, 0)
    assert store.table("cycles").column("start_utc").null_count == 0


async def test_what_is_forgotten_is_asked_of_the_store_before_the_api(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fleet_of(20, charged, look_up=looked_up(BERLIN, Counter())).land(store, CYCLES, [OCTOBER])
    monkeypatch.setattr(zones, "_MOST_KNOWN", 3)

    summary = await fleet_of(20, charged).land(store, CYCLES, [OCTOBER.next()])

    assert (summary.landed, summary.zone_unknown) == (10, 0)
