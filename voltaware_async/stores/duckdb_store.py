"""The embedded store: one DuckDB file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa

from voltaware_async.errors import ConfigurationError, StoreError
from voltaware_async.stores.duckdb_answers import (
    consumption_by_appliance,
    coverage,
    expected_until,
    failed_devices,
    failures,
    knows_devices,
    last_run,
)
from voltaware_async.stores.duckdb_commit import write_batch
from voltaware_async.stores.duckdb_devices import RunDevices
from voltaware_async.stores.duckdb_errors import store_errors
from voltaware_async.stores.duckdb_file import connect_store, empty_database, share_memory
from voltaware_async.stores.duckdb_outstanding import OutstandingCells
from voltaware_async.stores.duckdb_session import named, transaction
from voltaware_async.stores.given_out import Known
from voltaware_async.stores.parts import parts_table
from voltaware_async.stores.tables import COUNTS, RUNS, TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from types import TracebackType

    from duckdb import DuckDBPyConnection

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.agenda import Agenda, Count, Turn
    from voltaware_async.stores.batches import Batch
    from voltaware_async.stores.ledger import Coverage, FailureReason, LastRun
    from voltaware_async.stores.store import ApplianceShare

__all__ = ["DuckDBStore"]

_FINISH: Final = """
UPDATE runs SET
    outcome = $outcome, finished_at = $finished_at,
    planned = $planned, landed = $landed, absent = $absent, failed = $failed, unasked = $unasked,
    skipped = $skipped, requests = $requests, retries = $retries, throttled = $throttled,
    token_calls = $token_calls, elapsed_s = $elapsed_s, rate_per_s = $rate_per_s
