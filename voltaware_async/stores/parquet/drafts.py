"""Drafts: Parquet files that are written beside their place and flushed to the disk, to be renamed there."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen

from voltaware_async.stores.folders import made_folder, sync_folder
from voltaware_async.stores.parquet.layout import DRAFTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Draft", "write_draft", "write_drafts"]

# Numbers and instants seldom repeat: looking for repetitions doubles the time that a file takes.
_REPEATING: Final = (pa.string(), pa.date32())


@frozen
class Draft:
    """Name a draft in the folder of drafts. `size` is in bytes."""

    name: str
    row_count: int
    size: int


def write_drafts(
    folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], sizes: Sequence[int]
) -> Sequence[Draft]:
    """Write rows to one draft for each size, in their order; the last one takes all that is left.

    Memory: one batch. On any error none of them is left.
    """
    drafts: list[Draft] = []
    rows = _Rows(batches)
    try:
        drafts.extend(write_draft(folder, schema, rows.take(size)) for size in sizes[:-1])
        drafts.append(write_draft(folder, schema, rows.rest()))
    except BaseException:
        for draft in drafts:
            (folder / DRAFTS / draft.name).unlink(missing_ok=True)
        raise
    return drafts


def write_draft(folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Draft:
    """Write rows to a draft, a row group for each batch. On any error it is not left."""
    path = made_folder(folder / DRAFTS) / uuid4().hex
    with _removed_on_error(path):
        row_count = _write(path, schema, batches)
    sync_folder(path.parent)
    return Draft(path.name, row_count, path.stat().st_size)


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    row_count = 0
    repeating = [field.name for field in schema if field.type in _REPEATING]
    with path.open("xb") as file:
        with pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=repeating,  # type: ignore[arg-type]  # the stubs know of no names of columns
        ) as writer:
            for batch in batches:
                writer.write_batch(batch)
                row_count += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    return row_count


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class _Rows:
    """Take a stream of batches apart by numbers of rows."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._begun: pa.RecordBatch | None = None

    def take(self, count: int) -> Iterator[pa.RecordBatch]:
        """Yield the next rows, fewer if there are no more."""
        while count and (batch := self._next()) is not None:
            taken = batch.slice(0, count)
            self._begun = batch.slice(count) if batch.num_rows > count else None
            count -= taken.num_rows
            yield taken

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows that are left."""
        while (batch := self._next()) is not None:
            yield batch

    def _next(self) -> pa.RecordBatch | None:
        begun, self._begun = self._begun, None
        return begun if begun is not None else next(self._batches, None)
