"""What nobody asked for in time is told, and never looks complete."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

import anyio
import pytest
from fleets import fleet_of

from voltaware_async import Dataset, DeviceId, Month, Week, open_store
from voltaware_async.cells import Seen, Unseen
from voltaware_async.errors import ErrorContext, ServerError
from voltaware_async.fleet import survey
from voltaware_async.fleet.due import due_slices, missed_slices
from voltaware_async.records.devices import Device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voltaware_async.cells import Lookup
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

MONTHS = {"datasets": [Dataset.MONTH], "horizon_months": 3}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def known(device_id: DeviceId) -> Lookup:
    return Seen(device_id, Device())


async def test_months_that_no_night_asked_are_told_and_stay_a_gap_until_a_longer_horizon_asks(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = fleet_of(4, look_up=known)
    await fleet.sync(store, as_of=date(2024, 9, 15), **MONTHS)
    assert not caplog.records

    late = await fleet.sync(store, as_of=date(2025, 2, 28), **MONTHS)

    assert late.landed == 4 * 3, "November to January"
    [record] = caplog.records
    assert record.message.startswith("nights were skipped: 2024-09 to 2024-10 lie behind the horizon now")
    assert "--horizon-months" in record.message
    gaps = {str(it.period): it.never_asked for it in store.coverage() if it.never_asked}
    assert gaps == {"2024-09": 4, "2024-10": 4}

    await fleet.sync(store, as_of=date(2025, 2, 28), datasets=[Dataset.MONTH], horizon_months=6)

    assert not any(it.missing for it in store.coverage())


def test_missed_is_what_came_due_after_the_last_night_and_before_the_horizon() -> None:
    asked_until = {Dataset.MONTH: date(2024, 8, 31), Dataset.WEEK: date(2024, 10, 20)}

    missed = missed_slices(asked_until, Dataset, date(2025, 2, 28), 3)

    assert [str(it.period) for it in missed if it.dataset is Dataset.MONTH] == ["2024-09", "2024-10"]
    assert [it.period for it in missed if it.dataset is Dataset.WEEK] == [Week.of(date(2024, 10, 21))]
    assert {it.dataset for it in missed} == {Dataset.MONTH, Dataset.WEEK}, "others no night has asked yet"


@pytest.mark.parametrize(
    "as_of", [date(2024, 9, 16), date(2024, 10, 3), date(2024, 12, 31), date(1960, 1, 1)]
)
def test_nights_that_follow_within_the_horizon_miss_nothing(as_of: date) -> None:
    asked_until = {
        dataset: max(it.period.end for it in due_slices([dataset], date(2024, 9, 15), 3))
        for dataset in Dataset
    }

    assert not missed_slices(asked_until, Dataset, as_of, 3)


async def test_a_pull_of_an_old_month_does_not_make_later_ones_missed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = fleet_of(2, look_up=known)
    await fleet.land(store, [Dataset.MONTH], [Month(2023, 1)])

    await fleet.sync(store, as_of=date(2024, 9, 15), **MONTHS)

    assert not caplog.records
    assert {str(it.period) for it in store.coverage()} == {"2023-01", "2024-06", "2024-07", "2024-08"}


async def test_a_list_that_has_lost_many_devices_is_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await fleet_of(40, look_up=known).sync(store, as_of=date(2024, 9, 15), **MONTHS)
    await fleet_of(39, look_up=known).sync(store, as_of=date(2024, 9, 16), **MONTHS)
    assert not caplog.records, "one may leave"

    await fleet_of(20, look_up=known).sync(store, as_of=date(2024, 9, 17), **MONTHS)

    assert [record.message for record in caplog.records] == ["the API lists 20 devices, and 19 no more"]


async def test_one_device_that_stalls_holds_up_nobody_elses_cells(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_STRAGGLERS_S", 0.05)

    async def stalls_for_one(device_id: DeviceId) -> Lookup:
        if device_id == "0007":
            await anyio.sleep_forever()
        return Seen(device_id, Device())

    with caplog.at_level(logging.WARNING):
        summary = await fleet_of(12, look_up=stalls_for_one).sync(store, as_of=date(2024, 9, 15), **MONTHS)

    assert summary.landed == 12 * 3
    assert "1 of 12 new devices could not be looked up" in caplog.text
    assert "no answer within" in caplog.text


async def test_look_ups_that_fail_are_told_with_an_example(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_for_some(device_id: DeviceId) -> Lookup:
        if device_id < "0003":
            return Unseen(device_id, ServerError("it broke", ErrorContext("GET", "/sensors/{device_id}")))
        return Seen(device_id, Device())

    await fleet_of(12, look_up=fails_for_some).sync(store, as_of=date(2024, 9, 15), **MONTHS)

    [record] = caplog.records
    assert record.message.startswith("3 of 12 new devices could not be looked up")
    assert "it broke" in record.message
