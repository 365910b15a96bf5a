"""Dating: the instants of cycles that landed before their device's time zone was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from voltaware_async.records.devices import Locale
from voltaware_async.records.local_clock import localized
from voltaware_async.stores.tables import CYCLES, KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo
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
    """Fill in what can be; cycles in a zone that is not known here stay as they are."""
    cells = _datable(database.arrow(_UNDATED, _CELL))
    for first in range(0, cells.num_rows, _PORTION):
        _date(database, cells.slice(first, _PORTION))


def _datable(cells: pa.Table) -> pa.Table:
    """Leave out the zones that are not known here: their cells would be written anew at every call."""
    zones = cells.column("time_zone_id")
    known = [zone_id for zone_id in zones.unique().to_pylist() if _zone(zone_id) is not None]
    return cells.filter(pc.is_in(zones, pa.array(known, pa.string())))


def _zone(zone_id: str | None) -> tzinfo | None:
    try:
        return Locale(time_zone_id=zone_id).tz
    except ValueError:
        return None


def _date(database: Database, cells: pa.Table) -> None:
    with database.named("undated_cells", cells), database.transaction():
        rows = [_dated(row) for row in database.arrow(_ROWS, _ROW).to_pylist()]
        database.remove("cycles", "undated_cells")
        database.append("cycles", pa.Table.from_pylist(rows, schema=CYCLES))


def _dated(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of `cycles` with what its zone tells.

    It stays as it is where its readings came with an offset, or are at the edge of the calendar.
    """
    known = {name: row[name] for name in CYCLES.names}
    zone = _zone(row["time_zone_id"])
    if zone is None or known["start_utc"] is not None:
        return known
    try:
        cycle = localized(row["start_local"], row["end_local"], zone)
    except ValueError:
        return known
    return {**known, "start_utc": cycle.start, "end_utc": cycle.end, "ambiguous": cycle.ambiguous}
