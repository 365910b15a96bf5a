"""Filter: which rows of a table are wanted, and how SQL asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from voltaware_async.cells import Dataset
from voltaware_async.errors import ConfigurationError
from voltaware_async.periods import Period
from voltaware_async.protocol.requests import checked_device_id
from voltaware_async.records.devices import DeviceId

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["Filter"]

# What a table must have to be narrowed by it.
_COLUMNS: Final = {
    "dataset": {"dataset"},
    "period": {"period_start", "period_end"},
    "device": {"device_id"},
}

# Of a list that is written out databases know most, but take kilobytes of memory for each of its texts.
_FEW: Final = 1000


@frozen(kw_only=True)
class Filter:
    """Narrow a table to the rows of some datasets, periods and devices; what is empty narrows nothing.

    A row belongs to a period that its own lies within: to a month belong the clipped weeks of `month_weeks`,
    and the full weeks that begin and end in it. A text that is no device id is a DeviceIdError.
    """

    datasets: Sequence[Dataset] = ()
    periods: Sequence[Period] = ()
    devices: Sequence[DeviceId] = field(default=())

    @devices.validator
    def _are_device_ids(self, _attribute: object, value: Sequence[DeviceId]) -> None:
        """Refuse what no row can have and no SQL can say: a NUL, half a character."""
        for device_id in value:
            checked_device_id(device_id)

    def where(self, table: str, schema: pa.Schema) -> str:
        """Word what follows ` FROM table` in DuckDB and in PostgreSQL: ` WHERE …`, or nothing.

        ConfigurationError for a table that lacks the columns; it names what the table can be narrowed by.
        """
        conditions = {
            "dataset": _is_one_of("dataset", self.datasets),
            "period": " OR ".join(_lies_within(period) for period in self.periods),
            "device": _is_one_of("device_id", self.devices),
        }
        wanted = {name: condition for name, condition in conditions.items() if condition}
        _refuse_lacking(table, schema.names, wanted)
        return f" WHERE {' AND '.join(f'({it})' for it in wanted.values())}" if wanted else ""


def _refuse_lacking(table: str, columns: Sequence[str], wanted: Iterable[str]) -> None:
    takes = [name for name, needed in _COLUMNS.items() if needed <= {*columns}]
    for name in wanted:
        if name not in takes:
            rather = f"only by {' and '.join(takes)}" if takes else "it comes whole"
            raise ConfigurationError(f"the table {table} cannot be narrowed by {name}: {rather}")


def _is_one_of(column: str, values: Sequence[str]) -> str:
    if not values:
        return ""
    if len(values) <= _FEW:
        return f"{column} IN ({', '.join(map(_literal, values))})"
    as_lines = _literal("\n".join(values))  # no id has a line break
    return f"{column} IN (SELECT unnest(string_to_array({as_lines}, chr(10))))"


def _lies_within(period: Period) -> str:
    return f"period_start >= DATE '{period.start}' AND period_end <= DATE '{period.end}'"


def _literal(text: str) -> str:
    """Quote a text as the SQL standard has it: a backslash is a character like any other."""
    return "'" + text.replace("'", "''") + "'"
