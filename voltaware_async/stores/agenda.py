"""Agenda: which cells of a run's devices are to be asked, going by what the ledger says of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from enum import Enum
from typing import Final

from attrs import frozen

from voltaware_async.cells import Dataset
from voltaware_async.periods import Period

__all__ = ["Absence", "Agenda", "Count", "Turn"]

# A device whose first event may yet come, or turn out to be earlier, is looked up again so often.
_LOOK_AGAIN_AFTER: Final = timedelta(days=7)


class Turn(Enum):
    """Tell the turns of a run apart, in their order: the greatest loss, if left out, comes first."""

    FIRST = "never asked"
    AGAIN = "asked before, and not landed"
    REFRESH = "landed before"


@frozen
class Absence:
    """Tell what the ledger knows of absent cells; many of them share these few facts.

    `absent_since` and `asked_on` are the days, as of which the cell was first and last found absent.
    """

    dataset: Dataset
    period: Period
    http_status: int
    absent_since: date
    asked_on: date


@frozen(kw_only=True)
class Agenda:
    """Say which cells are to be asked; those that failed always are.

    `as_of` is the day that the run takes for today. `never_asked` takes in the cells that the ledger does not
    have; `asks_again` decides on absent ones, and `refreshes` on whether a period's landed cells are asked
    once more, in case the API has restated them. `minds_first_event` leaves out the periods that ended before
    a device's first event, and asks for the details of devices that nothing is known of.
    """

    as_of: date
    never_asked: bool = True
    minds_first_event: bool = False
    asks_again: Callable[[Absence], bool] = lambda _absence: True
    refreshes: Callable[[Period], bool] = lambda _period: False

    @property
    def look_again_before(self) -> date:
        """The last day as of which a look-up is too old, of a device whose first event may have changed."""
        return self.as_of - _LOOK_AGAIN_AFTER


@frozen
class Count:
    """Count the cells of one dataset and period, over a run's devices.

    `never_asked`, `again` and, of those that have landed, `refresh` are to be asked; `known` counts the
    others that the ledger has.
    """

    dataset: Dataset
    period: Period
    never_asked: int
    again: int
    known: int
    refresh: int = 0

    @property
    def planned(self) -> int:
        """The cells to be asked."""
        return self.never_asked + self.again + self.refresh

    def of(self, turn: Turn) -> int:
        """Return the cells to be asked in a turn."""
        match turn:
            case Turn.FIRST:
                return self.never_asked
            case Turn.AGAIN:
                return self.again
            case Turn.REFRESH:
                return self.refresh
