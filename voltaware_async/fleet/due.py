"""Due: which results can be there as of a day, and which absent ones are worth asking for again.

Source: Disaggregation. Results of a month are available from the third of the next; the calculation runs at
the beginning of each month; late data is calculated up to three months back, within 24 to 36 hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from voltaware_async.errors import ConfigurationError
from voltaware_async.fleet.plan import Slice
from voltaware_async.periods import Month, Week
from voltaware_async.stores.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.stores.agenda import Absence
    from voltaware_async.stores.ledger import LastRun

__all__ = ["HORIZON_MONTHS", "as_of_day", "due_slices", "is_due_again", "today", "tonight"]

HORIZON_MONTHS: Final = 3

# 24 to 36 hours after late data its result is there: two nights later. A 204 says that the API did process
# the request and has nothing to return: that changes less readily than a 404.
_FIRST_WAIT_DAYS: Final = 2
_FIRST_WAIT_DAYS_AFTER_204: Final = 14
_NOTHING_TO_RETURN: Final = 204
# The longer a cell has been absent, the less likely it appears on any one night.
_GROWTH: Final = 1.5
_CALCULATED_ON_DAY: Final = 3
_MONTHS: Final = 12
_EARLIEST: Final = date(1970, 1, 1)


def today() -> date:
    """Return today's day in UTC: the documentation names no time zone."""
    return datetime.now(UTC).date()


def as_of_day(as_of: date | None, last_run: LastRun | None) -> date:
    """Return the day that a night takes for today; ConfigurationError where it cannot be that day.

    A day to come is refused, for what is not yet due would be asked and counted as absent. So is today, where
    the last run lies in the future: the clock of this run or of that one is wrong.
    """
    now = datetime.now(UTC)
    if as_of is None:
        return _by_the_clock(now, last_run)
    latest = max(now.date(), now.astimezone().date())
    if as_of > latest:
        raise ConfigurationError(f"as of {as_of} lies in the future: today is {latest}")
    return as_of


def _by_the_clock(now: datetime, last_run: LastRun | None) -> date:
    if last_run is not None and last_run.started_at - now > timedelta(days=1):
        raise ConfigurationError(
            f"this machine's clock says {now:%Y-%m-%d}, but the store's last run began on "
            f"{last_run.started_at:%Y-%m-%d}: set the clock; if it was wrong then, name the day (--as-of)"
        )
    return now.date()


def due_slices(datasets: Iterable[Dataset], as_of: date, horizon_months: int) -> tuple[Slice, ...]:
    """Return what is due of each dataset, oldest period first.

    A period is due once its results are available, and no longer once it has ended before the horizon: the
    first day of the month that lies `horizon_months` back.
    """
    if as_of < _EARLIEST:  # by a clock that was never set: there is no period so early
        return ()
    wanted = tuple(dict.fromkeys(datasets))
    horizon = _months_back(Month.of(as_of), horizon_months)
    due = [period for period in _periods_since(horizon, as_of) if period.end >= horizon.start]
    return tuple(
        Slice(dataset, period)
        for period in sorted(due, key=lambda period: (period.start, period.end))
        for dataset in wanted
        if dataset.period_type is type(period)
    )


def tonight(as_of: date) -> Agenda:
    """Return a night's agenda: what was never asked, what failed, and what is absent and due again."""
    return Agenda(
        as_of=as_of, minds_first_event=True, asks_again=lambda absence: is_due_again(absence, as_of)
    )


def is_due_again(absence: Absence, as_of: date) -> bool:
    """Decide whether absent cells are asked again: at growing intervals, and after each monthly calculation.

    A cell that was asked on a later day than this one was so by a clock that has jumped: it is due.
    """
    if absence.asked_on > as_of:
        return True
    if absence.dataset.period_type is Month and absence.asked_on < _last_calculation(as_of):
        return True
    is_204 = absence.http_status == _NOTHING_TO_RETURN
    first_wait = _FIRST_WAIT_DAYS_AFTER_204 if is_204 else _FIRST_WAIT_DAYS
    absent_for = (absence.asked_on - absence.absent_since).days
    return (as_of - absence.asked_on).days >= max(first_wait, absent_for * _GROWTH)


def _last_calculation(as_of: date) -> date:
    """Return the last third of a month, up to and with this day."""
    month = as_of if as_of.day >= _CALCULATED_ON_DAY else as_of.replace(day=1) - timedelta(days=1)
    return month.replace(day=_CALCULATED_ON_DAY)


def _months_back(month: Month, months: int) -> Month:
    """Return an earlier month, but none before the first that there is."""
    ordinal = max(month.year * _MONTHS + month.month - 1 - months, _EARLIEST.year * _MONTHS)
    return Month(ordinal // _MONTHS, ordinal % _MONTHS + 1)


def _periods_since(month: Month, as_of: date) -> Iterator[Period]:
    week = Week.of(month.start)
    while month.available_from <= as_of:
        yield month
        month = month.next()
    while week.available_from <= as_of:
        yield week
        week = week.next()
