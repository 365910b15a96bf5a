"""The cells that the ledger is known not to have, so that committing them needs no look into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    import pyarrow as pa

__all__ = ["FreshCells"]

_Partition: TypeAlias = "tuple[str, date]"

# About 15 MB. A pull has far fewer cells under way; a caller that only lists the outstanding has them all.
_LIMIT: Final = 100_000


@define
class FreshCells:
    """Remember the cells that were given out as never asked, until they are committed.

    The promise: a cell that is in here has no ledger entry. It holds because one process writes at a time
    and every commit takes its cells out. Forgetting a cell is always safe: it only costs a look.
    """

    _devices: dict[_Partition, set[str]] = field(factory=dict)

    def add(self, dataset: str, start: date, device_ids: Iterable[str]) -> None:
        """Remember cells of a dataset and period that the ledger does not have."""
        if sum(map(len, self._devices.values())) > _LIMIT:
            self._devices.clear()
        self._devices.setdefault((dataset, start), set()).update(device_ids)

    def claim(self, ledger: pa.Table) -> bool:
        """Take a batch's cells out, and tell whether each was there, once."""
        # Not any() or all(): every cell has to be taken out.
        return min([self._take(*cells) for cells in _by_partition(ledger)], default=True)

    def _take(self, partition: _Partition, device_ids: list[str]) -> bool:
        remembered = self._devices.get(partition, set())
        batch = set(device_ids)
        fresh = len(batch) == len(device_ids) and batch <= remembered
        remembered -= batch
        return fresh


def _by_partition(ledger: pa.Table) -> Iterator[tuple[_Partition, list[str]]]:
    groups = ledger.group_by(["dataset", "period_start"], use_threads=False).aggregate(
        [("device_id", "list")]
    )
    for group in groups.to_pylist():
        yield (group["dataset"], group["period_start"]), group["device_id_list"]
