"""When absent cells are asked again: nights simulated from the rule alone."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voltaware_async import Dataset, Month, Week
from voltaware_async.fleet.due import due_slices, is_due_again, tonight
from voltaware_async.stores.agenda import Absence

DAYS = st.dates(date(1971, 1, 1), date(2990, 12, 31))
DATASETS = st.sampled_from(Dataset)
STATUSES = st.sampled_from([404, 204])
FIRST_WAIT = {404: 2, 204: 14}
NIGHT = timedelta(days=1)


def absence(asked_on: date, *, dataset: Dataset = Dataset.WEEK, since: date | None = None) -> Absence:
    return Absence(dataset, 404, since or asked_on, asked_on)


def asks(dataset: Dataset, http_status: int, first: date, nights: int = 120) -> list[date]:
    """Return the nights on which a cell is asked that is absent from the first on, and stays so."""
    asked = [first]
    for night in (first + n * NIGHT for n in range(1, nights)):
        if is_due_again(Absence(dataset, http_status, first, asked[-1]), night):
            asked.append(night)
    return asked


def gaps(nights: list[date]) -> list[int]:
    return [(later - sooner).days for sooner, later in pairwise(nights)]


# --- the intervals ----------------------------------------------------------------------------------


def test_an_absent_week_is_asked_again_after_two_nights_and_then_ever_less_often() -> None:
    assert gaps(asks(Dataset.WEEK, 404, date(2024, 7, 15))) == [2, 3, 8, 20, 50]


def test_a_204_is_asked_again_after_two_weeks() -> None:
    assert gaps(asks(Dataset.WEEK_CYCLES, 204, date(2024, 7, 15))) == [14, 21, 53]


def test_an_absent_month_is_asked_again_on_the_third_too_when_months_are_calculated() -> None:
    nights = asks(Dataset.MONTH, 404, date(2024, 7, 10), nights=60)

    assert [f"{night:%m-%d}" for night in nights] == ["07-10", "07-12", "07-15", "07-23", "08-03", "09-03"]


@pytest.mark.parametrize(("night", "is_due"), [(date(2024, 9, 2), False), (date(2024, 9, 3), True)])
def test_the_third_makes_months_due_and_not_weeks(night: date, *, is_due: bool) -> None:
    asked_on, since = date(2024, 9, 1), date(2024, 7, 1)

    assert is_due_again(absence(asked_on, dataset=Dataset.MONTH, since=since), night) is is_due
    assert not is_due_again(absence(asked_on, dataset=Dataset.WEEK, since=since), night)


def test_a_third_on_which_no_night_ran_is_made_up_for_on_the_next() -> None:
    asked_on, since = date(2024, 9, 1), date(2024, 7, 1)

    assert is_due_again(absence(asked_on, dataset=Dataset.MONTH, since=since), date(2024, 9, 5))
    assert is_due_again(absence(date(2024, 8, 2), dataset=Dataset.MONTH, since=since), date(2024, 9, 2))
    assert not is_due_again(absence(date(2024, 9, 3), dataset=Dataset.MONTH, since=since), date(2024, 9, 5))


def test_nights_that_did_not_run_cost_nothing_but_their_time() -> None:
    """A machine that was off for a week asks at once, not once for each night that it missed."""
    since = date(2024, 7, 15)

    assert is_due_again(absence(since), since + 7 * NIGHT)
    assert not is_due_again(absence(since + 7 * NIGHT, since=since), since + 8 * NIGHT)


def test_a_night_carries_the_rule_with_its_own_day() -> None:
    agenda = tonight(date(2024, 7, 17))

    assert agenda.asks_again(absence(date(2024, 7, 15)))
    assert not agenda.asks_again(absence(date(2024, 7, 16)))


# --- laws -------------------------------------------------------------------------------------------


@given(DATASETS, STATUSES, DAYS, st.integers(0, 200))
def test_a_cell_is_never_asked_twice_in_one_night(
    dataset: Dataset, http_status: int, night: date, absent_for: int
) -> None:
    assert not is_due_again(Absence(dataset, http_status, night - absent_for * NIGHT, night), night)


@given(DATASETS, STATUSES, DAYS, st.integers(1, 20_000), st.integers(0, 200))
def test_a_cell_that_was_asked_on_a_day_to_come_is_due_for_the_clock_has_jumped(
    dataset: Dataset, http_status: int, night: date, ahead: int, absent_for: int
) -> None:
    asked_on = night + ahead * NIGHT

    assert is_due_again(Absence(dataset, http_status, asked_on - absent_for * NIGHT, asked_on), night)


@given(DATASETS, STATUSES, DAYS)
def test_the_first_wait_is_as_long_as_late_data_takes_or_ends_on_a_third(
    dataset: Dataset, http_status: int, first: date
) -> None:
    second = asks(dataset, http_status, first)[1]

    is_third = dataset.period_type is Month and second.day == 3
    assert is_third or (second - first).days == FIRST_WAIT[http_status]


@given(DATASETS, STATUSES, DAYS)
def test_gaps_between_asks_never_shrink_but_for_the_third(
    dataset: Dataset, http_status: int, first: date
) -> None:
    asked = asks(dataset, http_status, first)
    unforced = [
        (later - sooner).days
        for sooner, later in pairwise(asked)
        if not (dataset.period_type is Month and later.day == 3)
    ]

    assert unforced == sorted(unforced)
    if dataset.period_type is Week:
        assert all(later > sooner for sooner, later in pairwise(unforced))


@given(STATUSES, DAYS)
def test_an_absent_month_is_asked_on_every_third(http_status: int, first: date) -> None:
    nights = 120
    thirds = {first + n * NIGHT for n in range(1, nights) if (first + n * NIGHT).day == 3}

    assert thirds <= set(asks(Dataset.MONTH, http_status, first, nights))


@given(DATASETS, STATUSES, DAYS)
def test_a_cell_that_never_appears_costs_few_requests_until_the_horizon_settles_it(
    dataset: Dataset, http_status: int, first: date
) -> None:
    """From the day on which it is due: at most three months of nights and the days of a month lie ahead."""
    period = Month.of(first) if dataset.period_type is Month else Week.of(first)
    night = period.available_from
    asked = asks(dataset, http_status, night, nights=125)

    within = [it for it in asked if _is_within_horizon(dataset, period, it)]

    assert len(within) <= 6
    assert not _is_within_horizon(dataset, period, night + 125 * NIGHT)


def _is_within_horizon(dataset: Dataset, period: Month | Week, night: date) -> bool:
    return any(part.period == period for part in due_slices([dataset], night, 3))


# --- late data (P20) --------------------------------------------------------------------------------

INTEGRATED = st.datetimes(datetime(1971, 1, 10), datetime(2990, 1, 10)).map(  # noqa: DTZ001  UTC throughout
    lambda instant: instant.replace(day=10)
)


@given(DATASETS, INTEGRATED, st.floats(0, 24, exclude_max=True), st.floats(24, 36))
@example(Dataset.MONTH, datetime(2024, 9, 10, 23, 59), 0.0, 36.0)  # noqa: DTZ001  UTC throughout
@example(Dataset.MONTH, datetime(2024, 9, 10, 0, 1), 0.0, 24.0)  # noqa: DTZ001  UTC throughout
@example(Dataset.WEEK, datetime(2024, 9, 10, 12, 0), 12.0, 36.0)  # noqa: DTZ001  UTC throughout
def test_history_of_a_device_integrated_on_the_tenth_lands_by_the_second_night_after_it_is_ready(
    dataset: Dataset, integrated: datetime, nightly_at: float, calculated_after: float
) -> None:
    """Late data is calculated within 24 to 36 hours, says the documentation; the nights run at any hour."""
    ready = integrated + timedelta(hours=calculated_after)
    midnight = integrated.replace(hour=0, minute=0, second=0, microsecond=0)
    nights = [
        night for n in range(20) if (night := midnight + timedelta(days=n, hours=nightly_at)) > integrated
    ]

    asked = [nights[0]]
    while asked[-1] < ready:
        known = Absence(dataset, 404, asked[0].date(), asked[-1].date())
        asked.append(next(it for it in nights if it > asked[-1] and is_due_again(known, it.date())))

    nights_after = [night for night in nights if ready <= night <= asked[-1]]
    assert len(nights_after) <= 2
    assert len(asked) - 1 <= 4


@given(DATASETS, STATUSES, DAYS, st.integers(1, 60))
def test_whatever_appears_is_asked_for_within_half_as_long_again_as_it_was_absent(
    dataset: Dataset, http_status: int, first: date, appears_after: int
) -> None:
    appears = first + appears_after * NIGHT

    lands = next(night for night in asks(dataset, http_status, first, nights=240) if night >= appears)

    longest = max(FIRST_WAIT[http_status], math.ceil(1.5 * appears_after))
    assert (lands - appears).days < longest
