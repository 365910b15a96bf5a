"""Landed cells that are asked once more: what the API restated replaces what had landed, the rest stays."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

import anyio
import pytest
from accounts import last_run
from anyio.lowlevel import checkpoint
from attrs import evolve
from fleets import fleet_of

from voltaware_async import (
    Absent,
    ConfigurationError,
    Dataset,
    DeviceId,
    ErrorContext,
    Failed,
    Fetched,
    Month,
    open_store,
)
from voltaware_async.cells import Seen
from voltaware_async.errors import ServerError
from voltaware_async.records.devices import Device
from voltaware_async.records.disaggregation import (
    ApplianceConsumption,
    Disaggregation,
    MonthByWeeks,
    WeekOfMonth,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voltaware_async import Cell, Outcome
    from voltaware_async.cells import Lookup
    from voltaware_async.fleet.fleet import Fleet
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

JULY = Month(2024, 7)
MONTH = [Dataset.MONTH]
ALL = (Dataset.MONTH, Dataset.MONTH_WEEKS)
ROWS = ("consumption", "totals")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


class Api:
    """Answer with what a device is said to have used; a number may be changed, and None is a 404."""

    def __init__(self, **wh: float | None) -> None:
        self.wh = wh
        self.fails: set[str] = set()
        self.asked: Counter[tuple[str, Dataset, str]] = Counter()

    @property
    def fleet(self) -> Fleet:
        return fleet_of([DeviceId(name) for name in self.wh], self.fetch, look_up=self.look_up)

    async def look_up(self, device_id: DeviceId) -> Lookup:
        await checkpoint()
        return Seen(device_id, Device())

    async def fetch(self, cell: Cell) -> Outcome:
        await checkpoint()
        self.asked[cell.device_id, cell.dataset, str(cell.period)] += 1
        wh = self.wh[cell.device_id]
        if cell.device_id in self.fails:
            context = ErrorContext("GET", "/sm/disag/month", device_id=cell.device_id, status=500)
            return Failed(cell, ServerError("it broke", context), http_status=500)
        if wh is None:
            return Absent(cell)
        return Fetched(cell, _record(cell, wh))


def _record(cell: Cell, wh: float) -> Disaggregation | MonthByWeeks:
    appliances = (ApplianceConsumption("fridge", wh / 4), ApplianceConsumption("others", wh * 3 / 4))
    month = Disaggregation(wh, 0.0, appliances)
    if cell.dataset is Dataset.MONTH:
        return month
    halves = [(date(2024, 7, 1), date(2024, 7, 14)), (date(2024, 7, 15), date(2024, 7, 31))]
    weeks = tuple(WeekOfMonth(start, end, wh / 2, appliances) for start, end in halves)
    return MonthByWeeks(wh, 0.0, weeks)


def rows(store: Store) -> dict[str, list[str]]:
    return {name: sorted(map(repr, store.table(name).to_pylist())) for name in ROWS}


async def test_without_refresh_what_has_landed_is_not_asked(store: Store) -> None:
    api = Api(a=100.0)
    await api.fleet.land(store, MONTH, [JULY])
    summary = await api.fleet.land(store, MONTH, [JULY])
    assert (summary.planned, summary.skipped, api.asked.total()) == (0, 1, 1)


async def test_an_unchanged_reply_writes_nothing(store: Store) -> None:
    api = Api(a=100.0, b=200.0)
    await api.fleet.land(store, ALL, [JULY])
    before = {name: store.table(name).to_pylist() for name in (*ROWS, "ledger", "devices", "revisions")}

    summary = await api.fleet.land(store, ALL, [JULY], refresh=True)

    assert (summary.planned, summary.landed, summary.restated, summary.skipped) == (4, 4, 0, 0)
    assert {name: store.table(name).to_pylist() for name in before} == before


async def test_a_restated_cell_replaces_its_rows_and_leaves_a_revision(store: Store, tmp_path: Path) -> None:
    api = Api(a=100.0, b=200.0)
    first = await api.fleet.land(store, ALL, [JULY])
    api.wh["b"] = 220.0

    summary = await api.fleet.land(store, ALL, [JULY], refresh=True)

    assert (summary.landed, summary.restated) == (4, 2)
    with open_store(tmp_path / "fresh.duckdb") as fresh:
        await Api(a=100.0, b=220.0).fleet.land(fresh, ALL, [JULY])
        assert rows(store) == rows(fresh)
    revisions = store.table("revisions").to_pylist()
    assert {(it["device_id"], it["dataset"], it["old_total_wh"], it["new_total_wh"]) for it in revisions} == {
        ("b", "month", 200.0, 220.0),
        ("b", "month_weeks", 200.0, 220.0),
    }
    assert {it["run_id"] for it in revisions} == {summary.run_id} != {first.run_id}
    assert all(it["old_hash"] != it["new_hash"] for it in revisions)
    ledger = {(it["device_id"], it["dataset"]): it for it in store.table("ledger").to_pylist()}
    assert ledger["b", "month"]["attempts"] == 2
    assert ledger["b", "month"]["total_consumption_wh"] == 220.0
    assert ledger["a", "month"]["attempts"] == 1
    assert [it.device_id for it in store.revisions()] == ["b", "b"]


async def test_a_change_of_parts_alone_is_a_revision_too(store: Store) -> None:
    cell_total = 100.0
    one = Disaggregation(cell_total, 0.0, (ApplianceConsumption("fridge", 60.0),))
    other = evolve(one, appliances=(ApplianceConsumption("fridge", 61.0),))
    for record in (one, other):

        async def fetch(cell: Cell, record: Disaggregation = record) -> Outcome:
            await checkpoint()
            return Fetched(cell, record)

        summary = await fleet_of(1, fetch).land(store, MONTH, [JULY], refresh=True)

    assert summary.restated == 1
    [revision] = store.revisions()
    assert (revision.old_total_wh, revision.new_total_wh) == (cell_total, cell_total)
    assert store.table("consumption").column("consumption_wh").to_pylist() == [61.0]


async def test_a_cell_that_has_no_result_any_more_or_fails_keeps_what_had_landed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api(a=100.0, b=200.0, c=300.0)
    await api.fleet.land(store, MONTH, [JULY])
    before, ledger = rows(store), store.table("ledger").to_pylist()
    api.wh["a"] = None
    api.fails = {"b"}

    with caplog.at_level(logging.WARNING):
        summary = await api.fleet.land(store, MONTH, [JULY], refresh=True)

    assert (summary.landed, summary.absent, summary.failed, summary.kept) == (1, 1, 1, 2)
    assert (rows(store), store.table("ledger").to_pylist()) == (before, ledger)
    assert "1 have no result any more and 1 failed: what had landed stays; one failed for: " in caplog.text


async def test_what_never_landed_is_asked_before_what_has(store: Store) -> None:
    api = Api(a=100.0, b=None)
    await api.fleet.land(store, MONTH, [JULY])
    api.wh |= {"c": 300.0}
    order: list[str] = []
    whole = api.fetch

    async def fetch(cell: Cell) -> Outcome:
        order.append(cell.device_id)
        return await whole(cell)

    fleet = fleet_of([DeviceId(name) for name in "abc"], fetch, concurrency=1)
    await fleet.land(store, MONTH, [JULY], refresh=True)

    assert order == ["c", "b", "a"]


async def test_a_run_asks_each_cell_once_also_what_it_has_just_landed(store: Store) -> None:
    api = Api(**{f"{n}": float(n) for n in range(1, 30)})
    await api.fleet.land(store, ALL, [JULY], refresh=True)
    assert set(api.asked.values()) == {1}


async def test_a_refresh_that_is_stopped_keeps_what_it_has_replaced_and_goes_on_next_time(
    store: Store,
) -> None:
    names = [f"{n:02d}" for n in range(40)]
    api = Api(**dict.fromkeys(names, 100.0))
    await api.fleet.land(store, MONTH, [JULY])
    api.wh = dict.fromkeys(names, 110.0)
    stop = anyio.Event()
    whole = api.fetch

    async def fetch(cell: Cell) -> Outcome:
        if api.asked.total() >= len(names) + 10:
            stop.set()
        return await whole(cell)

    fleet = fleet_of([DeviceId(name) for name in names], fetch)
    summary = await fleet.land(store, MONTH, [JULY], refresh=True, stop=stop)
    assert 0 < summary.restated == summary.landed < len(names)
    assert last_run(store)["restated"] == summary.restated

    again = await api.fleet.land(store, MONTH, [JULY], refresh=True)
    assert again.restated + summary.restated == len(names)
    assert set(store.table("totals").column("total_consumption_wh").to_pylist()) == {110.0}
    assert store.table("revisions").num_rows == len(names)


# --- nights ------------------------------------------------------------------------------------------


async def test_a_night_asks_the_last_months_once_more_and_no_other(store: Store) -> None:
    api = Api(a=100.0)
    night = {"datasets": MONTH, "as_of": date(2024, 9, 15), "horizon_months": 3}
    await api.fleet.sync(store, **night)
    plan = await api.fleet.plan_sync(store, **night, refresh_months=1)
    assert [(str(it.period), it.refresh) for it in plan.counts] == [
        ("2024-06", 0),
        ("2024-07", 0),
        ("2024-08", 1),
    ]

    await api.fleet.sync(store, **night, refresh_months=1)

    assert {period: times for (_, _, period), times in api.asked.items()} == {
        "2024-06": 1,
        "2024-07": 1,
        "2024-08": 2,
    }


async def test_a_night_refreshes_no_further_back_than_its_horizon(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="only 3 are due"):
        await Api(a=1.0).fleet.sync(store, refresh_months=4, horizon_months=3)


# --- a list of devices that is not what it should be -------------------------------------------------


async def test_a_listed_id_that_no_store_can_hold_stops_no_run_and_is_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        summary = await fleet_of([DeviceId("a\0b"), DeviceId("c")]).land(store, MONTH, [JULY])

    assert (summary.planned, summary.landed) == (1, 1)
    assert r"lists 1 ids that are none, and that are left out; one is 'a\x00b'" in caplog.text
