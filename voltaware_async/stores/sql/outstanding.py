"""What a run has still to ask: its devices x its agenda - the ledger, worked out in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.cells import Dataset
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.agenda import Absence, Count, Turn
from voltaware_async.stores.given_out import GivenOut, Known
from voltaware_async.stores.parts import devices_table, due_table, parts_table, period_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from voltaware_async.periods import Period
    from voltaware_async.stores.agenda import Agenda
    from voltaware_async.stores.sql.database import Database

__all__ = ["OutstandingCells"]

_CREATE: Final = (
    """
    CREATE TEMP TABLE due_absences (
        dataset VARCHAR, period_start DATE, http_status BIGINT, absent_since DATE, asked_on DATE,
        is_due BOOLEAN
    )
    """,
    "CREATE TEMP TABLE outstanding (ordinal BIGINT, device_id VARCHAR)",
)

_ABSENCES: Final = """
SELECT DISTINCT dataset, period_start, http_status, absent_since, asked_on
FROM ledger WHERE status = 'absent'
"""
_TAKE_DUE: Final = """
INSERT INTO due_absences
SELECT dataset, period_start, http_status, absent_since, asked_on, true FROM due
"""

_IS_ELIGIBLE: Final = "(NOT is_dormant AND (first_day IS NULL OR first_day <= {period_end}))"
# What the open run has asked is not due again, however it ended: a run asks each cell once.
_IS_OF_EARLIER_RUN: Final = "run_id IS DISTINCT FROM $run_id"
_IS_DUE: Final[dict[Turn, str]] = {
    Turn.AGAIN: f"""(
        (status = 'failed' OR status = 'absent' AND coalesce(is_due, false)) AND {_IS_OF_EARLIER_RUN}
    )""",
    Turn.REFRESH: f"(status = 'landed' AND {_IS_OF_EARLIER_RUN})",
}
_ENTRIES: Final = """
ledger
JOIN run_devices ON run_devices.device_id = ledger.device_id
LEFT JOIN due_absences USING (dataset, period_start, http_status, absent_since, asked_on)
"""

_COUNT: Final = f"""
SELECT
    dataset,
    period_start,
    count(*) FILTER (WHERE {_IS_DUE[Turn.AGAIN]} AND {_IS_ELIGIBLE.format(period_end="period_end")}),
    count(*) FILTER (WHERE {_IS_DUE[Turn.REFRESH]} AND {_IS_ELIGIBLE.format(period_end="period_end")}),
    count(*) FILTER (WHERE {_IS_ELIGIBLE.format(period_end="period_end")}),
    count(*)
