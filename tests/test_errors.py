"""Errors: sentences for people, values for programs."""

from __future__ import annotations

import inspect
import pickle

import pytest

from voltaware_async import Cell, Dataset, DeviceId, Month, Week, errors
from voltaware_async.errors import ApiError, ErrorContext, IncompleteError, VoltawareError

CONTEXT = ErrorContext("GET", "/sensors/{device_id}", "0001", 500, 3, "abc", "oh no")
KINDS = [it for it in vars(errors).values() if inspect.isclass(it) and issubclass(it, VoltawareError)]


def example(kind: type[VoltawareError]) -> VoltawareError:
    if issubclass(kind, ApiError):
        return kind("it broke", CONTEXT)
    return IncompleteError("it", ("a", "b")) if kind is IncompleteError else kind("it broke")


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_shares_the_base_ends_in_error_and_survives_pickling(kind: type[VoltawareError]) -> None:
    error = example(kind)

    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own

    assert kind.__name__.endswith("Error")
    assert kind.__name__ in errors.__all__
    assert (type(again), str(again), again.args) == (kind, str(error), error.args)


def test_an_error_says_what_happened_then_to_which_device_and_endpoint() -> None:
    error = ApiError("it broke", CONTEXT)

    assert str(error) == "it broke (GET /sensors/{device_id}, device 0001, status 500, after 3 attempts)"


def test_the_tree_that_is_drawn_is_the_tree_that_is_there() -> None:
    drawing = errors.__doc__ or ""

    for kind in KINDS:
        if kind not in {VoltawareError, ApiError}:
            assert f" {kind.__name__} " in drawing.replace("\n", " "), kind


def test_what_support_needs_is_gathered_without_secrets() -> None:
    assert ApiError("it broke", CONTEXT).support_report() == {
        "error": "ApiError",
        "message": "it broke",
        "request": "GET /sensors/{device_id}",
        "device_id": "0001",
        "status": 500,
        "attempts": 3,
        "request_id": "abc",
        "body_excerpt": "oh no",
    }


@pytest.mark.parametrize(
    ("dataset", "period"), [(Dataset.MONTH, Week.iso(2024, 28)), (Dataset.WEEK_REPORT, Month(2024, 7))]
)
def test_a_cell_of_the_wrong_kind_of_period_cannot_be_made(dataset: Dataset, period: Month | Week) -> None:
    with pytest.raises(TypeError, match=f"{dataset} is asked for a"):
        Cell(DeviceId("0001"), dataset, period)
