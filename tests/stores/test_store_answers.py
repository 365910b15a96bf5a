"""What every store answers: coverage, failures, consumption by appliance, the last run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve
from store_cases import (
    JULY,
    NOW,
    WEEK_28,
    absent,
    batch,
    failed,
    fetched,
    fetched_as,
    ids,
    month_of,
)

from voltaware_async.cells import Absent, Cell, Dataset
from voltaware_async.periods import Month
from voltaware_async.records.disaggregation import ApplianceConsumption, MonthByWeeks, WeekOfMonth
from voltaware_async.stores import Coverage, FailureReason
from voltaware_async.stores.ledger import LastRun

if TYPE_CHECKING:
    from voltaware_async.stores import Store


def test_coverage_counts_per_dataset_and_period_in_their_order(store: Store) -> None:
    june = Month(2024, 6)
    store.commit(
        batch(
            fetched_as(Dataset.WEEK, WEEK_28, month_of(fridge=1.0)),
            fetched("0001"),
            absent("2"),
            failed("3"),
            failed("4"),
            Absent(Cell(ids("5")[0], Dataset.MONTH, june)),
        )
    )
    assert store.coverage() == [
        Coverage(Dataset.MONTH, june, landed=0, absent=1, failed=0, never_asked=4),
        Coverage(Dataset.MONTH, JULY, landed=1, absent=1, failed=2, never_asked=1),
        Coverage(Dataset.WEEK, WEEK_28, landed=1, absent=0, failed=0, never_asked=4),
    ]


def test_a_device_that_only_the_ledger_knows_is_missing_where_it_was_not_asked(store: Store) -> None:
    store.commit(batch(fetched("1"), Absent(Cell(ids("2")[0], Dataset.MONTH, JULY.next()))))
    assert store.table("devices").num_rows == 0
    assert [one.never_asked for one in store.coverage()] == [1, 1]


def test_the_last_run_is_the_one_that_was_begun_last_whatever_the_clock_said(store: Store) -> None:
    assert store.last_run() is None
    store.begin("run-1", "sync", NOW)
    store.finish("run-1", "incomplete", NOW, {"failed": 3, "unasked": 4})
    assert store.last_run() == LastRun("sync", NOW, "incomplete", 3, 4)
    store.begin("run-2", "land", NOW - timedelta(days=9))
    assert store.last_run() == LastRun("land", NOW - timedelta(days=9), None, None, None)


def test_the_devices_with_a_cell_that_failed_last_time_are_told_once_each(store: Store) -> None:
    august = evolve(failed("2"), cell=Cell(ids("2")[0], Dataset.MONTH, JULY.next()))
    store.commit(batch(failed("3"), failed("2"), failed("1"), august, absent("4")))
    store.commit(batch(fetched("1")))
    assert store.failed_devices() == ["2", "3"]


def test_an_empty_store_covers_nothing_and_has_no_failures(store: Store) -> None:
    assert store.failed_devices() == []
    assert store.last_run() is None
    assert not store.knows_devices()
    assert store.coverage() == []
    assert store.failures() == []
    assert store.consumption_by_appliance(Dataset.MONTH, JULY) == []


def test_failures_are_counted_by_reason_whatever_the_device_and_attempts(store: Store) -> None:
    store.commit(
        batch(*(failed(one, attempts=int(one)) for one in "321"), failed("4", message="no"), absent("5"))
    )
    common = FailureReason("the API broke (GET /sm/disag/month, status 500)", 3, ids("1")[0])
    rare = FailureReason("no (GET /sm/disag/month, status 500)", 1, ids("4")[0])
    assert store.failures() == [common, rare]
    assert store.failures(limit=1) == [common]


def test_appliances_are_added_up_over_devices_with_the_largest_first(store: Store) -> None:
    store.commit(batch(fetched("1", fridge=10.0, heating=60.0), fetched("2", fridge=30.0), absent("3")))
    heating, fridge = store.consumption_by_appliance(Dataset.MONTH, JULY)
    assert (heating.appliance_key, heating.devices, heating.consumption_wh, heating.share) == (
        "heating",
        1,
        60,
        0.6,
    )
    assert (fridge.appliance_key, fridge.devices, fridge.consumption_wh, fridge.share) == (
        "fridge",
        2,
        40,
        0.4,
    )


def test_the_clipped_weeks_of_a_month_add_up_to_the_month(store: Store) -> None:
    july = [WeekOfMonth(JULY.start, JULY.start, 1.0, (ApplianceConsumption("fridge", 1.0),))] * 2
    august = WeekOfMonth(JULY.next().start, JULY.next().start, 8.0, (ApplianceConsumption("fridge", 8.0),))
    store.commit(batch(fetched_as(Dataset.MONTH_WEEKS, JULY, MonthByWeeks(2.0, 0.0, tuple(july)))))
    store.commit(batch(fetched_as(Dataset.MONTH_WEEKS, JULY.next(), MonthByWeeks(8.0, 0.0, (august,)))))
    [fridge] = store.consumption_by_appliance(Dataset.MONTH_WEEKS, JULY)
    assert (fridge.consumption_wh, fridge.devices, fridge.share) == (2.0, 1, 1.0)


def test_nothing_consumed_has_no_share(store: Store) -> None:
    store.commit(batch(fetched("1", fridge=0.0)))
    [fridge] = store.consumption_by_appliance(Dataset.MONTH, JULY)
    assert (fridge.consumption_wh, fridge.share) == (0.0, 0.0)
