"""What is due on a day, from the day alone: no store, no API, no clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voltaware_async import ConfigurationError, Dataset, Month, Period, Week
from voltaware_async.fleet.due import as_of_day, due_slices, today, tonight
from voltaware_async.stores.ledger import LastRun

DAYS = st.dates(date(1971, 1, 1), date(2990, 12, 31))
ANY_DAY = st.dates(date(1, 1, 1), date(2990, 12, 31))
HORIZONS = st.integers(1, 24)
OF_MONTHS = [dataset for dataset in Dataset if dataset.period_type is Month]
OF_WEEKS = [dataset for dataset in Dataset if dataset.period_type is Week]
AUGUST = Month(2024, 8)


def due(dataset: Dataset, as_of: date, horizon_months: int = 3) -> list[Period]:
    return [part.period for part in due_slices([dataset], as_of, horizon_months)]


def texts(periods: list[Period]) -> list[str]:
    return [str(period) for period in periods]


# --- the calendar -----------------------------------------------------------------------------------


def test_a_month_is_due_from_the_third_of_the_next() -> None:
    assert AUGUST not in due(Dataset.MONTH, date(2024, 9, 2))
    assert AUGUST in due(Dataset.MONTH, date(2024, 9, 3))


def test_a_week_is_due_from_the_monday_after_it() -> None:
    week = Week.parse("2024-W36")
    sunday = date(2024, 9, 8)

    assert week not in due(Dataset.WEEK, sunday)
    assert week in due(Dataset.WEEK, sunday + timedelta(days=1))


def test_a_horizon_of_three_months_holds_the_months_and_weeks_that_end_in_it() -> None:
    as_of = date(2024, 9, 15)

    assert texts(due(Dataset.MONTH, as_of)) == ["2024-06", "2024-07", "2024-08"]
    # From the week whose Sunday is the second of June to the one before the Sunday of the fifteenth.
    assert texts(due(Dataset.WEEK, as_of)) == [f"2024-W{number}" for number in range(22, 37)]


def test_on_the_first_two_days_of_a_month_the_horizon_has_moved_and_nothing_new_is_due_yet() -> None:
    assert texts(due(Dataset.MONTH, date(2024, 8, 31))) == ["2024-05", "2024-06", "2024-07"]
    assert texts(due(Dataset.MONTH, date(2024, 9, 1))) == ["2024-06", "2024-07"]


def test_a_week_that_ends_on_the_last_day_before_the_horizon_is_not_due() -> None:
    # The last of June 2024 was a Sunday, and so was the first of September.
    assert texts(due(Dataset.WEEK, date(2024, 10, 9)))[0] == "2024-W27"
    assert texts(due(Dataset.WEEK, date(2024, 12, 9)))[0] == "2024-W35"


def test_a_horizon_reaches_over_the_turn_of_the_year() -> None:
    assert texts(due(Dataset.MONTH, date(2025, 1, 3))) == ["2024-10", "2024-11", "2024-12"]
    assert texts(due(Dataset.MONTH, date(2025, 1, 3), 13))[0] == "2023-12"


def test_each_dataset_is_due_for_periods_of_its_kind_and_a_period_for_all_its_datasets_in_a_row() -> None:
    parts = due_slices(Dataset, date(2024, 9, 15), 1)

    assert [(part.dataset, str(part.period)) for part in parts[:7]] == [
        *((dataset, "2024-W31") for dataset in OF_WEEKS),
        *((dataset, "2024-08") for dataset in OF_MONTHS),
    ]


def test_a_dataset_that_is_named_twice_is_due_once() -> None:
    once = due_slices([Dataset.WEEK], date(2024, 9, 15), 3)

    assert due_slices([Dataset.WEEK, Dataset.WEEK], date(2024, 9, 15), 3) == once


@given(DAYS, HORIZONS)
def test_what_is_due_comes_oldest_first_and_each_once(as_of: date, horizon_months: int) -> None:
    parts = due_slices(Dataset, as_of, horizon_months)

    assert len(set(parts)) == len(parts)
    assert all(a.period.start <= b.period.start for a, b in pairwise(parts))
    assert all(type(part.period) is part.dataset.period_type for part in parts)


@given(DAYS, HORIZONS)
def test_nothing_is_due_before_it_is_available_and_nothing_available_is_left_out(
    as_of: date, horizon_months: int
) -> None:
    for dataset in (Dataset.MONTH, Dataset.WEEK):
        periods = due(dataset, as_of, horizon_months)

        assert all(period.available_from <= as_of for period in periods)
        assert all(sooner.next() == later for sooner, later in pairwise(periods))
        if periods:
            assert periods[-1].next().available_from > as_of


@given(DAYS, HORIZONS)
def test_the_horizon_is_the_first_day_of_the_month_that_lies_so_many_months_back(
    as_of: date, horizon_months: int
) -> None:
    month = Month.of(as_of)
    for _ in range(horizon_months):
        month = month.previous() if month.start > date(1970, 1, 1) else month

    for period in due(Dataset.MONTH, as_of, horizon_months) + due(Dataset.WEEK, as_of, horizon_months):
        assert period.end >= month.start
    for first in due(Dataset.MONTH, as_of, horizon_months)[:1]:
        assert first == month


@given(DAYS, HORIZONS)
def test_what_was_due_yesterday_is_due_today_unless_the_horizon_has_passed_it(
    as_of: date, horizon_months: int
) -> None:
    yesterdays = due_slices(Dataset, as_of - timedelta(days=1), horizon_months)
    todays = set(due_slices(Dataset, as_of, horizon_months))

    gone = [part for part in yesterdays if part not in todays]

    assert not gone or as_of.day == 1


@given(ANY_DAY, HORIZONS)
@example(date(1, 1, 1), 3)
@example(date(1969, 12, 31), 3)
@example(date(1970, 1, 1), 3)
@example(date(1970, 2, 3), 24)
def test_a_clock_that_was_never_set_makes_little_due_and_breaks_nothing(
    as_of: date, horizon_months: int
) -> None:
    parts = due_slices(Dataset, as_of, horizon_months)

    assert as_of >= date(1970, 1, 5) or not parts


# --- tonight ----------------------------------------------------------------------------------------


def test_a_night_asks_what_was_never_asked_and_minds_first_events() -> None:
    agenda = tonight(date(2024, 9, 15))

    assert agenda.as_of == date(2024, 9, 15)
    assert agenda.never_asked
    assert agenda.minds_first_event


# --- the day ----------------------------------------------------------------------------------------


def from_now(**time: float) -> datetime:
    return datetime.now(UTC) + timedelta(**time)


def last_run(started_at: datetime) -> LastRun:
    return LastRun("sync", started_at, "complete", 0, 0)


def test_without_a_day_the_night_is_of_today_in_utc() -> None:
    before = datetime.now(UTC).date()
    day = as_of_day(None)

    assert before <= day <= datetime.now(UTC).date()
    assert before <= today()


@pytest.mark.parametrize("days", [2, 3, 400, 365_000])
def test_a_day_to_come_is_refused_with_the_day_and_todays(days: int) -> None:
    as_of = from_now(days=days).date()

    with pytest.raises(ConfigurationError, match=rf"as of {as_of} lies in the future: today is \d{{4}}-"):
        as_of_day(as_of)


@pytest.mark.parametrize("days", [0, 1, 800, 20_000])
def test_today_and_any_day_before_are_accepted(days: int) -> None:
    as_of = from_now(days=-days).date()

    assert as_of_day(as_of) == as_of


@pytest.mark.parametrize("days", [-20_000, -2, 2, 400])
def test_a_clock_that_is_a_day_off_the_apis_is_refused_unless_the_day_is_named(days: int) -> None:
    theirs = from_now(days=days)
    both = rf"this machine's clock says {from_now():%Y-%m-}.* and the API's {theirs:%Y-%m-%d} .*--as-of"

    with pytest.raises(ConfigurationError, match=both):
        as_of_day(None, server_time=theirs)
    assert as_of_day(date(2024, 9, 15), server_time=theirs) == date(2024, 9, 15)


@pytest.mark.parametrize("hours", [-23, 0, 23])
def test_clocks_that_are_less_than_a_day_apart_are_no_reason_to_refuse(hours: int) -> None:
    assert as_of_day(None, server_time=from_now(hours=hours)) >= from_now(minutes=-1).date()


def test_a_last_run_in_the_future_is_refused_unless_the_day_is_named() -> None:
    run = last_run(from_now(days=3))

    with pytest.raises(
        ConfigurationError, match=r"this machine's clock says .*the store's last run.*--as-of"
    ):
        as_of_day(None, last_run=run)
    assert as_of_day(today(), last_run=run) == today()


def test_a_last_run_in_the_future_is_forgiven_where_the_api_says_that_the_clock_is_right_now() -> None:
    run = last_run(from_now(days=3))

    assert as_of_day(None, server_time=from_now(), last_run=run) >= from_now(minutes=-1).date()


@pytest.mark.parametrize("hours", [-24 * 400, -1, 0, 20])
def test_a_last_run_within_a_day_of_now_or_before_is_no_reason_to_refuse(hours: int) -> None:
    run = last_run(from_now(hours=hours))

    assert as_of_day(None, last_run=run) >= from_now(minutes=-1).date()
