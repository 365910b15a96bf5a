"""A Parquet store answers as a DuckDB store does, whether its rows have settled or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from parquet_cases import contents, files_of, in_folder, landed, months, opened, rows_of, some_period
from store_cases import EVERYTHING, JULY, NOW, absent, batch, date_all, failed, ids, seen, to_ask

from voltaware_async.cells import Dataset
from voltaware_async.errors import StoreError
from voltaware_async.stores import open_store
from voltaware_async.stores.agenda import Turn
from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from voltaware_async.stores import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


@frozen
class Step:
    """Land a dataset for some devices, with a value; and then end the run, open the store anew, or go on."""

    dataset: Dataset
    devices: frozenset[int]
    wh: float
    then: str


STEPS = st.builds(
    Step,
    st.sampled_from(Dataset),
    st.frozensets(st.integers(0, 19), min_size=1),
    st.sampled_from([1.0, 2.0, 3.0]),
    st.sampled_from(["finish", "reopen", "go on"]),
)


def take(store: Store, step: Step, number: int) -> None:
    run_id = f"run-{number}"
    store.begin(run_id, "pull", NOW)
    period = some_period(step.dataset)
    outcomes = [landed(f"{device}", step.dataset, period, step.wh) for device in sorted(step.devices)]
    store.commit(batch(*outcomes, run_id=run_id), refreshes=True)
    if step.then == "finish":
        store.finish(run_id, "complete", NOW, {})


@settings(max_examples=8)
@given(steps=st.lists(STEPS, min_size=1, max_size=5))
def test_whatever_lands_and_is_restated_every_table_and_view_has_the_rows_of_a_duckdb_store(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    place = tmp_path_factory.mktemp("stores")
    with open_store(place / "fleet.duckdb") as duckdb_store:
        parquet_store = opened(place / "fleet")
        for number, step in enumerate(steps):
            for store in (duckdb_store, parquet_store):
                take(store, step, number)
            if step.then == "reopen":
                parquet_store.close()
                parquet_store = opened(place / "fleet")
            assert rows_of(parquet_store, "totals") == rows_of(duckdb_store, "totals")
        parquet_store.close()
        with opened(place / "fleet", read_only=True) as reading:
            assert contents(reading) == contents(duckdb_store)


def test_a_batch_that_is_refused_leaves_nothing(folder: Path) -> None:
    with opened(folder) as store:
        store.commit(months(range(3)))
        before = contents(store)
        with pytest.raises(StoreError, match="have landed already"):
            store.commit(months(range(2, 5)))
        assert contents(store) == before
        store.commit(months(range(3, 5)))
        assert len(rows_of(store, "totals")) == 5


def without_device(entries: pa.Table) -> pa.Table:
    """Make ledger entries that a store refuses."""
    return entries.set_column(0, "device_id", pa.nulls(entries.num_rows, pa.string()))


def test_the_first_entries_of_a_month_are_copied_though_others_were_rolled_back_before(folder: Path) -> None:
    entries = batch(failed("1"))
    with opened(folder) as store:
        with pytest.raises(StoreError), store._database.transaction():
            store._database.append("ledger", without_device(entries.ledger))
        store.commit(entries)
        store._database.settle()
        assert len(in_folder(folder, "ledger")) == 1


def test_a_run_goes_on_where_a_parquet_store_was_closed(folder: Path) -> None:
    with opened(folder) as store:
        store.commit(months(range(2)))
        store.commit(batch(absent("0002"), failed("0003")))
    with opened(folder) as store:
        store.consider(ids("0000", "0001", "0002", "0003", "0004"), EVERYTHING)
        assert to_ask(store, Turn.FIRST) == ["0004"]
        assert to_ask(store, Turn.AGAIN) == ["0002", "0003"]


def test_cycles_that_have_settled_are_dated_once_their_time_zone_is_known(folder: Path) -> None:
    with opened(folder) as store:
        store.begin("run-1", "pull", NOW)
        store.commit(batch(*(landed(device, Dataset.MONTH_CYCLES, JULY, 1.0) for device in "123")))
        store.finish("run-1", "complete", NOW, {})
        store.see(seen("2"))
        store.begin("run-2", "pull", NOW)
        date_all(store)
        dated = [
            (row["device_id"], row["start_utc"] is not None) for row in store.table("cycles").to_pylist()
        ]
        assert sorted(dated) == [("1", False), ("2", True), ("3", False)]
        store.finish("run-2", "complete", NOW, {})
        assert in_folder(folder, "cycles") == rows_of(store, "cycles")


def test_a_large_run_settles_before_its_end(folder: Path) -> None:
    with opened(folder) as store:
        store.commit(months(range(19)))
        assert files_of(folder, "consumption") == []
        store.commit(months(range(19, 21)))
        assert files_of(folder, "consumption") == []
        store.commit(months(range(21, 22)))
        assert len(in_folder(folder, "consumption")) == 42
        assert len(rows_of(store, "consumption")) == 44


def test_months_that_are_restated_settle_at_the_end_of_a_run_and_others_before(folder: Path) -> None:
    with opened(folder) as store:
        store.commit(months(range(20)))
        store.commit(months(range(3), wh=2.0), refreshes=True)
        store.commit(months(range(20, 50)))
        store.commit(months(range(20), month=8))
        store._database.relieve()
        assert len(rows_of(store, "consumption")) == 140
        assert len(in_folder(folder, "consumption")) == 80
        store._database.settle()
        assert in_folder(folder, "consumption") == rows_of(store, "consumption")


def test_a_cell_that_is_restated_time_and_again_counts_once(folder: Path) -> None:
    with opened(folder) as store:
        for number in range(4):
            store.commit(months(range(4), wh=number), refreshes=True)
            store.commit(months(range(2), wh=10.0 + number), refreshes=True)
            assert len(rows_of(store, "consumption")) == 8
            if number % 2:
                store._database.settle()
        assert sorted(row[-2] for row in rows_of(store, "totals")) == [9.0, 9.0, 39.0, 39.0]
        for table in ROWS:
            assert in_folder(folder, table) == rows_of(store, table)


def test_a_restated_cell_without_rows_leaves_no_file(folder: Path) -> None:
    with opened(folder) as store:
        store.commit(months(range(1)))
        store._database.settle()
        assert len(files_of(folder, "totals")) == 1
        store.commit(batch(absent("0000")), refreshes=True)
        store._database.settle()
        assert rows_of(store, "totals") == []
        assert files_of(folder, "totals") == []
        assert store._database.rows("SELECT path FROM replaced_files") == []
