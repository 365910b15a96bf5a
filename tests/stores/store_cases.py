"""Outcomes and stores that the tests of this folder share."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from voltaware_async.cells import Absent, Cell, Dataset, Failed, Fetched, Seen
from voltaware_async.errors import ErrorContext, ServerError
from voltaware_async.periods import Month, Week
from voltaware_async.records.devices import Device, DeviceId, Locale
from voltaware_async.records.disaggregation import ApplianceConsumption, Disaggregation
from voltaware_async.stores.agenda import Agenda, Turn
from voltaware_async.stores.batches import Batch, batch_of
from voltaware_async.stores.sightings import devices_seen
from voltaware_async.stores.sql.sql_store import SqlStore
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager.dbapi import Connection

    from voltaware_async.cells import Outcome, Record
    from voltaware_async.periods import Period
    from voltaware_async.stores import Store

KINDS: Final = ("duckdb", "parquet", "postgres")
JULY: Final = Month(2024, 7)
WEEK_28: Final = Week(date(2024, 7, 8))
NOW: Final = datetime(2024, 8, 3, 2, 30, tzinfo=UTC)
TODAY: Final = NOW.date()
EVERYTHING: Final = Agenda(as_of=TODAY)
MONTH_OF_JULY: Final = (Dataset.MONTH, JULY)

Rows = list[tuple[object, ...]]


def ids(*names: str) -> list[DeviceId]:
    return [DeviceId(name) for name in names]


def cell(device: str, dataset: Dataset = Dataset.MONTH, period: Period = JULY) -> Cell:
    return Cell(DeviceId(device), dataset, period)


def month_of(**wh: float) -> Disaggregation:
    return Disaggregation(sum(wh.values()), 14.3, tuple(ApplianceConsumption(*pair) for pair in wh.items()))


def fetched(device: str, *, attempts: int = 1, **wh: float) -> Fetched:
    return Fetched(cell(device), month_of(**(wh or {"fridge": 10.0})), attempts=attempts)


def fetched_as(dataset: Dataset, period: Period, record: Record) -> Fetched:
    return Fetched(cell("0001", dataset, period), record)


def absent(device: str, *, attempts: int = 1, http_status: int = 404) -> Absent:
    return Absent(cell(device), attempts=attempts, http_status=http_status)


def failed(device: str, *, attempts: int = 1, message: str = "the API broke") -> Failed:
    context = ErrorContext("GET", "/sm/disag/month", device_id=device, status=500, attempts=attempts)
    return Failed(cell(device), ServerError(message, context), http_status=500, attempts=attempts)


def seen(*names: str, state: str | None = None, day: str | None = None, as_of: date = TODAY) -> pa.Table:
    """Make rows of devices that sent their first event at noon of a day."""
    first_event = day and datetime.fromisoformat(f"{day}T12:00Z")
    device = Device(state, first_event=first_event, locale=Locale(time_zone_id="UTC"))
    return devices_seen([Seen(DeviceId(name), device) for name in names], NOW, as_of)


def batch(*outcomes: Outcome, run_id: str = "run-1", at: datetime = NOW, as_of: date | None = None) -> Batch:
    return batch_of(outcomes, run_id, at, as_of)


def rows(table: Batch, name: str) -> Rows:
    """Return a batch's rows as tuples."""
    return [tuple(row.values()) for row in table.tables[name].to_pylist()]


def planned(store: Store, dataset: Dataset = Dataset.MONTH, period: Period = JULY) -> int:
    [count] = store.count([(dataset, period)])
    return count.planned


def to_ask(store: Store, turn: Turn, dataset: Dataset = Dataset.MONTH, period: Period = JULY) -> list[str]:
    """Return all devices of a turn, page by page."""
    found: list[str] = []
    page, last = store.outstanding(dataset, period, turn, -1, 2)
    while page:
        found += page
        page, last = store.outstanding(dataset, period, turn, last, 2)
    return found


def date_all(store: Store) -> None:
    """Date the cycles of all devices, portion by portion."""
    after: DeviceId | None = DeviceId("")
    while after is not None:
        after = store.date_cycles(after)


def rows_of(store: Store, name: str) -> Rows:
    """Return the rows of a table or view, in the order of their words: no store promises another."""
    return sorted((tuple(row.values()) for row in store.table(name).to_pylist()), key=repr)


def whole(store: Store, *but: str) -> dict[str, Rows]:
    """Return the rows of all tables."""
    return {name: rows_of(store, name) for name in TABLES if name not in but}


def lose_connection(store: Store, url: str) -> None:
    """Let the server end a store's session, and wait until it has."""
    from adbc_driver_postgresql import dbapi  # noqa: PLC0415  most tests need no server

    assert isinstance(store, SqlStore)
    [(backend,)] = store._database.rows("SELECT pg_backend_pid()")
    with dbapi.connect(url, autocommit=True) as other:
        end_session(other, backend)


def end_session(other: Connection, backend: int) -> None:
    """End a session from another one. The server's own waiting would look only ten times a second."""
    with other.cursor() as cursor:
        is_there = True
        cursor.execute(f"SELECT pg_terminate_backend({backend})")
        cursor.fetchall()
        while is_there:
            cursor.execute(f"SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = {backend})")
            [(is_there,)] = cursor.fetchall()
