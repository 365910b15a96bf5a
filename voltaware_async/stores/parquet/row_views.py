"""Row views: the rows of a table, wherever they lie: staged in the ledger, or in Parquet files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["files_sql", "row_view_sql", "staged", "superseded_sql"]

_GLOB: Final = re.compile(r"[\[*]")


def staged(table: str) -> str:
    """Name the table that holds the rows of a table until they settle."""
    return f"staged_{table}"


def row_view_sql(table: str, files: Sequence[Path], where_staged: str = "true") -> str:
    """Word the rows of a table: those in files but for superseded cells, and after them the staged ones."""
    columns = ", ".join(ROWS[table].names)
    rows = f"SELECT {columns} FROM {staged(table)} WHERE {where_staged}"
    if not files:
        return rows
    return f"""
SELECT {columns} FROM {files_sql(files)} AS landed
ANTI JOIN superseded_cells AS cell ON {superseded_sql(table)}
UNION ALL
{rows}
"""


def superseded_sql(table: str) -> str:
    """Word that a `landed` row of a table is of a superseded `cell`, in which its clipped weeks begin."""
    return f"""(
    cell.table_name = '{table}'
    AND landed.device_id = cell.device_id
    AND landed.dataset = cell.dataset
    AND landed.period_start >= cell.period_start
    AND landed.period_start <= cell.period_end
)"""


def files_sql(files: Sequence[Path], *, named: bool = False) -> str:
    """Word the rows of some files; `named` adds the column `filename`. Names of folders make no columns."""
    paths = ", ".join(_literal(str(path)) for path in files)
    return f"read_parquet([{paths}], hive_partitioning = false, filename = {'true' if named else 'false'})"


def _literal(path: str) -> str:
    """Quote a path, of which DuckDB would take some characters for a pattern."""
    return "'" + _GLOB.sub(r"[\g<0>]", path).replace("'", "''") + "'"
