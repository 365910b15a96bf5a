"""The store: its tables and questions in SQL, over whichever database holds them."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, Self, TypeVar

from voltaware_async.errors import ConfigurationError, StoreError
from voltaware_async.stores.given_out import Known
from voltaware_async.stores.parts import parts_table
from voltaware_async.stores.sql.answers import (
    consumption_by_appliance,
    coverage,
    expected_until,
    failed_devices,
    failures,
    findings,
    knows_devices,
    last_run,
    revisions,
)
from voltaware_async.stores.sql.commit import committed, write_batch
from voltaware_async.stores.sql.database import ConnectionLostError
from voltaware_async.stores.sql.dating import date_cycles
from voltaware_async.stores.sql.outstanding import OutstandingCells
from voltaware_async.stores.sql.run_devices import RunDevices
from voltaware_async.stores.sql.views import VIEWS
from voltaware_async.stores.tables import COUNTS, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from types import TracebackType

    import pyarrow as pa

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.agenda import Agenda, Count, Turn
    from voltaware_async.stores.batches import Batch
    from voltaware_async.stores.export import Filter
    from voltaware_async.stores.ledger import Coverage, FailureReason, FindingCount, LastRun, Revision
    from voltaware_async.stores.sql.database import Database
    from voltaware_async.stores.store import ApplianceShare

__all__ = ["SqlStore"]

P = ParamSpec("P")
T = TypeVar("T")

_BEGIN: Final = """
INSERT INTO runs (run_id, command, started_at, number)
SELECT
    CAST($run_id AS VARCHAR),
    CAST($command AS VARCHAR),
    CAST($started_at AS TIMESTAMPTZ),
    (SELECT 1 + coalesce(max(number), 0) FROM runs)
WHERE NOT EXISTS (SELECT 1 FROM runs WHERE run_id = $run_id)
"""

_FINISH: Final = f"""
UPDATE runs SET
    outcome = $outcome, finished_at = $finished_at, {", ".join(f"{name} = ${name}" for name in COUNTS)}
