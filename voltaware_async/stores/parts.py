"""Small Arrow tables that a store's SQL joins with: a run's devices, the parts of its plan, what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from voltaware_async.periods import Month, Week
from voltaware_async.stores.tables import LEDGER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.agenda import Absence

__all__ = ["devices_table", "due_table", "parts_table", "period_of"]

_ABSENCE: Final = ("dataset", "period_start", "http_status", "absent_since", "asked_on")


def period_of(dataset: Dataset, start: date) -> Period:
    """Return the period of a dataset that begins on a day."""
    return Week(start) if dataset.period_type is Week else Month.of(start)


def devices_table(device_ids: Sequence[DeviceId]) -> pa.Table:
    """Number a run's devices in their order."""
    ordinals = pa.array(range(len(device_ids)), pa.int64())
    return pa.table({"ordinal": ordinals, "device_id": pa.array(device_ids, pa.string())})


def parts_table(parts: Sequence[tuple[Dataset, Period]]) -> pa.Table:
    """Return a row per dataset and period."""
    rows = [
        {"dataset": dataset.value, "period_start": period.start, "period_end": period.end}
        for dataset, period in parts
    ]
    return pa.Table.from_pylist(rows, schema=_of_ledger("dataset", "period_start", "period_end"))


def due_table(absences: Sequence[Absence]) -> pa.Table:
    """Return a row per kind of absent cells."""
    rows = [
        {
            "dataset": absence.dataset.value,
            "period_start": absence.period.start,
            "http_status": absence.http_status,
            "absent_since": absence.absent_since,
            "asked_on": absence.asked_on,
        }
        for absence in absences
    ]
    return pa.Table.from_pylist(rows, schema=_of_ledger(*_ABSENCE))


def _of_ledger(*names: str) -> pa.Schema:
    return pa.schema([LEDGER.field(name) for name in names])
