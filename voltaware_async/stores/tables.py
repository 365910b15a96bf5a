"""The tables: their columns and types, pinned here and nowhere else.

Every store takes its tables from these schemas, so that a value never decides a type: a batch of nulls
or of whole numbers has the same columns as any other. Columns of a key are never null.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

__all__ = [
    "CONSUMPTION",
    "COUNTS",
    "CYCLES",
    "DEVICES",
    "EXPECTED",
    "KEY",
    "LEDGER",
    "REPORTS",
    "REPORT_DAYS",
    "REVISIONS",
    "ROWS",
    "RUNS",
    "TABLES",
    "TOTALS",
    "create_table_sql",
]

_TEXT: Final = pa.string()
_DAY: Final = pa.date32()
_DOUBLE: Final = pa.float64()
_COUNT: Final = pa.int64()
_FLAG: Final = pa.bool_()
_LOCAL: Final = pa.timestamp("us")
_INSTANT: Final = pa.timestamp("us", tz="UTC")

# The names that DuckDB and PostgreSQL share.
_SQL_TYPES: Final[dict[pa.DataType, str]] = {
    _TEXT: "VARCHAR",
    _DAY: "DATE",
    _DOUBLE: "FLOAT8",
    _COUNT: "BIGINT",
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
    "device_id": _TEXT,
    "dataset": _TEXT,
    "period_start": _DAY,
    "period_end": _DAY,
}
KEY: Final = _schema(_CELL, {})

CONSUMPTION: Final = _schema({**_CELL, "appliance_key": _TEXT}, {"consumption_wh": _DOUBLE})
TOTALS: Final = _schema(_CELL, {"total_consumption_wh": _DOUBLE, "disconnection_percentage": _DOUBLE})
CYCLES: Final = _schema(
    {**_CELL, "appliance_key": _TEXT, "start_local": _LOCAL, "end_local": _LOCAL},
    {"start_utc": _INSTANT, "end_utc": _INSTANT, "ambiguous": _FLAG, "consumption_wh": _DOUBLE},
)
REPORT_DAYS: Final = _schema(
    {**_CELL, "day": _DAY},
    {"reported_consumption": _DOUBLE, "consumption_wh": _DOUBLE, "weekend": _FLAG},
)
REPORTS: Final = _schema(
    _CELL,
    {
        "reported_unit": _TEXT,
        "reported_total_consumption": _DOUBLE,
        "total_consumption_wh": _DOUBLE,
        "reported_average_consumption": _DOUBLE,
        "reported_max_consumption": _DOUBLE,
        "max_day": _DAY,
        "reported_min_consumption": _DOUBLE,
        "min_day": _DAY,
        "reported_week_days_consumption": _DOUBLE,
        "reported_weekend_days_consumption": _DOUBLE,
        "days_without_consumption": _COUNT,
        "kgco2": _DOUBLE,
        "trees": _DOUBLE,
        "version": _COUNT,
    },
)
LEDGER: Final = _schema(
    _CELL,
    {
        "status": _TEXT,
        "attempts": _COUNT,
        "http_status": _COUNT,
        "error": _TEXT,
        "run_id": _TEXT,
        "updated_at": _INSTANT,
        "asked_on": _DAY,
        "absent_since": _DAY,
        "content_hash": _COUNT,
        "total_consumption_wh": _DOUBLE,
    },
)
REVISIONS: Final = _schema(
    {**_CELL, "revised_at": _INSTANT},
    {
        "run_id": _TEXT,
        "old_total_wh": _DOUBLE,
        "new_total_wh": _DOUBLE,
        "old_hash": _COUNT,
        "new_hash": _COUNT,
    },
)
DEVICES: Final = _schema(
    {"device_id": _TEXT},
    {
        "connection_state": _TEXT,
        "firmware": _TEXT,
        "first_event": _INSTANT,
        "last_event": _INSTANT,
        "iso_country_code": _TEXT,
        "iso_locale_code": _TEXT,
        "time_zone_id": _TEXT,
        "seen_at": _INSTANT,
        "asked_on": _DAY,
        "first_day": _DAY,
        "unlisted_since": _DAY,
    },
)
EXPECTED: Final = _schema({"dataset": _TEXT, "period_start": _DAY, "period_end": _DAY}, {"night": _DAY})

# The counts of a summary, in its order.
COUNTS: Final[dict[str, pa.DataType]] = {
    "planned": _COUNT,
    "landed": _COUNT,
    "absent": _COUNT,
    "failed": _COUNT,
    "unasked": _COUNT,
    "skipped": _COUNT,
    "requests": _COUNT,
    "retries": _COUNT,
    "throttled": _COUNT,
    "token_calls": _COUNT,
    "elapsed_s": _DOUBLE,
    "rate_per_s": _DOUBLE,
    "restated": _COUNT,
    "kept": _COUNT,
    "zone_unknown": _COUNT,
    "reports_wh": _COUNT,
    "reports_kwh": _COUNT,
    "reports_unknown": _COUNT,
}
RUNS: Final = _schema(
    {"run_id": _TEXT},
    {
        "command": _TEXT,
        "started_at": _INSTANT,
        "finished_at": _INSTANT,
        "outcome": _TEXT,
        **COUNTS,
        "number": _COUNT,
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
