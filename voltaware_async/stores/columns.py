"""The columns of a batch in the making: one class per table, lists of values until Arrow takes them.

A row does not repeat the texts and days of its key: it has the number of an entry in `Keys`, and Arrow
copies the entry. That makes a row cost two or three list items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pyarrow.compute
from attrs import define, field

from voltaware_async.stores.ledger import Status
from voltaware_async.stores.tables import CONSUMPTION, CYCLES, KEY, LEDGER, TOTALS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from voltaware_async.records.disaggregation import ApplianceConsumption, ApplianceCycles, Cycle

_Column: TypeAlias = (
    "pa.StringArray | pa.Date32Array | pa.Int64Array | pa.DoubleArray | pa.TimestampArray | pa.BooleanArray"
)

__all__ = ["ConsumptionColumns", "CycleColumns", "Keys", "LedgerColumns", "TotalColumns"]


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
            _texts(self.device_ids),
            _texts(self.datasets),
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
    """Gather rows of `cycles`; the instants stay null until the device's time zone is known."""

    keys: list[int] = field(factory=list)
    appliance_keys: list[str] = field(factory=list)
    cycles: list[Cycle] = field(factory=list)

    def extend(self, key: int, appliance: ApplianceCycles) -> None:
        """Add a row per cycle."""
        size = len(appliance.cycles)
        self.keys.extend([key] * size)
        self.appliance_keys.extend([appliance.appliance_key] * size)
        self.cycles.extend(appliance.cycles)

    def table(self, keys: pa.Table) -> pa.Table:
        """Return the rows."""
        size = len(self.cycles)
        values: list[_Column] = [
            _texts(self.appliance_keys),
            _clock_readings([cycle.start for cycle in self.cycles]),
            _clock_readings([cycle.end for cycle in self.cycles]),
            *(pa.nulls(size, CYCLES.field(name).type) for name in ("start_utc", "end_utc", "ambiguous")),
            _doubles([cycle.consumption for cycle in self.cycles]),
        ]
        return _with_keys(CYCLES, keys, self.keys, values)


@define
class LedgerColumns:
    """Gather rows of `ledger`, one per cell."""

    keys: list[int] = field(factory=list)
    statuses: list[Status] = field(factory=list)
    attempts: list[int] = field(factory=list)
    http_statuses: list[int | None] = field(factory=list)
    errors: list[str | None] = field(factory=list)

    def add(
        self, key: int, status: Status, attempts: int, http_status: int | None, error: str | None = None
    ) -> None:
        """Add a row."""
        self.keys.append(key)
        self.statuses.append(status)
        self.attempts.append(attempts)
        self.http_statuses.append(http_status)
        self.errors.append(error)

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
        ]
        return _with_keys(LEDGER, keys, self.keys, values)


def _with_keys(schema: pa.Schema, keys: pa.Table, rows: list[int], values: Sequence[_Column]) -> pa.Table:
    """Put each row's key before its values."""
    taken = keys.take(pa.array(rows, pa.int32()))
    return pa.Table.from_arrays([*taken.columns, *values], schema=schema)


def _texts(values: Sequence[str | None]) -> pa.StringArray:
    return pa.array(values, pa.string())


def _doubles(values: Sequence[float | None]) -> pa.DoubleArray:
    return pa.array(values, pa.float64())


def _clock_readings(values: Sequence[datetime]) -> pa.TimestampArray:
    """Drop offsets, if any: Arrow would turn an aware reading into UTC."""
    naive = [value if value.tzinfo is None else value.replace(tzinfo=None) for value in values]
    return pa.array(naive, pa.timestamp("us"))
