"""Outcomes → batch: pure, so that any process or machine can make the tables that one writer commits.

What becomes of a record:

* month, week: a row of `consumption` per appliance, one of `totals`
* month_weeks: each clipped week is the period of its rows in `consumption` and `totals`; one more row of
  `totals` has the month, its total and its disconnection, which no week has
* month_report, week_report: appliances and total of the report's disaggregation, under the report's dataset
* month_cycles, week_cycles: a row of `cycles` per cycle, and each appliance's total as a row of `consumption`

A record without appliances or cycles lands without such rows; an absent or failed cell has none at all.
Two entries of one appliance in a record stay two rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.acero
from attrs import define, field, frozen

from voltaware_async.cells import Absent, Cell, Fetched, Outcome, Record
from voltaware_async.records.disaggregation import ApplianceCycles, Disaggregation, MonthByWeeks
from voltaware_async.records.reports import Report
from voltaware_async.stores.columns import (
    ConsumptionColumns,
    CycleColumns,
    Keys,
    LedgerColumns,
    TotalColumns,
)
from voltaware_async.stores.ledger import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from voltaware_async.periods import Period

__all__ = ["Batch", "BatchBuilder", "batch_of"]

_OK: Final = 200
_ERROR_LENGTH: Final = 500


@frozen
class Batch:
    """Hold the rows and ledger entries of some cells, as Arrow tables by name; `len` counts the cells."""

    tables: Mapping[str, pa.Table]

    @property
    def ledger(self) -> pa.Table:
        """One row per cell."""
        return self.tables["ledger"]

    def __len__(self) -> int:
        return self.ledger.num_rows


def batch_of(outcomes: Sequence[Outcome], run_id: str, at: datetime, as_of: date | None = None) -> Batch:
    """Turn outcomes into tables, in their order.

    `at` is an aware instant; it becomes the ledger's `updated_at`. `as_of` is the day that the run took for
    today, the ledger's `asked_on`; without it, the day of `at` in UTC. A naive `at` is a ValueError, and so
    is a device id or appliance key that is no Unicode text (a lone surrogate).
    """
    builder = BatchBuilder()
    for outcome in outcomes:
        builder.add(outcome)
    return builder.batch(run_id, at, as_of)


@define
class BatchBuilder:
    """Gather the columns of a batch, cell by cell.

    Nothing of an outcome is kept but its values: records that would pile up until a batch is full cost the
    garbage collector more than their decoding did.
    """

    keys: Keys = field(factory=Keys)
    consumption: ConsumptionColumns = field(factory=ConsumptionColumns)
    totals: TotalColumns = field(factory=TotalColumns)
    cycles: CycleColumns = field(factory=CycleColumns)
    ledger: LedgerColumns = field(factory=LedgerColumns)
    days: dict[Period, tuple[date, date]] = field(factory=dict)

    def __len__(self) -> int:
        return len(self.ledger.keys)

    def add(self, outcome: Outcome) -> None:
        """Add a cell, after those before."""
        cell = outcome.cell
        key = self.keys.add(cell.device_id, cell.dataset, *self._days_of(cell.period))
        match outcome:
            case Fetched():
                self.ledger.add(key, Status.LANDED, outcome.attempts, _OK)
                self._add_record(cell, key, outcome.record)
            case Absent():
                self.ledger.add(key, Status.ABSENT, outcome.attempts, outcome.http_status)
            case _:
                error = _one_line(outcome.error)
                self.ledger.add(key, Status.FAILED, outcome.attempts, outcome.http_status, error)

    def _days_of(self, period: Period) -> tuple[date, date]:
        """Work out a period's days once: a batch has few periods and many cells."""
        days = self.days.get(period)
        if days is None:
            days = self.days[period] = period.start, period.end
        return days

    def _add_record(self, cell: Cell, key: int, record: Record) -> None:
        match record:
            case Disaggregation():
                self._add_disaggregation(key, record)
            case MonthByWeeks():
                self._add_weeks(cell, key, record)
            case Report():
                self._add_disaggregation(key, record.disaggregation_metrics)
            case _:
                self._add_cycles(key, record)

    def _add_disaggregation(self, key: int, record: Disaggregation) -> None:
        self.totals.add(key, record.total_consumption, record.disconnection_percentage)
        self.consumption.extend(key, record.appliances)

    def _add_weeks(self, cell: Cell, key: int, record: MonthByWeeks) -> None:
        self.totals.add(key, record.total_consumption, record.disconnection_percentage)
        for week in record.weeks:
            week_key = self.keys.add(cell.device_id, cell.dataset, week.start, week.end)
            self.totals.add(week_key, week.total_consumption, None)
            self.consumption.extend(week_key, week.appliances)

    def _add_cycles(self, key: int, record: tuple[ApplianceCycles, ...]) -> None:
        for appliance in record:
            self.consumption.add(key, appliance.appliance_key, appliance.total_consumption)
            self.cycles.extend(key, appliance)

    def batch(self, run_id: str, at: datetime, as_of: date | None = None) -> Batch:
        """Return the tables; `run_id`, `at` and `as_of` as in `batch_of`."""
        if at.tzinfo is None:
            raise ValueError(f"a batch is stamped with an aware instant, not {at!r}")
        keys = self.keys.table()
        day = as_of or at.astimezone(UTC).date()
        return Batch(
            {
                "consumption": self.consumption.table(keys),
                "totals": self.totals.table(keys),
                "cycles": self.cycles.table(keys),
                "ledger": self.ledger.table(keys, run_id, at, day),
            }
        )


def _one_line(error: Exception) -> str:
    """Word an error for the ledger: no line breaks, bounded, and Unicode whatever a server put into it."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words.encode("utf-8", "backslashreplace").decode("utf-8")[:_ERROR_LENGTH]
