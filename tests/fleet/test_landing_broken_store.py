"""A store that broke is left alone: nobody who waited for his turn to write gets it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from accounts import Watched, check_account, ledger_of
from store_doubles import PATIENCE_S, Wrapped

from voltaware_async import Dataset, DeviceId, Month, StoreError, VoltawareClient, open_store
from voltaware_async.fleet import landing

if TYPE_CHECKING:
    from pathlib import Path

    from voltaware_async import Progress
    from voltaware_async.stores import Store
    from voltaware_async.stores.batches import Batch

pytestmark = pytest.mark.anyio


class BreakingOnceOthersWait(Wrapped):
    """Break at the second commit, once the batch after it is due and its workers wait to write it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._done = 0
        self._progressed = threading.Condition()
        self.tried = 0

    def commit(self, batch: Batch, *, refreshes: bool = False) -> int:
        self.tried += 1
        if self.tried != 2:
            return super().commit(batch, refreshes=refreshes)
        others = sum(self.committed) + len(batch) + 1
        with self._progressed:
            assert self._progressed.wait_for(lambda: self._done >= others, PATIENCE_S)
        raise StoreError("the disk is full")

    def look(self, progress: Progress) -> None:
        with self._progressed:
            self._done = progress.done
            self._progressed.notify()


async def test_nothing_more_is_written_once_a_batch_could_not_be(
    client: VoltawareClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 1)
    monkeypatch.setattr(landing, "_PROGRESS_EVERY_S", 0.0)
    devices = [DeviceId(f"{n:04d}") for n in range(1, 201)]
    with open_store(tmp_path / "fleet.duckdb") as store:
        breaking = BreakingOnceOthersWait(store)
        watched = Watched(breaking.look)

        with pytest.raises(StoreError, match="the disk is full"):
            await client.fleet.land(breaking, [Dataset.MONTH], [Month(2024, 7)], devices, watcher=watched)

        assert breaking.tried == 2
        assert len(ledger_of(store)) == sum(breaking.committed) > 0
        check_account(watched.summary, store, "failed")
