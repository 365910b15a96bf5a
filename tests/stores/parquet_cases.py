"""Outcomes of every dataset, and Parquet stores whose files are small, that the tests of them share."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow.dataset as ds
from store_cases import batch, cell, month_of

from voltaware_async.cells import Dataset, Fetched
from voltaware_async.periods import Month, Week
from voltaware_async.records.disaggregation import (
    ApplianceConsumption,
    ApplianceCycles,
    Cycle,
    MonthByWeeks,
    WeekOfMonth,
)
from voltaware_async.records.reports import DayByDayMetrics, DayConsumption, Report
from voltaware_async.stores.parquet.folder import open_folder
from voltaware_async.stores.parquet.layout import Sizing
from voltaware_async.stores.sql.sql_store import SqlStore
from voltaware_async.stores.sql.views import VIEWS
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voltaware_async.cells import Record
    from voltaware_async.periods import Period
    from voltaware_async.stores import Store
    from voltaware_async.stores.batches import Batch

SMALL: Final = Sizing(full=40, small=10)

Rows = list[tuple[object, ...]]


def opened(folder: Path, *, read_only: bool = False, sizing: Sizing = SMALL) -> SqlStore:
    """Open a Parquet store whose files are cut after some dozen rows."""
    return SqlStore(open_folder(f"parquet:{folder}", folder, read_only=read_only, sizing=sizing))


def record_of(dataset: Dataset, period: Period, wh: float) -> Record:
    """Make a record of a dataset in which every value depends on one."""
    match dataset:
        case Dataset.MONTH_WEEKS:
            days = (period.start, period.start + timedelta(days=3)), (period.end, period.end)
            appliances = (ApplianceConsumption("fridge", wh),)
            return MonthByWeeks(2 * wh, 0.0, tuple(WeekOfMonth(*edges, wh, appliances) for edges in days))
        case Dataset.MONTH_CYCLES | Dataset.WEEK_CYCLES:
            start = datetime(period.start.year, period.start.month, period.start.day)  # noqa: DTZ001  a reading
            cycle = Cycle(start, start + timedelta(hours=1), wh)
            return (ApplianceCycles("electric_vehicle", wh, (cycle,)),)
        case Dataset.MONTH_REPORT | Dataset.WEEK_REPORT:
            day = DayConsumption(period.start, wh, weekend=False)
            return Report(DayByDayMetrics(0, wh, 0.0, wh, (day,)), month_of(fridge=wh))
    return month_of(fridge=wh, heating=2 * wh)


def landed(device: str, dataset: Dataset, period: Period, wh: float) -> Fetched:
    return Fetched(cell(device, dataset, period), record_of(dataset, period, wh))


def some_period(dataset: Dataset) -> Period:
    return Week(date(2024, 7, 8)) if dataset.period_type is Week else Month(2024, 7)


def months(devices: range, *, wh: float = 1.0, month: int = 7, run_id: str = "run-1") -> Batch:
    """Make a batch of the months of some devices: two rows of `consumption` each, one of `totals`."""
    outcomes = [landed(f"{number:04}", Dataset.MONTH, Month(2024, month), wh) for number in devices]
    return batch(*outcomes, run_id=run_id)


def contents(store: Store) -> dict[str, Rows]:
    """Return the rows of all tables and views, in the order of their words."""
    return {name: rows_of(store, name) for name in (*TABLES, *VIEWS)}


def rows_of(store: Store, name: str) -> Rows:
    return sorted((tuple(row.values()) for row in store.table(name).to_pylist()), key=repr)


def in_folder(folder: Path, table: str) -> Rows:
    """Return the rows of a table that anybody finds who reads all Parquet files of its folder."""
    if not (folder / table).exists():
        return []
    found = ds.dataset(folder / table, schema=TABLES[table], format="parquet").to_table()
    return sorted((tuple(row.values()) for row in found.to_pylist()), key=repr)


def files_of(folder: Path, table: str) -> Sequence[Path]:
    return sorted(path for path in (folder / table).rglob("*") if path.is_file())
