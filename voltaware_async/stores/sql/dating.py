"""Dating: the instants of cycles that landed before their device's time zone was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from voltaware_async.records.devices import DeviceId, known_zone
from voltaware_async.stores.columns import placed
from voltaware_async.stores.parts import devices_table
from voltaware_async.stores.sql.database import same_cell
from voltaware_async.stores.tables import CYCLES, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, tzinfo
    from typing import TypeAlias

    from voltaware_async.stores.sql.database import Database

    Instants: TypeAlias = "tuple[datetime | None, datetime | None, bool | None]"

__all__ = ["date_cycles"]

_UNDATED_DEVICES: Final = """
SELECT device_id, time_zone_id
FROM devices
WHERE time_zone_id IS NOT NULL AND device_id > $after
AND EXISTS (SELECT 1 FROM cycles WHERE cycles.device_id = devices.device_id AND cycles.start_utc IS NULL)
ORDER BY device_id
LIMIT $limit
"""

_UNDATED_CELLS: Final = f"""
SELECT DISTINCT {", ".join(f"cycles.{name}" for name in KEY.names)}
FROM cycles JOIN dated_devices ON dated_devices.device_id = cycles.device_id
WHERE cycles.start_utc IS NULL
"""

_ROWS: Final = f"""
SELECT {", ".join(f"cycles.{name}" for name in CYCLES.names)}
FROM cycles JOIN undated_cells ON {same_cell("undated_cells", "cycles")}
"""
_INSTANTS: Final = ("start_utc", "end_utc", "ambiguous")

# A run may be stopped between two portions; in memory is what these have charged in all their periods.
_PORTION: Final = 200


def date_cycles(database: Database, after: DeviceId) -> DeviceId | None:
    """Fill in what can be of the next devices by their ids; return the last of them, None at the end."""
    devices = database.rows(_UNDATED_DEVICES, {"after": after, "limit": _PORTION})
    zones = {
        DeviceId(device_id): zone
        for device_id, zone_id in devices
        if (zone := known_zone(zone_id)) is not None
    }
    if zones:
        _date(database, zones)
    return DeviceId(devices[-1][0]) if devices else None


def _date(database: Database, zones: Mapping[DeviceId, tzinfo]) -> None:
    with database.named("dated_devices", devices_table([*zones])):
        cells = database.arrow(_UNDATED_CELLS, KEY)
    with database.named("undated_cells", cells), database.transaction():
        rows = database.arrow(_ROWS, CYCLES)
        database.remove("cycles", "undated_cells")
        database.append("cycles", _dated(rows, zones))


def _dated(rows: pa.Table, zones: Mapping[DeviceId, tzinfo]) -> pa.Table:
    """Return rows of `cycles` with what the zones of their devices tell."""
    columns = zip(*_instants(rows, zones), strict=True)
    dated = dict(zip(_INSTANTS, columns, strict=True))
    return pa.table({name: dated.get(name, rows.column(name)) for name in CYCLES.names}, schema=CYCLES)


def _instants(rows: pa.Table, zones: Mapping[DeviceId, tzinfo]) -> Iterator[Instants]:
    """Work out the instants row by row; those that are known stay: their readings came with an offset."""
    names = ("device_id", "start_local", "end_local", *_INSTANTS)
    for device_id, start, end, *known in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
        yield tuple(known) if known[0] is not None else _of(start, end, zones[device_id])


def _of(start: datetime, end: datetime, zone: tzinfo) -> Instants:
    cycle = placed(start, end, zone)
    return (None, None, None) if cycle is None else (cycle.start, cycle.end, cycle.ambiguous)
