"""Speed: how fast a count grows now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.fleet.speed import Speed


def test_there_is_no_speed_at_first() -> None:
    assert Speed().at(1000.0, 50) == 0


def test_two_samples_of_one_instant_have_no_speed() -> None:
    speed = Speed()
    speed.at(1000.0, 50)

    assert speed.at(1000.0, 90) == 0


def test_the_speed_is_the_growth_per_second() -> None:
    speed = Speed()
    speed.at(1000.0, 50)

    assert speed.at(1000.5, 60) == pytest.approx(20)
    assert speed.at(1002.0, 70) == pytest.approx(10)


def test_what_was_fast_more_than_ten_seconds_ago_no_longer_counts() -> None:
    speed = Speed()
    for second in range(20):
        speed.at(second, 100 * second)
    told = [speed.at(second, 1900 + 2 * (second - 19)) for second in range(20, 31)]

    assert told == sorted(told, reverse=True)
    assert told[0] > 90
    assert told[-1] == pytest.approx(2)


def test_a_run_that_stands_still_has_no_speed_after_ten_seconds() -> None:
    speed = Speed()
    speed.at(0, 0)
    speed.at(1, 1000)

    assert speed.at(11, 1000) == 0
    assert speed.at(1000, 1000) == 0


@given(st.lists(st.tuples(st.floats(0.001, 30), st.integers(0, 50)), min_size=1, max_size=40))
def test_the_speed_is_never_more_than_the_fastest_stretch_nor_less_than_nothing(
    steps: list[tuple[float, int]],
) -> None:
    speed, now, count = Speed(), 0.0, 0
    speed.at(now, count)
    fastest = max(grown / seconds for seconds, grown in steps)
    for seconds, grown in steps:
        now, count = now + seconds, count + grown
        assert 0 <= speed.at(now, count) <= fastest * 1.000001