FROM {_ENTRIES}
JOIN (SELECT DISTINCT dataset, period_start, period_end FROM parts) AS named_parts
USING (dataset, period_start, period_end)
GROUP BY dataset, period_start
"""

_COUNT_ELIGIBLE: Final = f"""
SELECT period_end, CAST(sum(devices) FILTER (WHERE {_IS_ELIGIBLE.format(period_end="period_end")}) AS BIGINT)
FROM (SELECT DISTINCT period_end FROM parts) AS ends
CROSS JOIN (
    SELECT first_day, is_dormant, count(*) AS devices FROM run_devices GROUP BY first_day, is_dormant
) AS alike
GROUP BY period_end
"""

_OF_PART: Final = "dataset = $dataset AND period_start = $start AND period_end = $end"

_LIST_FIRST: Final = f"""
INSERT INTO outstanding
SELECT ordinal, device_id
FROM run_devices
WHERE NOT EXISTS (SELECT 1 FROM ledger WHERE {_OF_PART} AND ledger.device_id = run_devices.device_id)
AND {_IS_ELIGIBLE.format(period_end="$end")}
ORDER BY ordinal
"""

_LIST_AGAIN: Final = f"""
INSERT INTO outstanding
SELECT ordinal, run_devices.device_id
FROM {_ENTRIES}
WHERE {_OF_PART} AND {{is_due}} AND {_IS_ELIGIBLE.format(period_end="$end")}
ORDER BY ordinal
"""

_PAGE: Final = """
SELECT ordinal, device_id FROM outstanding WHERE ordinal > $after ORDER BY ordinal LIMIT $limit
"""

_HASHES: Final = f"""
SELECT ledger.device_id, content_hash
FROM ledger JOIN asked_devices ON asked_devices.device_id = ledger.device_id
WHERE {_OF_PART} AND status = 'landed'
"""

_KNOWN: Final = {
    Turn.FIRST: Known.NEVER_ASKED,
    Turn.AGAIN: Known.NOT_LANDED,
    Turn.REFRESH: Known.LANDED,
}


class OutstandingCells:
    """Page through the outstanding cells of the run's devices, one dataset, period and turn at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._agenda: Agenda | None = None
        self._run_id: str | None = None
        self._listed: tuple[Dataset, Period, Turn, int] | None = None
        self.create()

    def create(self) -> None:
        """Create the temporary tables, on a connection that has none.

        What was given out before may have been written by another process until we had this connection.
        """
        self.given_out = GivenOut()
        for statement in _CREATE:
            self._database.execute(statement)

    def open_run(self, run_id: str | None) -> None:
        """Take note of the run whose entries are new to the ledger; None when it is over."""
        self._run_id = run_id

    def begin(self, agenda: Agenda) -> None:
        """Take up an agenda; what is due again is decided once for all cells that share the same facts."""
        self.relist()
        self._agenda = agenda
        rows = self._database.rows(_ABSENCES)
        absences = [
            Absence(Dataset(name), period_of(Dataset(name), start), *facts) for name, start, *facts in rows
        ]
        due = due_table([absence for absence in absences if agenda.asks_again(absence)])
        self._database.execute("DELETE FROM due_absences")
        with self._database.named("due", due):
            self._database.execute(_TAKE_DUE)

    def count(self, parts: Sequence[tuple[Dataset, Period]]) -> Sequence[Count]:
        """Count the cells of each dataset and period, in one scan of the ledger."""
        with self._database.named("parts", parts_table(parts)):
            rows = self._database.rows(_COUNT, {"run_id": self._run_id})
            eligible = {end: int(devices or 0) for end, devices in self._database.rows(_COUNT_ELIGIBLE)}
        counted = {(name, start): counts for name, start, *counts in rows}
        return [
            self._count(dataset, period, eligible.get(period.end, 0), counted) for dataset, period in parts
        ]

    def _count(
        self,
        dataset: Dataset,
        period: Period,
        eligible: int,
        counted: dict[tuple[str, date], list[int]],
    ) -> Count:
        again, landed, asked_eligible, asked = counted.get((dataset.value, period.start), [0, 0, 0, 0])
        never_asked = eligible - asked_eligible if self._asks_first else 0
        refresh = landed if self._refreshes(period) else 0
        return Count(dataset, period, never_asked, again, asked - again - refresh, refresh)

    @property
    def _asks_first(self) -> bool:
        return self._agenda is None or self._agenda.never_asked

    def _refreshes(self, period: Period) -> bool:
        return self._agenda is not None and self._agenda.refreshes(period)

    def page(
        self, dataset: Dataset, period: Period, turn: Turn, after: int, limit: int
    ) -> tuple[Sequence[DeviceId], int]:
        """Return the devices after a position, and the position of the last one."""
        if after < 0 or self._listed != (dataset, period, turn, after):
            self._list(dataset, period, turn)
        rows = self._database.rows(_PAGE, {"after": after, "limit": limit})
        self.given_out.add(dataset, period.start, ((device, _KNOWN[turn]) for _, device in rows))
        last: int = rows[-1][0] if rows else after
        self._listed = (dataset, period, turn, last)
        return [DeviceId(device_id) for _, device_id in rows], last

    def relist(self) -> None:
        """Read anew at the next page: the ledger changed in cells that were not given out, or the agenda."""
        self._listed = None

    def _list(self, dataset: Dataset, period: Period, turn: Turn) -> None:
        """Look the devices up in the ledger once, for all pages to come.

        A cell that was given out before may come again on a later page. Were it remembered until then, its
        commit would not have the ledger looked at again, and it could land twice.
        """
        self.given_out.forget(dataset, period.start)
        self._database.execute("DELETE FROM outstanding")
        part = _values(dataset, period)
        if turn is Turn.FIRST and self._asks_first:
            self._database.execute(_LIST_FIRST, part)
        elif turn is Turn.AGAIN or (turn is Turn.REFRESH and self._refreshes(period)):
            statement = _LIST_AGAIN.format(is_due=_IS_DUE[turn])
            self._database.execute(statement, {**part, "run_id": self._run_id})

    def hashes(
        self, dataset: Dataset, period: Period, devices: Sequence[DeviceId]
    ) -> Mapping[DeviceId, int | None]:
        """Return the content hashes of those cells that have landed."""
        with self._database.named("asked_devices", devices_table(devices)):
            rows = self._database.rows(_HASHES, _values(dataset, period))
        return {DeviceId(device_id): known for device_id, known in rows}


def _values(dataset: Dataset, period: Period) -> dict[str, str | date]:
    return {"dataset": dataset.value, "start": period.start, "end": period.end}
