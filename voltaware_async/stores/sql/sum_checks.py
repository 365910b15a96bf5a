"""Checks of what has to add up: appliances, weeks, cycles, and the days of reports.

Source: Disaggregation and Reports, whose own examples do not all add up.
"""

from __future__ import annotations

from typing import Final

from voltaware_async.records.reports import ReportedUnit
from voltaware_async.stores.sql.flagging import (
    CELL,
    LEAST_WH,
    NEGLIGIBLE_WH,
    Check,
    compared,
    differ,
    month_of,
)

__all__ = ["REPORTS", "SUMS"]

_OF_CYCLES: Final = "dataset IN ('month_cycles', 'week_cycles')"
# The weeks of a month have no disconnection, and the month itself has one.
_IS_WEEK_OF_MONTH: Final = "(dataset = 'month_weeks' AND disconnection_percentage IS NULL)"
_IS_MONTH_OF_WEEKS: Final = "(dataset = 'month_weeks' AND disconnection_percentage IS NOT NULL)"

_APPLIANCES_SUM: Final = f"""
SELECT {CELL}, total_consumption_wh AS expected, wh AS found
FROM totals
LEFT JOIN (
    SELECT {CELL}, sum(consumption_wh) AS wh FROM consumption WHERE NOT {_OF_CYCLES} GROUP BY {CELL}
) AS added_up USING ({CELL})
WHERE NOT {_IS_MONTH_OF_WEEKS}
"""

_WEEKS_SUM: Final = f"""
SELECT months.device_id, dataset, period_start, period_end, total_consumption_wh AS expected, wh AS found
FROM totals AS months
LEFT JOIN (
    SELECT device_id, {month_of("period_start")} AS month_start, sum(total_consumption_wh) AS wh
    FROM totals
    WHERE {_IS_WEEK_OF_MONTH}
    GROUP BY device_id, {month_of("period_start")}
) AS weeks ON weeks.device_id = months.device_id AND weeks.month_start = months.period_start
WHERE {_IS_MONTH_OF_WEEKS}
"""

_WEEKS_AGAINST_MONTH: Final = f"""
SELECT {CELL}, month_wh AS expected, total_consumption_wh AS found
FROM totals
JOIN (
    SELECT device_id, period_start, period_end, total_consumption_wh AS month_wh
    FROM totals
    WHERE dataset = 'month'
) AS months USING (device_id, period_start, period_end)
WHERE {_IS_MONTH_OF_WEEKS}
"""

_TOTALS_OF_CYCLES: Final = f"""
SELECT {CELL}, appliance_key, sum(consumption_wh) AS total_wh
FROM consumption
WHERE {_OF_CYCLES}
GROUP BY {CELL}, appliance_key
"""

_CYCLES_SUM: Final = f"""
SELECT {CELL}, appliance_key, total_wh AS expected, wh AS found
FROM ({_TOTALS_OF_CYCLES}) AS stated
LEFT JOIN (
    SELECT {CELL}, appliance_key, sum(consumption_wh) AS wh FROM cycles GROUP BY {CELL}, appliance_key
) AS added_up USING ({CELL}, appliance_key)
"""

# A month's cycles stand beside the month, a week's beside the week. Hazard: a second join here would have
# PostgreSQL go through a table per row, as it takes the first, over many columns, to yield hardly anything.
_CYCLES_AGAINST_APPLIANCE: Final = f"""
SELECT
    stated.device_id,
    stated.dataset,
    stated.period_start,
    stated.period_end,
    stated.appliance_key,
    sum(appliances.consumption_wh) AS expected,
    stated.total_wh AS found
FROM ({_TOTALS_OF_CYCLES}) AS stated
JOIN consumption AS appliances
ON appliances.dataset = CASE stated.dataset WHEN 'month_cycles' THEN 'month' ELSE 'week' END
AND appliances.device_id = stated.device_id
AND appliances.period_start = stated.period_start
AND appliances.period_end = stated.period_end
AND appliances.appliance_key = stated.appliance_key
WHERE appliances.dataset IN ('month', 'week')
GROUP BY
    stated.device_id,
    stated.dataset,
    stated.period_start,
    stated.period_end,
    stated.appliance_key,
    stated.total_wh
"""

SUMS: Final = (
    compared("appliances_sum", _APPLIANCES_SUM),
    compared("weeks_sum", _WEEKS_SUM),
    compared("weeks_against_month", _WEEKS_AGAINST_MONTH),
    compared("cycles_sum", _CYCLES_SUM, subject="appliance_key"),
    compared("cycles_against_appliance", _CYCLES_AGAINST_APPLIANCE, subject="appliance_key"),
)

# A report whose unit is not known may be in kWh.
_LEAST_REPORTED: Final = (
    f"CASE reported_unit WHEN '{ReportedUnit.WH}' THEN {LEAST_WH} ELSE {LEAST_WH / 1000} END"
)
_REPORTED_DIFFER: Final = differ(_LEAST_REPORTED)

_DAYS_SUM: Final = f"""
SELECT {CELL}, reported_unit, reported_total_consumption AS expected, added_up.total AS found
FROM reports
LEFT JOIN (
    SELECT {CELL}, sum(reported_consumption) AS total FROM report_days GROUP BY {CELL}
) AS added_up USING ({CELL})
"""

_WEEK_DAYS_AND_WEEKENDS: Final = f"""
SELECT
    {CELL},
    reported_unit,
    reported_total_consumption AS expected,
    reported_week_days_consumption + reported_weekend_days_consumption AS found
FROM reports
"""


def _extreme(name: str) -> str:
    """Word a report's day of most or least consumption beside the day itself."""
    return f"""
SELECT {CELL}, reported_unit, day, stated AS expected, reported_consumption AS found
FROM (
    SELECT {CELL}, reported_unit, {name}_day AS day, reported_{name}_consumption AS stated FROM reports
) AS extremes
LEFT JOIN report_days USING ({CELL}, day)
WHERE day IS NOT NULL
"""


_REPORT_TOTAL: Final = f"""
SELECT {CELL}, totals.total_consumption_wh AS expected, reports.total_consumption_wh AS found
FROM reports JOIN totals USING ({CELL})
WHERE reports.total_consumption_wh IS NOT NULL
"""

# Where nothing was used, no unit can be told, and none is needed.
_IN_NO_UNIT: Final = (
    f"reported_unit = '{ReportedUnit.UNKNOWN}' AND (found <> 0 OR abs(expected) >= {NEGLIGIBLE_WH})"
)
_STATED_TOTALS: Final = f"""
SELECT {CELL}, reported_unit, totals.total_consumption_wh AS expected, reported_total_consumption AS found
FROM reports LEFT JOIN totals USING ({CELL})
"""

_EXTREME_DIFFERS: Final = f"found IS NULL OR {_REPORTED_DIFFER}"

REPORTS: Final = (
    compared("days_sum", _DAYS_SUM, _REPORTED_DIFFER),
    compared("week_days_and_weekends", _WEEK_DAYS_AND_WEEKENDS, f"found IS NOT NULL AND {_REPORTED_DIFFER}"),
    compared("max_day", _extreme("max"), _EXTREME_DIFFERS, "day"),
    compared("min_day", _extreme("min"), _EXTREME_DIFFERS, "day"),
    compared("report_total", _REPORT_TOTAL),
    compared("unit_unknown", _STATED_TOTALS, _IN_NO_UNIT),
    Check("day_outside_period", "report_days", "day < period_start OR day > period_end", "day"),
)
