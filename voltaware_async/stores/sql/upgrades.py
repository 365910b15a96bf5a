"""From each format of a store to the next, in SQL; only DuckDB stores are older than format 3.

A step is what it was when it was written: it takes nothing from the tables of today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["UPGRADES"]

# 2 knows devices, and as of which day a cell was asked.
_FROM_1_TO_2: Final = (
    """
    CREATE TABLE devices (
        device_id VARCHAR NOT NULL, connection_state VARCHAR, firmware VARCHAR, first_event TIMESTAMPTZ,
        last_event TIMESTAMPTZ, iso_country_code VARCHAR, iso_locale_code VARCHAR, time_zone_id VARCHAR,
        seen_at TIMESTAMPTZ, asked_on DATE, first_day DATE, unlisted_since DATE
    )
    """,
    """
    CREATE TABLE expected (
        dataset VARCHAR NOT NULL, period_start DATE NOT NULL, period_end DATE NOT NULL, night DATE
    )
    """,
    "INSERT INTO expected SELECT DISTINCT dataset, period_start, period_end, CAST(NULL AS DATE) FROM ledger",
    "INSERT INTO devices (device_id) SELECT DISTINCT device_id FROM ledger",
    "ALTER TABLE ledger ADD COLUMN asked_on DATE",
    "ALTER TABLE ledger ADD COLUMN absent_since DATE",
    """
    UPDATE ledger SET
        asked_on = CAST(updated_at AS DATE),
        absent_since = CASE WHEN status = 'absent' THEN CAST(updated_at AS DATE) END
    """,
)

# 3 keeps reports, what a cell said, and how it was restated. What landed before has no hash: it counts as
# changed when it is asked again, and as restated if its total is another.
_COUNTS_OF_3: Final = (
    "restated",
    "kept",
    "zone_unknown",
    "reports_wh",
    "reports_kwh",
    "reports_unknown",
    "number",
)
_FROM_2_TO_3: Final = (
    """
    CREATE TABLE report_days (
        device_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, period_start DATE NOT NULL, period_end DATE
        NOT NULL, day DATE NOT NULL, reported_consumption FLOAT8, consumption_wh FLOAT8, weekend BOOLEAN
    )
    """,
    """
    CREATE TABLE reports (
        device_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, period_start DATE NOT NULL, period_end DATE
        NOT NULL, reported_unit VARCHAR, reported_total_consumption FLOAT8, total_consumption_wh FLOAT8,
        reported_average_consumption FLOAT8, reported_max_consumption FLOAT8, max_day DATE,
        reported_min_consumption FLOAT8, min_day DATE, reported_week_days_consumption FLOAT8,
        reported_weekend_days_consumption FLOAT8, days_without_consumption BIGINT, kgco2 FLOAT8, trees
        FLOAT8, version BIGINT
    )
    """,
    """
    CREATE TABLE revisions (
        device_id VARCHAR NOT NULL, dataset VARCHAR NOT NULL, period_start DATE NOT NULL, period_end DATE
        NOT NULL, revised_at TIMESTAMPTZ NOT NULL, run_id VARCHAR, old_total_wh FLOAT8, new_total_wh
        FLOAT8, old_hash BIGINT, new_hash BIGINT
    )
    """,
    "ALTER TABLE ledger ADD COLUMN content_hash BIGINT",
    "ALTER TABLE ledger ADD COLUMN total_consumption_wh FLOAT8",
    """
    UPDATE ledger SET total_consumption_wh = added_up.wh
    FROM (
        SELECT device_id, dataset, period_start, period_end, total_consumption_wh AS wh FROM totals
        UNION ALL
        SELECT device_id, dataset, period_start, period_end, sum(consumption_wh) FROM consumption
        WHERE dataset IN ('month_cycles', 'week_cycles')
        GROUP BY device_id, dataset, period_start, period_end
    ) AS added_up
    WHERE ledger.status = 'landed'
    AND ledger.device_id = added_up.device_id AND ledger.dataset = added_up.dataset
    AND ledger.period_start = added_up.period_start AND ledger.period_end = added_up.period_end
    """,
    # Cycles that landed without any appliance.
    """
    UPDATE ledger SET total_consumption_wh = 0
    WHERE status = 'landed' AND dataset IN ('month_cycles', 'week_cycles') AND total_consumption_wh IS NULL
    """,
    *(f"ALTER TABLE runs ADD COLUMN {name} BIGINT" for name in _COUNTS_OF_3),
    """
    UPDATE runs SET number = counted.number
    FROM (SELECT run_id, row_number() OVER (ORDER BY rowid) AS number FROM runs) AS counted
    WHERE runs.run_id = counted.run_id
    """,
)

UPGRADES: Final[Mapping[int, Sequence[str]]] = {1: _FROM_1_TO_2, 2: _FROM_2_TO_3}
