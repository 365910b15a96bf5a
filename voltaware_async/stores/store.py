"""What a store can do, whichever kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
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

__all__ = ["ApplianceShare", "Store"]


@frozen
class ApplianceShare:
    """Tell what one appliance used over all devices of a store.

    `share` is of the sum over all appliances, 0 to 1; 0 where that sum is 0.
    """

    appliance_key: str
    devices: int
    consumption_wh: float
    share: float


class Store(Protocol):
    """Hold the rows and the ledger of a fleet.

    Every method blocks: call it in a worker thread, one at a time. Every method may raise StoreError.
    One process writes at a time; another that tries gets StoreLockedError.
    """

    @property
    def target(self) -> str:
        """What was opened, as it was written."""

    def knows_devices(self) -> bool:
        """Tell whether the store knows of any device."""

    def begin(self, run_id: str, command: str, started_at: datetime) -> None:
        """Open a run: a row in `runs` without an outcome. `started_at` is aware."""

    def consider(self, devices: Sequence[DeviceId], agenda: Agenda) -> None:
        """Remember a run's devices in their order, and what is to be asked of them; writes nothing.

        A device that is named twice counts once, where it stands first.
        """

    def count(self, parts: Sequence[tuple[Dataset, Period]]) -> Sequence[Count]:
        """Count what is to be asked, per dataset and period, in their order."""

    def outstanding(
        self, dataset: Dataset, period: Period, turn: Turn, after: int, limit: int
    ) -> tuple[Sequence[DeviceId], int]:
        """Return the next devices, at most `limit`, whose cell is to be asked, and the last one's position.

        Begin with `after=-1`, then pass the position that came back, until no device comes back.
        The ledger is read at the first page of a dataset, period and turn, not again at every page.
        What the run that is open has asked is in no later page: it asks each cell once.
        """

    def count_unseen(self, parts: Sequence[tuple[Dataset, Period]]) -> int:
        """Count the devices that are to be looked up before these parts are asked.

        They are those of which the store knows nothing but the id, and that it lacks some cell of. Once a
        week come those whose first event leaves some part out, for its data may have come late; and sensors
        that were never connected.
        """

    def unseen(self, after: int, limit: int) -> tuple[Sequence[DeviceId], int]:
        """Page through the devices that `count_unseen` counted, as `outstanding` does."""

    def see(self, devices: pa.Table) -> None:
        """Write rows of the table `devices`, in place of what was known; who is unlisted stays so."""

    def take_stock(self, listed_on: date | None) -> int:
        """Go on with what is known of the run's devices by now.

        Where the run has all devices that the API lists, give its day: the new ones' ids are written, and
        devices that are listed no more are marked as unlisted since that day; returns how many.
        """

    def time_zones(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, str | None]:
        """Return the time zones of those devices that have been looked up; None where one has none."""

    def date_cycles(self, after: DeviceId) -> DeviceId | None:
        """Fill in the instants of cycles that landed before their device's time zone was known.

        Takes some devices, in the order of their ids, and returns the last of them to go on `after`, until
        None comes back. Begin with an empty id.
        """

    def hashes(
        self, dataset: Dataset, period: Period, devices: Sequence[DeviceId]
    ) -> Mapping[DeviceId, int | None]:
        """Return the content hashes of those cells that have landed; None for one that has no hash yet."""

    def expect(self, parts: Sequence[tuple[Dataset, Period]], night: date | None) -> None:
        """Take note that these parts are to be asked, by a night of that day, or by another run (None).

        What of them is not asked is missing.
        """

    def expected_until(self) -> Mapping[Dataset, date]:
        """Return the end of the newest period of each dataset that a night was to ask."""

    def commit(self, batch: Batch, *, refreshes: bool = False) -> int:
        """Write rows and ledger entries together, or on any error nothing.

        A cell that had not landed replaces its ledger entry, and adds up the attempts. A cell that has
        landed is refused with StoreError: rows are never doubled. With `refreshes` its rows are replaced,
        and a revision recorded; returns how many were.
        """

    def finish(
        self, run_id: str, outcome: str, finished_at: datetime, counts: Mapping[str, int | float]
    ) -> None:
        """Close a run. `counts` has the keys of a summary; those that it lacks stay null."""

    def last_run(self) -> LastRun | None:
        """Return the run that was begun last; None before the first."""

    def failed_devices(self) -> Sequence[DeviceId]:
        """Return the devices with a cell that failed last time."""

    def coverage(self) -> Sequence[Coverage]:
        """Return the counts per dataset and period, in the order of `Dataset`, oldest period first.

        They are of all parts that runs were to ask, also where they did not come to it.
        """

    def failures(self, limit: int = 20) -> Sequence[FailureReason]:
        """Return the reasons of the cells that failed last time, the most frequent first."""

    def revisions(self, limit: int = 20) -> Sequence[Revision]:
        """Return the latest revisions, the newest first."""

    def findings(self) -> Sequence[FindingCount]:
        """Count what the checks find, by dataset, period and finding."""

    def table(self, name: str) -> pa.Table:
        """Return a whole table or view with its pinned types; it is held in memory."""

    def rows(self, name: str, wanted: Filter | None = None) -> AbstractContextManager[pa.RecordBatchReader]:
        """Stream the rows of a table or view, in batches; ask the store nothing else meanwhile."""

    def consumption_by_appliance(self, dataset: Dataset, period: Period) -> Sequence[ApplianceShare]:
        """Add up a dataset's consumption per appliance, the largest first."""

    def close(self) -> None:
        """Close the store; closing again does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
