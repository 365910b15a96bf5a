"""Job: what one run is to do, decided before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from voltaware_async.fleet.plan import Slice
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.agenda import Agenda

if TYPE_CHECKING:
    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period

__all__ = ["Job"]


@frozen(kw_only=True)
class Job:
    """Name the cells of a run: its slices x its devices, as far as its agenda wants them.

    `command` names the run in the table `runs`.
    """

    command: str
    slices: Sequence[Slice]
    devices: Sequence[DeviceId]
    agenda: Agenda

    @property
    def parts(self) -> list[tuple[Dataset, Period]]:
        """The slices as a store takes them."""
        return [(part.dataset, part.period) for part in self.slices]
