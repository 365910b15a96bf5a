"""A PostgreSQL server that hangs up at any point: the store connects anew, and nothing is lost or doubled.

What is sent to the server is counted, and the session is ended just before something is sent: each of these
points is tried.
"""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from adbc_driver_postgresql import dbapi
from parquet_cases import record_of
from store_cases import (
    JULY,
    MONTH_OF_JULY,
    NOW,
    TODAY,
    WEEK_28,
    absent,
    batch,
    cell,
    date_all,
    end_session,
    failed,
    fetched,
    ids,
    lose_connection,
    seen,
    to_ask,
    whole,
)

from voltaware_async.cells import Dataset, Fetched
from voltaware_async.errors import StoreError
from voltaware_async.fleet import landing
from voltaware_async.stores import open_store
from voltaware_async.stores.agenda import Agenda, Turn
from voltaware_async.stores.postgres import database as postgres_database
from voltaware_async.stores.postgres.session import Session
from voltaware_async.stores.tables import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from conftest import KeptStore
    from store_cases import Rows

    from voltaware_async import VoltawareClient
    from voltaware_async.stores import Store
    from voltaware_async.stores.batches import Batch

TONIGHT: Final = date(2024, 9, 15)
VARYING: Final = {"run_id", "updated_at", "seen_at"}
LATER: Final = NOW + timedelta(days=1)
EVERYBODY: Final = ids("0", "1", "2", "3", "4", "5")
NIGHT: Final = Agenda(as_of=TODAY, minds_first_event=True, refreshes=lambda _period: True)
PARTS: Final = [MONTH_OF_JULY, (Dataset.WEEK_CYCLES, WEEK_28)]
SENT: Final = ("rows", "execute", "arrow", "append", "create_temporary")
# Each point takes a tenth of a second; all of them are tried by  pytest -m long.
SOME_POINTS: Final = (1, 3, 9, 27, 81)
POINTS: Final = pytest.mark.parametrize(
    "points", [SOME_POINTS, pytest.param(range(1, 1000), marks=pytest.mark.long)], ids=["some", "all"]
)


