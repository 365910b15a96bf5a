"""Durations: `8h` is read as people write it, bounds a run, and is refused with how it is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest
from side_by_side import side_by_side

from voltaware_async.cli.arguments import DURATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Api, Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")
NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("90m", 5400.0),
        ("8h", 28_800.0),
        ("2d", 172_800.0),
        ("1h30m", 5400.0),
        ("1d2h3m4s", 93_784.0),
        ("0h5m", 300.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "8", "h", "0s", "-1h", "1.5h", "8 h", "8H", "30m1h", "1h1h", "1w", "inf", "٣h", "1234567890d"],
)
def test_what_is_no_duration_is_refused_with_how_it_is_written(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write it as 2d, 8h, 90m, 30s or 1h30m, over 0"):
        DURATION.convert(text, None, None)


def test_a_default_that_is_read_already_stays_as_it_is() -> None:
    assert DURATION.convert(60.0, None, None) == 60.0


def test_a_wrong_duration_is_wrong_usage_before_anything_is_sent(voltaware: Callable[..., Ended]) -> None:
    lines = [(*PULL, "--max-duration", text) for text in ("8", "soon")]

    for line, ended in side_by_side(voltaware, lines, VOLTAWARE_BASE_URL=NOWHERE).items():
        assert (ended.code, ended.out) == (2, "")
        assert f"'--max-duration': {line[-1]!r} is no duration" in ended.talk


def test_a_run_ends_when_its_time_is_up_and_the_rest_is_unasked(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    api = serve("--devices", "300")

    ended = voltaware(
        *PULL, "--rate", "20", "--max-duration", "1s", "--json", VOLTAWARE_BASE_URL=api.base_url
    )

    summary = json.loads(ended.out)
    assert ended.code == 3
    assert summary["landed"] > 0
    assert summary["unasked"] > 200
    assert 0.5 < summary["elapsed_s"] < 5.0


def test_a_run_that_is_done_in_time_does_not_wait_for_its_end(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware(*PULL, "--rate", "none", "--max-duration", "2d", "--json")

    assert ended.code == 0
    assert json.loads(ended.out)["elapsed_s"] < 10.0
