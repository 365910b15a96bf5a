"""`voltaware devices` and `get`: data on stdout, as the API words it."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest

from voltaware_async.sandbox import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ended

FLEET = Fleet(devices=40, seed=7, today=date(2024, 9, 15))


def test_devices_are_printed_one_a_line_with_their_zeros(voltaware: Callable[..., Ended]) -> None:
    assert voltaware("devices").out.splitlines() == list(FLEET.device_ids())


def test_one_device_is_printed_as_the_api_words_it(voltaware: Callable[..., Ended]) -> None:
    assert json.loads(voltaware("devices", "0001").out) == FLEET.device("0001")


def test_an_unknown_device_is_no_error_and_no_data(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware("devices", "nobody")

    assert (ended.code, ended.out) == (0, "")
    assert ended.talk == "voltaware: the API knows no device 'nobody'\n"


@pytest.mark.parametrize("dataset", ["month", "month_weeks", "month_cycles", "month_report"])
def test_each_result_of_a_month_is_printed_as_the_api_words_it(
    voltaware: Callable[..., Ended], dataset: str
) -> None:
    ended = voltaware("get", dataset, "0001", "2024-07")

    assert json.loads(ended.out) == getattr(FLEET, dataset)("0001", 2024, 7)


@pytest.mark.parametrize("dataset", ["week", "week_cycles", "week_report"])
@pytest.mark.parametrize("week", ["2024-W28", "2024-07-08"])
def test_each_result_of_a_week_is_printed_as_the_api_words_it(
    voltaware: Callable[..., Ended], dataset: str, week: str
) -> None:
    ended = voltaware("get", dataset, "0001", week)

    assert json.loads(ended.out) == getattr(FLEET, dataset)("0001", date(2024, 7, 8))


def test_no_result_is_no_error_and_no_data(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware("get", "month", "0001", "2024-09")

    assert (ended.code, ended.out) == (0, "")
    assert ended.talk == "voltaware: no month of device 0001 for 2024-09\n"


def test_the_wrong_kind_of_period_is_wrong_usage(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware("get", "month", "0001", "2024-W28")

    assert ended.code == 2
    assert "month is asked for a month, and 2024-W28 is none" in ended.talk
