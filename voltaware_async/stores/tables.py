"""The tables: their columns and types, pinned here and nowhere else.

Every store takes its tables from these schemas, so that a value never decides a type: a batch of nulls
or of whole numbers has the same columns as any other. Columns of a key are never null.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

__all__ = [
    "CONSUMPTION",
    "COUNT",
    "COUNTS",
    "CYCLES",
    "DAY",
    "DEVICES",
    "DOUBLE",
    "EXPECTED",
    "KEY",
    "LEDGER",
    "REPORTS",
    "REPORT_DAYS",
    "REVISIONS",
    "ROWS",
    "RUNS",
    "TABLES",
    "TEXT",
    "TOTALS",
    "create_table_sql",
]

TEXT: Final = pa.string()
DAY: Final = pa.date32()
DOUBLE: Final = pa.float64()
COUNT: Final = pa.int64()
_FLAG: Final = pa.bool_()
_LOCAL: Final = pa.timestamp("us")
_INSTANT: Final = pa.timestamp("us", tz="UTC")

# The names that DuckDB and PostgreSQL share.
_SQL_TYPES: Final[dict[pa.DataType, str]] = {
    TEXT: "VARCHAR",
    DAY: "DATE",
    DOUBLE: "FLOAT8",
    COUNT: "BIGINT",
    _FLAG: "BOOLEAN",
    _LOCAL: "TIMESTAMP",
    _INSTANT: "TIMESTAMPTZ",
}


def _schema(key: dict[str, pa.DataType], values: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema(
        [
            *(pa.field(name, kind, nullable=False) for name, kind in key.items()),
            *(pa.field(name, kind) for name, kind in values.items()),
        ]
    )


_CELL: Final[dict[str, pa.DataType]] = {
    "device_id": TEXT,
    "dataset": TEXT,
    "period_start": DAY,
    "period_end": DAY,
}
KEY: Final = _schema(_CELL, {})

CONSUMPTION: Final = _schema({**_CELL, "appliance_key": TEXT}, {"consumption_wh": DOUBLE})
TOTALS: Final = _schema(_CELL, {"total_consumption_wh": DOUBLE, "disconnection_percentage": DOUBLE})
CYCLES: Final = _schema(
    {**_CELL, "appliance_key": TEXT, "start_local": _LOCAL, "end_local": _LOCAL},
    {"start_utc": _INSTANT, "end_utc": _INSTANT, "ambiguous": _FLAG, "consumption_wh": DOUBLE},
)
REPORT_DAYS: Final = _schema(
    {**_CELL, "day": DAY},
    {"reported_consumption": DOUBLE, "consumption_wh": DOUBLE, "weekend": _FLAG},
)
REPORTS: Final = _schema(
    _CELL,
    {
        "reported_unit": TEXT,
        "reported_total_consumption": DOUBLE,
        "total_consumption_wh": DOUBLE,
        "reported_average_consumption": DOUBLE,
        "reported_max_consumption": DOUBLE,
        "max_day": DAY,
        "reported_min_consumption": DOUBLE,
        "min_day": DAY,
        "reported_week_days_consumption": DOUBLE,
        "reported_weekend_days_consumption": DOUBLE,
        "days_without_consumption": COUNT,
        "kgco2": DOUBLE,
        "trees": DOUBLE,
        "version": COUNT,
    },
)
LEDGER: Final = _schema(
    _CELL,
    {
        "status": TEXT,
        "attempts": COUNT,
        "http_status": COUNT,
        "error": TEXT,
        "run_id": TEXT,
        "updated_at": _INSTANT,
        "asked_on": DAY,
        "absent_since": DAY,
        "content_hash": COUNT,
        "total_consumption_wh": DOUBLE,
    },
)
REVISIONS: Final = _schema(
    {**_CELL, "revised_at": _INSTANT},
    {
        "run_id": TEXT,
        "old_total_wh": DOUBLE,
        "new_total_wh": DOUBLE,
        "old_hash": COUNT,
        "new_hash": COUNT,
    },
)
DEVICES: Final = _schema(
    {"device_id": TEXT},
    {
        "connection_state": TEXT,
        "firmware": TEXT,
        "first_event": _INSTANT,
        "last_event": _INSTANT,
        "iso_country_code": TEXT,
        "iso_locale_code": TEXT,
        "time_zone_id": TEXT,
        "seen_at": _INSTANT,
        "asked_on": DAY,
        "first_day": DAY,
        "unlisted_since": DAY,
    },
)
EXPECTED: Final = _schema({"dataset": TEXT, "period_start": DAY, "period_end": DAY}, {"night": DAY})

# The counts of a summary, in its order.
COUNTS: Final[dict[str, pa.DataType]] = {
    "planned": COUNT,
    "landed": COUNT,
    "absent": COUNT,
    "failed": COUNT,
    "unasked": COUNT,
    "skipped": COUNT,
    "requests": COUNT,
    "retries": COUNT,
    "throttled": COUNT,
    "token_calls": COUNT,
    "elapsed_s": DOUBLE,
    "rate_per_s": DOUBLE,
    "restated": COUNT,
    "kept": COUNT,
    "zone_unknown": COUNT,
    "reports_wh": COUNT,
    "reports_kwh": COUNT,
    "reports_unknown": COUNT,
}
RUNS: Final = _schema(
    {"run_id": TEXT},
    {
        "command": TEXT,
        "started_at": _INSTANT,
        "finished_at": _INSTANT,
        "outcome": TEXT,
        **COUNTS,
        "number": COUNT,
    },
)

# What a cell's record becomes; all of it goes when the cell is restated.
ROWS: Final = {
    "consumption": CONSUMPTION,
    "totals": TOTALS,
    "cycles": CYCLES,
    "report_days": REPORT_DAYS,
    "reports": REPORTS,
}
TABLES: Final = {
    **ROWS,
    "devices": DEVICES,
    "expected": EXPECTED,
    "ledger": LEDGER,
    "revisions": REVISIONS,
    "runs": RUNS,
}


def create_table_sql(name: str, schema: pa.Schema) -> str:
    """Word a table as a `CREATE TABLE` that DuckDB and PostgreSQL read alike."""
    columns = ", ".join(
        f"{field.name} {_SQL_TYPES[field.type]}{'' if field.nullable else ' NOT NULL'}" for field in schema
    )
    return f"CREATE TABLE {name} ({columns})"
