"""Cells: one device, one dataset, one period, and how it ended."""

from __future__ import annotations

import pickle

import attrs
import pytest

from voltaware_async import (
    Absent,
    ApiError,
    Cell,
    Dataset,
    DeviceId,
    DeviceIdError,
    Failed,
    Fetched,
    Month,
    Week,
)
from voltaware_async.errors import ErrorContext

DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
WEEK = Week.iso(2024, 28)
CELL = Cell(DEVICE, Dataset.MONTH, JULY)


def test_the_seven_datasets_have_the_promised_names_and_kinds_of_period() -> None:
    assert {str(it): it.period_type for it in Dataset} == {
        "month": Month,
        "month_weeks": Month,
        "week": Week,
        "month_cycles": Month,
        "week_cycles": Week,
        "month_report": Month,
        "week_report": Week,
    }


@pytest.mark.parametrize("dataset", Dataset)
def test_a_cell_takes_its_own_kind_of_period_and_no_other(dataset: Dataset) -> None:
    own, other = (JULY, WEEK) if dataset.period_type is Month else (WEEK, JULY)

    assert Cell(DEVICE, dataset, own).period == own
    for wrong in (other, "2024-07", None, own.start):
        with pytest.raises(
            TypeError, match=f"{dataset} is asked for a {dataset.period_type.__name__}, not for"
        ):
            Cell(DEVICE, dataset, wrong)


def test_cells_are_equal_and_hash_by_what_they_name() -> None:
    same = Cell(DeviceId("0001"), Dataset.MONTH, Month.parse("2024-07"))

    assert same == CELL
    assert (
        len({CELL, same, Cell(DEVICE, Dataset.MONTH_REPORT, JULY), Cell(DEVICE, Dataset.MONTH, JULY.next())})
        == 3
    )
    assert Cell(DeviceId("1"), Dataset.MONTH, JULY) != CELL


def test_a_cell_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        CELL.period = JULY.next()


def test_an_outcome_is_taken_apart_by_its_kind() -> None:
    error = ApiError("it broke", ErrorContext("GET", "/sensors"))
    told = []
    for outcome in (Fetched(CELL, ()), Absent(CELL), Failed(CELL, error)):
        match outcome:
            case Fetched(cell, record):
                told.append((cell, record, outcome.attempts))
            case Absent(cell):
                told.append((cell, outcome.http_status, outcome.attempts))
            case Failed(cell, failure):
                told.append((cell, failure, outcome.http_status, outcome.attempts))

    assert told == [(CELL, (), 1), (CELL, 404, 1), (CELL, error, None, 1)]


@pytest.mark.parametrize(
    "outcome",
    [Fetched(CELL, (), attempts=2), Absent(CELL, http_status=204), Failed(CELL, DeviceIdError("no"))],
)
def test_an_outcome_goes_to_another_process_and_stays_what_it_is(outcome: object) -> None:
    again = pickle.loads(pickle.dumps(outcome))  # noqa: S301  our own

    assert type(again) is type(outcome)
    assert again.cell == CELL
    assert str(again) == str(outcome)


@pytest.mark.parametrize("kind", [Fetched, Failed])
def test_the_figures_of_an_outcome_are_named(kind: type) -> None:
    with pytest.raises(TypeError):
        kind(CELL, (), 2)
