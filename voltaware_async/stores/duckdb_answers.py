"""Questions to a DuckDB store: coverage, failures, consumption by appliance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.cells import Dataset
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.duckdb_devices import IS_DORMANT
from voltaware_async.stores.ledger import Coverage, FailureReason, LastRun
from voltaware_async.stores.parts import period_of
from voltaware_async.stores.store import ApplianceShare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from duckdb import DuckDBPyConnection

    from voltaware_async.periods import Period

__all__ = [
    "consumption_by_appliance",
    "coverage",
    "expected_until",
    "failed_devices",
    "failures",
    "knows_devices",
    "last_run",
]

# A period that ended before a device's first event lacks nothing. In a store that no sync or pull of a whole
# fleet has filled, the devices are those of the ledger.
_COVERAGE: Final = f"""
WITH known AS (
    SELECT device_id, first_day, {IS_DORMANT} AS is_dormant FROM devices WHERE unlisted_since IS NULL
    UNION ALL
    SELECT DISTINCT device_id, CAST(NULL AS DATE), false
    FROM ledger WHERE NOT EXISTS (SELECT 1 FROM devices)
),
shown AS (
    SELECT dataset, period_start, period_end FROM ledger
    UNION
    SELECT dataset, period_start, period_end FROM expected
),
eligible AS (
    SELECT period_end, sum(devices) FILTER (first_day IS NULL OR first_day <= period_end) AS devices
    FROM (SELECT DISTINCT period_end FROM shown)
    CROSS JOIN (SELECT first_day, count(*) AS devices FROM known WHERE NOT is_dormant GROUP BY first_day)
    GROUP BY period_end
),
asked AS (
    SELECT
        dataset,
        period_start,
        period_end,
        count(*) FILTER (status = 'landed') AS landed,
        count(*) FILTER (status = 'absent') AS absent,
        count(*) FILTER (status = 'failed') AS failed,
        count(*) FILTER (NOT is_dormant AND (first_day IS NULL OR first_day <= period_end)) AS eligible
    FROM ledger LEFT JOIN known USING (device_id)
    GROUP BY ALL
)
SELECT
    dataset,
    period_start,
    coalesce(landed, 0),
    coalesce(absent, 0),
    coalesce(failed, 0),
    coalesce(eligible.devices, 0) - coalesce(asked.eligible, 0)
FROM shown
LEFT JOIN asked USING (dataset, period_start, period_end)
LEFT JOIN eligible USING (period_end)
"""

# The one that was written last: a clock may have jumped since an earlier one.
_LAST_RUN: Final = """
SELECT command, started_at, outcome, failed, unasked FROM runs ORDER BY rowid DESC LIMIT 1
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


def last_run(connection: DuckDBPyConnection) -> LastRun | None:
    """Return the run that was begun last."""
    rows = connection.execute(_LAST_RUN).fetchall()
    return LastRun(*rows[0]) if rows else None


def expected_until(connection: DuckDBPyConnection) -> Mapping[Dataset, date]:
    """Return the end of the newest period of each dataset that a night was to ask."""
    return {Dataset(name): end for name, end in connection.execute(_EXPECTED_UNTIL).fetchall()}


def knows_devices(connection: DuckDBPyConnection) -> bool:
    """Tell whether there is any device."""
    [(knows,)] = connection.execute(_KNOWS_DEVICES).fetchall()
    return bool(knows)


def failed_devices(connection: DuckDBPyConnection) -> Sequence[DeviceId]:
    """Return the devices with a failed cell."""
    return [DeviceId(device_id) for (device_id,) in connection.execute(_FAILED_DEVICES).fetchall()]


def coverage(connection: DuckDBPyConnection) -> Sequence[Coverage]:
    """Count how cells ended, per dataset and period; of those in the ledger, and of the expected ones."""
    rows = connection.execute(_COVERAGE).fetchall()
    counted = [
        Coverage(Dataset(name), period_of(Dataset(name), start), *counts) for name, start, *counts in rows
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
