"""Named parameters as PostgreSQL takes them: numbered, and of a type that is said."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from voltaware_async.stores.sql.database import Value, Values

__all__ = ["numbered"]

_NAME: Final = re.compile(r"\$([a-z_][a-z0-9_]*)")


def numbered(sql: str, values: Values | None) -> tuple[str, pa.RecordBatch | None]:
    """Return a statement with `$1` to `$n`, and the row of these, or None where there are none.

    A parameter that occurs several times has one number. None is written as NULL, which fits every type.
    """
    given = values or {}
    names = [name for name in dict.fromkeys(_NAME.findall(sql)) if given[name] is not None]
    bound = {name: _bound(given[name]) for name in names}
    numbers = {name: number for number, name in enumerate(names, start=1)}

    def worded(found: re.Match[str]) -> str:
        name = found[1]
        return f"CAST(${numbers[name]} AS {bound[name][0]})" if name in numbers else "NULL"

    row = pa.RecordBatch.from_arrays([array for _, array in bound.values()], names=names) if names else None
    return _NAME.sub(worded, sql), row


def _bound(value: Value) -> tuple[str, pa.Array[pa.Scalar[pa.DataType]]]:
    """Return the SQL type of a value, and the value as a column of one row."""
    match value:
        case bool():
            return "BOOLEAN", pa.array([value], pa.bool_())
        case int():
            return "BIGINT", pa.array([value], pa.int64())
        case float():
            return "FLOAT8", pa.array([value], pa.float64())
        case datetime():
            return "TIMESTAMPTZ", pa.array([_instant(value)], pa.string())
        case date():
            return "DATE", pa.array([value], pa.date32())
        case _:
            return "VARCHAR", pa.array([value], pa.string())


def _instant(value: datetime) -> str:
    """Word an instant for PostgreSQL.

    Hazard: the driver surrounds a statement that has a timestamp with a zone among its parameters with BEGIN
    and COMMIT of its own, which would commit the transaction that is under way. So they are texts.
    """
    if value.tzinfo is None:
        raise ValueError(f"{value} is no instant: it has no time zone")
    return value.astimezone(UTC).isoformat()
