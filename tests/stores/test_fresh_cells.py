from __future__ import annotations

from store_cases import JULY, WEEK_28, absent, batch, fetched_as, ids, month_of

from voltaware_async.cells import Dataset
from voltaware_async.stores.fresh import FreshCells


def fresh(*names: str) -> FreshCells:
    cells = FreshCells()
    cells.add("month", JULY.start, ids(*names))
    return cells


def test_cells_that_were_given_out_are_claimed_once() -> None:
    cells = fresh("1", "2")
    assert cells.claim(batch(absent("1"), absent("2")).ledger)
    assert not cells.claim(batch(absent("1")).ledger)


def test_one_unknown_cell_makes_a_batch_not_fresh_and_its_other_cells_are_taken_out_all_the_same() -> None:
    cells = fresh("1", "2")
    assert not cells.claim(batch(absent("1"), absent("3")).ledger)
    assert not cells.claim(batch(absent("1")).ledger)
    assert cells.claim(batch(absent("2")).ledger)


def test_a_cell_that_stands_in_a_batch_twice_is_not_fresh() -> None:
    assert not fresh("1").claim(batch(absent("1"), absent("1")).ledger)


def test_a_cell_of_another_dataset_or_period_is_another_cell() -> None:
    other = fetched_as(Dataset.WEEK, WEEK_28, month_of(fridge=1.0))
    cells = fresh("0001")
    assert not cells.claim(batch(other, absent("0001")).ledger)


def test_an_empty_batch_is_fresh() -> None:
    assert fresh().claim(batch().ledger)


def test_a_caller_that_only_lists_does_not_fill_the_memory() -> None:
    cells = fresh(*(str(number) for number in range(100_001)))
    cells.add("month", JULY.next().start, ids("1"))
    assert not cells.claim(batch(absent("1")).ledger)
