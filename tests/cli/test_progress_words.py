"""Progress in words: what is known of a run, said in as little as fits a terminal."""

from __future__ import annotations

import pytest
from attrs import evolve

from voltaware_async.cli import progress_words as words
from voltaware_async.cli.recent import Recent
from voltaware_async.fleet.summary import Progress

STILL = Progress(
    planned=0, skipped=0, landed=0, absent=0, failed=0, requests=0, retries=0, throttled=0, elapsed_s=0.0
)
HALFWAY = evolve(STILL, planned=900, landed=440, absent=9, failed=1, rate_per_s=49.6, concurrency=32)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (45, "45 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (59.4 * 60, "59 min"),
        (59.6 * 60, "1 h 0 min"),
        (3 * 3600 + 12 * 60, "3 h 12 min"),
        (47 * 3600 + 59 * 60, "47 h 59 min"),
        (102 * 3600, "4 d 6 h"),
    ],
)
def test_a_duration_is_said_in_the_units_that_matter(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_a_line_says_all_that_is_known() -> None:
    progress = evolve(HALFWAY, retries=12, throttled=3)

    assert words.line(progress, 0.0, 0.0390625) == (
        "450/900 cells, 440 landed, 9 absent, 1 failed, 50/s, 32 at once, 12 retries, 3 throttled,"
        " 3 h 12 min left"
    )


def test_what_is_not_known_or_has_not_happened_is_not_said() -> None:
    assert words.line(evolve(HALFWAY, concurrency=0), 0.0, None) == (
        "450/900 cells, 440 landed, 9 absent, 1 failed, 50/s"
    )


@pytest.mark.parametrize(
    ("rate", "said"), [(0.0, "0.0/s"), (0.44, "0.4/s"), (9.94, "9.9/s"), (9.96, "10/s"), (400.4, "400/s")]
)
def test_a_slow_pace_shows_its_first_decimal(rate: float, said: str) -> None:
    assert words.traffic(evolve(STILL, rate_per_s=rate), 0.0) == said


def test_one_retry_is_no_retries() -> None:
    assert words.traffic(evolve(STILL, retries=1), 0.0) == "0.0/s, 1 retry"


def test_silence_is_said_in_place_of_a_rate_and_of_the_time_left() -> None:
    assert words.line(HALFWAY, 9.9, 45.0).endswith(", 50/s, 32 at once, 10 s left")
    assert words.line(HALFWAY, 60.0, 45.0) == (
        "450/900 cells, 440 landed, 9 absent, 1 failed, nothing has arrived for 60 s, 32 at once"
    )


def test_silence_from_the_start_is_said_alone() -> None:
    assert words.line(None, 30.0, None) == "nothing has arrived for 30 s"
    assert words.below(None, 30.0) == "nothing has arrived for 30 s"
    assert words.below(None, 9.0) == ""


def test_new_devices_are_counted_until_the_cells_are_known() -> None:
    looking = evolve(STILL, devices=1000, devices_done=120, rate_per_s=50.0)

    assert words.line(looking, 0.0, None) == "120/1000 devices, 50/s"
    assert words.position(evolve(looking, planned=900)) == (0, 900, "cells")


def test_the_time_left_is_not_said_when_nothing_is_left() -> None:
    assert words.left(evolve(HALFWAY, landed=890), 0.0, 45.0) == ""


def test_the_longest_words_of_a_large_fleet_fit_two_lines_of_80_columns() -> None:
    progress = evolve(
        HALFWAY, planned=7_000_000, landed=1_200_000, absent=300_000, failed=1234, retries=12_345
    )

    assert len(words.below(progress, 0.0)) <= 80


# --- what is known of late ----------------------------------------------------------------------------


def heard(*reports: tuple[float, int]) -> Recent:
    recent = Recent(0.0)
    for now, landed in reports:
        recent.hear(evolve(STILL, planned=90_000, landed=landed), now)
    return recent


def test_a_pace_means_nothing_before_ten_seconds() -> None:
    assert heard((1.0, 0), (10.9, 400)).cells_per_s(10.9) is None
    assert heard((1.0, 0), (11.0, 400)).cells_per_s(11.0) == 40.0


def test_a_pace_is_that_of_the_last_minute() -> None:
    reports = [(float(now), 100 * now) for now in range(60)]
    reports += [(float(now), 6000 + 10 * (now - 60)) for now in range(60, 181)]

    assert heard(*reports).cells_per_s(180.0) == 10.0


def test_ten_reports_a_second_are_remembered_once() -> None:
    recent = heard(*((now / 10, now) for now in range(500)))

    assert len(recent._samples) == 50
    assert recent.cells_per_s(49.9) == pytest.approx(10.0)


def test_a_run_that_is_slower_than_a_cell_a_minute_has_a_pace_too() -> None:
    assert heard((0.0, 0), (100.0, 1), (200.0, 2)).cells_per_s(200.0) == 0.01


def test_where_nothing_arrives_there_is_no_pace() -> None:
    assert heard((0.0, 7), (1.0, 7)).cells_per_s(40.0) is None
    assert Recent(0.0).cells_per_s(40.0) is None


def test_silence_lasts_until_something_arrives_and_not_until_something_is_said() -> None:
    recent = heard((5.0, 7))

    assert not recent.hear(evolve(STILL, planned=90_000, landed=7, retries=3), 20.0)
    assert recent.silent_s(20.0) == 15.0
    assert recent.hear(evolve(STILL, planned=90_000, landed=8), 21.0)
    assert recent.silent_s(21.0) == 0.0


def test_a_rate_is_that_of_the_last_report_for_ten_seconds() -> None:
    recent = Recent(0.0)
    before = recent.rate_per_s(5.0)
    recent.hear(evolve(HALFWAY, rate_per_s=49.5), 5.0)

    assert (before, recent.rate_per_s(14.9), recent.rate_per_s(15.0)) == (0.0, 49.5, 0.0)


def test_a_device_that_was_looked_up_has_arrived() -> None:
    recent = Recent(0.0)

    assert recent.hear(evolve(STILL, devices=9, devices_done=1), 4.0)
    assert recent.silent_s(6.0) == 2.0
