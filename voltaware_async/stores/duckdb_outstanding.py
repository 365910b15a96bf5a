"""What a run has still to ask: its devices without those whose cell has landed, worked out in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.given_out import GivenOut, Known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period

__all__ = ["OutstandingCells", "listed_devices"]

_CREATE: Final = """
CREATE TEMP TABLE run_devices (ordinal BIGINT, device_id VARCHAR);
CREATE TEMP TABLE outstanding (ordinal BIGINT, device_id VARCHAR, never_asked BOOLEAN);
"""

_REMEMBER_DEVICES: Final = """
INSERT INTO run_devices
SELECT min(ordinal) AS first_ordinal, device_id FROM listed_devices GROUP BY device_id ORDER BY first_ordinal
"""

_COUNT: Final = """
SELECT count(*) FROM run_devices ANTI JOIN (
    SELECT device_id FROM ledger
    WHERE dataset = $dataset AND period_start = $start AND period_end = $end AND status = 'landed'
) USING (device_id)
"""

_LIST: Final = """
INSERT INTO outstanding
SELECT ordinal, device_id, status IS NULL
FROM run_devices LEFT JOIN (
    SELECT device_id, status FROM ledger
    WHERE dataset = $dataset AND period_start = $start AND period_end = $end
) USING (device_id)
WHERE status IS DISTINCT FROM 'landed'
ORDER BY ordinal
"""

_PAGE: Final = """
SELECT ordinal, device_id, never_asked FROM outstanding WHERE ordinal > $after ORDER BY ordinal LIMIT $limit
"""


_KNOWN: Final = {True: Known.NEVER_ASKED, False: Known.NOT_LANDED}


class OutstandingCells:
    """Hold a run's devices, and page through the outstanding cells of one dataset and period at a time."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._listed: tuple[Dataset, Period, int] | None = None
        self.given_out = GivenOut()
        connection.execute(_CREATE)

    def begin(self) -> None:
        """Forget the last run's devices and remember `listed_devices`, each where it stands first."""
        self.relist()
        self._connection.execute("DELETE FROM run_devices")
        self._connection.execute(_REMEMBER_DEVICES)

    def count(self, dataset: Dataset, period: Period) -> int:
        """Count the outstanding cells."""
        [(cells,)] = self._connection.execute(_COUNT, _partition(dataset, period)).fetchall()
        return int(cells)

    def page(
        self, dataset: Dataset, period: Period, after: int, limit: int
    ) -> tuple[Sequence[DeviceId], int]:
        """Return the devices after a position, and the position of the last one."""
        if after < 0 or self._listed != (dataset, period, after):
            self._list(dataset, period)
        rows = self._connection.execute(_PAGE, {"after": after, "limit": limit}).fetchall()
        self.given_out.add(dataset, period.start, ((device, _KNOWN[fresh]) for _, device, fresh in rows))
        last: int = rows[-1][0] if rows else after
        self._listed = (dataset, period, last)
        return [DeviceId(device_id) for _, device_id, _ in rows], last

    def relist(self) -> None:
        """Read the ledger again at the next page: it changed in cells that were not given out."""
        self._listed = None

    def _list(self, dataset: Dataset, period: Period) -> None:
        """Look the devices up in the ledger once, for all pages to come."""
        self._connection.execute("DELETE FROM outstanding")
        self._connection.execute(_LIST, _partition(dataset, period))


def listed_devices(device_ids: Sequence[DeviceId]) -> pa.Table:
    """Number a run's devices in their order."""
    ordinals = pa.array(range(len(device_ids)), pa.int64())
    return pa.table({"ordinal": ordinals, "device_id": pa.array(device_ids, pa.string())})


def _partition(dataset: Dataset, period: Period) -> dict[str, object]:
    return {"dataset": dataset.value, "start": period.start, "end": period.end}
