"""Views: what people ask of a store first, in SQL that DuckDB and PostgreSQL read word for word alike.

They are made with the tables of every store, for whoever has a SQL client: constants only, no parameters.
Their columns and types are pinned here. A view has no order.

* `monthly_kwh`: per month and appliance, what was used, and how many results have it
* `ev_charging_by_hour`: when cars are charged, by the hour of the day on the device's own clock
* `coverage`: per dataset and period, how the cells ended, and how many were never asked
* `checks`: what cannot be right in the rows, see `checks.FINDINGS`
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from voltaware_async.stores.sql.checks import CHECKS
from voltaware_async.stores.sql.run_devices import IS_DORMANT
from voltaware_async.stores.tables import COUNT, DAY, DOUBLE, TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VIEWS", "view_sql"]


def _schema(*, may_be_null: frozenset[str] = frozenset(), **columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, name in may_be_null) for name, kind in columns.items()])


VIEWS: Final[Mapping[str, pa.Schema]] = MappingProxyType(
    {
        "monthly_kwh": _schema(period_start=DAY, appliance_key=TEXT, results=COUNT, kwh=DOUBLE),
        "ev_charging_by_hour": _schema(hour=COUNT, cycles=COUNT, kwh=DOUBLE),
        "coverage": _schema(
            dataset=TEXT,
            period_start=DAY,
            period_end=DAY,
            landed=COUNT,
            absent=COUNT,
            failed=COUNT,
            never_asked=COUNT,
        ),
        "checks": _schema(
            device_id=TEXT,
            dataset=TEXT,
            period_start=DAY,
            period_end=DAY,
            finding=TEXT,
            subject=TEXT,
            expected=DOUBLE,
            found=DOUBLE,
            may_be_null=frozenset({"subject", "expected", "found"}),
        ),
    }
)

# Results, not devices: to tell an appliance that stands twice in a result, which `checks` flags, would take
# twenty times as long.
_MONTHLY_KWH: Final = """
SELECT
    period_start,
    appliance_key,
    count(*) AS results,
    sum(consumption_wh) / 1000 AS kwh
FROM consumption
WHERE dataset = 'month'
GROUP BY period_start, appliance_key
"""

# Every hour has a row, also one in which nothing was charged. Every charge counts once: it stands in the
# cycles of a month and of a week, and in two of each where it crosses an edge. It is spread evenly from its
# start on; a charge of no duration, or of less, falls into the hour of its start.
#
# `began` and `ended` are seconds since the midnight before the charge, and hours are numbered from there on:
# 25 is one o'clock of the next day. Charges of the same first and last hour are added up before they are
# spread over the hours of the day: a fleet's rows are gone through once, not once per hour.
_EV_CHARGING_BY_HOUR: Final = """
WITH charges AS (
    SELECT
        max(consumption_wh) AS wh,
        date_part('epoch', start_local) - 86400 * floor(date_part('epoch', start_local) / 86400) AS began,
        greatest(
            coalesce(
                max(date_part('epoch', end_utc) - date_part('epoch', start_utc)),
                date_part('epoch', end_local) - date_part('epoch', start_local)
            ),
            0
        ) AS seconds
    FROM cycles
    WHERE appliance_key = 'electric_vehicle'
    GROUP BY device_id, start_local, end_local
),
numbered AS (
    SELECT
        wh,
        began,
        began + seconds AS ended,
        wh / nullif(seconds, 0) AS wh_per_second,
        CAST(floor(began / 3600) AS BIGINT) AS first_hour,
        CAST(greatest(floor(began / 3600), ceil((began + seconds) / 3600) - 1) AS BIGINT) AS last_hour
    FROM charges
),
alike AS (
    SELECT
        first_hour,
        last_hour,
        count(*) AS cycles,
        sum(
            CASE WHEN last_hour = first_hour THEN wh
            ELSE wh_per_second * (3600 * (first_hour + 1) - began) END
        ) AS first_wh,
        sum(CASE WHEN last_hour > first_hour THEN wh_per_second * 3600 ELSE 0 END) AS whole_wh,
        sum(CASE WHEN last_hour > first_hour THEN wh_per_second * (ended - 3600 * last_hour) ELSE 0 END)
            AS last_wh
    FROM numbered
    GROUP BY first_hour, last_hour
),
met AS (
    SELECT
        hour,
        cycles,
        CASE WHEN hour = first_hour THEN first_wh ELSE 0 END
            + CASE WHEN hour = last_hour % 24 THEN last_wh ELSE 0 END
            -- How often the hour is met between the first and the last: more than once by a charge of days.
            + whole_wh * floor((last_hour - first_hour + 22 - (hour + 23 - first_hour) % 24) / 24.0) AS wh
    FROM alike CROSS JOIN generate_series(0, 23) AS hours(hour)
    WHERE (hour + 24 - first_hour) % 24 <= last_hour - first_hour
)
SELECT
    CAST(hour AS BIGINT) AS hour,
    CAST(coalesce(sum(cycles), 0) AS BIGINT) AS cycles,
    coalesce(sum(wh), 0) / 1000 AS kwh
FROM generate_series(0, 23) AS hours(hour) LEFT JOIN met USING (hour)
GROUP BY hour
"""

# A sensor that was never connected has no data, and a period that ended before a device's first event lacks
# nothing. In a store that no sync or pull of a whole fleet has filled, the devices are those of the ledger.
_COVERAGE: Final = f"""
WITH known AS (
    SELECT
        device_id,
        first_day,
        {IS_DORMANT} AS is_dormant
    FROM devices
    WHERE unlisted_since IS NULL
    UNION ALL
    SELECT DISTINCT device_id, CAST(NULL AS DATE), false
    FROM ledger
    WHERE NOT EXISTS (SELECT 1 FROM devices WHERE unlisted_since IS NULL)
),
first_days AS (
    SELECT first_day, count(*) AS devices FROM known WHERE NOT is_dormant GROUP BY first_day
),
shown AS (
    SELECT dataset, period_start, period_end FROM ledger
    UNION
    SELECT dataset, period_start, period_end FROM expected
),
period_ends AS (
    SELECT DISTINCT period_end FROM shown
),
eligible AS (
    SELECT period_end, sum(devices) AS devices
    FROM period_ends
    JOIN first_days ON first_day IS NULL OR first_day <= period_end
    GROUP BY period_end
),
asked AS (
    SELECT
        dataset,
        period_start,
        period_end,
        count(*) FILTER (WHERE status = 'landed') AS landed,
        count(*) FILTER (WHERE status = 'absent') AS absent,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE NOT is_dormant AND (first_day IS NULL OR first_day <= period_end)) AS devices
    FROM ledger LEFT JOIN known USING (device_id)
    GROUP BY dataset, period_start, period_end
)
SELECT
    dataset,
    period_start,
    period_end,
    coalesce(landed, 0) AS landed,
    coalesce(absent, 0) AS absent,
    coalesce(failed, 0) AS failed,
    CAST(coalesce(eligible.devices, 0) - coalesce(asked.devices, 0) AS BIGINT) AS never_asked
FROM shown
LEFT JOIN asked USING (dataset, period_start, period_end)
LEFT JOIN eligible USING (period_end)
"""

_SQL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "monthly_kwh": _MONTHLY_KWH,
        "ev_charging_by_hour": _EV_CHARGING_BY_HOUR,
        "coverage": _COVERAGE,
        "checks": CHECKS,
    }
)


def view_sql(name: str) -> str:
    """Word the query of a view, whose columns are those of `VIEWS[name]`; KeyError for any other name."""
    return _SQL[name]
