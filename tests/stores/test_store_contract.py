"""What every store promises of runs, of what is outstanding, and of commits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from store_cases import (
    EVERYTHING,
    JULY,
    NOW,
    TODAY,
    WEEK_28,
    absent,
    batch,
    failed,
    fetched,
    ids,
    planned,
    rows,
    rows_of,
    whole,
)

from voltaware_async.cells import Dataset
from voltaware_async.errors import ConfigurationError, StoreError
from voltaware_async.stores import open_store
from voltaware_async.stores.agenda import Turn
from voltaware_async.stores.tables import COUNTS, TABLES

if TYPE_CHECKING:
    from voltaware_async.cells import Outcome
    from voltaware_async.stores import Store


def column(store: Store, table: str, name: str) -> list[object]:
    return store.table(table).column(name).to_pylist()


# --- runs ----------------------------------------------------------------------------------------


def test_a_run_has_no_outcome_until_it_is_finished(store: Store) -> None:
    store.begin("run-1", "pull", NOW)
    [row] = store.table("runs").to_pylist()
    assert (row["run_id"], row["command"], row["started_at"]) == ("run-1", "pull", NOW)
    assert row["outcome"] is row["finished_at"] is row["planned"] is None


def test_a_finished_run_keeps_its_summary(store: Store) -> None:
    store.begin("run-0", "pull", NOW)
    store.begin("run-1", "pull", NOW)
    counts = {name: number for number, name in enumerate(COUNTS)}
    store.finish("run-1", "complete", NOW, counts)
    unfinished, finished = store.table("runs").to_pylist()
    assert unfinished["outcome"] is None
    assert finished == {
        "run_id": "run-1",
        "command": "pull",
        "started_at": NOW,
        "finished_at": NOW,
        "outcome": "complete",
        **counts,
        "number": 2,
    }


def test_a_run_that_was_not_begun_cannot_be_finished(store: Store) -> None:
    with pytest.raises(StoreError, match="no run nobody"):
        store.finish("nobody", "complete", NOW, {})


def test_a_count_that_no_summary_has_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="no count colour, size"):
        store.finish("run-1", "complete", NOW, {"size": 1, "colour": 2, "planned": 3})


# --- outstanding ---------------------------------------------------------------------------------


def test_everything_is_outstanding_in_an_empty_store_in_the_order_given(store: Store) -> None:
    store.consider(ids("9", "0001", "1", "A"), EVERYTHING)
    assert planned(store, Dataset.MONTH, JULY) == 4
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 3) == (["9", "0001", "1"], 2)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, 2, 3) == (["A"], 3)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, 3, 3) == ([], 3)


def test_a_device_that_is_named_twice_is_asked_once_where_it_stands_first(store: Store) -> None:
    store.consider(ids("b", "a", "b", "c", "a"), EVERYTHING)
    assert planned(store, Dataset.MONTH, JULY) == 3
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 9) == (["b", "a", "c"], 3)


def test_landed_cells_are_not_outstanding_and_absent_and_failed_ones_are(store: Store) -> None:
    store.commit(batch(fetched("1"), absent("2"), failed("3")))
    store.consider(ids("0", "1", "2", "3"), EVERYTHING)
    assert planned(store, Dataset.MONTH, JULY) == 3
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 9) == (["0"], 0)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.AGAIN, -1, 9) == (["2", "3"], 3)


def test_a_cell_is_one_of_its_dataset_and_period_alone(store: Store) -> None:
    store.consider(ids("1"), EVERYTHING)
    store.commit(batch(fetched("1")))
    assert planned(store, Dataset.MONTH, JULY) == 0
    assert planned(store, Dataset.MONTH, JULY.next()) == 1
    assert planned(store, Dataset.MONTH_WEEKS, JULY) == 1
    assert planned(store, Dataset.WEEK, WEEK_28) == 1


def test_a_run_of_no_devices_has_nothing_outstanding(store: Store) -> None:
    store.consider([], EVERYTHING)
    assert planned(store, Dataset.MONTH, JULY) == 0
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 9) == ([], -1)


def test_a_new_run_forgets_the_devices_of_the_last(store: Store) -> None:
    store.consider(ids("1", "2"), EVERYTHING)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 1) == (["1"], 0)
    store.consider(ids("7", "8"), EVERYTHING)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, 0, 9) == (["8"], 1)


def test_pages_of_several_periods_may_be_turned_by_turns(store: Store) -> None:
    store.consider(ids("1", "2", "3"), EVERYTHING)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 1) == (["1"], 0)
    assert store.outstanding(Dataset.MONTH, JULY.next(), Turn.FIRST, -1, 2) == (["1", "2"], 1)
    store.commit(batch(fetched("2")))
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, 0, 9) == (["3"], 2)
    assert store.outstanding(Dataset.MONTH, JULY.next(), Turn.FIRST, 1, 9) == (["3"], 2)


def test_a_cell_that_was_committed_without_being_given_out_is_not_given_out(store: Store) -> None:
    store.consider(ids("1", "2", "3"), EVERYTHING)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 1) == (["1"], 0)
    store.commit(batch(fetched("2")))
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, 0, 1) == (["3"], 2)


def test_a_cell_that_was_given_out_in_an_earlier_paging_is_not_given_out_once_it_has_landed(
    store: Store,
) -> None:
    store.consider(ids("1", "2", "3"), EVERYTHING)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 9) == (["1", "2", "3"], 2)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 1) == (["1"], 0)
    store.commit(batch(fetched("3")))
    assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, 0, 9) == (["2"], 1)
    with pytest.raises(StoreError, match="landed already"):
        store.commit(batch(fetched("3")))


def test_considering_and_counting_write_nothing_and_whoever_reads_may_do_both(target: str) -> None:
    with open_store(target, read_only=True) as store:
        store.consider(ids("1", "2"), EVERYTHING)
        assert planned(store) == 2
        assert store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 9) == (["1", "2"], 1)
    with open_store(target) as store:
        assert whole(store) == {name: [] for name in TABLES}


@pytest.mark.parametrize("kind", ["duckdb"])
def test_whoever_reads_leaves_a_file_as_it_is(target: str) -> None:
    before = Path(target).read_bytes()
    with open_store(target, read_only=True) as store:
        store.consider(ids("1", "2"), EVERYTHING)
        assert planned(store) == 2
    assert Path(target).read_bytes() == before


def test_an_id_that_is_no_text_is_refused_before_anything_is_written(store: Store) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        store.consider(ids("1", "\udcff"), EVERYTHING)
    store.take_stock(TODAY)
    assert store.table("devices").num_rows == 0
    assert planned(store) == 0


# --- commit --------------------------------------------------------------------------------------


def test_rows_and_ledger_come_out_as_they_went_in(store: Store) -> None:
    landed = batch(
        fetched("1", fridge=0.0, washing=2.3e-13), absent("a\tb"), failed("☀", message="ein 'Fehler'")
    )
    store.commit(landed)
    assert {name: store.table(name).schema for name in landed.tables} == {
        name: table.schema for name, table in landed.tables.items()
    }
    assert {name: rows_of(store, name) for name in landed.tables} == {
        name: sorted(rows(landed, name), key=repr) for name in landed.tables
    }


def test_a_cell_that_is_asked_again_keeps_one_entry_and_adds_up_its_attempts(store: Store) -> None:
    store.commit(batch(failed("1", attempts=4), absent("2", attempts=1), run_id="run-1"))
    store.commit(batch(absent("1", attempts=2), absent("2", attempts=1), fetched("3"), run_id="run-2"))
    store.commit(batch(fetched("1", attempts=1), run_id="run-3"))
    entries = {row["device_id"]: row for row in store.table("ledger").to_pylist()}
    assert store.table("ledger").num_rows == 3
    assert [entries[one]["attempts"] for one in "123"] == [7, 2, 1]
    assert [entries[one]["run_id"] for one in "123"] == ["run-3", "run-2", "run-2"]
    assert [entries[one]["status"] for one in "123"] == ["landed", "absent", "landed"]
    assert entries["1"]["error"] is None
    assert sorted(column(store, "consumption", "device_id")) == ["1", "3"]


@pytest.mark.parametrize("again", [fetched("1"), absent("1"), failed("1")])
def test_a_landed_cell_is_never_written_again(store: Store, again: Outcome) -> None:
    store.commit(batch(fetched("1", fridge=5.0)))
    before = store.table("ledger")
    with pytest.raises(StoreError, match="1 cells have landed already, one of device 1"):
        store.commit(batch(fetched("2"), again))
    assert store.table("ledger") == before
    assert column(store, "consumption", "consumption_wh") == [5.0]


def test_a_batch_that_was_given_out_cannot_be_committed_twice(store: Store) -> None:
    store.consider(ids("1", "2"), EVERYTHING)
    store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 9)
    store.commit(batch(fetched("1"), fetched("2")))
    with pytest.raises(StoreError, match="landed already"):
        store.commit(batch(fetched("1"), fetched("2")))
    assert store.table("totals").num_rows == 2


def test_a_batch_that_was_given_out_again_cannot_be_committed_twice(store: Store) -> None:
    store.commit(batch(failed("1"), absent("2"), run_id="run-0"))
    store.consider(ids("1", "2"), EVERYTHING)
    assert store.outstanding(Dataset.MONTH, JULY, Turn.AGAIN, -1, 9) == (["1", "2"], 1)
    store.commit(batch(fetched("1"), fetched("2")))
    with pytest.raises(StoreError, match="landed already"):
        store.commit(batch(fetched("1"), fetched("2")))
    assert column(store, "ledger", "attempts") == [2, 2]
    assert store.table("totals").num_rows == 2


def test_a_cell_that_stands_in_a_batch_twice_is_refused(store: Store) -> None:
    store.consider(ids("1"), EVERYTHING)
    store.outstanding(Dataset.MONTH, JULY, Turn.FIRST, -1, 9)
    with pytest.raises(StoreError, match="stand in one batch twice"):
        store.commit(batch(absent("1"), fetched("1")))
    assert store.table("ledger").num_rows == 0


def test_the_store_goes_on_after_a_refused_batch(store: Store) -> None:
    store.commit(batch(fetched("1")))
    with pytest.raises(StoreError):
        store.commit(batch(fetched("1")))
    store.commit(batch(fetched("2")))
    assert sorted(column(store, "ledger", "device_id")) == ["1", "2"]


def test_an_empty_batch_changes_nothing(store: Store) -> None:
    store.commit(batch())
    assert store.table("ledger").num_rows == 0


# --- tables -------------------------------------------------------------------------------------


def test_an_unknown_table_is_refused_with_those_there_are(store: Store) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"no table 'runs; DROP'.*consumption, totals, cycles, report_days, reports, devices, expected",
    ):
        store.table("runs; DROP")


def test_a_closed_store_closes_again_and_refuses_everything_else(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.coverage()
