"""Job: what one run is to do, decided before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Self

from anyio import to_thread
from attrs import frozen

from voltaware_async.cells import Dataset
from voltaware_async.errors import ConfigurationError
from voltaware_async.fleet.due import as_of_day
from voltaware_async.fleet.plan import Slice
from voltaware_async.records.devices import DeviceId
from voltaware_async.stores.agenda import Agenda
from voltaware_async.stores.ledger import LastRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voltaware_async.periods import Period
    from voltaware_async.stores.store import Store

__all__ = ["Job", "Night"]


@frozen(kw_only=True)
class Job:
    """Name the cells of a run: its slices x its devices, as far as its agenda wants them.

    `has_all` tells that the devices are all that the API lists. `night` is the day of a sync; `missed` are
    slices that no night has asked and that lie behind the horizon now: not asked, but missing. `refreshes`
    tells that landed cells are asked once more, as far as the agenda says so.
    """

    slices: Sequence[Slice]
    devices: Sequence[DeviceId]
    agenda: Agenda
    has_all: bool = False
    night: date | None = None
    missed: Sequence[Slice] = ()
    refreshes: bool = False

    @property
    def parts(self) -> list[tuple[Dataset, Period]]:
        """The slices as a store takes them."""
        return _parts(self.slices)

    @property
    def missed_parts(self) -> list[tuple[Dataset, Period]]:
        """The missed slices as a store takes them."""
        return _parts(self.missed)


def _parts(slices: Sequence[Slice]) -> list[tuple[Dataset, Period]]:
    return [(part.dataset, part.period) for part in slices]


@frozen
class Night:
    """Hold what a night was told, before its day is settled."""

    datasets: tuple[Dataset, ...]
    as_of: date | None
    horizon_months: int
    refresh_months: int
    last_run: LastRun | None
    asked_until: Mapping[Dataset, date]

    @classmethod
    async def of(
        cls,
        store: Store,
        datasets: Iterable[Dataset],
        as_of: date | None,
        horizon_months: int,
        refresh_months: int,
    ) -> Self:
        """Refuse what cannot be before anything is sent, and look up the last run before another begins."""
        if refresh_months > horizon_months:
            raise ConfigurationError(
                f"{refresh_months} months cannot be asked once more: only {horizon_months} are due"
            )
        if as_of is not None:
            as_of_day(as_of)
        last_run = await to_thread.run_sync(store.last_run)
        asked_until = await to_thread.run_sync(store.expected_until)
        return cls(tuple(datasets), as_of, horizon_months, refresh_months, last_run, asked_until)
