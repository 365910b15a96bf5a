"""When absent cells are asked again: nights simulated from the rule alone."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import cycle, pairwise
from typing import TYPE_CHECKING

import pytest
from attrs import evolve, frozen
from hypothesis import example, given
from hypothesis import strategies as st

from voltaware_async import Dataset, Month, Period, Week
from voltaware_async.fleet.due import due_slices, is_due_again, tonight
from voltaware_async.stores.agenda import Absence

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

DAYS = st.dates(date(1971, 1, 1), date(2990, 12, 31))
DATASETS = st.sampled_from(Dataset)
STATUSES = st.sampled_from([404, 204])
HORIZONS = st.integers(1, 24)
CYCLES = {Dataset.MONTH_CYCLES, Dataset.WEEK_CYCLES}
NIGHT = timedelta(days=1)
JUNE = Month(2024, 6)
# Its results are there from the fifteenth of July.
WEEK = Week.parse("2024-W28")


@frozen
class Cell:
    """A cell of one device, from the first night on which it is found absent, on which it can be there."""

    dataset: Dataset
    period: Period
    first: date
    http_status: int = 404

    def known(self, asked_on: date, *, since: date | None = None) -> Absence:
        return Absence(self.dataset, self.period, self.http_status, since or self.first, asked_on)


def settled_on(period: Period, horizon_months: int = 3) -> date:
    """Return the first day on which a period lies behind the horizon."""
    month = Month.of(period.end)
    for _ in range(horizon_months + 1):
        month = month.next()
    return month.start


def a_cell(dataset: Dataset, day: date, later: int, http_status: int) -> Cell:
    period = dataset.period_type.of(day)
    first = min(period.available_from + later * NIGHT, settled_on(period) - NIGHT)
    return Cell(dataset, period, first, http_status)


CELLS = st.builds(a_cell, DATASETS, DAYS, st.integers(0, 120), STATUSES)


def absence(asked_on: date, *, period: Period = WEEK, since: date | None = None) -> Absence:
    dataset = Dataset.MONTH if isinstance(period, Month) else Dataset.WEEK
    return Absence(dataset, period, 404, since or asked_on, asked_on)


def asks(
    cell: Cell, *, horizon_months: int = 3, off: Container[date] = (), statuses: Iterable[int] = ()
) -> list[date]:
    """Return the nights that ask for a cell that is never there, until it is settled.

    No night runs on the days that are `off`. The API answers with the `statuses` in turn.
    """
    answers = cycle(list(statuses) or [cell.http_status])
    asked = [cell.first]
    known = evolve(cell.known(cell.first), http_status=next(answers))
    night = cell.first + NIGHT
    while night < settled_on(cell.period, horizon_months):
        if night not in off and is_due_again(known, night, horizon_months):
            asked.append(night)
            known = evolve(known, asked_on=night, http_status=next(answers))
        night += NIGHT
    return asked


def gaps(nights: list[date]) -> list[int]:
    return [(later - sooner).days for sooner, later in pairwise(nights)]


def first_wait(cell: Cell) -> int:
    return 14 if cell.http_status == 204 and cell.dataset in CYCLES else 2


def is_asked_on_thirds(cell: Cell) -> bool:
    return cell.dataset.period_type is Month and first_wait(cell) == 2


# --- the intervals ----------------------------------------------------------------------------------


def test_an_absent_week_is_asked_again_after_two_nights_then_ever_less_often_and_a_last_time() -> None:
    asked = asks(Cell(Dataset.WEEK, WEEK, WEEK.available_from))

    assert gaps(asked) == [2, 3, 8, 20, 50, 19]
    assert asked[-1] == date(2024, 10, 25), "a week before July lies behind the horizon"


def test_cycles_that_a_204_denies_are_asked_again_after_two_weeks_and_a_last_time() -> None:
    weeks = asks(Cell(Dataset.WEEK_CYCLES, WEEK, WEEK.available_from, 204))
    months = asks(Cell(Dataset.MONTH_CYCLES, JUNE, JUNE.available_from, 204))

    assert gaps(weeks) == [14, 21, 53, 14]
    assert [f"{night:%m-%d}" for night in months] == ["07-03", "07-17", "08-07", "09-24"], "on no third"


def test_an_absent_month_is_asked_again_on_the_third_too_when_months_are_calculated() -> None:
    nights = asks(Cell(Dataset.MONTH, JUNE, date(2024, 7, 10)))

    assert [f"{night:%m-%d}" for night in nights] == [
        *("07-10", "07-12", "07-15", "07-23", "08-03", "09-03"),
        "09-24",
    ]


@pytest.mark.parametrize(("night", "is_due"), [(date(2024, 9, 2), False), (date(2024, 9, 3), True)])
def test_the_third_makes_months_due_and_not_weeks(night: date, *, is_due: bool) -> None:
    asked_on, since = date(2024, 9, 1), date(2024, 7, 15)

    assert is_due_again(absence(asked_on, period=JUNE, since=since), night) is is_due
    assert not is_due_again(absence(asked_on, since=since), night)


def test_a_third_on_which_no_night_ran_is_made_up_for_on_the_next() -> None:
    since = date(2024, 7, 4)

    assert is_due_again(absence(date(2024, 9, 1), period=JUNE, since=since), date(2024, 9, 5))
    assert is_due_again(absence(date(2024, 8, 2), period=JUNE, since=since), date(2024, 9, 2))
    assert not is_due_again(absence(date(2024, 9, 3), period=JUNE, since=since), date(2024, 9, 5))


@pytest.mark.parametrize(
    ("asked_on", "night", "is_due"),
    [
        (date(2024, 9, 20), date(2024, 9, 23), False),
        (date(2024, 9, 20), date(2024, 9, 24), True),
        (date(2024, 9, 20), date(2024, 9, 30), True),
        (date(2024, 9, 24), date(2024, 9, 30), False),
    ],
)
def test_in_the_week_before_a_period_lies_behind_the_horizon_it_is_asked_once(
    asked_on: date, night: date, *, is_due: bool
) -> None:
    known = Absence(Dataset.MONTH_CYCLES, JUNE, 204, date(2024, 7, 3), asked_on)

    assert is_due_again(known, night) is is_due


def test_a_longer_horizon_puts_the_last_ask_off() -> None:
    known = Absence(Dataset.MONTH_CYCLES, JUNE, 204, date(2024, 7, 3), date(2024, 9, 20))

    assert not is_due_again(known, date(2024, 9, 24), 4)
    assert is_due_again(known, date(2024, 10, 25), 4)


def test_nights_that_did_not_run_cost_nothing_but_their_time() -> None:
    """A machine that was off for a week asks at once, not once for each night that it missed."""
    since = date(2024, 7, 15)

    assert is_due_again(absence(since), since + 7 * NIGHT)
    assert not is_due_again(absence(since + 7 * NIGHT, since=since), since + 8 * NIGHT)


def test_a_night_carries_the_rule_with_its_own_day_and_horizon() -> None:
    agenda = tonight(date(2024, 7, 17))
    last_of_one, last_of_two = (tonight(date(2024, 8, 26), months) for months in (1, 2))

    assert agenda.asks_again(absence(date(2024, 7, 15)))
    assert not agenda.asks_again(absence(date(2024, 7, 16)))
    known = absence(date(2024, 8, 20), since=date(2024, 7, 15))
    assert last_of_one.asks_again(known)
    assert not last_of_two.asks_again(known)


# --- laws -------------------------------------------------------------------------------------------


@given(DATASETS, DAYS, HORIZONS)
def test_a_cell_is_settled_on_the_first_day_on_which_it_is_due_no_more(
    dataset: Dataset, day: date, horizon_months: int
) -> None:
    """The laws below count on it."""
    period = dataset.period_type.of(day)
    settled = settled_on(period, horizon_months)

    due = [
        any(part.period == period for part in due_slices([dataset], night, horizon_months))
        for night in (settled - NIGHT, settled)
    ]

    assert due == [True, False]


@given(CELLS, st.integers(0, 200), HORIZONS)
def test_a_cell_is_never_asked_twice_in_one_night(cell: Cell, absent_for: int, horizon_months: int) -> None:
    night = cell.first

    assert not is_due_again(cell.known(night, since=night - absent_for * NIGHT), night, horizon_months)


@given(CELLS, st.integers(1, 20_000), st.integers(0, 200))
def test_a_cell_that_was_asked_on_a_day_to_come_is_due_for_the_clock_has_jumped(
    cell: Cell, ahead: int, absent_for: int
) -> None:
    asked_on = cell.first + ahead * NIGHT

    assert is_due_again(cell.known(asked_on, since=asked_on - absent_for * NIGHT), cell.first)


@given(CELLS, st.integers(1, 400), st.integers(0, 400))
def test_a_cell_that_was_asked_when_nothing_could_be_there_yet_is_due_as_soon_as_it_can(
    cell: Cell, early: int, earlier: int
) -> None:
    available = cell.period.available_from
    asked_on = available - early * NIGHT

    assert is_due_again(cell.known(asked_on, since=asked_on - earlier * NIGHT), available)


@given(CELLS, st.integers(0, 400), st.integers(0, 90))
def test_the_time_before_results_can_be_there_does_not_make_a_wait_longer(
    cell: Cell, early: int, later: int
) -> None:
    available = cell.period.available_from
    early_on = cell.known(available, since=available - early * NIGHT)
    in_time = cell.known(available, since=available)

    assert is_due_again(early_on, available + later * NIGHT) is is_due_again(
        in_time, available + later * NIGHT
    )


@given(CELLS, st.integers(0, 120), st.integers(0, 120))
def test_a_204_is_as_a_404_but_for_cycles(cell: Cell, later: int, waited: int) -> None:
    asked_on = cell.first + later * NIGHT
    of_404, of_204 = (
        is_due_again(evolve(cell.known(asked_on), http_status=status), asked_on + waited * NIGHT)
        for status in (404, 204)
    )

    assert of_404 is of_204 or (cell.dataset in CYCLES and of_404)


@given(CELLS)
def test_the_first_wait_is_as_long_as_late_data_takes_or_ends_on_a_third_or_for_the_last_ask(
    cell: Cell,
) -> None:
    second = next(iter(asks(cell)[1:]), None)

    if second is None:  # the first was the last ask, or had not waited by the day that settled it
        assert cell.first >= settled_on(cell.period) - 7 * NIGHT
    else:
        is_third = is_asked_on_thirds(cell) and second.day == 3
        is_last = second == settled_on(cell.period) - 7 * NIGHT
        assert is_third or is_last or (second - cell.first).days == first_wait(cell)


@given(CELLS)
def test_gaps_between_asks_never_shrink_but_for_the_third_and_the_last_ask(cell: Cell) -> None:
    last = settled_on(cell.period) - 7 * NIGHT
    unforced = [
        (later - sooner).days
        for sooner, later in pairwise(asks(cell))
        if later != last and not (is_asked_on_thirds(cell) and later.day == 3)
    ]

    assert unforced == sorted(unforced)
    if not is_asked_on_thirds(cell):
        assert all(later > sooner for sooner, later in pairwise(unforced))


@given(CELLS)
def test_an_absent_month_is_asked_on_every_third_unless_it_is_of_cycles_that_a_204_denies(
    cell: Cell,
) -> None:
    nights = (settled_on(cell.period) - cell.first).days
    thirds = {night for n in range(1, nights) if (night := cell.first + n * NIGHT).day == 3}

    assert thirds <= set(asks(cell)) or not is_asked_on_thirds(cell)


@given(CELLS)
def test_a_cell_that_never_appears_costs_few_requests_until_the_horizon_settles_it(cell: Cell) -> None:
    """From the day on which it is due: at most three months of nights and the days of a month lie ahead."""
    asked = asks(evolve(cell, first=cell.period.available_from))

    assert len(asked) <= (5 if first_wait(cell) == 14 else 8)


@given(CELLS, st.integers(0, 120))
def test_whatever_appears_is_asked_for_within_half_as_long_again_as_it_was_absent(
    cell: Cell, appears_after: int
) -> None:
    last = settled_on(cell.period) - 7 * NIGHT
    appears = min(cell.first + appears_after * NIGHT, max(last, cell.first))

    lands = next(night for night in asks(cell) if night >= appears)

    longest = max(first_wait(cell), math.ceil(1.5 * (appears - cell.first).days), 1)
    assert (lands - appears).days < longest


@given(
    CELLS,
    st.integers(0, 1000),
    HORIZONS,
    st.sets(st.integers(0, 800)),
    st.integers(1, 7),
    st.lists(STATUSES, max_size=5),
)
def test_what_appears_before_the_last_week_is_asked_for_before_it_is_settled_whichever_nights_are_missed(
    cell: Cell, appears_after: int, horizon_months: int, missed: set[int], kept: int, statuses: list[int]
) -> None:
    """At least one night of the last week must run; what appears within that week may come too late."""
    settled = settled_on(cell.period, horizon_months)
    first = min(cell.first, settled - 8 * NIGHT)
    appears = min(first + appears_after * NIGHT, settled - 7 * NIGHT)
    off = {settled - n * NIGHT for n in missed} - {settled - kept * NIGHT}

    asked = asks(evolve(cell, first=first), horizon_months=horizon_months, off=off, statuses=statuses)

    assert any(appears <= night < settled for night in asked)
    assert sum(night >= settled - 7 * NIGHT for night in asked) >= 1


# --- a year of nights -------------------------------------------------------------------------------

FIRST_NIGHT = date(2024, 1, 1)
NIGHTS = 500


@frozen
class Kind:
    """How the API comes to a result: so many nights after it is promised, None for never."""

    late: int | None
    http_status: int = 404


ON_TIME, NEVER, NO_CYCLES = Kind(0), Kind(None), Kind(None, 204)
LATE = [Kind(late, status) for late in (1, 2, 3, 10, 30, 60, 80) for status in (404, 204)]


@frozen
class Year:
    """Hold on which nights each cell was asked, and which have landed."""

    asked: dict[tuple[Dataset, Period], list[date]]
    landed: set[tuple[Dataset, Period]]

    @classmethod
    def of(cls, kind: Kind) -> Year:
        year = cls({}, set())
        for night in (FIRST_NIGHT + n * NIGHT for n in range(NIGHTS)):
            year.run(kind, night)
        return year

    def run(self, kind: Kind, night: date) -> None:
        for part in due_slices(Dataset, night, 3):
            cell = part.dataset, part.period
            nights = self.asked.setdefault(cell, [])
            if cell in self.landed or not (not nights or self._is_due_again(kind, cell, night)):
                continue
            nights.append(night)
            if kind.late is not None and night >= part.period.available_from + kind.late * NIGHT:
                self.landed.add(cell)

    def _is_due_again(self, kind: Kind, cell: tuple[Dataset, Period], night: date) -> bool:
        nights = self.asked[cell]
        return is_due_again(Absence(*cell, kind.http_status, nights[0], nights[-1]), night)

    @property
    def settled(self) -> dict[tuple[Dataset, Period], list[date]]:
        """Those whose whole time lies in the year: from the day that they are due to beyond the horizon."""
        last = FIRST_NIGHT + (NIGHTS - 1) * NIGHT
        return {
            cell: nights
            for cell, nights in self.asked.items()
            if cell[1].available_from >= FIRST_NIGHT and settled_on(cell[1]) <= last
        }


def test_in_a_year_of_nights_what_is_there_in_time_is_asked_once_and_on_its_day() -> None:
    year = Year.of(ON_TIME)

    assert len(year.settled) > 12 * 4 + 52 * 3
    assert all(nights == [period.available_from] for (_, period), nights in year.settled.items())


@pytest.mark.parametrize("kind", LATE)
def test_in_a_year_of_nights_everything_that_comes_late_lands_before_it_is_settled(kind: Kind) -> None:
    year = Year.of(kind)

    assert year.settled.keys() <= year.landed
    for (_, period), nights in year.settled.items():
        assert nights[-1] < settled_on(period)
        assert len(set(nights)) == len(nights) <= 8


@pytest.mark.parametrize(("kind", "most"), [(NEVER, 8), (NO_CYCLES, 5)])
def test_in_a_year_of_nights_what_never_comes_costs_few_requests_and_a_last_one(
    kind: Kind, most: int
) -> None:
    settled = Year.of(kind).settled

    assert {nights[-1] for nights in settled.values()} == {settled_on(it) - 7 * NIGHT for _, it in settled}
    costs = Counter(len(nights) for (dataset, _), nights in settled.items() if dataset in CYCLES)
    assert max(costs) <= most
    assert max(map(len, settled.values())) <= 8


# --- late data (P20) --------------------------------------------------------------------------------

INTEGRATED = st.datetimes(datetime(1971, 1, 10), datetime(2990, 1, 10)).map(  # noqa: DTZ001  UTC throughout
    lambda instant: instant.replace(day=10)
)


@given(DATASETS, INTEGRATED, st.floats(0, 24, exclude_max=True), st.floats(24, 36), st.integers(1, 3))
@example(Dataset.MONTH, datetime(2024, 9, 10, 23, 59), 0.0, 36.0, 1)  # noqa: DTZ001  UTC throughout
@example(Dataset.MONTH, datetime(2024, 9, 10, 0, 1), 0.0, 24.0, 3)  # noqa: DTZ001  UTC throughout
@example(Dataset.WEEK, datetime(2024, 9, 10, 12, 0), 12.0, 36.0, 1)  # noqa: DTZ001  UTC throughout
def test_history_of_a_device_integrated_on_the_tenth_lands_by_the_second_night_after_it_is_ready(
    dataset: Dataset, integrated: datetime, nightly_at: float, calculated_after: float, months_back: int
) -> None:
    """Late data is calculated within 24 to 36 hours, says the documentation; the nights run at any hour."""
    ready = integrated + timedelta(hours=calculated_after)
    midnight = integrated.replace(hour=0, minute=0, second=0, microsecond=0)
    nights = [
        night for n in range(20) if (night := midnight + timedelta(days=n, hours=nightly_at)) > integrated
    ]
    period = dataset.period_type.of(integrated.date() - months_back * timedelta(days=30))

    asked = [nights[0]]
    while asked[-1] < ready:
        known = Absence(dataset, period, 404, asked[0].date(), asked[-1].date())
        asked.append(next(it for it in nights if it > asked[-1] and is_due_again(known, it.date())))

    nights_after = [night for night in nights if ready <= night <= asked[-1]]
    assert len(nights_after) <= 2
    assert len(asked) - 1 <= 4
