"""Plan: devices x datasets x periods -> cells, lazily and in a stable order; and what they will cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from voltaware_async.cells import Cell, Dataset
from voltaware_async.fleet.cut_off import asking_s
from voltaware_async.periods import Month, Period, Week
from voltaware_async.stores.agenda import Count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voltaware_async.records.devices import DeviceId

__all__ = ["Plan", "Slice", "cells", "paired", "slices"]


@frozen
class Slice:
    """Name the cells of one dataset and period, over all devices."""

    dataset: Dataset
    period: Period


# The share of its rate that a run sustains, so as to be over it in no second.
_SUSTAINED: Final = 0.985


@frozen
class Plan:
    """Tell what a run would ask: cells, and `look_ups` of new devices; a request for each."""

    counts: Sequence[Count]
    look_ups: int

    @property
    def requests(self) -> int:
        """How many requests it takes, if none must be repeated."""
        return self.look_ups + sum(count.planned for count in self.counts)

    @property
    def skipped(self) -> int:
        """How many cells need not be asked, for the ledger has them."""
        return sum(count.known for count in self.counts)

    def seconds_at(self, rate: float) -> float:
        """Return how long it takes at so many requests per second."""
        return self.requests / rate

    def fits(self, window_s: float, rate: float) -> bool:
        """Tell whether it fits a window, in seconds, at a rate; with what a run leaves of both unused."""
        return self.seconds_at(rate) <= asking_s(window_s) * _SUSTAINED

    def rate_for(self, window_s: float) -> float:
        """Return the rate, in requests per second, at which it fits a window of so many seconds."""
        return self.requests / (asking_s(window_s) * _SUSTAINED)

    def nights_for(self, window_s: float, rate: float) -> int:
        """Return how many windows of so many seconds it takes at a rate."""
        return math.ceil(self.seconds_at(rate) / (asking_s(window_s) * _SUSTAINED))


def slices(datasets: Iterable[Dataset], periods: Iterable[Period]) -> tuple[Slice, ...]:
    """Pair each dataset with the periods of its kind, oldest period first; each pair once.

    Raises ValueError where a dataset or a period finds no partner: nothing would be asked for it, and a
    run would look complete without it.
    """
    wanted, named = tuple(datasets), tuple(periods)
    _check_partners(wanted, named)
    return paired(wanted, named)


def paired(datasets: Iterable[Dataset], periods: Iterable[Period]) -> tuple[Slice, ...]:
    """Pair them as `slices` does; those that find no partner are left out."""
    wanted = tuple(dict.fromkeys(datasets))
    ordered = sorted(dict.fromkeys(periods), key=lambda period: (period.start, period.end))
    return tuple(
        Slice(dataset, period)
        for period in ordered
        for dataset in wanted
        if dataset.period_type is type(period)
    )


def cells(parts: Iterable[Slice], devices: Sequence[DeviceId]) -> Iterator[Cell]:
    """Produce the cells of each slice, device by device."""
    return (Cell(device_id, part.dataset, part.period) for part in parts for device_id in devices)


def _check_partners(datasets: Sequence[Dataset], periods: Sequence[Period]) -> None:
    if not datasets or not periods:
        raise ValueError("name at least one dataset and one period")
    for dataset in datasets:
        if not any(type(period) is dataset.period_type for period in periods):
            raise ValueError(f"{dataset} is asked for a {_kind(dataset.period_type)}, and none is named")
    for period in periods:
        if not any(dataset.period_type is type(period) for dataset in datasets):
            raise ValueError(f"{period} is a {_kind(type(period))}, and no dataset is asked for one")


def _kind(period_type: type[Month | Week]) -> str:
    return "month" if period_type is Month else "week"
