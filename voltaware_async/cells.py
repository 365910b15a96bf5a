"""Cells: what one GET of a fleet pull fetches, and how it ended; and how the look-up of a device did."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from attrs import field, frozen

from voltaware_async.errors import VoltawareError
from voltaware_async.periods import Month, Period, Week
from voltaware_async.records.devices import Device, DeviceId
from voltaware_async.records.disaggregation import ApplianceCycles, Disaggregation, MonthByWeeks
from voltaware_async.records.reports import Report

__all__ = ["Absent", "Cell", "Dataset", "Failed", "Fetched", "Lookup", "Outcome", "Record", "Seen", "Unseen"]


class Dataset(StrEnum):
    """Name one of the seven per-period results."""

    MONTH = "month"
    MONTH_WEEKS = "month_weeks"
    WEEK = "week"
    MONTH_CYCLES = "month_cycles"
    WEEK_CYCLES = "week_cycles"
    MONTH_REPORT = "month_report"
    WEEK_REPORT = "week_report"

    @property
    def period_type(self) -> type[Month | Week]:
        """The kind of period that it is asked for."""
        return Week if self in _OF_WEEKS else Month

    @property
    def has_cycles(self) -> bool:
        """Whether its records are cycles."""
        return self in _OF_CYCLES


_OF_WEEKS: Final = frozenset({Dataset.WEEK, Dataset.WEEK_CYCLES, Dataset.WEEK_REPORT})
_OF_CYCLES: Final = frozenset({Dataset.MONTH_CYCLES, Dataset.WEEK_CYCLES})

Record: TypeAlias = Disaggregation | MonthByWeeks | tuple[ApplianceCycles, ...] | Report


@frozen
class Cell:
    """Name one device x one dataset x one period; the period's kind must be the dataset's."""

    device_id: DeviceId
    dataset: Dataset
    period: Period = field()

    @period.validator
    def _is_of_the_datasets_kind(self, _attribute: object, value: Period) -> None:
        if type(value) is not self.dataset.period_type:
            kind = self.dataset.period_type.__name__
            raise TypeError(f"{self.dataset} is asked for a {kind}, not for {value!r}")


@frozen
class Fetched:
    """End a cell with a record. `attempts` counts the requests sent for it."""

    cell: Cell
    record: Record
    attempts: int = field(default=1, kw_only=True)


@frozen
class Absent:
    """End a cell without a result: the API answered 404 or 204. This is not an error, and not a zero.

    Source: Debugging/Status code.
    """

    cell: Cell
    http_status: int = field(default=404, kw_only=True)
    attempts: int = field(default=1, kw_only=True)


@frozen
class Failed:
    """End a cell with an error: nothing is known of its result. `attempts` counts the requests sent."""

    cell: Cell
    error: VoltawareError
    http_status: int | None = field(default=None, kw_only=True)
    attempts: int = field(default=1, kw_only=True)


Outcome: TypeAlias = Fetched | Absent | Failed


@frozen
class Seen:
    """End the look-up of a device with what the API says of it; None where it knows none of that id."""

    device_id: DeviceId
    device: Device | None
    attempts: int = field(default=1, kw_only=True)


@frozen
class Unseen:
    """End the look-up of a device with an error."""

    device_id: DeviceId
    error: VoltawareError
    attempts: int = field(default=1, kw_only=True)


Lookup: TypeAlias = Seen | Unseen
