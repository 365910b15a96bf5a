"""The columns of a batch in the making: one class per table, lists of values until Arrow takes them.

A row does not repeat the texts and days of its key: it has the number of an entry in `Keys`, and Arrow
copies the entry. That makes a row cost two or three list items.
"""

from __future__ import annotations

import re
from datetime import UTC
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from attrs import define, field

from voltaware_async.records.local_clock import localized
from voltaware_async.records.reports import CarbonFootprint
from voltaware_async.stores.ledger import Status
from voltaware_async.stores.tables import (
    CONSUMPTION,
    CYCLES,
    KEY,
    LEDGER,
    REPORT_DAYS,
    REPORTS,
    TOTALS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, tzinfo

    from voltaware_async.records.disaggregation import ApplianceConsumption, ApplianceCycles
    from voltaware_async.records.local_clock import LocalizedCycle
    from voltaware_async.records.reports import DayConsumption, Report

_Column: TypeAlias = (
    "pa.StringArray | pa.Date32Array | pa.Int64Array | pa.DoubleArray | pa.TimestampArray | pa.BooleanArray"
)

__all__ = [
    "ConsumptionColumns",
    "CycleColumns",
    "Keys",
    "LedgerColumns",
    "ReportColumns",
    "ReportDayColumns",
    "TotalColumns",
    "finite",
    "placed",
    "storable",
]

# PostgreSQL has no NUL, and UTF-8 no half of a character. Every store is to hold the same.
_NOT_STORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_LARGEST_COUNT: Final = 2**63 - 1


def storable(text: str | None) -> str | None:
    """Replace what a store has no character for: NUL, and half of a character of two."""
    return None if text is None else _NOT_STORABLE.sub(_REPLACEMENT, text)


@define
class Keys:
    """Gather keys: an entry per cell, and one per clipped week of a month."""

    device_ids: list[str] = field(factory=list)
    datasets: list[str] = field(factory=list)
    starts: list[date] = field(factory=list)
    ends: list[date] = field(factory=list)

    def add(self, device_id: str, dataset: str, start: date, end: date) -> int:
        """Add an entry and return its number."""
        number = len(self.device_ids)
        self.device_ids.append(device_id)
        self.datasets.append(dataset)
        self.starts.append(start)
        self.ends.append(end)
        return number

    def table(self) -> pa.Table:
        """Return the entries in the order of their numbers."""
        columns: list[_Column] = [
            # As they are: with another character it would be another device.
            pa.array(self.device_ids, pa.string()),
            pa.array(self.datasets, pa.string()),
            pa.array(self.starts, pa.date32()),
            pa.array(self.ends, pa.date32()),
        ]
        return pa.Table.from_arrays(columns, schema=KEY)


@define
class ConsumptionColumns:
    """Gather rows of `consumption`."""

    keys: list[int] = field(factory=list)
    appliance_keys: list[str] = field(factory=list)
    wh: list[float] = field(factory=list)

    def extend(self, key: int, appliances: Sequence[ApplianceConsumption]) -> None:
        """Add a row per appliance."""
        self.keys.extend([key] * len(appliances))
        self.appliance_keys.extend([appliance.appliance_key for appliance in appliances])
        self.wh.extend([appliance.consumption for appliance in appliances])

    def add(self, key: int, appliance_key: str, wh: float) -> None:
        """Add a row."""
        self.keys.append(key)
        self.appliance_keys.append(appliance_key)
        self.wh.append(wh)

    def table(self, keys: pa.Table) -> pa.Table:
        """Return the rows."""
        values: list[_Column] = [_texts(self.appliance_keys), _doubles(self.wh)]
        return _with_keys(CONSUMPTION, keys, self.keys, values)


@define
class TotalColumns:
    """Gather rows of `totals`."""

    keys: list[int] = field(factory=list)
    wh: list[float] = field(factory=list)
    disconnection: list[float | None] = field(factory=list)

    def add(self, key: int, wh: float, disconnection: float | None) -> None:
        """Add a row."""
        self.keys.append(key)
        self.wh.append(wh)
        self.disconnection.append(disconnection)

    def table(self, keys: pa.Table) -> pa.Table:
        """Return the rows."""
        return _with_keys(TOTALS, keys, self.keys, [_doubles(self.wh), _doubles(self.disconnection)])


@define
class CycleColumns:
    """Gather rows of `cycles`; the instants stay null where the device's time zone is not known."""

    keys: list[int] = field(factory=list)
    appliance_keys: list[str] = field(factory=list)
    starts: list[datetime] = field(factory=list)
    ends: list[datetime] = field(factory=list)
    placed: list[LocalizedCycle | None] = field(factory=list)
    wh: list[float] = field(factory=list)

    def extend(self, key: int, appliance: ApplianceCycles, zone: tzinfo | None) -> None:
        """Add a row per cycle."""
        size = len(appliance.cycles)
        self.keys.extend([key] * size)
        self.appliance_keys.extend([appliance.appliance_key] * size)
        self.starts.extend([cycle.start for cycle in appliance.cycles])
        self.ends.extend([cycle.end for cycle in appliance.cycles])
        self.placed.extend([placed(cycle.start, cycle.end, zone) for cycle in appliance.cycles])
        self.wh.extend([cycle.consumption for cycle in appliance.cycles])

    def table(self, keys: pa.Table) -> pa.Table:
        """Return the rows."""
        instant = CYCLES.field("start_utc").type
        values: list[_Column] = [
            _texts(self.appliance_keys),
            _clock_readings(self.starts),
            _clock_readings(self.ends),
            pa.array([None if it is None else it.start for it in self.placed], instant),
            pa.array([None if it is None else it.end for it in self.placed], instant),
            pa.array([None if it is None else it.ambiguous for it in self.placed], pa.bool_()),
            _doubles(self.wh),
        ]
        return _with_keys(CYCLES, keys, self.keys, values)


def placed(start: datetime, end: datetime, zone: tzinfo | None) -> LocalizedCycle | None:
    """Place a cycle in UTC; None where nothing tells its zone, or at the edge of the calendar."""
    if zone is None and (start.utcoffset() is None or end.utcoffset() is None):
        return None
    try:
        return localized(start, end, zone or UTC)
    except ValueError:
        return None


@define
class ReportDayColumns:
    """Gather rows of `report_days`."""

    keys: list[int] = field(factory=list)
    days: list[date] = field(factory=list)
    reported: list[float] = field(factory=list)
    wh: list[float | None] = field(factory=list)
    weekends: list[bool] = field(factory=list)

    def extend(self, key: int, days: Sequence[DayConsumption], wh_per_unit: float | None) -> None:
        """Add a row per day."""
        self.keys.extend([key] * len(days))
        self.days.extend([day.day for day in days])
        self.reported.extend([day.total_consumption for day in days])
        self.wh.extend([_in_wh(day.total_consumption, wh_per_unit) for day in days])
        self.weekends.extend([day.weekend for day in days])

    def table(self, keys: pa.Table) -> pa.Table:
        """Return the rows."""
        values: list[_Column] = [
            pa.array(self.days, pa.date32()),
            _doubles(self.reported),
            _doubles(self.wh),
            pa.array(self.weekends, pa.bool_()),
        ]
        return _with_keys(REPORT_DAYS, keys, self.keys, values)


@define
class ReportColumns:
    """Gather rows of `reports`: a dict per report, by column."""

    keys: list[int] = field(factory=list)
    rows: list[dict[str, str | float | date | None]] = field(factory=list)

    def add(self, key: int, report: Report, wh_per_unit: float | None) -> None:
        """Add a row."""
        metrics, carbon = report.day_by_day_metrics, report.carbon_footprint or CarbonFootprint()
        max_day, max_consumption = _day_and_consumption(metrics.max_consumption)
        min_day, min_consumption = _day_and_consumption(metrics.min_consumption)
        self.keys.append(key)
        self.rows.append(
            {
                "reported_unit": report.reported_unit,
                "reported_total_consumption": metrics.total_consumption,
                "total_consumption_wh": _in_wh(metrics.total_consumption, wh_per_unit),
                "reported_average_consumption": metrics.average_consumption,
                "reported_max_consumption": max_consumption,
                "max_day": max_day,
                "reported_min_consumption": min_consumption,
                "min_day": min_day,
                "reported_week_days_consumption": metrics.total_consumed_on_week_days,
                "reported_weekend_days_consumption": metrics.total_consumed_on_weekend_days,
                "days_without_consumption": _count(metrics.days_without_consumption),
                "kgco2": carbon.kgco2,
                "trees": carbon.trees,
                "version": _count(report.version),
            }
        )

    def table(self, keys: pa.Table) -> pa.Table:
        """Return the rows."""
        names = [name for name in REPORTS.names if name not in KEY.names]
        values = [pa.array([row[name] for row in self.rows], REPORTS.field(name).type) for name in names]
        return _with_keys(REPORTS, keys, self.keys, values)


def _day_and_consumption(extreme: DayConsumption | None) -> tuple[date | None, float | None]:
    return (None, None) if extreme is None else (extreme.day, extreme.total_consumption)


def _in_wh(reported: float, wh_per_unit: float | None) -> float | None:
    if wh_per_unit is None:
        return None
    return finite(reported * wh_per_unit)


def finite(wh: float) -> float | None:
    """Leave out what came of numbers that were too large to be multiplied or added up."""
    return wh if isfinite(wh) else None


def _count(value: int | None) -> int | None:
    """Leave out what no column of counts can hold: JSON's whole numbers have no end."""
    return value if value is not None and abs(value) <= _LARGEST_COUNT else None


@define
class LedgerColumns:
    """Gather rows of `ledger`, one per cell."""

    keys: list[int] = field(factory=list)
    statuses: list[Status] = field(factory=list)
    attempts: list[int] = field(factory=list)
    http_statuses: list[int | None] = field(factory=list)
    errors: list[str | None] = field(factory=list)
    content_hashes: list[int | None] = field(factory=list)
    wh: list[float | None] = field(factory=list)

    def add(
        self,
        key: int,
        status: Status,
        attempts: int,
        http_status: int | None,
        *,
        error: str | None = None,
        content_hash: int | None = None,
        wh: float | None = None,
    ) -> None:
        """Add a row."""
        self.keys.append(key)
        self.statuses.append(status)
        self.attempts.append(attempts)
        self.http_statuses.append(http_status)
        self.errors.append(error)
        self.content_hashes.append(content_hash)
        self.wh.append(wh)

    def table(self, keys: pa.Table, run_id: str, at: datetime, as_of: date) -> pa.Table:
        """Return the rows, all of one run and instant, asked as of one day."""
        size = len(self.keys)
        absent = [as_of if status is Status.ABSENT else None for status in self.statuses]
        values: list[_Column] = [
            _texts(self.statuses),
            pa.array(self.attempts, pa.int64()),
            pa.array(self.http_statuses, pa.int64()),
            _texts(self.errors),
            pa.repeat(pa.scalar(run_id, pa.string()), size),
            pa.repeat(pa.scalar(at, LEDGER.field("updated_at").type), size),
            pa.repeat(pa.scalar(as_of, pa.date32()), size),
            pa.array(absent, pa.date32()),
            pa.array(self.content_hashes, pa.int64()),
            _doubles(self.wh),
        ]
        return _with_keys(LEDGER, keys, self.keys, values)


def _with_keys(schema: pa.Schema, keys: pa.Table, rows: list[int], values: Sequence[_Column]) -> pa.Table:
    """Put each row's key before its values."""
    taken = keys.take(pa.array(rows, pa.int32()))
    return pa.Table.from_arrays([*taken.columns, *values], schema=schema)


def _texts(values: Sequence[str | None]) -> pa.StringArray:
    """Make a column of texts, all storable; what is not is rare, and found by Arrow."""
    try:
        texts = pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array(map(storable, values), pa.string())
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        return pa.array(map(storable, values), pa.string())
    return texts


def _doubles(values: Sequence[float | None]) -> pa.DoubleArray:
    return pa.array(values, pa.float64())


def _clock_readings(values: Sequence[datetime]) -> pa.TimestampArray:
    """Drop offsets, if any: Arrow would turn an aware reading into UTC."""
    naive = [value if value.tzinfo is None else value.replace(tzinfo=None) for value in values]
    return pa.array(naive, pa.timestamp("us"))
