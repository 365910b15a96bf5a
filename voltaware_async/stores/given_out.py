"""The cells that a store gave out to be asked, and what it knew of them: a commit need not look again."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    import pyarrow as pa

__all__ = ["GivenOut", "Known"]

_Partition: TypeAlias = "tuple[str, date]"

# About 3 MB. A pull has far fewer cells under way; a caller that only lists the outstanding has them all.
_LIMIT: Final = 20_000


class Known(IntEnum):
    """Tell what is known of a batch's cells before looking into the ledger; of several, the least counts."""

    NOTHING = 0
    LANDED = 1
    NOT_LANDED = 2
    NEVER_ASKED = 3


@define
class GivenOut:
    """Remember the cells that were given out, until they are committed.

    What is remembered stays true, because one process writes at a time and every commit takes its cells
    out. Forgetting a cell is always safe: it only costs a look into the ledger.
    """

    _cells: dict[_Partition, dict[str, Known]] = field(factory=dict)

    def add(self, dataset: str, start: date, cells: Iterable[tuple[str, Known]]) -> None:
        """Remember the devices of a dataset and period, and what is known of their cells."""
        if sum(map(len, self._cells.values())) > _LIMIT:
            self._cells.clear()
        self._cells.setdefault((dataset, start), {}).update(cells)

    def forget(self, dataset: str, start: date) -> None:
        """Forget the cells of a dataset and period: they are about to be listed, and given out, anew."""
        self._cells.pop((dataset, start), None)

    def claim(self, ledger: pa.Table) -> Known:
        """Take a batch's cells out, and tell what is known of all of them; a cell can be taken once."""
        return min([self._take(*cells) for cells in _by_partition(ledger)], default=Known.NEVER_ASKED)

    def _take(self, partition: _Partition, device_ids: list[str]) -> Known:
        remembered = self._cells.get(partition, {})
        return min([remembered.pop(device_id, Known.NOTHING) for device_id in device_ids])


def _by_partition(ledger: pa.Table) -> Iterator[tuple[_Partition, list[str]]]:
    groups = ledger.group_by(["dataset", "period_start"], use_threads=False).aggregate(
        [("device_id", "list")]
    )
    for group in groups.to_pylist():
        yield (group["dataset"], group["period_start"]), group["device_id_list"]
