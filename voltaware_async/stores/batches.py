"""Outcomes → batch: pure, so that any process or machine can make the tables that one writer commits.

What becomes of a record:

* month, week: a row of `consumption` per appliance, one of `totals`
* month_weeks: each clipped week is the period of its rows in `consumption` and `totals`; one more row of
  `totals` has the month, its total and its disconnection, which no week has
* month_report, week_report: a row of `reports`, one of `report_days` per day; and appliances and total of the
  report's disaggregation, under the report's dataset
* month_cycles, week_cycles: a row of `cycles` per cycle, and each appliance's total as a row of `consumption`

A record without appliances or cycles lands without such rows; an absent or failed cell has none at all.
Two entries of one appliance in a record stay two rows. In texts U+FFFD stands for NUL and for half of a
character, which not every store can hold; device ids are as they came.
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
    ReportColumns,
    ReportDayColumns,
    TotalColumns,
    finite,
)
from voltaware_async.stores.content import content_hash
from voltaware_async.stores.ledger import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime, tzinfo

    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId

__all__ = ["Batch", "BatchBuilder", "arrow_tables", "batch_of"]

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


def arrow_tables(
    outcomes: Iterable[Outcome], zones: Mapping[DeviceId, tzinfo] | None = None
) -> Mapping[str, pa.Table]:
    """Turn the outcomes of a pull into Arrow tables by name, as a store has them, but without its ledger.

        outcomes = [it async for it in client.fleet.pull([Dataset.MONTH], [Month(2024, 7)])]
        consumption = arrow_tables(outcomes)["consumption"]

    The tables are `consumption`, `totals`, `cycles`, `report_days` and `reports`, each with its columns and
    types whatever came, in the order of the outcomes. Columns that end in `_wh` are Wh; those that begin with
    `reported_` are in the report's own unit, which is `reports.reported_unit` (see `Report.reported_unit`);
    `disconnection_percentage` is 0 to 100, `kgco2` is kg. Absent and failed cells have no rows.

    `start_local` and `end_local` are readings of the device's own clock; `zones` has the time zones of
    devices (`Device.locale.tz`), without which `start_utc`, `end_utc` and `ambiguous` are null.
    """
    builder = BatchBuilder()
    for outcome in outcomes:
        zone = zones.get(outcome.cell.device_id) if zones is not None else None
        builder.add(outcome, zone)
    return builder.rows()


def batch_of(outcomes: Sequence[Outcome], run_id: str, at: datetime, as_of: date | None = None) -> Batch:
    """Turn outcomes into tables, in their order.

    `at` is an aware instant; it becomes the ledger's `updated_at`. `as_of` is the day that the run took for
    today, the ledger's `asked_on`; without it, the day of `at` in UTC. A naive `at` is a ValueError, and so
    is a device id that is no Unicode text (a lone surrogate). Cycles stay without instants, as in
    `BatchBuilder.add` without a zone.
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
    report_days: ReportDayColumns = field(factory=ReportDayColumns)
    reports: ReportColumns = field(factory=ReportColumns)
    ledger: LedgerColumns = field(factory=LedgerColumns)
    days: dict[Period, tuple[date, date]] = field(factory=dict)

    def __len__(self) -> int:
        return len(self.ledger.keys)

    def add(self, outcome: Outcome, zone: tzinfo | None = None) -> None:
        """Add a cell, after those before. Without the device's zone its cycles stay without instants.

        A cycle whose readings came with an offset needs no zone; one at the edge of the calendar has none
        that tells its instants.
        """
        cell = outcome.cell
        key = self.keys.add(cell.device_id, cell.dataset, *self._days_of(cell.period))
        match outcome:
            case Fetched(record=record):
                wh = self._add_record(cell, key, record, zone)
                content = content_hash(record)
                self.ledger.add(key, Status.LANDED, outcome.attempts, _OK, content_hash=content, wh=wh)
            case Absent():
                self.ledger.add(key, Status.ABSENT, outcome.attempts, outcome.http_status)
            case _:
                error = _one_line(outcome.error)
                self.ledger.add(key, Status.FAILED, outcome.attempts, outcome.http_status, error=error)

    def _days_of(self, period: Period) -> tuple[date, date]:
        """Work out a period's days once: a batch has few periods and many cells."""
        days = self.days.get(period)
        if days is None:
            days = self.days[period] = period.start, period.end
        return days

    def _add_record(self, cell: Cell, key: int, record: Record, zone: tzinfo | None) -> float | None:
        """Add a record's rows and return its total, in Wh."""
        match record:
            case Disaggregation():
                return self._add_disaggregation(key, record)
            case MonthByWeeks():
                return self._add_weeks(cell, key, record)
            case Report():
                return self._add_report(key, record)
            case _:
                return self._add_cycles(key, record, zone)

    def _add_disaggregation(self, key: int, record: Disaggregation) -> float:
        self.totals.add(key, record.total_consumption, record.disconnection_percentage)
        self.consumption.extend(key, record.appliances)
        return record.total_consumption

    def _add_weeks(self, cell: Cell, key: int, record: MonthByWeeks) -> float:
        self.totals.add(key, record.total_consumption, record.disconnection_percentage)
        for week in record.weeks:
            week_key = self.keys.add(cell.device_id, cell.dataset, week.start, week.end)
            self.totals.add(week_key, week.total_consumption, None)
            self.consumption.extend(week_key, week.appliances)
        return record.total_consumption

    def _add_report(self, key: int, record: Report) -> float:
        wh_per_unit = record.wh_per_reported_unit
        self.reports.add(key, record, wh_per_unit)
        self.report_days.extend(key, record.days, wh_per_unit)
        return self._add_disaggregation(key, record.disaggregation_metrics)

    def _add_cycles(self, key: int, record: tuple[ApplianceCycles, ...], zone: tzinfo | None) -> float | None:
        for appliance in record:
            self.consumption.add(key, appliance.appliance_key, appliance.total_consumption)
            self.cycles.extend(key, appliance, zone)
        return finite(sum([appliance.total_consumption for appliance in record], 0.0))

    def rows(self) -> Mapping[str, pa.Table]:
        """Return the tables of rows, by name: all but the ledger."""
        return self._rows(self.keys.table())

    def _rows(self, keys: pa.Table) -> dict[str, pa.Table]:
        return {
            "consumption": self.consumption.table(keys),
            "totals": self.totals.table(keys),
            "cycles": self.cycles.table(keys),
            "report_days": self.report_days.table(keys),
            "reports": self.reports.table(keys),
        }

    def batch(self, run_id: str, at: datetime, as_of: date | None = None) -> Batch:
        """Return the tables; `run_id`, `at` and `as_of` as in `batch_of`."""
        if at.tzinfo is None:
            raise ValueError(f"a batch is stamped with an aware instant, not {at!r}")
        keys = self.keys.table()
        day = as_of or at.astimezone(UTC).date()
        return Batch({**self._rows(keys), "ledger": self.ledger.table(keys, run_id, at, day)})


def _one_line(error: Exception) -> str:
    """Word an error for the ledger: no line breaks, bounded, and Unicode whatever a server put into it."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words.encode("utf-8", "backslashreplace").decode("utf-8")[:_ERROR_LENGTH]