class Line:
    """Count what is sent to the server since it was last asked to, and cut the session before some of it."""

    def __init__(self, url: str) -> None:
        self._connection = dbapi.connect(url, autocommit=True)
        self.cut(at=())

    def cut(self, *, at: tuple[int, ...], after_commit: bool = False) -> None:
        """Begin to count from 1; `after_commit` lets the server hang up in the place of its answer."""
        self.sent = 0
        self.said: list[str] = []
        self._cuts = at
        self._after_commit = after_commit

    def send(self, method: Callable[..., Any], session: Session, *arguments: Any, **options: Any) -> Any:
        self.sent += 1
        self.said.append(f"{method.__name__} {arguments[0]}")
        if self.sent in self._cuts:
            self._end(session)
        answer = method(session, *arguments, **options)
        if self._after_commit and arguments[0] == "COMMIT":
            self._after_commit = False
            self._end(session)
            session.execute("SELECT 1")
        return answer

    def _end(self, session: Session) -> None:
        if session.backend is not None:
            end_session(self._connection, session.backend)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def line(any_postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr(postgres_database, "_LOOK_AGAIN_S", 0.01)
    with closing(Line(any_postgres)) as line:
        for name in SENT:
            monkeypatch.setattr(Session, name, _counted(getattr(Session, name), line))
        yield line


def _counted(method: Callable[..., Any], line: Line) -> Callable[..., Any]:
    def send(session: Session, *arguments: Any, **options: Any) -> Any:
        return line.send(method, session, *arguments, **options)

    return send


# --- a batch --------------------------------------------------------------------------------------


def month(device: str, wh: float) -> Fetched:
    return Fetched(cell(device), record_of(*MONTH_OF_JULY, wh))


def never_asked(store: Store) -> Batch:
    """Give out cells that the ledger does not have."""
    store.begin("run-2", "pull", LATER)
    store.consider(EVERYBODY, NIGHT)
    assert to_ask(store, Turn.FIRST) == EVERYBODY
    return batch(fetched("0"), fetched("1"), absent("2"), failed("3"), run_id="run-2", at=LATER)


def asked_before(store: Store) -> Batch:
    """Let cells fail, and have them fetched in another run; nobody gave them out."""
    store.commit(batch(failed("0", attempts=3), absent("1", attempts=2), fetched("2")))
    return batch(fetched("0"), absent("1"), failed("3"), run_id="run-2", at=LATER)


def landed_before(store: Store) -> Batch:
    """Land cells, and have some of them restated."""
    store.commit(batch(month("0", 1.0), month("1", 1.0), failed("2"), month("3", 1.0)))
    return batch(month("0", 2.0), month("1", 1.0), fetched("2"), month("4", 1.0), run_id="run-2", at=LATER)


COMMITS: Final = [never_asked, asked_before, landed_before]


def commit(store: Store, cells: Batch) -> int:
    return store.commit(cells, refreshes=True)


def undisturbed(kept: KeptStore, prepare: Callable[[Store], Batch]) -> tuple[int, dict[str, Rows]]:
    store = kept.store()
    return commit(store, prepare(store)), whole(store)


@POINTS
@pytest.mark.parametrize("prepare", COMMITS)
def test_a_batch_is_there_once_wherever_its_connection_was_lost(
    kept_store: KeptStore, line: Line, prepare: Callable[[Store], Batch], points: Sequence[int]
) -> None:
    expected = undisturbed(kept_store, prepare)
    for point in points:
        store = kept_store.store()
        cells = prepare(store)
        line.cut(at=(point,))
        restated = commit(store, cells)
        if line.sent < point:
            break
        assert (restated, whole(store)) == expected, line.said[point - 1]
    assert point > 1


@pytest.mark.parametrize("prepare", COMMITS)
def test_a_batch_that_was_committed_when_the_server_hung_up_is_not_written_again(
    kept_store: KeptStore, line: Line, prepare: Callable[[Store], Batch]
) -> None:
    expected = undisturbed(kept_store, prepare)
    store = kept_store.store()
    cells = prepare(store)

    line.cut(at=(), after_commit=True)
    restated = commit(store, cells)

    assert [it for it in line.said if it == "execute COMMIT"] == ["execute COMMIT"]
    assert (restated, whole(store)) == expected


def test_an_empty_batch_wants_no_connection(kept_store: KeptStore) -> None:
    store = kept_store.store()
    lose_connection(store, kept_store.url)
    assert commit(store, batch()) == 0
    assert commit(store, batch(fetched("1"))) == 0
    assert store.table("ledger").num_rows == 1


# The point before the ledger is written, when rows have been.
BEFORE_LEDGER: Final = 19


@POINTS
def test_a_connection_that_is_lost_again_is_a_broken_store_with_nothing_half_written(
    kept_store: KeptStore, line: Line, points: Sequence[int]
) -> None:
    _, expected = undisturbed(kept_store, landed_before)
    errors = 0
    for point in points:
        store = kept_store.store()
        cells = landed_before(store)
        before = whole(store)
        line.cut(at=(BEFORE_LEDGER, BEFORE_LEDGER + point))
        broken = broken_by(store, cells)
        assert line.said[BEFORE_LEDGER - 1] == "append ledger"
        if line.sent < BEFORE_LEDGER + point:
            break
        if not broken:
            # A session that is lost while it is being opened is opened once more.
            assert whole(store) == expected, line.said[-1]
            continue
        errors += 1
        with open_store(kept_store.url) as again:
            assert whole(again) == before, line.said[-1]
            commit(again, cells)
            assert whole(again) == expected
    assert errors > 1


def broken_by(store: Store, cells: Batch) -> bool:
    """Commit, and tell whether that found the store broken."""
    try:
        commit(store, cells)
    except StoreError as error:
        return "hung up: see to its server, then run the same again; what landed is safe" in str(error)
    return False


def test_cells_that_another_process_has_asked_meanwhile_are_looked_for_in_the_ledger(
    kept_store: KeptStore,
) -> None:
    """Who has lost the connection has lost the lock."""
    store = kept_store.store()
    cells = never_asked(store)
    lose_connection(store, kept_store.url)
    with open_store(kept_store.url) as other:
        other.commit(batch(failed("5"), run_id="elsewhere", at=LATER))
    store.commit(cells)

    store.commit(batch(fetched("5", attempts=2), run_id="run-2", at=LATER))

    [entry] = [row for row in store.table("ledger").to_pylist() if row["device_id"] == "5"]
    assert (entry["status"], entry["attempts"]) == ("landed", 3)


# --- everything else ------------------------------------------------------------------------------


def some_fleet(store: Store) -> None:
    """Make a store that has something to answer to every question, and begin a run on it."""
    store.begin("run-1", "sync", NOW)
    store.expect(PARTS, TODAY)
    store.see(seen("0", "1", "gone", day="2024-01-01"))
    cycles = Fetched(cell("1", Dataset.WEEK_CYCLES, WEEK_28), record_of(Dataset.WEEK_CYCLES, WEEK_28, 1.0))
    store.commit(batch(month("0", 1.0), failed("1"), absent("2"), month("3", 1.0), cycles))
    store.commit(batch(month("3", 2.0), at=LATER), refreshes=True)
    store.finish("run-1", "incomplete", NOW, {"failed": 1})
    store.begin("run-2", "sync", LATER)
    store.consider(EVERYBODY, NIGHT)
    store.count_unseen(PARTS)


def unseen(store: Store) -> list[str]:
    """Page through the devices that were counted when the run began."""
    found: list[str] = []
    page, last = store.unseen(-1, 1)
    while page:
        found += page
        page, last = store.unseen(last, 1)
    return found


def answers(store: Store) -> list[object]:
    """Ask for all that only has to be looked up."""
    return [
        store.knows_devices(),
        store.time_zones(EVERYBODY),
        store.hashes(*MONTH_OF_JULY, EVERYBODY),
        store.expected_until(),
        store.last_run(),
        store.failed_devices(),
        store.coverage(),
        store.failures(),
        store.revisions(),
        store.findings(),
        store.consumption_by_appliance(*MONTH_OF_JULY),
        store.count(PARTS),
    ]


ASKED: Final[dict[str, Callable[[Store], object]]] = {
    "answers": answers,
    "begin": lambda store: store.begin("run-3", "sync", LATER),
    "consider": lambda store: (store.consider(EVERYBODY[1:], NIGHT), to_ask(store, Turn.FIRST)),
    "outstanding": lambda store: [to_ask(store, turn, *part) for turn in Turn for part in PARTS],
    "count_unseen": lambda store: (store.count_unseen(PARTS[:1]), unseen(store)),
    "unseen": unseen,
    "see": lambda store: store.see(seen("1", "4", day="2024-07-01", as_of=LATER.date())),
    "take_stock": lambda store: (store.take_stock(TODAY), to_ask(store, Turn.FIRST)),
    "date_cycles": date_all,
    "expect": lambda store: store.expect([*PARTS, (Dataset.MONTH, JULY.next())], LATER.date()),
    "finish": lambda store: store.finish("run-2", "complete", LATER, {"landed": 3}),
}


@POINTS
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_whatever_is_asked_has_the_same_answer_wherever_its_connection_was_lost(
    kept_store: KeptStore, line: Line, ask: Callable[[Store], object], points: Sequence[int]
) -> None:
    store = kept_store.store()
    some_fleet(store)
    expected = ask(store), whole(store)
    for point in points:
        store = kept_store.store()
        some_fleet(store)
        line.cut(at=(point,))
        answer = ask(store)
        if line.sent < point:
            break
        assert (answer, whole(store)) == expected, line.said[point - 1]
    assert point > 1


def test_whoever_reads_goes_on_reading(kept_store: KeptStore) -> None:
    target = kept_store.target()
    with open_store(target) as store:
        some_fleet(store)
    with open_store(target, read_only=True) as store:
        store.consider(EVERYBODY, NIGHT)
        expected = store.coverage(), store.count(PARTS)
        lose_connection(store, target)
        assert (store.coverage(), store.count(PARTS)) == expected


# --- a night --------------------------------------------------------------------------------------


def told(store: Store) -> dict[str, list[str]]:
    """Return what a night has written, but for when it did."""
    tables = {name: store.table(name) for name in (*ROWS, "ledger", "devices", "expected")}
    return {
        name: sorted(map(repr, table.drop_columns(sorted({*table.column_names} & VARYING)).to_pylist()))
        for name, table in tables.items()
    }


@pytest.mark.anyio
async def test_a_night_in_which_the_server_hangs_up_time_and_again_lands_what_a_quiet_one_lands(
    client: VoltawareClient,
    kept_store: KeptStore,
    line: Line,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 50)
    with open_store(tmp_path / "quiet.duckdb") as quiet:
        expected = await client.fleet.sync(quiet, as_of=TONIGHT, horizon_months=1)
        rows = told(quiet)
    assert all(rows.values())

    store = kept_store.store()
    line.cut(at=tuple(range(60, 10_000, 97)))
    summary = await client.fleet.sync(store, as_of=TONIGHT, horizon_months=1)

    assert line.sent > 300
    assert (summary.landed, summary.absent, summary.failed) == (expected.landed, expected.absent, 0)
    assert told(store) == rows
