"""What a store can do, whichever kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    import pyarrow as pa

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId
    from voltaware_async.stores.batches import Batch
    from voltaware_async.stores.ledger import Coverage, FailureReason

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

    def begin(self, run_id: str, command: str, started_at: datetime, devices: Sequence[DeviceId]) -> None:
        """Open a run: a row in `runs` without an outcome, and its devices in their order.

        A device that is named twice counts once, where it stands first. `started_at` is aware.
        """

    def count_outstanding(self, dataset: Dataset, period: Period) -> int:
        """Count the run's devices whose cell has not landed."""

    def outstanding(
        self, dataset: Dataset, period: Period, after: int, limit: int
    ) -> tuple[Sequence[DeviceId], int]:
        """Return the next devices, at most `limit`, whose cell has not landed, and the last one's position.

        Begin with `after=-1`, then pass the position that came back, until no device comes back.
        The ledger is read at the first page of a dataset and period, not again at every page.
        """

    def commit(self, batch: Batch) -> None:
        """Write rows and ledger entries together, or on any error nothing.

        A cell that had not landed replaces its ledger entry, and adds up the attempts. A cell that has
        landed is refused with StoreError: rows are never doubled.
        """

    def finish(
        self, run_id: str, outcome: str, finished_at: datetime, counts: Mapping[str, int | float]
    ) -> None:
        """Close a run. `counts` has the keys of a summary; those that it lacks stay null."""

    def coverage(self) -> Sequence[Coverage]:
        """Return the counts per dataset and period, in the order of `Dataset`, oldest period first."""

    def failures(self, limit: int = 20) -> Sequence[FailureReason]:
        """Return the reasons of the cells that failed last time, the most frequent first."""

    def table(self, name: str) -> pa.Table:
        """Return a whole table with its pinned types; it is held in memory."""

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
