from __future__ import annotations

from datetime import date
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.stores.parquet.layout import ListedFile, Partition, Sizing

SIZING = Sizing()
JULY = Partition("consumption", "month", date(2024, 7, 1))


def listed(*row_counts: int) -> list[ListedFile]:
    paths = (f"{JULY.folder}/{number:05}.parquet" for number in range(1, len(row_counts) + 1))
    return [ListedFile(path, "draft", count, 1) for path, count in zip(paths, row_counts, strict=True)]


@given(rows=st.integers(0, 50_000_000))
def test_files_hold_all_rows_and_none_but_an_only_one_is_small(rows: int) -> None:
    sizes = SIZING.cut(rows)
    assert sum(sizes) == rows
    assert all(SIZING.small <= size < SIZING.full + SIZING.small for size in sizes) or len(sizes) == 1
    assert 0 not in sizes


@given(runs=st.lists(st.integers(1, 1_500_000), max_size=30))
def test_a_partition_never_has_more_than_one_small_file(runs: list[int]) -> None:
    row_counts: list[int] = []
    for rows in runs:
        files = listed(*row_counts)
        old = SIZING.to_replace(files, frozenset())
        kept = [file.row_count for file in files if file not in old]
        row_counts = [*kept, *SIZING.cut(rows + sum(file.row_count for file in old))]
        assert sum(count < SIZING.small for count in row_counts) <= 1
    assert sum(row_counts) == sum(runs)


def test_a_file_with_superseded_rows_is_written_anew_whatever_its_size() -> None:
    files = listed(1_000_000, 900_000, 20_000)
    assert SIZING.to_replace(files, {files[1].path}) == files[1:]


@pytest.mark.parametrize(
    ("dataset", "start", "folder"),
    [
        ("month", date(2024, 7, 1), "part=month-2024-07"),
        ("month_weeks", date(987, 12, 1), "part=month_weeks-0987-12"),
        ("week_cycles", date(2024, 12, 30), "part=week_cycles-2025-W01"),
    ],
)
def test_a_partitions_folder_tells_its_dataset_and_period(dataset: str, start: date, folder: str) -> None:
    assert Partition("totals", dataset, start).folder == f"totals/{folder}"


def test_the_first_new_file_takes_the_place_of_the_first_that_it_replaces() -> None:
    files = listed(9, 9, 9)
    names = [
        path.removeprefix("consumption/part=month-2024-07/")
        for path in islice(JULY.paths(files, files[1:]), 3)
    ]
    assert names == ["00002.parquet", "00004.parquet", "00005.parquet"]


def test_the_first_file_of_a_partition_is_number_one() -> None:
    assert next(JULY.paths([], [])) == "consumption/part=month-2024-07/00001.parquet"
