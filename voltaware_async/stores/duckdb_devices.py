"""The devices: those of a run, what is known of them, and those that nothing is known of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.duckdb_session import named, transaction
from voltaware_async.stores.parts import devices_table, parts_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.stores.agenda import Agenda

__all__ = ["IS_DORMANT", "RunDevices"]

# A sensor that was never connected has no data; there is nothing to ask of it, and nothing is missing.
IS_DORMANT: Final = "(coalesce(connection_state = 'never_connected', false) AND first_event IS NULL)"

_CREATE: Final = """
CREATE TEMP TABLE run_devices (
    ordinal BIGINT,
    device_id VARCHAR,
    first_day DATE,
    is_dormant BOOLEAN,
    looked_up_on DATE,
    is_enlisted BOOLEAN
);
CREATE TEMP TABLE unseen (ordinal BIGINT, device_id VARCHAR);
"""

_REMEMBER: Final = """
INSERT INTO run_devices (ordinal, device_id)
SELECT min(ordinal), device_id FROM listed_devices GROUP BY device_id
"""

# A first day or a sensor that was never connected count only where the agenda minds them.
_RECALL: Final = f"""
CREATE OR REPLACE TEMP TABLE run_devices AS
SELECT
    run_devices.ordinal,
    run_devices.device_id,
    CASE WHEN $minds THEN devices.first_day END AS first_day,
    $minds AND devices.device_id IS NOT NULL AND {IS_DORMANT} AS is_dormant,
    devices.asked_on AS looked_up_on,
    devices.device_id IS NOT NULL AS is_enlisted
FROM run_devices LEFT JOIN devices USING (device_id)
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
SELECT ordinal, device_id FROM run_devices
ANTI JOIN (
    SELECT device_id FROM ledger SEMI JOIN parts USING (dataset, period_start, period_end)
    GROUP BY device_id
    HAVING count(*) = (SELECT count(*) FROM parts)
) USING (device_id)
WHERE {_IS_UNSEEN}
ORDER BY ordinal
"""

_PAGE: Final = """
SELECT ordinal, device_id FROM unseen WHERE ordinal > $after ORDER BY ordinal LIMIT $limit
"""

# A look-up does not list a device: only a run that has all that are listed tells.
_WITH_MARKS: Final = """
SELECT seen.* REPLACE (marked.unlisted_since AS unlisted_since)
FROM seen_devices AS seen
LEFT JOIN (SELECT device_id, unlisted_since FROM devices WHERE unlisted_since IS NOT NULL) AS marked
USING (device_id)
"""

_FORGET: Final = "DELETE FROM devices WHERE device_id IN (SELECT device_id FROM seen_devices)"

_LAST_UNKNOWN: Final = "SELECT coalesce(max(ordinal), -1) FROM run_devices WHERE NOT is_enlisted"

# In portions: what a transaction inserts stays in memory until it ends.
_ENLIST: Final = """
INSERT INTO devices (device_id)
SELECT device_id FROM run_devices WHERE NOT is_enlisted AND ordinal BETWEEN $first AND $last ORDER BY ordinal
"""
_PORTION: Final = 200_000

_UNLIST: Final = """
UPDATE devices SET unlisted_since = $day
WHERE unlisted_since IS NULL AND device_id NOT IN (SELECT device_id FROM run_devices)
"""

_LIST_AGAIN: Final = """
UPDATE devices SET unlisted_since = NULL
WHERE unlisted_since IS NOT NULL AND device_id IN (SELECT device_id FROM run_devices)
"""


class RunDevices:
    """Hold the devices of a run in their order, with what the table `devices` tells of them."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._agenda: Agenda | None = None
        connection.execute(_CREATE)

    def begin(self, devices: Sequence[DeviceId], agenda: Agenda) -> None:
        """Forget the last run's devices and remember these, each where it stands first."""
        self._agenda = agenda
        self._connection.execute("DELETE FROM run_devices")
        with named(self._connection, "listed_devices", devices_table(devices)):
            self._connection.execute(_REMEMBER)
        self.recall()

    def recall(self) -> None:
        """Take over what the store knows of the devices by now."""
        minds = self._agenda is not None and self._agenda.minds_first_event
        self._connection.execute(_RECALL, {"minds": minds})

    def list_unseen(self, parts: Sequence[tuple[Dataset, Period]]) -> int:
        """List the devices that are to be looked up before these parts are asked; return how many."""
        self._connection.execute("DELETE FROM unseen")
        agenda = self._agenda
        if agenda is None or not agenda.minds_first_event or not parts:
            return 0
        days = {
            "look_again_before": agenda.look_again_before,
            "as_of": agenda.as_of,
            "oldest_end": min(period.end for _, period in parts),
        }
        if self._connection.execute(_COUNT_UNSEEN, days).fetchall() == [(0,)]:
            return 0
        with named(self._connection, "parts", parts_table(parts)):
            self._connection.execute(_LIST_UNSEEN, days)
        [(unseen,)] = self._connection.execute("SELECT count(*) FROM unseen").fetchall()
        return int(unseen)

    def unseen(self, after: int, limit: int) -> tuple[Sequence[DeviceId], int]:
        """Return the listed devices after a position, and the position of the last one."""
        rows = self._connection.execute(_PAGE, {"after": after, "limit": limit}).fetchall()
        last: int = rows[-1][0] if rows else after
        return [DeviceId(device_id) for _, device_id in rows], last

    def write(self, seen: pa.Table) -> None:
        """Replace what is known of some devices."""
        with named(self._connection, "seen_devices", seen), transaction(self._connection):
            rows: pa.Table = self._connection.sql(_WITH_MARKS).to_arrow_table()
            self._connection.execute(_FORGET)
            self._connection.from_arrow(rows).insert_into("devices")

    def enlist(self) -> None:
        """Write the ids of the devices that the store does not know."""
        [(last,)] = self._connection.execute(_LAST_UNKNOWN).fetchall()
        for first in range(0, last + 1, _PORTION):
            self._connection.execute(_ENLIST, {"first": first, "last": first + _PORTION - 1})

    def mark_unlisted(self, day: date) -> int:
        """Mark the devices that this run, which has all that are listed, does not have; unmark the others.

        Returns how many are newly marked.
        """
        [(unlisted,)] = self._connection.execute(_UNLIST, {"day": day}).fetchall()
        self._connection.execute(_LIST_AGAIN)
        return int(unlisted)
