from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.stores.parquet.drafts import write_drafts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = pa.schema([pa.field("number", pa.int64(), nullable=False)])


def batches(*lengths: int) -> list[pa.RecordBatch]:
    """Number rows through batches of some lengths."""
    ends = [0, *accumulate(lengths)]
    return [pa.record_batch([pa.array(range(start, end))], schema=SCHEMA) for start, end in pairwise(ends)]


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 12), max_size=4),
)
def test_drafts_have_all_rows_in_their_order_and_the_last_one_what_is_left(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("drafts")
    drafts = write_drafts(folder, SCHEMA, batches(*lengths), [*sizes, 1])
    tables = [pq.read_table(folder / ".drafts" / draft.name) for draft in drafts]
    assert [table.num_rows for table in tables] == [draft.row_count for draft in drafts]
    assert pa.concat_tables(tables)["number"].to_pylist() == list(range(sum(lengths)))
    for size, draft, taken in zip(sizes, drafts, accumulate(sizes, initial=0), strict=False):
        assert draft.row_count == max(0, min(size, sum(lengths) - taken))


def test_a_draft_tells_its_size(tmp_path: Path) -> None:
    [draft] = write_drafts(tmp_path, SCHEMA, batches(5), [5])
    assert draft.size == (tmp_path / ".drafts" / draft.name).stat().st_size


def test_drafts_of_a_stream_that_breaks_off_are_not_left(tmp_path: Path) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches(3, 3)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_drafts(tmp_path, SCHEMA, broken(), [4, 4])
    assert list((tmp_path / ".drafts").iterdir()) == []
