"""Measure what questions to a store of 10,000,000 rows take, asked as anybody asks a DuckDB file.

    python benchmarks/questions.py [--rows 10000000]

The bar: the view `monthly_kwh` within 1 s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import duckdb
from report import print_bar, print_machine, print_table

from voltaware_async.records.disaggregation import ApplianceKey
from voltaware_async.stores import open_store

MONTHS = 10
VIEWS = ("monthly_kwh", "ev_charging_by_hour", "coverage", "checks")
_KEYS = ", ".join(f"'{key}'" for key in tuple(ApplianceKey)[:10])
_DEVICES = f"(SELECT lpad(CAST(n AS VARCHAR), 8, '0') AS device_id FROM range($cells // {MONTHS}) AS t(n))"
_PERIODS = f"""(
    SELECT 'month' AS dataset, start, CAST(start + INTERVAL 1 MONTH - INTERVAL 1 DAY AS DATE) AS end
    FROM (SELECT CAST(DATE '2023-10-01' + INTERVAL (n) MONTH AS DATE) AS start FROM range({MONTHS}) AS t(n))
)"""
_APPLIANCES = f"(SELECT unnest([{_KEYS}]) AS appliance_key)"
# A tenth of the devices has a car, and charges it every third day.
_CYCLES = """
INSERT INTO cycles
SELECT device_id, 'month_cycles', start, "end", 'electric_vehicle', began, began + INTERVAL 4 HOUR,
    began, began + INTERVAL 4 HOUR, false, 12000
FROM (
    SELECT *, start + INTERVAL (n * 3) DAY + INTERVAL (n % 24) HOUR AS began
    FROM {devices} CROSS JOIN {periods} CROSS JOIN range(10) AS t(n)
    WHERE device_id LIKE '%0'
)
"""


def main() -> None:
    """Print how long each view takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    settings = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fleet.duckdb")
        open_store(path).close()
        fill(path, settings.rows // 10)
        took = {view: asked(path, view) for view in VIEWS}
    print_table(("view", "seconds"), [(view, f"{seconds:.2f}") for view, seconds in took.items()])
    seconds = took["monthly_kwh"]
    print_bar(f"monthly_kwh over {settings.rows:,} rows", f"{seconds:.2f} s", "<= 1 s", is_met=seconds <= 1)


def fill(path: Path, cells: int) -> None:
    """Make so many landed cells of a month, each with ten appliances, and the charges of some cars."""
    of_cells = f"{_DEVICES} CROSS JOIN {_PERIODS}"
    with duckdb.connect(path) as connection:
        connection.execute(
            'INSERT INTO consumption SELECT device_id, dataset, start, "end", appliance_key, 4e4 * random()'
            f" FROM {of_cells} CROSS JOIN {_APPLIANCES}",
            {"cells": cells},
        )
        connection.execute(
            "INSERT INTO totals SELECT device_id, dataset, period_start, period_end, sum(consumption_wh), 0"
            " FROM consumption GROUP BY ALL"
        )
        connection.execute(
            "INSERT INTO ledger (device_id, dataset, period_start, period_end, status)"
            f" SELECT device_id, dataset, start, \"end\", 'landed' FROM {of_cells}",
            {"cells": cells},
        )
        connection.execute(_CYCLES.format(devices=_DEVICES, periods=_PERIODS), {"cells": cells})


def asked(path: Path, view: str) -> float:
    """Return how many seconds a view takes, on a connection of its own with DuckDB's settings."""
    with duckdb.connect(path, read_only=True) as connection:
        started = time.perf_counter()
        connection.execute(f"SELECT * FROM {view}").fetchall()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
