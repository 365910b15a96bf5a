"""The devices: those of a run, what is known of them, and those that nothing is known of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.parts import devices_table, parts_table
from voltaware_async.stores.tables import DEVICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.stores.agenda import Agenda
    from voltaware_async.stores.sql.database import Database

__all__ = ["IS_DORMANT", "RunDevices"]

# A sensor that was never connected has no data; there is nothing to ask of it, and nothing is missing.
IS_DORMANT: Final = "coalesce(connection_state = 'never_connected', false) AND first_event IS NULL"

_CREATE: Final = (
    """
    CREATE TEMP TABLE run_devices (
        ordinal BIGINT,
        device_id VARCHAR,
        first_day DATE,
        is_dormant BOOLEAN,
        looked_up_on DATE,
        is_enlisted BOOLEAN
    )
    """,
    "CREATE TEMP TABLE unseen (ordinal BIGINT, device_id VARCHAR)",
)

_REMEMBER: Final = """
INSERT INTO run_devices (ordinal, device_id)
SELECT min(ordinal), device_id FROM listed_devices GROUP BY device_id
"""

# A first day or a sensor that was never connected count only where the agenda minds them.
_RECALL: Final = f"""
CREATE TEMP TABLE recalled_devices AS
SELECT
    run_devices.ordinal,
    run_devices.device_id,
    CASE WHEN {{minds}} THEN devices.first_day END AS first_day,
    {{minds}} AND devices.device_id IS NOT NULL AND ({IS_DORMANT}) AS is_dormant,
    devices.asked_on AS looked_up_on,
    devices.device_id IS NOT NULL AS is_enlisted
