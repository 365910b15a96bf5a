from __future__ import annotations

from typing import TYPE_CHECKING, Final

import duckdb
import pytest

from voltaware_async.stores import open_store
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

CELL: Final = "device_id VARCHAR, dataset VARCHAR, period_start DATE, period_end DATE"
COLUMNS: Final = {
    "consumption": f"{CELL}, appliance_key VARCHAR, consumption_wh DOUBLE",
    "totals": f"{CELL}, total_consumption_wh DOUBLE, disconnection_percentage DOUBLE",
    "cycles": (
        f"{CELL}, appliance_key VARCHAR, start_local TIMESTAMP, end_local TIMESTAMP, "
        "start_utc TIMESTAMPTZ, end_utc TIMESTAMPTZ, ambiguous BOOLEAN, consumption_wh DOUBLE"
    ),
    "ledger": (
        f"{CELL}, status VARCHAR, attempts BIGINT, http_status BIGINT, error VARCHAR, run_id VARCHAR, "
        "updated_at TIMESTAMPTZ, asked_on DATE, absent_since DATE, content_hash BIGINT, "
        "total_consumption_wh DOUBLE"
    ),
    "report_days": f"{CELL}, day DATE, reported_consumption DOUBLE, consumption_wh DOUBLE, weekend BOOLEAN",
    "reports": (
        f"{CELL}, reported_unit VARCHAR, reported_total_consumption DOUBLE, total_consumption_wh DOUBLE, "
        "reported_average_consumption DOUBLE, reported_max_consumption DOUBLE, max_day DATE, "
        "reported_min_consumption DOUBLE, min_day DATE, reported_week_days_consumption DOUBLE, "
        "reported_weekend_days_consumption DOUBLE, days_without_consumption BIGINT, kgco2 DOUBLE, "
        "trees DOUBLE, version BIGINT"
    ),
    "revisions": (
        f"{CELL}, revised_at TIMESTAMPTZ, run_id VARCHAR, old_total_wh DOUBLE, new_total_wh DOUBLE, "
        "old_hash BIGINT, new_hash BIGINT"
    ),
    "devices": (
        "device_id VARCHAR, connection_state VARCHAR, firmware VARCHAR, first_event TIMESTAMPTZ, "
        "last_event TIMESTAMPTZ, iso_country_code VARCHAR, iso_locale_code VARCHAR, time_zone_id VARCHAR, "
        "seen_at TIMESTAMPTZ, asked_on DATE, first_day DATE, unlisted_since DATE"
    ),
    "expected": "dataset VARCHAR, period_start DATE, period_end DATE, night DATE",
    "runs": (
        "run_id VARCHAR, command VARCHAR, started_at TIMESTAMPTZ, finished_at TIMESTAMPTZ, outcome VARCHAR, "
        "planned BIGINT, landed BIGINT, absent BIGINT, failed BIGINT, unasked BIGINT, skipped BIGINT, "
        "requests BIGINT, retries BIGINT, throttled BIGINT, token_calls BIGINT, "
        "elapsed_s DOUBLE, rate_per_s DOUBLE, restated BIGINT, kept BIGINT, zone_unknown BIGINT, "
        "reports_wh BIGINT, reports_kwh BIGINT, reports_unknown BIGINT, number BIGINT"
    ),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "fleet.duckdb"
    open_store(path).close()
    return path


@pytest.mark.parametrize("name", COLUMNS)
def test_the_columns_are_those_that_other_programs_rely_on(path: Path, name: str) -> None:
    with duckdb.connect(path, read_only=True) as connection:
        columns = connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
            [name],
        ).fetchall()
    found = ", ".join(f"{column} {kind}" for column, kind in columns)
    assert found.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") == COLUMNS[name]


def test_every_table_is_one_that_other_programs_rely_on() -> None:
    assert set(COLUMNS) == set(TABLES)


def test_an_empty_store_gives_tables_of_the_pinned_types(path: Path) -> None:
    with open_store(path, read_only=True) as store:
        assert {name: store.table(name).schema for name in TABLES} == TABLES
