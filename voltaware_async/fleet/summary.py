"""Summary: the account of a run: every planned cell, by how it ended."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import asdict, define, field, frozen

from voltaware_async.cells import Absent, Fetched
from voltaware_async.records.reports import Report, ReportedUnit

if TYPE_CHECKING:
    from voltaware_async.cells import Outcome
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Progress", "Summary", "Tally"]


@frozen(kw_only=True)
class Summary:
    """Account for a run; `planned = landed + absent + failed + unasked` holds always.

    `unasked` cells were cut off by a deadline, an interrupt or an error. `skipped` ones were not planned, for
    the ledger has them: they landed before, or are absent and not yet due again. `requests` counts everything
    sent, retries and token calls included. `elapsed_s` is in seconds, `rate_per_s` in requests/s over
    the run.

    Of the landed ones, `restated` had landed before and say something else now; `zone_unknown` have cycles
    whose instants are null, for the zone of their device is not known; and reports came with daily figures in
    Wh, in kWh, or in a unit that cannot be told. `kept` of the absent and failed ones had landed before, and
    keep their rows.
    """

    run_id: str
    planned: int
    landed: int
    absent: int
    failed: int
    unasked: int
    skipped: int
    requests: int
    retries: int
    throttled: int
    token_calls: int
    elapsed_s: float
    rate_per_s: float
    restated: int = 0
    kept: int = 0
    zone_unknown: int = 0
    reports_wh: int = 0
    reports_kwh: int = 0
    reports_unknown: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every planned cell was answered, with a result or without."""
        return not self.failed and not self.unasked

    def as_dict(self) -> dict[str, str | int | float]:
        """Return the summary under the names that the command prints, in their order."""
        return asdict(self)

    def counts(self) -> dict[str, int | float]:
        """Return the summary without the run's id."""
        return asdict(self, filter=lambda attribute, _value: attribute.name != "run_id")


@frozen(kw_only=True)
class Progress:
    """Tell where a run stands; `done` counts the planned cells that have ended.

    `rate_per_s` is in requests per second over the last ten seconds; `concurrency` is how many requests may
    be under way at once, now. Before a night's cells are planned, its new `devices` are looked up,
    `devices_done` of them so far.
    """

    planned: int
    skipped: int
    landed: int
    absent: int
    failed: int
    requests: int
    retries: int
    throttled: int
    elapsed_s: float
    rate_per_s: float = 0.0
    concurrency: int = 0
    devices: int = 0
    devices_done: int = 0

    @property
    def done(self) -> int:
        """The planned cells that have ended."""
        return self.landed + self.absent + self.failed


@define
class Tally:
    """Count the outcomes of a run as they come."""

    planned: int = 0
    skipped: int = 0
    landed: int = 0
    absent: int = 0
    failed: int = 0
    restated: int = 0
    kept: int = 0
    zone_unknown: int = 0
    reports: Counter[ReportedUnit] = field(factory=Counter)

    def add(self, outcome: Outcome, *, zone_unknown: bool = False) -> None:
        """Count one outcome."""
        self.zone_unknown += zone_unknown
        match outcome:
            case Fetched(record=record):
                self.landed += 1
                if isinstance(record, Report):
                    self.reports[record.reported_unit] += 1
            case Absent():
                self.absent += 1
            case _:
                self.failed += 1

    def add_up(self, other: Tally) -> None:
        """Count the outcomes of another tally too."""
        self.landed += other.landed
        self.absent += other.absent
        self.failed += other.failed
        self.zone_unknown += other.zone_unknown
        self.reports += other.reports

    def keep_only(self, landed: Tally) -> None:
        """Uncount the outcomes that another tally does not count: they arrived, and did not land."""
        self.landed, self.absent, self.failed = landed.landed, landed.absent, landed.failed
        self.zone_unknown, self.reports = landed.zone_unknown, landed.reports

    def progress(
        self, traffic: Traffic, elapsed_s: float, *, rate_per_s: float, devices: int, devices_done: int
    ) -> Progress:
        """Return where the run stands; but for the tally, as in `Progress`."""
        return Progress(
            planned=self.planned,
            skipped=self.skipped,
            landed=self.landed,
            absent=self.absent,
            failed=self.failed,
            requests=traffic.requests,
            retries=traffic.retries,
            throttled=traffic.throttled,
            elapsed_s=elapsed_s,
            rate_per_s=rate_per_s,
            concurrency=traffic.concurrency,
            devices=devices,
            devices_done=devices_done,
        )

    def summary(self, run_id: str, traffic: Traffic, elapsed_s: float) -> Summary:
        """Return the account; what was planned and did not end is unasked."""
        return Summary(
            run_id=run_id,
            planned=self.planned,
            landed=self.landed,
            absent=self.absent,
            failed=self.failed,
            unasked=self.planned - self.landed - self.absent - self.failed,
            skipped=self.skipped,
            requests=traffic.requests,
            retries=traffic.retries,
            throttled=traffic.throttled,
            token_calls=traffic.token_calls,
            elapsed_s=round(elapsed_s, 3),
            rate_per_s=round(traffic.requests / elapsed_s, 3) if elapsed_s > 0 else 0.0,
            restated=self.restated,
            kept=self.kept,
            zone_unknown=self.zone_unknown,
            reports_wh=self.reports[ReportedUnit.WH],
            reports_kwh=self.reports[ReportedUnit.KWH],
            reports_unknown=self.reports[ReportedUnit.UNKNOWN],
        )
