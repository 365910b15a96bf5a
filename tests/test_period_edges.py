"""Periods at the ends of years, of the calendar and of what is accepted."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async import Month, Week

MONTHS = st.builds(Month, st.integers(1970, 2999), st.integers(1, 12))
WEEKS = st.dates(date(1969, 12, 29), date(2999, 12, 29)).map(Week.of)
FIRST, LAST = Month(1970, 1), Month(2999, 12)


@given(MONTHS)
def test_every_month_has_its_four_or_five_full_weeks_in_order(month: Month) -> None:
    weeks = month.weeks()

    assert len(weeks) in {4, 5}
    assert list(weeks) == sorted(weeks)
    assert all(later == earlier.next() for earlier, later in pairwise(weeks))
    assert all((week.end.year, week.end.month) == (month.year, month.month) for week in weeks)


@given(MONTHS.filter(lambda it: it < LAST))
def test_the_weeks_of_two_months_in_a_row_follow_each_other_without_gap_or_overlap(month: Month) -> None:
    assert month.next().weeks()[0] == month.weeks()[-1].next()


@given(MONTHS, MONTHS)
def test_months_are_ordered_as_their_days_and_as_their_texts(one: Month, other: Month) -> None:
    assert (one < other) == (one.start < other.start) == (str(one) < str(other))
    assert (one == other) == (hash(one) == hash(other)) == (str(one) == str(other))


@given(WEEKS, WEEKS)
def test_weeks_are_ordered_as_their_days_and_as_their_texts(one: Week, other: Week) -> None:
    assert (one < other) == (one.start < other.start) == (str(one) < str(other))
    assert (one == other) == (str(one) == str(other))


@given(WEEKS)
def test_a_week_is_written_and_read_in_three_ways(week: Week) -> None:
    year, number, day = week.start.isocalendar()

    assert day == 1
    assert week == Week.parse(str(week)) == Week.parse(str(week.start)) == Week.iso(year, number)
    assert all(Week.of(week.start + timedelta(days=n)) == week for n in range(7))
    assert week.end.weekday() == 6


@given(MONTHS.filter(lambda it: it < LAST))
def test_a_month_and_the_next_share_no_day_and_leave_none_out(month: Month) -> None:
    assert month.next().start == month.end + timedelta(days=1)
    assert month.next().previous() == month
    assert month.start.day == 1
    assert month.available_from == date(month.next().year, month.next().month, 3)


@pytest.mark.parametrize("period", [FIRST, LAST, Week.iso(1970, 1), Week.iso(2999, 52)])
def test_the_first_and_last_periods_are_read_back_and_copied(period: Month | Week) -> None:
    assert type(period).parse(str(period)) == period
    assert pickle.loads(pickle.dumps(period)) == period  # noqa: S301  our own
    assert period.available_from > period.end


def test_beyond_the_first_and_the_last_there_is_nothing() -> None:
    for beyond in (FIRST.previous, LAST.next, Week.iso(1970, 1).previous, Week.iso(2999, 52).next):
        with pytest.raises(ValueError, match="must be 1970 to 2999"):
            beyond()


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (date(2020, 12, 31), "2020-W53"),
        (date(2021, 1, 3), "2020-W53"),
        (date(2021, 1, 4), "2021-W01"),
        (date(2024, 12, 30), "2025-W01"),
        (date(2023, 1, 1), "2022-W52"),
        (date(2026, 12, 31), "2026-W53"),
        (date(1970, 1, 1), "1970-W01"),
    ],
)
def test_around_new_year_a_week_belongs_to_the_year_of_its_thursday(day: date, text: str) -> None:
    week = Week.of(day)

    assert str(week) == text
    assert text.startswith(f"{(week.start + timedelta(days=3)).year}-")


@pytest.mark.parametrize(
    ("month", "end"),
    [
        (Month(2024, 2), date(2024, 2, 29)),
        (Month(2023, 2), date(2023, 2, 28)),
        (Month(2000, 2), date(2000, 2, 29)),
        (Month(2100, 2), date(2100, 2, 28)),
        (Month(2024, 12), date(2024, 12, 31)),
    ],
)
def test_a_month_ends_on_its_last_day(month: Month, end: date) -> None:
    assert month.end == end


def test_the_documentations_own_periods_are_what_they_say() -> None:
    assert [str(it) for it in Month(2024, 7).weeks()] == ["2024-W27", "2024-W28", "2024-W29", "2024-W30"]
    assert (str(Week.parse("2024-07-08").start), str(Week.parse("2024-07-08").end)) == (
        "2024-07-08",
        "2024-07-14",
    )
    assert Month(2024, 7).available_from == date(2024, 8, 3)
    assert Month(2024, 12).available_from == date(2025, 1, 3)


@pytest.mark.parametrize("hours", [-11, 0, 14])
def test_a_datetime_counts_by_the_day_that_its_own_clock_shows(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    midnight = datetime(2024, 9, 30, 23, 59, tzinfo=UTC).replace(tzinfo=zone)

    assert (Month.of(midnight), Week.of(midnight)) == (Month(2024, 9), Week.iso(2024, 40))


@pytest.mark.parametrize("wrong", [None, 202407, b"2024-07", ["2024-07"], date(2024, 7, 1)])
@pytest.mark.parametrize("kind", [Month, Week])
def test_only_a_text_is_parsed(kind: type[Month | Week], wrong: object) -> None:
    with pytest.raises(TypeError):
        kind.parse(wrong)


@pytest.mark.parametrize("text", ["0000-01", "9999-12", "1969-12", "3000-01"])
def test_a_year_out_of_range_says_which_years_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="year must be 1970 to 2999"):
        Month.parse(text)


@pytest.mark.parametrize("text", ["1969-W52", "9998-W52", "3000-W01"])
def test_a_week_of_a_year_out_of_range_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="the week's year must be 1970 to 2999"):
        Week.parse(text)


def test_a_month_and_a_week_have_no_order_between_them() -> None:
    assert Month(2024, 7) != Week.iso(2024, 28)
    with pytest.raises(TypeError):
        sorted([Month(2024, 7), Week.iso(2024, 28)])


@pytest.mark.parametrize("wrong", [{"year": 2024}, {"month": 7}, {"year": "2024", "month": 7}])
def test_a_month_is_made_of_two_whole_numbers(wrong: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Month(**wrong)