WHERE run_id = $run_id
"""

_EXPECT: Final = """
INSERT INTO expected
SELECT DISTINCT *, $night FROM parts ANTI JOIN expected USING (dataset, period_start, period_end)
"""

# A pull expected it, and now a night does.
_EXPECT_BY_NIGHT: Final = """
UPDATE expected SET night = $night
FROM parts
WHERE night IS NULL
AND parts.dataset = expected.dataset
AND parts.period_start = expected.period_start
AND parts.period_end = expected.period_end
"""


class DuckDBStore:
    """Hold a fleet in a DuckDB file; see `Store` for what each method promises.

    Memory: DuckDB's own share is limited to 64 MB, and beyond a million devices to 64 bytes for each; it
    spills to a folder `FILE.tmp` beside the file, which goes away when the store is closed.
    """

    def __init__(self, target: str, connection: DuckDBPyConnection) -> None:
        self._target = target
        self._connection = connection
        self._devices = RunDevices(connection)
        self._cells = OutstandingCells(connection)

    @classmethod
    def open(cls, target: str, path: str, *, read_only: bool) -> Self:
        """Open a file, and create it where there is none."""
        # Not Path.resolve, which raises for links that go round in circles.
        connection = connect_store(target, Path(os.path.realpath(path)), read_only=read_only)
        return cls(target, connection)

    @classmethod
    def empty(cls, target: str) -> Self:
        """Make an empty store in memory, to see what a store that is not there yet would be asked for."""
        return cls(target, empty_database())

    @property
    def target(self) -> str:
        """What was opened, as it was written."""
        return self._target

    def knows_devices(self) -> bool:
        """Tell whether the store knows of any device."""
        with store_errors(self._target):
            return knows_devices(self._connection)

    def begin(self, run_id: str, command: str, started_at: datetime) -> None:
        """Open a run."""
        run = {"run_id": run_id, "command": command, "started_at": started_at}
        row = pa.Table.from_pylist([run], schema=RUNS)
        with store_errors(self._target), transaction(self._connection):
            self._connection.from_arrow(row).insert_into("runs")
        self._cells.open_run(run_id)

    def consider(self, devices: Sequence[DeviceId], agenda: Agenda) -> None:
        """Remember a run's devices in their order, and what is to be asked of them."""
        with store_errors(self._target):
            share_memory(self._connection, len(devices))
            self._devices.begin(devices, agenda)
            self._cells.begin(agenda)

    def count(self, parts: Sequence[tuple[Dataset, Period]]) -> Sequence[Count]:
        """Count what is to be asked, per dataset and period."""
        with store_errors(self._target):
            return self._cells.count(parts)

    def outstanding(
        self, dataset: Dataset, period: Period, turn: Turn, after: int, limit: int
    ) -> tuple[Sequence[DeviceId], int]:
        """Return the next devices whose cell is to be asked, and the position of the last one."""
        with store_errors(self._target):
            return self._cells.page(dataset, period, turn, after, limit)

    def count_unseen(self, parts: Sequence[tuple[Dataset, Period]]) -> int:
        """Count the devices that are to be looked up before these parts are asked."""
        with store_errors(self._target):
            return self._devices.list_unseen(parts)

    def unseen(self, after: int, limit: int) -> tuple[Sequence[DeviceId], int]:
        """Return the next devices that are to be looked up, and the position of the last one."""
        with store_errors(self._target):
            return self._devices.unseen(after, limit)

    def see(self, devices: pa.Table) -> None:
        """Write what the API said of some devices, in place of what was known."""
        with store_errors(self._target):
            self._devices.write(devices)

    def take_stock(self, listed_on: date | None) -> int:
        """Go on with what is known of the run's devices by now; write which are listed, if it has all."""
        unlisted = 0
        with store_errors(self._target):
            self._devices.recall()
            if listed_on is not None:
                self._devices.enlist()
                unlisted = self._devices.mark_unlisted(listed_on)
        self._cells.relist()
        return unlisted

    def expect(self, parts: Sequence[tuple[Dataset, Period]], night: date | None) -> None:
        """Take note that these parts are to be asked, by a night or by another run."""
        rows = named(self._connection, "parts", parts_table(parts))
        with store_errors(self._target), rows, transaction(self._connection):
            self._connection.execute(_EXPECT, {"night": night})
            if night is not None:
                self._connection.execute(_EXPECT_BY_NIGHT, {"night": night})

    def expected_until(self) -> Mapping[Dataset, date]:
        """Return the end of the newest period of each dataset that a night was to ask."""
        with store_errors(self._target):
            return expected_until(self._connection)

    def commit(self, batch: Batch) -> None:
        """Write rows and ledger entries in one transaction, each cell once.

        Cells that `outstanding` gave out as never asked are appended without a look into the ledger. Any
        other batch is compared with the ledger first, which costs a scan of its entries for that period.
        """
        known = self._cells.given_out.claim(batch.ledger)
        if known is Known.NOTHING:
            self._cells.relist()
        with store_errors(self._target):
            write_batch(self._connection, batch, fresh=known is Known.NEVER_ASKED)

    def finish(
        self, run_id: str, outcome: str, finished_at: datetime, counts: Mapping[str, int | float]
    ) -> None:
        """Close a run: its outcome, and the counts of its summary."""
        if unknown := counts.keys() - COUNTS.keys():
            raise ValueError(f"a run has no count {', '.join(sorted(unknown))}")
        values = {name: counts.get(name) for name in COUNTS}
        run = {"run_id": run_id, "outcome": outcome, "finished_at": finished_at, **values}
        with store_errors(self._target):
            [(changed,)] = self._connection.execute(_FINISH, run).fetchall()
        if not changed:
            raise StoreError(f"{self._target} has no run {run_id} to finish")
        self._cells.open_run(None)

    def last_run(self) -> LastRun | None:
        """Return the run that was begun last."""
        with store_errors(self._target):
            return last_run(self._connection)

    def failed_devices(self) -> Sequence[DeviceId]:
        """Return the devices with a cell that failed last time."""
        with store_errors(self._target):
            return failed_devices(self._connection)

    def coverage(self) -> Sequence[Coverage]:
        """Count how cells ended, per dataset and period."""
        with store_errors(self._target):
            return coverage(self._connection)

    def failures(self, limit: int = 20) -> Sequence[FailureReason]:
        """Count the failed cells by reason, the most frequent first."""
        with store_errors(self._target):
            return failures(self._connection, limit)

    def table(self, name: str) -> pa.Table:
        """Return a whole table with its pinned types."""
        if name not in TABLES:
            raise ConfigurationError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
        with store_errors(self._target):
            rows: pa.Table = self._connection.table(name).to_arrow_table()
        return rows.cast(TABLES[name])

    def consumption_by_appliance(self, dataset: Dataset, period: Period) -> Sequence[ApplianceShare]:
        """Add up consumption by appliance, the largest first."""
        with store_errors(self._target):
            return consumption_by_appliance(self._connection, dataset, period)

    def close(self) -> None:
        """Close the file; DuckDB moves its log into it."""
        with store_errors(self._target):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