FROM run_devices LEFT JOIN devices ON devices.device_id = run_devices.device_id
"""

_IS_UNSEEN: Final = """(
    looked_up_on IS NULL
    OR (is_dormant OR first_day > $oldest_end)
    AND (looked_up_on <= $look_again_before OR looked_up_on > $as_of)
)"""

_COUNT_UNSEEN: Final = f"SELECT count(*) FROM run_devices WHERE {_IS_UNSEEN}"

# A device whose every cell is in the ledger needs no looking up.
_LIST_UNSEEN: Final = f"""
INSERT INTO unseen
SELECT ordinal, run_devices.device_id
FROM run_devices
LEFT JOIN (
    SELECT device_id FROM ledger JOIN parts USING (dataset, period_start, period_end)
    GROUP BY device_id
    HAVING count(*) = (SELECT count(*) FROM parts)
) AS settled ON settled.device_id = run_devices.device_id
WHERE settled.device_id IS NULL AND {_IS_UNSEEN}
ORDER BY ordinal
"""

_PAGE: Final = """
SELECT ordinal, device_id FROM unseen WHERE ordinal > $after ORDER BY ordinal LIMIT $limit
"""

# A look-up does not list a device, nor does it take one off: only a run that has all that are listed tells.
_KEPT_MARK: Final = """
CASE WHEN known.device_id IS NULL THEN seen.unlisted_since ELSE known.unlisted_since END AS unlisted_since
"""
_WITH_MARKS: Final = f"""
SELECT {", ".join(_KEPT_MARK if name == "unlisted_since" else f"seen.{name}" for name in DEVICES.names)}
FROM seen_devices AS seen LEFT JOIN devices AS known ON known.device_id = seen.device_id
"""

_FORGET: Final = "DELETE FROM devices WHERE device_id IN (SELECT device_id FROM seen_devices)"

_LAST_UNKNOWN: Final = "SELECT coalesce(max(ordinal), -1) FROM run_devices WHERE NOT is_enlisted"

# In portions: what a transaction inserts may stay in memory until it ends.
_ENLIST: Final = """
INSERT INTO devices (device_id)
SELECT device_id FROM run_devices WHERE NOT is_enlisted AND ordinal BETWEEN $first AND $last ORDER BY ordinal
"""
_PORTION: Final = 200_000

_IS_LISTED: Final = "EXISTS (SELECT 1 FROM run_devices WHERE run_devices.device_id = devices.device_id)"
_UNLIST: Final = f"""
UPDATE devices SET unlisted_since = $day WHERE unlisted_since IS NULL AND NOT {_IS_LISTED}
"""
_LIST_AGAIN: Final = f"""
UPDATE devices SET unlisted_since = NULL WHERE unlisted_since IS NOT NULL AND {_IS_LISTED}
"""

_TIME_ZONES: Final = """
SELECT devices.device_id, time_zone_id
FROM devices JOIN asked_devices ON asked_devices.device_id = devices.device_id
WHERE seen_at IS NOT NULL
"""


class RunDevices:
    """Hold the devices of a run in their order, with what the table `devices` tells of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._agenda: Agenda | None = None
        self.create()

    def create(self) -> None:
        """Create the temporary tables, on a connection that has none."""
        for statement in _CREATE:
            self._database.execute(statement)

    def begin(self, devices: Sequence[DeviceId], agenda: Agenda) -> None:
        """Forget the last run's devices and remember these, each where it stands first."""
        self._agenda = agenda
        self._database.execute("DELETE FROM run_devices")
        with self._database.named("listed_devices", devices_table(devices)):
            self._database.execute(_REMEMBER)
        self.recall()

    def recall(self) -> None:
        """Take over what the store knows of the devices by now."""
        minds = self._agenda is not None and self._agenda.minds_first_event
        self._database.execute(_RECALL.format(minds="true" if minds else "false"))
        self._database.execute("DROP TABLE run_devices")
        self._database.execute("ALTER TABLE recalled_devices RENAME TO run_devices")
        self._database.analyze("run_devices")

    def list_unseen(self, parts: Sequence[tuple[Dataset, Period]]) -> int:
        """List the devices that are to be looked up before these parts are asked; return how many."""
        self._database.execute("DELETE FROM unseen")
        agenda = self._agenda
        if agenda is None or not agenda.minds_first_event or not parts:
            return 0
        days = {
            "look_again_before": agenda.look_again_before,
            "as_of": agenda.as_of,
            "oldest_end": min(period.end for _, period in parts),
        }
        if self._database.rows(_COUNT_UNSEEN, days) == [(0,)]:
            return 0
        with self._database.named("parts", parts_table(parts)):
            return self._database.execute(_LIST_UNSEEN, days)

    def unseen(self, after: int, limit: int) -> tuple[Sequence[DeviceId], int]:
        """Return the listed devices after a position, and the position of the last one."""
        rows = self._database.rows(_PAGE, {"after": after, "limit": limit})
        last: int = rows[-1][0] if rows else after
        return [DeviceId(device_id) for _, device_id in rows], last

    def write(self, seen: pa.Table) -> None:
        """Replace what is known of some devices; of one that was looked up twice, the last row counts."""
        with self._database.named("seen_devices", _last_of_each(seen)), self._database.transaction():
            rows = self._database.arrow(_WITH_MARKS, DEVICES)
            self._database.execute(_FORGET)
            self._database.append("devices", rows)

    def enlist(self) -> None:
        """Write the ids of the devices that the store does not know."""
        [(last,)] = self._database.rows(_LAST_UNKNOWN)
        for first in range(0, last + 1, _PORTION):
            self._database.execute(_ENLIST, {"first": first, "last": first + _PORTION - 1})

    def mark_unlisted(self, day: date) -> int:
        """Mark the devices that this run, which has all that are listed, does not have; unmark the others.

        Returns how many are newly marked.
        """
        with self._database.transaction():
            unlisted = self._database.execute(_UNLIST, {"day": day})
            self._database.execute(_LIST_AGAIN)
        return unlisted

    def time_zones(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, str | None]:
        """Return what the API said of the zones of those devices that have been looked up."""
        with self._database.named("asked_devices", devices_table(devices)):
            rows = self._database.rows(_TIME_ZONES)
        return {DeviceId(device_id): zone for device_id, zone in rows}


def _last_of_each(seen: pa.Table) -> pa.Table:
    """Return the last row of each device."""
    numbers = {device_id: number for number, device_id in enumerate(seen.column("device_id").to_pylist())}
    return seen.take(pa.array(numbers.values(), pa.int64()))
