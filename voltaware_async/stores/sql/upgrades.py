"""From each format of a store to the next, in SQL; only DuckDB stores are older than format 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.stores.tables import (
    DEVICES,
    EXPECTED,
    REPORT_DAYS,
    REPORTS,
    REVISIONS,
    create_table_sql,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["UPGRADES"]

# 2 knows devices, and as of which day a cell was asked.
_FROM_1_TO_2: Final = (
    create_table_sql("devices", DEVICES),
    create_table_sql("expected", EXPECTED),
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
_COUNTS_OF_3: Final = ("restated", "zone_unknown", "reports_wh", "reports_kwh", "reports_unknown", "number")
_FROM_2_TO_3: Final = (
    create_table_sql("report_days", REPORT_DAYS),
    create_table_sql("reports", REPORTS),
    create_table_sql("revisions", REVISIONS),
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
