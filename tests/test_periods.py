"""Months and weeks: values that say themselves and know their neighbours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async import Month, Week

DAYS = st.dates(date(1971, 1, 1), date(2998, 12, 31))
MONTHS = DAYS.map(Month.of)
WEEKS = DAYS.map(Week.of)


@given(DAYS)
def test_a_period_holds_the_day_that_it_was_made_of(day: date) -> None:
    assert Month.of(day).start <= day <= Month.of(day).end
    assert Week.of(day).start <= day <= Week.of(day).end


@given(st.one_of(MONTHS, WEEKS))
def test_a_period_reads_back_as_it_prints_and_its_neighbours_touch_it(period: Month | Week) -> None:
    assert type(period).parse(str(period)) == period
    assert hash(type(period).parse(str(period))) == hash(period)
    assert period.next().previous() == period
    assert period.next().start - period.end == timedelta(days=1)
    assert period.previous() < period < period.next()


@given(MONTHS)
def test_the_weeks_of_a_month_are_those_whose_sunday_falls_in_it(month: Month) -> None:
    sundays = [week.end for week in month.weeks()]

    every_day = (month.start + timedelta(days=n) for n in range((month.end - month.start).days + 1))
    assert sundays == [day for day in every_day if day.weekday() == 6]


@given(MONTHS, WEEKS)
def test_results_are_promised_on_the_third_and_a_week_when_it_is_over(month: Month, week: Week) -> None:
    assert Month.of(month.available_from) == month.next()
    assert month.available_from.day == 3
    assert week.available_from == week.next().start


def test_a_datetime_counts_by_its_own_calendar_day() -> None:
    evening = datetime(2024, 7, 31, 23, 30, tzinfo=UTC)

    assert Month.of(evening) == Month(2024, 7)
    assert type(Week.of(evening).start) is date


@pytest.mark.parametrize(
    ("text", "monday"),
    [
        ("2024-W28", date(2024, 7, 8)),
        ("2024-07-08", date(2024, 7, 8)),
        ("2020-W53", date(2020, 12, 28)),
        ("2025-W01", date(2024, 12, 30)),
    ],
)
def test_a_week_is_read_by_its_number_or_its_monday(text: str, monday: date) -> None:
    assert Week.parse(text) == Week(monday)


ARABIC_DIGITS = "\u0662\u0660\u0662\u0664-\u0660\u0667"
NO_MONTHS = ["2024-13", "2024-00", "2024-7", "07-2024", "2024-07 ", "2024-07-01", "", ARABIC_DIGITS]


@pytest.mark.parametrize("text", NO_MONTHS)
def test_what_is_no_month_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="written YYYY-MM, as 2024-07"):
        Month.parse(text)


@pytest.mark.parametrize("text", ["2024-28", "2024W28", "2024-W8", "20240708", "2024-W28-1", "", "2024-7-8"])
def test_what_is_no_week_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="written YYYY-Www, as 2024-W28"):
        Week.parse(text)


@pytest.mark.parametrize("day", range(9, 15))
def test_a_week_that_does_not_start_on_a_monday_names_the_one_that_does(day: int) -> None:
    with pytest.raises(ValueError, match="its week starts 2024-07-08"):
        Week.parse(f"2024-07-{day:02d}")


@pytest.mark.parametrize("wrong", ["2024-W54", "2023-W53", "2024-02-30"])
def test_a_day_or_week_that_the_calendar_does_not_have_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the calendar's own words
        Week.parse(wrong)


@pytest.mark.parametrize(
    ("year", "month", "kind"),
    [
        (2024, 0, ValueError),
        (2024, 13, ValueError),
        (1969, 1, ValueError),
        (3000, 1, ValueError),
        (2024, "07", TypeError),
        (2024, True, TypeError),
        (2024.0, 7, TypeError),
    ],
)
def test_what_is_no_month_cannot_be_made(year: object, month: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Month(year, month)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", [datetime(2024, 7, 8), "2024-07-08", None])  # noqa: DTZ001
def test_a_week_is_made_of_a_date_and_nothing_else(start: object) -> None:
    with pytest.raises(TypeError, match="a week starts on a date"):
        Week(start)  # type: ignore[arg-type]
