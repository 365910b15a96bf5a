"""What a run has still to ask: its devices x its agenda - the ledger, worked out in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.cells import Dataset
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.agenda import Absence, Count, Turn
from voltaware_async.stores.duckdb_session import named
from voltaware_async.stores.given_out import GivenOut, Known
from voltaware_async.stores.parts import due_table, parts_table, period_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from duckdb import DuckDBPyConnection

    from voltaware_async.periods import Period
    from voltaware_async.stores.agenda import Agenda

__all__ = ["OutstandingCells"]

_CREATE: Final = """
CREATE TEMP TABLE due_absences (
    dataset VARCHAR, period_start DATE, http_status BIGINT, absent_since DATE, asked_on DATE, is_due BOOLEAN
);
CREATE TEMP TABLE outstanding (ordinal BIGINT, device_id VARCHAR);
"""

_ABSENCES: Final = """
SELECT DISTINCT dataset, period_start, http_status, absent_since, asked_on
FROM ledger WHERE status = 'absent'
"""

_IS_ELIGIBLE: Final = "(NOT is_dormant AND (first_day IS NULL OR first_day <= {period_end}))"
# What the open run has asked is not due again, however it ended: a run asks each cell once.
_IS_DUE_AGAIN: Final = """(
    (status = 'failed' OR status = 'absent' AND coalesce(is_due, false)) AND run_id IS DISTINCT FROM $run_id
)"""
_ENTRIES: Final = """
ledger
JOIN run_devices USING (device_id)
LEFT JOIN due_absences USING (dataset, period_start, http_status, absent_since, asked_on)
"""

_COUNT: Final = f"""
SELECT
    dataset,
    period_start,
    count(*) FILTER ({_IS_DUE_AGAIN} AND {_IS_ELIGIBLE.format(period_end="period_end")}),
    count(*) FILTER ({_IS_ELIGIBLE.format(period_end="period_end")}),
    count(*)
FROM {_ENTRIES} SEMI JOIN parts USING (dataset, period_start, period_end)
GROUP BY dataset, period_start
"""

_COUNT_ELIGIBLE: Final = f"""
SELECT period_end, sum(devices) FILTER ({_IS_ELIGIBLE.format(period_end="period_end")})
FROM (SELECT DISTINCT period_end FROM parts)
CROSS JOIN (SELECT first_day, is_dormant, count(*) AS devices FROM run_devices GROUP BY ALL)
GROUP BY period_end
"""

_OF_PART: Final = "dataset = $dataset AND period_start = $start AND period_end = $end"

_LIST_FIRST: Final = f"""
INSERT INTO outstanding
SELECT ordinal, device_id
FROM run_devices ANTI JOIN (SELECT device_id FROM ledger WHERE {_OF_PART}) USING (device_id)
WHERE {_IS_ELIGIBLE.format(period_end="$end")}
ORDER BY ordinal
"""

_LIST_AGAIN: Final = f"""
INSERT INTO outstanding
SELECT ordinal, device_id
FROM {_ENTRIES}
WHERE {_OF_PART} AND {_IS_DUE_AGAIN} AND {_IS_ELIGIBLE.format(period_end="$end")}
ORDER BY ordinal
"""

_PAGE: Final = """
SELECT ordinal, device_id FROM outstanding WHERE ordinal > $after ORDER BY ordinal LIMIT $limit
"""

_KNOWN: Final = {Turn.FIRST: Known.NEVER_ASKED, Turn.AGAIN: Known.NOT_LANDED}


class OutstandingCells:
    """Page through the outstanding cells of the run's devices, one dataset, period and turn at a time."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._asks_first = True
        self._run_id: str | None = None
        self._listed: tuple[Dataset, Period, Turn, int] | None = None
        self.given_out = GivenOut()
        connection.execute(_CREATE)

    def open_run(self, run_id: str | None) -> None:
        """Take note of the run whose entries are new to the ledger; None when it is over."""
        self._run_id = run_id

    def begin(self, agenda: Agenda) -> None:
        """Take up an agenda; what is due again is decided once for all cells that share the same facts."""
        self.relist()
        self._asks_first = agenda.never_asked
        rows = self._connection.execute(_ABSENCES).fetchall()
        absences = [
            Absence(Dataset(name), period_of(Dataset(name), start), *facts) for name, start, *facts in rows
        ]
        due = due_table([absence for absence in absences if agenda.asks_again(absence)])
        self._connection.execute("DELETE FROM due_absences")
        with named(self._connection, "due", due):
            self._connection.execute("INSERT INTO due_absences SELECT *, true FROM due")

    def count(self, parts: Sequence[tuple[Dataset, Period]]) -> Sequence[Count]:
        """Count the cells of each dataset and period, in one scan of the ledger."""
        with named(self._connection, "parts", parts_table(parts)):
            rows = self._connection.execute(_COUNT, {"run_id": self._run_id}).fetchall()
            eligible = dict(self._connection.execute(_COUNT_ELIGIBLE).fetchall())
        counted = {(name, start): counts for name, start, *counts in rows}
        return [
            self._count(dataset, period, int(eligible.get(period.end) or 0), counted)
            for dataset, period in parts
        ]

    def _count(
        self,
        dataset: Dataset,
        period: Period,
        eligible: int,
        counted: dict[tuple[str, date], list[int]],
    ) -> Count:
        again, asked_eligible, asked = counted.get((dataset.value, period.start), [0, 0, 0])
        never_asked = eligible - asked_eligible if self._asks_first else 0
        return Count(dataset, period, never_asked, again, asked - again)

    def page(
        self, dataset: Dataset, period: Period, turn: Turn, after: int, limit: int
    ) -> tuple[Sequence[DeviceId], int]:
        """Return the devices after a position, and the position of the last one."""
        if after < 0 or self._listed != (dataset, period, turn, after):
            self._list(dataset, period, turn)
        rows = self._connection.execute(_PAGE, {"after": after, "limit": limit}).fetchall()
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
        self._connection.execute("DELETE FROM outstanding")
        part = {"dataset": dataset.value, "start": period.start, "end": period.end}
        if turn is Turn.AGAIN:
            self._connection.execute(_LIST_AGAIN, {**part, "run_id": self._run_id})
        elif self._asks_first:
            self._connection.execute(_LIST_FIRST, part)
