"""Measure the export of a fleet's rows: wall time, CPU and peak memory of the command, per format.

    python benchmarks/export.py [--rows 10000000] [--formats parquet csv jsonl]

The store is a DuckDB file with rows of `consumption`, eight appliances a device, made by SQL. The command is
a process of its own, and the peak is what the kernel says of it. The bars are of Parquet and 10,000,000 rows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
from attrs import frozen
from report import print_bar, print_machine, print_table

from voltaware_async import open_store
from voltaware_async.stores.export import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: Final = 10_000_000
BAR_S: Final = 15.0
BAR_MB: Final = 400

# Values with all their digits, and ids without an order: neither packs well.
_FILL: Final = """
INSERT INTO consumption
SELECT
    md5(CAST(n // 8 AS VARCHAR)),
    'month',
    DATE '2024-07-01',
    DATE '2024-07-31',
    ['fridge', 'lights', 'cooking', 'heating', 'cooling', 'washing', 'standby', 'others'][1 + n % 8],
    random() * 1e6
FROM generate_series(1, {rows}) AS numbers(n)
"""


@frozen
class Exported:
    """Hold what the kernel tells of an export; `peak_mb` and `file_mb` are in units of 1,000,000 bytes."""

    form: Format
    rows: int
    elapsed_s: float
    cpu_s: float
    peak_mb: float
    file_mb: float

    @property
    def row(self) -> list[str]:
        """The format's line of the table."""
        return [
            self.form,
            f"{self.rows:,}",
            f"{self.elapsed_s:.1f}",
            f"{self.cpu_s:.1f}",
            f"{self.rows / self.elapsed_s:,.0f}",
            f"{self.peak_mb:.0f}",
            f"{self.file_mb:.0f}",
        ]


def make_store(path: Path, rows: int) -> None:
    """Make a store with so many rows of `consumption`."""
    open_store(path).close()
    with duckdb.connect(path) as connection:
        connection.execute(_FILL.format(rows=rows))


def exported(store: Path, rows: int, form: Format) -> Exported:
    """Export all rows by the command, in a process of its own."""
    file = store.with_name(f"consumption.{form}")
    command = [sys.executable, "-m", "voltaware_async.cli", "export", "--store", str(store)]
    command += ["--table", "consumption", "--to", str(file)]
    started = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        _, status, used = os.wait4(process.pid, 0)
        elapsed_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        talk = process.stderr.read() if process.stderr else ""
    if process.returncode or f" {rows:,} rows " not in talk:
        raise RuntimeError(f"not everything was exported: {talk}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    size = file.stat().st_size
    file.unlink()
    return Exported(form, rows, elapsed_s, used.ru_utime + used.ru_stime, peak / 1e6, size / 1e6)


def all_exported(rows: int, formats: list[Format]) -> Iterator[Exported]:
    """Export the same store in each format, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "bench.duckdb")
        make_store(store, rows)
        print(f"store: {store.stat().st_size / 1e6:.0f} MB", end="\n\n", flush=True)
        for form in formats:
            yield exported(store, rows, form)


def main() -> None:
    """Print a row per format, and the two bars."""
    settings = _settings()
    print_machine()
    exports = list(all_exported(settings.rows, settings.formats))
    head = "format", "rows", "seconds", "CPU s", "rows/s", "peak RSS MB", "file MB"
    print_table(head, [it.row for it in exports])
    for it in exports:
        if it.form is Format.PARQUET:
            print_bar("Parquet", f"{it.elapsed_s:.1f} s", f"<= {BAR_S:g} s", is_met=it.elapsed_s <= BAR_S)
            print_bar("peak RSS", f"{it.peak_mb:.0f} MB", f"<= {BAR_MB} MB", is_met=it.peak_mb <= BAR_MB)


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--formats", type=Format, nargs="*", default=list(Format))
    return parser.parse_args()


if __name__ == "__main__":
    main()
