"""Rows for the tables of a store, and the two kinds of database that read the same SQL."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import adbc_driver_postgresql.dbapi
import duckdb
import pyarrow as pa

from voltaware_async.stores.sql.views import VIEWS, view_sql
from voltaware_async.stores.tables import TABLES, create_table_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

Days = tuple[date, date]
Row = tuple[str, dict[str, object]]

JULY: Final[Days] = (date(2024, 7, 1), date(2024, 7, 31))
AUGUST: Final[Days] = (date(2024, 8, 1), date(2024, 8, 31))
FIRST_WEEK: Final[Days] = (date(2024, 7, 1), date(2024, 7, 7))
WEEK_28: Final[Days] = (date(2024, 7, 8), date(2024, 7, 14))
DAY_1: Final = date(2024, 7, 1)
DAY_2: Final = date(2024, 7, 2)
DAY_3: Final = date(2024, 7, 3)


class Database(Protocol):
    """Speak SQL, and take Arrow tables."""

    def execute(self, sql: str) -> None: ...

    def append(self, table: str, rows: pa.Table) -> None: ...

    def arrow(self, sql: str) -> pa.Table: ...

    def close(self) -> None: ...


class InDuckDB:
    def __init__(self, path: str = ":memory:") -> None:
        self._connection = duckdb.connect(path)

    def execute(self, sql: str) -> None:
        self._connection.execute(sql)

    def append(self, table: str, rows: pa.Table) -> None:
        self._connection.from_arrow(rows).insert_into(table)

    def arrow(self, sql: str) -> pa.Table:
        return self._connection.sql(sql).to_arrow_table()

    def close(self) -> None:
        self._connection.close()


class InPostgres:
    def __init__(self, url: str) -> None:
        self._connection = adbc_driver_postgresql.dbapi.connect(url, autocommit=True)

    def execute(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)

    def append(self, table: str, rows: pa.Table) -> None:
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append")

    def arrow(self, sql: str) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def close(self) -> None:
        self._connection.close()


@contextmanager
def empty_store(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Open the kind of database that a fixture's parameter names, with the tables and views of a store."""
    of_kind = InDuckDB() if request.param == "duckdb" else InPostgres(request.getfixturevalue("postgres_url"))
    with closing(of_kind) as database:
        create(database)
        yield database


def create(database: Database) -> None:
    """Make the tables and views of a store."""
    database.execute("BEGIN")
    for name, schema in TABLES.items():
        database.execute(create_table_sql(name, schema))
    for name in VIEWS:
        database.execute(f"CREATE VIEW {name} AS {view_sql(name)}")
    database.execute("COMMIT")


def fill(database: Database, *rows: Row) -> None:
    """Add rows to their tables; a column that a row does not name is null."""
    by_table: dict[str, list[dict[str, object]]] = defaultdict(list)
    for table, row in rows:
        by_table[table].append(row)
    for table, of_table in by_table.items():
        database.append(table, pa.Table.from_pylist(of_table, schema=TABLES[table]))


def tuples(database: Database, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query in its order."""
    return [tuple(row.values()) for row in database.arrow(sql).to_pylist()]


def read(database: Database, name: str) -> pa.Table:
    """Return a view as it is."""
    return database.arrow(f"SELECT * FROM {name}")


def view(database: Database, name: str) -> list[tuple[Any, ...]]:
    """Return a view's rows, sorted."""
    return in_order(tuple(row.values()) for row in read(database, name).to_pylist())


def in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Sort rows; what is null comes first."""
    return sorted(rows, key=lambda row: [(value is not None, value) for value in row])


def cell_key(device: str, dataset: str, days: Days) -> dict[str, object]:
    return {"device_id": device, "dataset": dataset, "period_start": days[0], "period_end": days[1]}


def total(
    wh: float, disconnection: float | None = 0.0, *, of: str = "month", days: Days = JULY, device: str = "1"
) -> Row:
    """Make a row of `totals`."""
    row = {"total_consumption_wh": wh, "disconnection_percentage": disconnection}
    return "totals", {**cell_key(device, of, days), **row}


def week(wh: float, days: Days) -> Row:
    """Make a row of `totals` for a clipped week of a month."""
    return total(wh, None, of="month_weeks", days=days)


def used(key: str, wh: float, *, of: str = "month", days: Days = JULY, device: str = "1") -> Row:
    """Make a row of `consumption`."""
    return "consumption", {**cell_key(device, of, days), "appliance_key": key, "consumption_wh": wh}


def cycle(
    start: str,
    end: str,
    wh: float,
    *,
    offset: float | tuple[float, float] | None = 0.0,
    key: str = "electric_vehicle",
    ambiguous: bool = False,
    of: str = "month_cycles",
    days: Days = JULY,
    device: str = "1",
) -> Row:
    """Make a row of `cycles`; `offset` is the clock's from UTC, in hours, at its start and end."""
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    row = {"appliance_key": key, "start_local": first, "end_local": last, "consumption_wh": wh}
    if offset is not None:
        before, after = offset if isinstance(offset, tuple) else (offset, offset)
        row |= {"start_utc": _utc(first, before), "end_utc": _utc(last, after), "ambiguous": ambiguous}
    return "cycles", {**cell_key(device, of, days), **row}


def _utc(reading: datetime, offset: float) -> datetime:
    return reading.replace(tzinfo=UTC) - timedelta(hours=offset)


def report(unit: str = "kWh", *, of: str = "month_report", days: Days = JULY, **columns: object) -> Row:
    """Make a row of `reports`."""
    return "reports", {**cell_key("1", of, days), "reported_unit": unit, **columns}


def report_day(
    day: date, reported: float, wh: float | None = None, *, of: str = "month_report", days: Days = JULY
) -> Row:
    """Make a row of `report_days`."""
    row = {"day": day, "reported_consumption": reported, "consumption_wh": wh, "weekend": False}
    return "report_days", {**cell_key("1", of, days), **row}


def asked(status: str = "landed", *, of: str = "month", days: Days = JULY, device: str = "1") -> Row:
    """Make a row of `ledger`."""
    return "ledger", {**cell_key(device, of, days), "status": status, "attempts": 1}


def known_device(device_id: str, **columns: object) -> Row:
    """Make a row of `devices`."""
    return "devices", {"device_id": device_id, **columns}


def expected(of: str, days: Days) -> Row:
    """Make a row of `expected`."""
    return "expected", {"dataset": of, "period_start": days[0], "period_end": days[1]}


def found(database: Database, *rows: Row) -> list[tuple[Any, ...]]:
    """Fill a store, and return finding, subject, expected and found of what its checks find."""
    fill(database, *rows)
    return [row[4:] for row in view(database, "checks")]