WHERE run_id = $run_id
"""

_EXPECT: Final = """
INSERT INTO expected
SELECT DISTINCT dataset, period_start, period_end, CAST($night AS DATE) FROM parts
WHERE NOT EXISTS (
    SELECT 1 FROM expected
    WHERE expected.dataset = parts.dataset
    AND expected.period_start = parts.period_start
    AND expected.period_end = parts.period_end
)
"""

# A pull expected it, and now a night does.
_EXPECT_BY_NIGHT: Final = """
UPDATE expected SET night = $night
FROM parts
WHERE expected.night IS NULL
AND parts.dataset = expected.dataset
AND parts.period_start = expected.period_start
AND parts.period_end = expected.period_end
"""


def _kept_up(
    method: Callable[Concatenate[SqlStore, P], T],
) -> Callable[Concatenate[SqlStore, P], T]:
    """Call a method, which may be called twice, once more on a new connection if it loses the first."""

    @functools.wraps(method)
    def call(store: SqlStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(store, *args, **kwargs)
        except ConnectionLostError:
            store.reconnect()
            return method(store, *args, **kwargs)

    return call


class SqlStore:
    """Hold a fleet in a database; see `Store` for what each method promises.

    Where a server hangs up, what was under way is done again, once, on a new connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._devices = RunDevices(database)
        self._cells = OutstandingCells(database)
        self._considered: tuple[Sequence[DeviceId], Agenda] | None = None
        self._unseen: Sequence[tuple[Dataset, Period]] = ()

    @property
    def target(self) -> str:
        """What was opened, as it was written, without a password."""
        return self._database.target

    def reconnect(self) -> None:
        """Connect anew, and make again what was temporary."""
        self._database.reconnect()
        self._devices.create()
        self._cells.create()
        self._cells.relist()
        if self._considered is not None:
            devices, agenda = self._considered
            self._devices.begin(devices, agenda)
            self._cells.begin(agenda)
            self._devices.list_unseen(self._unseen)

    @_kept_up
    def knows_devices(self) -> bool:
        """Tell whether the store knows of any device."""
        return knows_devices(self._database)

    @_kept_up
    def begin(self, run_id: str, command: str, started_at: datetime) -> None:
        """Open a run."""
        self._database.execute(_BEGIN, {"run_id": run_id, "command": command, "started_at": started_at})
        self._cells.open_run(run_id)

    @_kept_up
    def consider(self, devices: Sequence[DeviceId], agenda: Agenda) -> None:
        """Remember a run's devices in their order, and what is to be asked of them."""
        self._considered, self._unseen = (devices, agenda), ()
        self._database.expect_devices(len(devices))
        self._devices.begin(devices, agenda)
        self._cells.begin(agenda)

    @_kept_up
    def count(self, parts: Sequence[tuple[Dataset, Period]]) -> Sequence[Count]:
        """Count what is to be asked, per dataset and period."""
        return self._cells.count(parts)

    @_kept_up
    def outstanding(
        self, dataset: Dataset, period: Period, turn: Turn, after: int, limit: int
    ) -> tuple[Sequence[DeviceId], int]:
        """Return the next devices whose cell is to be asked, and the position of the last one."""
        return self._cells.page(dataset, period, turn, after, limit)

    @_kept_up
    def count_unseen(self, parts: Sequence[tuple[Dataset, Period]]) -> int:
        """Count the devices that are to be looked up before these parts are asked."""
        self._unseen = parts
        return self._devices.list_unseen(parts)

    @_kept_up
    def unseen(self, after: int, limit: int) -> tuple[Sequence[DeviceId], int]:
        """Return the next devices that are to be looked up, and the position of the last one."""
        return self._devices.unseen(after, limit)

    @_kept_up
    def see(self, devices: pa.Table) -> None:
        """Write what the API said of some devices, in place of what was known."""
        self._devices.write(devices)

    @_kept_up
    def take_stock(self, listed_on: date | None) -> int:
        """Go on with what is known of the run's devices by now; write which are listed, if it has all."""
        unlisted = 0
        self._devices.recall()
        if listed_on is not None:
            self._devices.enlist()
            unlisted = self._devices.mark_unlisted(listed_on)
        self._cells.relist()
        return unlisted

    @_kept_up
    def time_zones(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, str | None]:
        """Return the time zones of those of the devices that have been looked up."""
        return self._devices.time_zones(devices)

    @_kept_up
    def date_cycles(self, after: DeviceId) -> DeviceId | None:
        """Fill in the instants of cycles that landed before their device's time zone was known."""
        return date_cycles(self._database, after)

    @_kept_up
    def hashes(
        self, dataset: Dataset, period: Period, devices: Sequence[DeviceId]
    ) -> Mapping[DeviceId, int | None]:
        """Return the content hashes of those cells that have landed."""
        return self._cells.hashes(dataset, period, devices)

    @_kept_up
    def expect(self, parts: Sequence[tuple[Dataset, Period]], night: date | None) -> None:
        """Take note that these parts are to be asked, by a night or by another run."""
        with self._database.named("parts", parts_table(parts)), self._database.transaction():
            self._database.execute(_EXPECT, {"night": night})
            if night is not None:
                self._database.execute(_EXPECT_BY_NIGHT, {"night": night})

    @_kept_up
    def expected_until(self) -> Mapping[Dataset, date]:
        """Return the end of the newest period of each dataset that a night was to ask."""
        return expected_until(self._database)

    def commit(self, batch: Batch, *, refreshes: bool = False) -> int:
        """Write rows and ledger entries in one transaction, each cell once.

        Cells that `outstanding` gave out as never asked are appended without a look into the ledger. Any
        other batch is compared with the ledger first, which costs a scan of its entries for that period.
        """
        if not batch:
            return 0
        self._database.relieve()
        known = self._cells.given_out.claim(batch.ledger)
        if known is Known.NOTHING:
            self._cells.relist()
        fresh = known is Known.NEVER_ASKED
        try:
            return write_batch(self._database, batch, fresh=fresh, refreshes=refreshes)
        except ConnectionLostError:
            self.reconnect()
            # The server may have committed it before it hung up.
            restated = committed(self._database, batch)
            if restated is not None:
                return restated
            return write_batch(self._database, batch, fresh=False, refreshes=refreshes)

    @_kept_up
    def finish(
        self, run_id: str, outcome: str, finished_at: datetime, counts: Mapping[str, int | float]
    ) -> None:
        """Close a run: its outcome, and the counts of its summary."""
        if unknown := counts.keys() - COUNTS.keys():
            raise ValueError(f"a run has no count {', '.join(sorted(unknown))}")
        values = {name: counts.get(name) for name in COUNTS}
        run = {"run_id": run_id, "outcome": outcome, "finished_at": finished_at, **values}
        if not self._database.execute(_FINISH, run):
            raise StoreError(f"{self.target} has no run {run_id} to finish")
        self._cells.open_run(None)
        self._database.settle()

    @_kept_up
    def last_run(self) -> LastRun | None:
        """Return the run that was begun last."""
        return last_run(self._database)

    @_kept_up
    def failed_devices(self) -> Sequence[DeviceId]:
        """Return the devices with a cell that failed last time."""
        return failed_devices(self._database)

    @_kept_up
    def coverage(self) -> Sequence[Coverage]:
        """Count how cells ended, per dataset and period."""
        return coverage(self._database)

    @_kept_up
    def failures(self, limit: int = 20) -> Sequence[FailureReason]:
        """Count the failed cells by reason, the most frequent first."""
        return failures(self._database, limit)

    @_kept_up
    def revisions(self, limit: int = 20) -> Sequence[Revision]:
        """Return the latest revisions, the newest first."""
        return revisions(self._database, limit)

    @_kept_up
    def findings(self) -> Sequence[FindingCount]:
        """Count what the checks find, by dataset, period and finding."""
        return findings(self._database)

    @_kept_up
    def table(self, name: str) -> pa.Table:
        """Return a whole table or view with its pinned types."""
        schema = _schema_of(name)
        return self._database.arrow(_selection(name, schema), schema)

    @contextmanager
    def rows(self, name: str, wanted: Filter | None = None) -> Iterator[pa.RecordBatchReader]:
        """Stream the rows of a table or view, in batches."""
        schema = _schema_of(name)
        where = wanted.where(name, schema) if wanted is not None else ""
        query = _selection(name, schema) + where
        with self._database.reader(query, schema, is_scan=name in TABLES) as batches:
            yield batches

    @_kept_up
    def consumption_by_appliance(self, dataset: Dataset, period: Period) -> Sequence[ApplianceShare]:
        """Add up consumption by appliance, the largest first."""
        return consumption_by_appliance(self._database, dataset, period)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _schema_of(name: str) -> pa.Schema:
    schemas = {**TABLES, **VIEWS}
    if name not in schemas:
        raise ConfigurationError(f"there is no table {name!r}; there are {', '.join(schemas)}")
    return schemas[name]


def _selection(name: str, schema: pa.Schema) -> str:
    return f"SELECT {', '.join(schema.names)} FROM {name}"
