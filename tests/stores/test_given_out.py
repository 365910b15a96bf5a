from __future__ import annotations

from store_cases import JULY, WEEK_28, absent, batch, cell, fetched_as, ids, month_of

from voltaware_async.cells import Absent, Dataset
from voltaware_async.stores.given_out import GivenOut, Known


def given_out(*names: str, known: Known = Known.NEVER_ASKED) -> GivenOut:
    cells = GivenOut()
    cells.add("month", JULY.start, [(name, known) for name in ids(*names)])
    return cells


def test_cells_that_were_given_out_are_claimed_once() -> None:
    cells = given_out("1", "2")
    assert cells.claim(batch(absent("1"), absent("2")).ledger) is Known.NEVER_ASKED
    assert cells.claim(batch(absent("1")).ledger) is Known.NOTHING


def test_nothing_is_known_of_a_batch_with_one_strange_cell_and_its_other_cells_are_taken_all_the_same() -> (
    None
):
    cells = given_out("1", "2")
    assert cells.claim(batch(absent("1"), absent("3")).ledger) is Known.NOTHING
    assert cells.claim(batch(absent("1")).ledger) is Known.NOTHING
    assert cells.claim(batch(absent("2")).ledger) is Known.NEVER_ASKED


def test_the_least_that_is_known_counts_for_a_batch() -> None:
    cells = given_out("1", known=Known.NOT_LANDED)
    cells.add("month", JULY.start, [("2", Known.NEVER_ASKED)])
    assert cells.claim(batch(absent("2"), absent("1")).ledger) is Known.NOT_LANDED


def test_a_cell_that_stands_in_a_batch_twice_is_not_known() -> None:
    assert given_out("1").claim(batch(absent("1"), absent("1")).ledger) is Known.NOTHING


def test_a_cell_of_another_dataset_or_period_is_another_cell() -> None:
    other = fetched_as(Dataset.WEEK, WEEK_28, month_of(fridge=1.0))
    assert given_out("0001").claim(batch(other, absent("0001")).ledger) is Known.NOTHING


def test_cells_that_are_to_be_given_out_anew_are_forgotten_in_their_dataset_and_period_alone() -> None:
    cells = given_out("1")
    cells.add("month", JULY.next().start, [("1", Known.NEVER_ASKED)])
    cells.add("month_weeks", JULY.start, [("1", Known.NEVER_ASKED)])
    cells.forget("month", JULY.start)
    cells.forget("week", JULY.start)
    assert cells.claim(batch(absent("1")).ledger) is Known.NOTHING
    for other in (cell("1", period=JULY.next()), cell("1", Dataset.MONTH_WEEKS)):
        assert cells.claim(batch(Absent(other)).ledger) is Known.NEVER_ASKED


def test_an_empty_batch_needs_no_look() -> None:
    assert given_out().claim(batch().ledger) is Known.NEVER_ASKED


def test_a_caller_that_only_lists_does_not_fill_the_memory() -> None:
    cells = given_out(*(str(number) for number in range(100_001)))
    cells.add("month", JULY.next().start, [("1", Known.NEVER_ASKED)])
    assert cells.claim(batch(absent("1")).ledger) is Known.NOTHING
