"""Writing: batches of rows → bytes, holding a few batches at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from voltaware_async.stores.export.format import Format
from voltaware_async.stores.export.lines import csv_head, csv_lines, json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voltaware_async.stores.export.output import Output

__all__ = ["write_rows"]

# Readers of Parquet skip and share out row groups, and want them large; each is held in memory to be written.
_GROUP_ROWS: Final = 250_000
_GROUP_BYTES: Final = 32_000_000

# So many lines fit the caches of a processor.
_LINES: Final = 16_384


def write_rows(batches: Iterable[pa.RecordBatch], schema: pa.Schema, form: Format, output: Output) -> int:
    """Write rows of a schema in their order, and return how many; memory does not grow with them.

    Also without a row there is a file that says its columns, but of JSON lines, which is then empty.
    """
    match form:
        case Format.PARQUET:
            return _write_parquet(batches, schema, output)
        case Format.CSV:
            output.write(csv_head(schema))
            return _write_lines(batches, csv_lines, output)
        case Format.JSONL:
            return _write_lines(batches, json_lines, output)


def _write_parquet(batches: Iterable[pa.RecordBatch], schema: pa.Schema, output: Output) -> int:
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    rows = 0
    writer = pq.ParquetWriter(
        pa.PythonFile(output, mode="w"),
        schema,
        compression="zstd",
        use_dictionary=texts,  # type: ignore[arg-type]  # or the names of columns, as it is documented
    )
    for group in _row_groups(batches, schema):
        writer.write_table(group, row_group_size=group.num_rows)
        rows += group.num_rows
    writer.close()
    return rows


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        gathered.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(gathered, schema)
            gathered, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(gathered, schema)


def _write_lines(
    batches: Iterable[pa.RecordBatch], lines: Callable[[pa.RecordBatch], pa.Buffer], output: Output
) -> int:
    rows = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _LINES):
            output.write(lines(batch.slice(start, _LINES)))
        rows += batch.num_rows
    return rows
