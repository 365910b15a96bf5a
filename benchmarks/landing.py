"""Measure what landing costs: CPU per cell for outcomes → batch and for the commit, per dataset, and memory.

    python benchmarks/landing.py [--batches 200] [--dataset month …] [--store duckdb parquet]

CPU is the whole process's, DuckDB's thread included; what a store does at the end of a run is part of the
commits. The bars: a month cell of 10 rows in at most 20 µs, a month_weeks cell of 50 rows in at most 60 µs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from voltaware_async.cells import Cell, Dataset, Fetched
from voltaware_async.periods import Month, Week
from voltaware_async.records.devices import DeviceId
from voltaware_async.records.disaggregation import (
    ApplianceConsumption,
    ApplianceCycles,
    ApplianceKey,
    Cycle,
    Disaggregation,
    MonthByWeeks,
    WeekOfMonth,
)
from voltaware_async.records.reports import DayByDayMetrics, DayConsumption, Report
from voltaware_async.stores import open_store
from voltaware_async.stores.agenda import Agenda, Turn
from voltaware_async.stores.batches import batch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.cells import Record
    from voltaware_async.stores import Store

_random = Random(1).random  # noqa: S311 - made-up values
BATCH = 1000
APPLIANCES = tuple(ApplianceKey)[:10]
MONTH = Month(2024, 7)
WEEK = Week(date(2024, 7, 8))


def main() -> None:
    """Print a row per dataset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=40, help="batches of 1,000 cells per dataset")
    parser.add_argument("--dataset", type=Dataset, nargs="*", default=list(Dataset))
    parser.add_argument("--store", nargs="*", choices=["duckdb", "parquet"], default=["duckdb", "parquet"])
    settings = parser.parse_args()
    for kind in settings.store:
        head = kind, "cells", "rows/cell", "batch µs", "commit µs", "sum µs", "RSS MB"
        print("{:<13} {:>8} {:>9} {:>9} {:>9} {:>7} {:>12}".format(*head))
        for dataset in settings.dataset:
            with (
                tempfile.TemporaryDirectory() as folder,
                open_store(f"{kind}:{folder}/bench") as store,
            ):
                measure(store, dataset, settings.batches)


def measure(store: Store, dataset: Dataset, batches: int) -> None:
    """Land batches of one dataset, as a pull does, and print what they cost."""
    period = WEEK if dataset.period_type is Week else MONTH
    now = datetime.now(UTC)
    store.begin("bench", "bench", now)
    store.consider([DeviceId(f"{n:08d}") for n in range(batches * BATCH)], Agenda(as_of=now.date()))
    building = committing = 0.0
    after, rows, first_rss = -1, 0, 0
    for _ in range(batches):
        devices, after = store.outstanding(dataset, period, Turn.FIRST, after, BATCH)
        outcomes = [Fetched(Cell(device, dataset, period), record_of(dataset)) for device in devices]
        started = time.process_time()
        batch = batch_of(outcomes, "bench", now)
        built = time.process_time()
        store.commit(batch)
        committing += time.process_time() - built
        building += built - started
        rows += sum(table.num_rows for table in batch.tables.values())
        first_rss = first_rss or rss_mb()
    started = time.process_time()
    store.finish("bench", "complete", datetime.now(UTC), {})
    committing += time.process_time() - started
    cells = batches * BATCH
    each = building / cells * 1e6, committing / cells * 1e6
    print(
        f"{dataset:<13} {cells:>8,} {rows / cells:>9.1f} {each[0]:>9.2f} {each[1]:>9.2f} {sum(each):>7.2f}"
        f" {first_rss:>5} → {rss_mb():>4}"
    )


def rss_mb() -> int:
    """Return the process's resident memory, where Linux tells it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


def record_of(dataset: Dataset) -> Record:
    """Make up a record of the usual size, with values that do not repeat."""
    match dataset:
        case Dataset.MONTH | Dataset.WEEK:
            return disaggregation()
        case Dataset.MONTH_WEEKS:
            return MonthByWeeks(1e5 * _random(), 0.5, tuple(weeks()))
        case Dataset.MONTH_CYCLES | Dataset.WEEK_CYCLES:
            return cycles(12 if dataset is Dataset.MONTH_CYCLES else 3)
        case Dataset.MONTH_REPORT | Dataset.WEEK_REPORT:
            return report()


def appliances() -> tuple[ApplianceConsumption, ...]:
    """Make up ten appliances."""
    return tuple(ApplianceConsumption(key, 1e5 * _random()) for key in APPLIANCES)


def disaggregation() -> Disaggregation:
    """Make up a month or week."""
    return Disaggregation(1e6 * _random(), 0.5, appliances())


def weeks() -> Sequence[WeekOfMonth]:
    """Make up the five clipped weeks of a month."""
    starts = [MONTH.start, *(WEEK.start + timedelta(weeks=n) for n in range(4))]
    return [
        WeekOfMonth(start, min(start + timedelta(days=6), MONTH.end), 1e5 * _random(), appliances())
        for start in starts
    ]


def cycles(number: int) -> tuple[ApplianceCycles, ...]:
    """Make up an electric vehicle's charges."""
    start = datetime(2024, 7, 8, 22, 0)  # noqa: DTZ001 - the API's readings are naive
    nights = [start + timedelta(days=n) for n in range(number)]
    charges = tuple(Cycle(night, night + timedelta(hours=4), 1e4 * _random()) for night in nights)
    return (ApplianceCycles(ApplianceKey.ELECTRIC_VEHICLE, 1e5 * _random(), charges),)


def report() -> Report:
    """Make up a report of a month, in kWh."""
    days = tuple(
        DayConsumption(MONTH.start + timedelta(days=n), _random(), weekend=n % 7 > 4)  # noqa: PLR2004
        for n in range(31)
    )
    metrics = disaggregation()
    total = metrics.total_consumption / 1000
    return Report(DayByDayMetrics(0, 0.7 * total, 0.3 * total, total, days), metrics)


if __name__ == "__main__":
    main()
