"""Questions to a store: coverage, failures, consumption by appliance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.cells import Dataset
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.ledger import Coverage, FailureReason, FindingCount, LastRun, Revision
from voltaware_async.stores.parts import period_of
from voltaware_async.stores.sql.checks import CHECKS_SUMMARY
from voltaware_async.stores.store import ApplianceShare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from voltaware_async.periods import Period
    from voltaware_async.stores.sql.database import Database

__all__ = [
    "consumption_by_appliance",
    "coverage",
    "expected_until",
    "failed_devices",
    "failures",
    "findings",
    "knows_devices",
    "last_run",
    "revisions",
]

_COVERAGE: Final = """
SELECT dataset, period_start, landed, absent, failed, never_asked FROM coverage
"""

# The one that was written last: a clock may have jumped since an earlier one.
_LAST_RUN: Final = """
SELECT command, started_at, outcome, failed, unasked FROM runs ORDER BY number DESC LIMIT 1
"""

_EXPECTED_UNTIL: Final = """
SELECT dataset, max(period_end) FROM expected WHERE night IS NOT NULL GROUP BY dataset
"""

_KNOWS_DEVICES: Final = "SELECT EXISTS (SELECT 1 FROM devices)"

_FAILED_DEVICES: Final = "SELECT DISTINCT device_id FROM ledger WHERE status = 'failed' ORDER BY device_id"

# An error names its device and its attempts (errors.ErrorContext): cells that failed alike differ in these.
_FAILURES: Final = r"""
SELECT
    regexp_replace(replace(error, ', device ' || device_id, ''), ', after \d+ attempts', '') AS reason,
    count(*) AS cells,
    min(device_id)
FROM ledger
WHERE status = 'failed'
GROUP BY reason
ORDER BY cells DESC, reason
LIMIT $limit
"""

_REVISIONS: Final = """
SELECT revised_at, device_id, dataset, period_start, old_total_wh, new_total_wh, run_id
FROM revisions
ORDER BY revised_at DESC, dataset, period_start, device_id
LIMIT $limit
"""

# The clipped weeks of a month lie within the month; every other row has the period itself.
_BY_APPLIANCE: Final = """
WITH added_up AS (
    SELECT appliance_key, count(DISTINCT device_id) AS devices, sum(consumption_wh) AS wh
    FROM consumption
    WHERE dataset = $dataset AND period_start >= $start AND period_end <= $end
    GROUP BY appliance_key
)
SELECT appliance_key, devices, wh, coalesce(wh / nullif((SELECT sum(wh) FROM added_up), 0), 0)
FROM added_up
ORDER BY wh DESC, appliance_key
"""


def last_run(database: Database) -> LastRun | None:
    """Return the run that was begun last."""
    rows = database.rows(_LAST_RUN)
    return LastRun(*rows[0]) if rows else None


def expected_until(database: Database) -> Mapping[Dataset, date]:
    """Return the end of the newest period of each dataset that a night was to ask."""
    return {Dataset(name): end for name, end in database.rows(_EXPECTED_UNTIL)}


def knows_devices(database: Database) -> bool:
    """Tell whether there is any device."""
    [(knows,)] = database.rows(_KNOWS_DEVICES)
    return bool(knows)


def failed_devices(database: Database) -> Sequence[DeviceId]:
    """Return the devices with a failed cell."""
    return [DeviceId(device_id) for (device_id,) in database.rows(_FAILED_DEVICES)]


def coverage(database: Database) -> Sequence[Coverage]:
    """Count how cells ended, per dataset and period; of those in the ledger, and of the expected ones."""
    rows = database.rows(_COVERAGE)
    counted = [
        Coverage(Dataset(name), period_of(Dataset(name), start), *counts) for name, start, *counts in rows
    ]
    order = list(Dataset)
    return sorted(counted, key=lambda one: (order.index(one.dataset), one.period.start))


def failures(database: Database, limit: int) -> Sequence[FailureReason]:
    """Count the failed cells by reason."""
    rows = database.rows(_FAILURES, {"limit": limit})
    return [FailureReason(reason, cells, DeviceId(example)) for reason, cells, example in rows]


def revisions(database: Database, limit: int) -> Sequence[Revision]:
    """Return the latest revisions."""
    return [
        Revision(at, DeviceId(device_id), Dataset(name), period_of(Dataset(name), start), *facts)
        for at, device_id, name, start, *facts in database.rows(_REVISIONS, {"limit": limit})
    ]


def findings(database: Database) -> Sequence[FindingCount]:
    """Count what the checks find."""
    return [FindingCount(*row) for row in database.rows(CHECKS_SUMMARY)]


def consumption_by_appliance(
    database: Database, dataset: Dataset, period: Period
) -> Sequence[ApplianceShare]:
    """Add up consumption by appliance."""
    partition = {"dataset": dataset.value, "start": period.start, "end": period.end}
    return [ApplianceShare(*row) for row in database.rows(_BY_APPLIANCE, partition)]
