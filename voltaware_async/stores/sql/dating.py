"""Dating: the instants of cycles that landed before their device's time zone was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from voltaware_async.records.devices import Locale
from voltaware_async.records.local_clock import localized
from voltaware_async.stores.tables import CYCLES, KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from voltaware_async.stores.sql.database import Database

__all__ = ["date_cycles"]

_UNDATED: Final = """
SELECT DISTINCT cycles.device_id, cycles.dataset, cycles.period_start, cycles.period_end, devices.time_zone_id
FROM cycles JOIN devices ON devices.device_id = cycles.device_id
WHERE cycles.start_utc IS NULL AND devices.time_zone_id IS NOT NULL
"""
_CELL: Final = pa.schema([*KEY, pa.field("time_zone_id", pa.string())])

_ROWS: Final = f"""
SELECT {", ".join(f"cycles.{name}" for name in CYCLES.names)}, undated_cells.time_zone_id
FROM cycles JOIN undated_cells ON {
    " AND ".join(f"undated_cells.{name} = cycles.{name}" for name in KEY.names)
}
"""
_ROW: Final = pa.schema([*CYCLES, pa.field("time_zone_id", pa.string())])

# What is held in memory: some hundred thousand cycles.
_PORTION: Final = 10_000


def date_cycles(database: Database) -> None:
    """Fill in what can be: a zone that is not known here stays as it is."""
    cells = database.arrow(_UNDATED, _CELL)
    for first in range(0, cells.num_rows, _PORTION):
        _date(database, cells.slice(first, _PORTION))


def _date(database: Database, cells: pa.Table) -> None:
    with database.named("undated_cells", cells), database.transaction():
        rows = [_dated(row) for row in database.arrow(_ROWS, _ROW).to_pylist()]
        database.remove("cycles", "undated_cells")
        database.append("cycles", pa.Table.from_pylist(rows, schema=CYCLES))


def _dated(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of `cycles` with what its zone tells; without, where it is not known here."""
    undated = {name: row[name] for name in CYCLES.names}
    try:
        cycle = localized(row["start_local"], row["end_local"], Locale(time_zone_id=row["time_zone_id"]).tz)
    except ValueError:
        return undated
    return {**undated, "start_utc": cycle.start, "end_utc": cycle.end, "ambiguous": cycle.ambiguous}
