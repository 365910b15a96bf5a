"""What people find in the folder of a Parquet store, with whatever reads Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from parquet_cases import files_of, in_folder, landed, months, opened, rows_of, some_period
from store_cases import NOW, batch, failed, seen

from voltaware_async.cells import Dataset
from voltaware_async.stores.parquet.layout import Sizing
from voltaware_async.stores.tables import ROWS, TABLES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store with a device of every dataset, and a cell that failed; it is only read."""
    folder = tmp_path_factory.mktemp("store") / "fleet"
    with opened(folder) as store:
        store.begin("run-1", "pull", NOW)
        store.see(seen("0001"))
        store.commit(batch(*(landed("0001", dataset, some_period(dataset), 1.0) for dataset in Dataset)))
        store.commit(batch(failed("0002")))
        store.expect([(Dataset.MONTH, some_period(Dataset.MONTH))], NOW.date())
        store.finish("run-1", "complete", NOW, {"planned": 8})
    return folder


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_is_there_with_its_rows(folder: Path, table: str) -> None:
    with opened(folder, read_only=True) as store:
        if table in {*ROWS, "ledger"}:
            assert in_folder(folder, table) == rows_of(store, table)
        else:
            found = pq.read_table(folder / f"{table}.parquet").to_pylist()
            assert sorted((tuple(row.values()) for row in found), key=repr) == rows_of(store, table)


def test_the_copies_tell_how_the_run_ended(folder: Path) -> None:
    [run] = pq.read_table(folder / "runs.parquet").to_pylist()
    assert (run["outcome"], run["planned"]) == ("complete", 8)


@pytest.mark.parametrize("table", [*ROWS, "ledger"])
def test_arrow_reads_a_folder_as_one_table_of_the_pinned_types(folder: Path, table: str) -> None:
    assert ds.dataset(folder / table).schema.equals(TABLES[table])
    in_parts = ds.dataset(folder / table, partitioning="hive").schema
    assert in_parts == pa.schema([*TABLES[table], pa.field("part", pa.string())])


@pytest.mark.parametrize("table", [*ROWS, "ledger"])
def test_what_makes_columns_of_folder_names_gets_one_more_and_none_twice(folder: Path, table: str) -> None:
    """As pandas does: it reads the folder with pyarrow, which takes the values of `part` for categories."""
    names = pq.read_table(folder / table).schema.names
    assert names == [*TABLES[table].names, "part"]
    query = f"SELECT * FROM read_parquet('{folder}/{table}/**/*.parquet', hive_partitioning = true)"
    assert duckdb.sql(query).columns == names


def test_a_part_is_found_by_its_name(folder: Path) -> None:
    [july] = pq.read_table(folder / "totals", filters=[("part", "=", "month-2024-07")]).to_pylist()
    assert july["dataset"] == "month"


def test_the_clipped_weeks_of_a_month_lie_with_the_month(folder: Path) -> None:
    parts = {path.parent.name for path in files_of(folder, "totals")}
    assert "part=month_weeks-2024-07" in parts
    assert len(parts) == len(Dataset) - 2  # cycles have no totals


def test_nothing_but_parquet_files_lies_in_the_folders_of_tables(folder: Path) -> None:
    """Else polars refuses the folder."""
    for table in (*ROWS, "ledger"):
        assert {path.suffix for path in files_of(folder, table)} == {".parquet"}


def test_rows_of_a_device_are_found_without_reading_whole_files(folder: Path) -> None:
    [path] = [path for path in files_of(folder, "consumption") if path.parent.name == "part=month-2024-07"]
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert (column.path_in_schema, column.statistics.min, column.compression) == ("device_id", "0001", "ZSTD")


def test_forty_small_runs_leave_one_file_per_month(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    with opened(folder, sizing=Sizing()) as store:
        for number in range(40):
            store.begin(f"run-{number}", "pull", NOW)
            first = number // 2 * 5
            store.commit(months(range(first, first + 5), month=7 + number % 2, run_id=f"run-{number}"))
            store.finish(f"run-{number}", "complete", NOW, {})
    for table in ("consumption", "totals", "ledger"):
        assert len(files_of(folder, table)) == 2
    assert len(in_folder(folder, "totals")) == len(in_folder(folder, "ledger")) == 200
    assert list((folder / ".drafts").iterdir()) == []


def test_a_small_file_grows_and_a_full_one_is_followed_by_another(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    sizes, first = [], 0
    with opened(folder) as store:
        for devices in (3, 3, 3, 3, 15, 15):
            store.commit(months(range(first, first := first + devices)))
            store._database.settle()
            files = files_of(folder, "consumption")
            sizes.append([pq.ParquetFile(path).metadata.num_rows for path in files])
    assert sizes == [[6], [12], [12, 6], [12, 12], [12, 12, 30], [12, 12, 30, 30]]


def test_a_large_batch_is_cut_into_full_files(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    with opened(folder) as store:
        store.commit(months(range(53)))
        store._database.relieve()
        files = files_of(folder, "consumption")
        assert [pq.ParquetFile(path).metadata.num_rows for path in files] == [40, 40, 26]
        assert in_folder(folder, "consumption") == rows_of(store, "consumption")
