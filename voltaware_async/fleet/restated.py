"""Restated: landed cells that are asked once more, and what they said before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from voltaware_async.cells import Absent, Failed, Fetched
from voltaware_async.stores.content import content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voltaware_async.cells import Dataset, Outcome
    from voltaware_async.errors import VoltawareError
    from voltaware_async.periods import Period
    from voltaware_async.records.devices import DeviceId

__all__ = ["LandedBefore"]

logger: Final = logging.getLogger("voltaware_async")

_Key: TypeAlias = "tuple[DeviceId, Dataset, Period]"


class LandedBefore:
    """Tell which outcomes have nothing to write: the reply has not changed, or there is none any more.

    What has landed stays where the API has no result for it now, or does not answer: the last thing that it
    said stands until it says another.
    """

    def __init__(self) -> None:
        self._hashes: dict[_Key, int | None] = {}
        self._absent = 0
        self._failed = 0
        self._example: VoltawareError | None = None

    def add(self, dataset: Dataset, period: Period, hashes: Mapping[DeviceId, int | None]) -> None:
        """Remember what cells said that are about to be asked once more; None where that is not known."""
        self._hashes.update({(device_id, dataset, period): known for device_id, known in hashes.items()})

    def has_settled(self, outcome: Outcome) -> bool:
        """Tell whether an outcome has nothing to write; of cells that had not landed, none has."""
        if not self._hashes:
            return False
        cell = outcome.cell
        key = (cell.device_id, cell.dataset, cell.period)
        if key not in self._hashes:
            return False
        known = self._hashes.pop(key)
        match outcome:
            case Fetched(record=record):
                return content_hash(record) == known
            case Absent():
                self._absent += 1
            case Failed(error=error):
                self._failed += 1
                self._example = self._example or error
        return True

    @property
    def kept(self) -> int:
        """How many cells keep what had landed, for want of a result."""
        return self._absent + self._failed

    def warn(self) -> None:
        """Tell why cells keep what had landed."""
        if self.kept:
            logger.warning(
                "of the cells that had landed, %d have no result any more and %d failed: what had landed "
                "stays%s",
                self._absent,
                self._failed,
                f"; one failed for: {self._example}" if self._example else "",
            )
