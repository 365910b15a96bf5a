"""The words of the ledger: one row per cell ever asked, and what can be read off it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from attrs import frozen

from voltaware_async.cells import Dataset
from voltaware_async.periods import Period
from voltaware_async.records.devices import DeviceId

__all__ = ["Coverage", "FailureReason", "FindingCount", "LastRun", "Revision", "Status"]


class Status(StrEnum):
    """Tell how a cell ended last: with rows, without a result, or with an error."""

    LANDED = "landed"
    ABSENT = "absent"
    FAILED = "failed"


@frozen
class Coverage:
    """Count how the cells of one dataset and period ended.

    `never_asked` counts the devices that the store knows and that have no such cell, but for those whose
    first event came after the period, and sensors that were never connected.
    """

    dataset: Dataset
    period: Period
    landed: int
    absent: int
    failed: int
    never_asked: int

    @property
    def missing(self) -> int:
        """The cells of which it is not known whether they have a result."""
        return self.failed + self.never_asked


@frozen
class LastRun:
    """Tell how the last run went; one without an outcome was killed before its end."""

    command: str
    started_at: datetime
    outcome: str | None
    failed: int | None
    unasked: int | None


@frozen
class FailureReason:
    """Count the cells that failed for one reason, and name one device to look at.

    `reason` is the error without what differs from cell to cell: the device and the number of attempts.
    """

    reason: str
    cells: int
    example: DeviceId


@frozen
class Revision:
    """Tell how the API restated a cell that had landed: its total before and after, in Wh."""

    revised_at: datetime
    device_id: DeviceId
    dataset: Dataset
    period: Period
    old_total_wh: float | None
    new_total_wh: float | None
    run_id: str


@frozen
class FindingCount:
    """Count the cells of a dataset and period that one check has flagged, and name a device to look at.

    `period_start` is the first day of the period, or of a clipped week.
    """

    dataset: str
    period_start: date
    finding: str
    cells: int
    example: DeviceId
