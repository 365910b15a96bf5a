"""Due: which results can be there as of a day, and which absent ones are worth asking for again.

Source: Disaggregation. Results of a month are available from the third of the next; the calculation runs at
the beginning of each month; late data is calculated up to three months back, within 24 to 36 hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from voltaware_async.errors import ConfigurationError
from voltaware_async.fleet.plan import Slice, paired
from voltaware_async.periods import Month, Week
from voltaware_async.stores.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from voltaware_async.cells import Dataset
    from voltaware_async.periods import Period
    from voltaware_async.stores.agenda import Absence
    from voltaware_async.stores.ledger import LastRun

__all__ = [
    "HORIZON_MONTHS",
    "as_of_day",
    "due_periods",
    "due_slices",
    "is_due_again",
    "missed_slices",
    "today",
    "tonight",
]

HORIZON_MONTHS: Final = 3

# 24 to 36 hours after late data its result is there: two nights later.
_FIRST_WAIT_DAYS: Final = 2
# A household without an electric vehicle has no cycles, however often one asks: there a 204, "there is
# nothing to return", is as good as an answer.
_FIRST_WAIT_DAYS_WITHOUT_CYCLES: Final = 14
_NOTHING_TO_RETURN: Final = 204
# The longer a cell has been absent, the less likely it appears on any one night.
_GROWTH: Final = 1.5
_CALCULATED_ON_DAY: Final = 3
_MONTHS: Final = 12
_EARLIEST: Final = date(1970, 1, 1)
_LAST_YEAR: Final = 2999
_LAST_CHANCE: Final = timedelta(days=7)
_CLOCKS_APART: Final = timedelta(days=1)


def today() -> date:
    """Return today's day in UTC: the documentation names no time zone."""
    return datetime.now(UTC).date()


def as_of_day(
    as_of: date | None, *, server_time: datetime | None = None, last_run: LastRun | None = None
) -> date:
    """Return the day that a night takes for today; ConfigurationError where it cannot be that day.

    A day to come is refused, for what is not yet due would be asked and counted as absent. So is today by a
    clock that is wrong: a day off the API's, or, where that is not known, before the store's last run.
    """
    now = datetime.now(UTC)
    if as_of is None:
        _check_clock(now, server_time, last_run)
        return now.date()
    latest = max(now.date(), now.astimezone().date())
    if as_of > latest:
        raise ConfigurationError(f"as of {as_of} lies in the future: today is {latest}")
    return as_of


def _check_clock(now: datetime, server_time: datetime | None, last_run: LastRun | None) -> None:
    ours = f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC"
    if server_time is not None:
        if abs(now - server_time) > _CLOCKS_APART:
            raise ConfigurationError(
                f"{ours}, and the API's {server_time:%Y-%m-%d %H:%M}: set it, or name the day (--as-of)"
            )
    elif last_run is not None and last_run.started_at - now > _CLOCKS_APART:
        raise ConfigurationError(
            f"{ours}, and the store's last run began {last_run.started_at:%Y-%m-%d %H:%M}: set the clock; "
            "if it was wrong then, name the day (--as-of)"
        )


def due_slices(datasets: Iterable[Dataset], as_of: date, horizon_months: int) -> tuple[Slice, ...]:
    """Return what is due of each dataset, oldest period first.

    A period is due once its results are available, and no longer once it has ended before the horizon: the
    first day of the month that lies `horizon_months` back.
    """
    return paired(datasets, due_periods(as_of, horizon_months))


def due_periods(as_of: date, horizon_months: int) -> frozenset[Period]:
    """Return the periods that are due."""
    if as_of < _EARLIEST:  # by a clock that was never set: there is no period so early
        return frozenset()
    return frozenset(_periods_since(_months_on(Month.of(as_of), -horizon_months), as_of))


def missed_slices(
    asked_until: Mapping[Dataset, date], datasets: Iterable[Dataset], as_of: date, horizon_months: int
) -> tuple[Slice, ...]:
    """Return what came due after the last night, told by `asked_until`, and lies behind the horizon now."""
    if as_of < _EARLIEST:
        return ()
    horizon = _months_on(Month.of(as_of), -horizon_months)
    return tuple(
        Slice(dataset, period)
        for dataset in dict.fromkeys(datasets)
        if dataset in asked_until
        for period in _periods_since(Month.of(asked_until[dataset]), as_of)
        if type(period) is dataset.period_type and asked_until[dataset] < period.end < horizon.start
    )


def tonight(as_of: date, horizon_months: int = HORIZON_MONTHS, refresh_months: int = 0) -> Agenda:
    """Return a night's agenda: what was never asked, what failed, and what is absent and due again.

    Periods that were due with a horizon of `refresh_months` are asked once more where they have landed.
    """
    refreshed = due_periods(as_of, refresh_months) if refresh_months else frozenset()
    return Agenda(
        as_of=as_of,
        minds_first_event=True,
        asks_again=lambda absence: is_due_again(absence, as_of, horizon_months),
        refreshes=lambda period: period in refreshed,
    )


def is_due_again(absence: Absence, as_of: date, horizon_months: int = HORIZON_MONTHS) -> bool:
    """Decide whether absent cells are asked again.

    They are at growing intervals, after each monthly calculation, and a last time in the week before they lie
    behind the horizon and are settled. A cell that was asked when nothing could be there yet, or on a later
    day than this one, by a clock that has jumped, is due.
    """
    if not absence.period.available_from <= absence.asked_on <= as_of:
        return True
    if absence.asked_on < _last_chance(absence.period, horizon_months) <= as_of:
        return True
    has_no_cycles = absence.http_status == _NOTHING_TO_RETURN and absence.dataset.has_cycles
    if has_no_cycles:
        return _has_waited(absence, as_of, _FIRST_WAIT_DAYS_WITHOUT_CYCLES)
    if absence.dataset.period_type is Month and absence.asked_on < _last_calculation(as_of):
        return True
    return _has_waited(absence, as_of, _FIRST_WAIT_DAYS)


def _has_waited(absence: Absence, as_of: date, first_wait_days: int) -> bool:
    """Tell whether the wait is over: the first, then ever longer ones."""
    since = max(absence.absent_since, absence.period.available_from)
    absent_for = (absence.asked_on - since).days
    return (as_of - absence.asked_on).days >= max(first_wait_days, absent_for * _GROWTH)


def _last_chance(period: Period, horizon_months: int) -> date:
    """Return the day from which to ask a last time: a week before the period lies behind the horizon."""
    return _months_on(Month.of(period.end), horizon_months + 1).start - _LAST_CHANCE


def _last_calculation(as_of: date) -> date:
    """Return the last third of a month, up to and with this day."""
    month = as_of if as_of.day >= _CALCULATED_ON_DAY else as_of.replace(day=1) - timedelta(days=1)
    return month.replace(day=_CALCULATED_ON_DAY)


def _months_on(month: Month, months: int) -> Month:
    """Return a later month, or an earlier one for a negative number; none before 1970 or after 2999."""
    year, index = divmod(month.year * _MONTHS + month.month - 1 + months, _MONTHS)
    if year < _EARLIEST.year:
        return Month.of(_EARLIEST)
    return Month(min(year, _LAST_YEAR), index + 1)


def _periods_since(month: Month, as_of: date) -> Iterator[Period]:
    week = Week.of(month.start)
    while month.available_from <= as_of:
        yield month
        month = month.next()
    while week.available_from <= as_of:
        yield week
        week = week.next()
