"""Questions to a DuckDB store: coverage, failures, consumption by appliance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.cells import Dataset
from voltaware_async.periods import Month, Week
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.ledger import Coverage, FailureReason
from voltaware_async.stores.store import ApplianceShare

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from duckdb import DuckDBPyConnection

    from voltaware_async.periods import Period

__all__ = ["consumption_by_appliance", "coverage", "failures"]

_COVERAGE: Final = """
SELECT
    dataset,
    period_start,
    count(*) FILTER (status = 'landed'),
    count(*) FILTER (status = 'absent'),
    count(*) FILTER (status = 'failed'),
    (SELECT count(DISTINCT device_id) FROM ledger) - count(*)
FROM ledger
GROUP BY dataset, period_start
"""

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


def coverage(connection: DuckDBPyConnection) -> Sequence[Coverage]:
    """Count how cells ended, per dataset and period."""
    rows = connection.execute(_COVERAGE).fetchall()
    counted = [
        Coverage(Dataset(name), _period(Dataset(name), start), *counts) for name, start, *counts in rows
    ]
    order = list(Dataset)
    return sorted(counted, key=lambda one: (order.index(one.dataset), one.period.start))


def failures(connection: DuckDBPyConnection, limit: int) -> Sequence[FailureReason]:
    """Count the failed cells by reason."""
    rows = connection.execute(_FAILURES, {"limit": limit}).fetchall()
    return [FailureReason(reason, cells, DeviceId(example)) for reason, cells, example in rows]


def consumption_by_appliance(
    connection: DuckDBPyConnection, dataset: Dataset, period: Period
) -> Sequence[ApplianceShare]:
    """Add up consumption by appliance."""
    partition = {"dataset": dataset.value, "start": period.start, "end": period.end}
    return [ApplianceShare(*row) for row in connection.execute(_BY_APPLIANCE, partition).fetchall()]


def _period(dataset: Dataset, start: date) -> Period:
    return Week(start) if dataset.period_type is Week else Month.of(start)
