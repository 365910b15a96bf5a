"""Lines: a batch of rows as CSV or as JSON, worked out column by column.

A line is the texts of its columns, joined; Arrow joins all lines of a batch at once, without an object per
value.

* days and instants are ISO 8601: an instant ends in Z, a reading of the device's own clock in no offset
* numbers are the shortest that read back as the same
* CSV as in RFC 4180, but with LF: a null is empty, a text without characters is a pair of quotes
* JSON, an object a line with every column: a null is null, and so is a number that JSON cannot say
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["csv_head", "csv_lines", "json_lines"]

_Column: TypeAlias = "pa.Array[Any]"
_Texts: TypeAlias = "pa.Array[pa.Scalar[pa.lib.StringType]]"
_Piece: TypeAlias = "_Column | str"

_WANTS_QUOTES: Final = r'[",\r\n]|^$'


def csv_head(schema: pa.Schema) -> bytes:
    """Return the first line: the names of the columns."""
    return f"{','.join(schema.names)}\n".encode()


def csv_lines(batch: pa.RecordBatch) -> pa.Buffer:
    """Return the rows as lines of CSV."""
    ends = [","] * (batch.num_columns - 1) + ["\n"]
    return _lines(_alternating(map(_csv_text, batch.columns), ends), "")


def json_lines(batch: pa.RecordBatch) -> pa.Buffer:
    """Return the rows as lines of JSON."""
    keys = [f'"{name}":' for name in batch.schema.names]
    beginnings = ["{" + keys[0], *("," + key for key in keys[1:])]
    return _lines([*_alternating(beginnings, map(_json_text, batch.columns)), "}\n"], "null")


def _alternating(first: Iterable[_Piece], second: Iterable[_Piece]) -> Sequence[_Piece]:
    return [piece for pair in zip(first, second, strict=True) for piece in pair]


def _lines(pieces: Sequence[_Piece], null: str) -> pa.Buffer:
    """Join the pieces of each row, and then the rows."""
    rows = _joined(pieces, pc.JoinOptions("replace", null))
    in_one_list = pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows)
    lines: pa.StringScalar = pc.call_function("binary_join", [in_one_list, ""])[0]
    return lines.as_buffer()


def _joined(pieces: Sequence[_Piece], options: pc.JoinOptions | None = None) -> _Texts:
    """Join columns, and texts that stand in each row."""
    joined: _Texts = pc.call_function("binary_join_element_wise", [*pieces, ""], options)
    return joined


def _csv_text(column: _Column) -> _Texts:
    if not pa.types.is_string(column.type):
        return _plain(column)
    wants_quotes = pc.match_substring_regex(column, _WANTS_QUOTES)
    if not pc.any(wants_quotes).as_py():
        return column
    quoted = _quoted(pc.replace_substring(column, '"', '""'))
    texts: _Texts = pc.if_else(wants_quotes, quoted, column)
    return texts


def _json_text(column: _Column) -> _Texts:
    kind = column.type
    if pa.types.is_string(kind):
        return _json_strings(column)
    if pa.types.is_temporal(kind):
        return _quoted(_plain(column))
    if pa.types.is_floating(kind):
        return _plain(pc.if_else(pc.is_finite(column), column, None))
    return _plain(column)


def _json_strings(column: _Column) -> _Texts:
    """Word each distinct text once: ids and keys stand in many rows."""
    encoded = column.dictionary_encode()
    words = [orjson.dumps(text).decode() for text in encoded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(encoded.indices)


def _plain(column: _Column) -> _Texts:
    return _iso(column) if pa.types.is_timestamp(column.type) else column.cast(pa.string())


def _iso(column: _Column) -> _Texts:
    """Word instants and readings as ISO 8601, with the fraction of a second where there is one.

    The zone, which is UTC, is taken off first: Arrow would look it up, and not every system has the files.
    """
    text = column.view(pa.timestamp("us")).cast(pa.string())
    text = pc.replace_substring(pc.replace_substring(text, " ", "T"), ".000000", "")
    return _joined([text, "Z"]) if column.type.tz else text


def _quoted(column: _Column) -> _Texts:
    return _joined(['"', column, '"'])
