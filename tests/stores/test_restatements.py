"""What the API restates: the rows of a landed cell are replaced, and what it said before is told."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve
from parquet_cases import record_of
from store_cases import (
    EVERYTHING,
    JULY,
    MONTH_OF_JULY,
    NOW,
    WEEK_28,
    absent,
    batch,
    cell,
    failed,
    fetched,
    ids,
    month_of,
    rows_of,
    to_ask,
    whole,
)

from voltaware_async.cells import Dataset, Fetched
from voltaware_async.errors import StoreError
from voltaware_async.periods import Month
from voltaware_async.records.disaggregation import ApplianceConsumption, MonthByWeeks, WeekOfMonth
from voltaware_async.stores.agenda import Agenda, Count, Turn
from voltaware_async.stores.batches import arrow_tables
from voltaware_async.stores.content import content_hash
from voltaware_async.stores.ledger import Revision
from voltaware_async.stores.sql.sql_store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store_cases import Rows

    from voltaware_async.cells import Outcome, Record
    from voltaware_async.periods import Period
    from voltaware_async.stores import Store

LATER: Final = NOW + timedelta(days=1)
AGAIN: Final = Agenda(as_of=LATER.date(), refreshes=lambda _period: True)
BEFORE: Final = month_of(fridge=10.0)
AFTER: Final = month_of(fridge=10.0, heating=5.0)
# The same total by other appliances.
SHIFTED: Final = month_of(fridge=4.0, heating=6.0)
# The same total, had it been added up in another order.
ADDED_UP: Final = month_of(fridge=10.000000000000002)
NOTHING: Final = month_of()


def period_of(dataset: Dataset) -> Period:
    return JULY if dataset.period_type is Month else WEEK_28


def all_datasets(device: str, wh: float) -> list[Outcome]:
    return [Fetched(cell(device, it, period_of(it)), record_of(it, period_of(it), wh)) for it in Dataset]


def said(device: str, record: Record) -> Fetched:
    return Fetched(cell(device), record)


def restate(store: Store, *outcomes: Outcome) -> int:
    return store.commit(batch(*outcomes, run_id="run-2", at=LATER), refreshes=True)


def rows_made_of(*outcomes: Outcome) -> dict[str, Rows]:
    """Return the rows that outcomes become, of all tables that hold records."""
    return {
        name: sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)
        for name, table in arrow_tables(outcomes).items()
    }


def landed_rows(store: Store) -> dict[str, Rows]:
    return {name: rows_of(store, name) for name in rows_made_of()}


def entry(store: Store, device: str) -> dict[str, object]:
    [row] = [row for row in store.table("ledger").to_pylist() if row["device_id"] == device]
    return dict(row)


def forget_hashes(store: Store) -> None:
    """Make of a ledger what an upgrade makes of one that was written before there were hashes."""
    assert isinstance(store, SqlStore)
    assert store._database.execute("UPDATE ledger SET content_hash = NULL")


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends_between", [False, True])
def test_the_rows_of_a_restated_cell_are_replaced_in_every_table_and_all_others_stay(
    store: Store, *, ends_between: bool
) -> None:
    store.begin("run-1", "pull", NOW)
    store.commit(batch(*all_datasets("1", 1.0), *all_datasets("2", 1.0)))
    if ends_between:
        store.finish("run-1", "complete", NOW, {})
    assert all(landed_rows(store).values())

    assert restate(store, *all_datasets("1", 2.0)) == len(Dataset)

    assert landed_rows(store) == rows_made_of(*all_datasets("1", 2.0), *all_datasets("2", 1.0))
    assert store.table("ledger").num_rows == 2 * len(Dataset)


def test_rows_that_a_restatement_leaves_out_are_gone(store: Store) -> None:
    nothing = {
        Dataset.MONTH: month_of(),
        Dataset.MONTH_CYCLES: (),
        Dataset.MONTH_WEEKS: MonthByWeeks(0.0, 0.0, ()),
    }
    store.commit(batch(*all_datasets("1", 1.0)))
    emptied = [Fetched(cell("1", dataset), record) for dataset, record in nothing.items()]
    kept = [one for one in all_datasets("1", 1.0) if one.cell.dataset not in nothing]

    assert restate(store, *emptied) == 3

    assert landed_rows(store) == rows_made_of(*emptied, *kept)


def by_weeks(month: Month, *edges: tuple[date, date]) -> Fetched:
    weeks = [WeekOfMonth(*days, 1.0, (ApplianceConsumption("fridge", 1.0),)) for days in edges]
    return Fetched(cell("1", Dataset.MONTH_WEEKS, month), MonthByWeeks(float(len(weeks)), 0.0, tuple(weeks)))


def test_the_clipped_weeks_of_a_restated_month_are_replaced_and_not_those_of_its_neighbours(
    store: Store,
) -> None:
    june, august = JULY.previous(), JULY.next()
    neighbours = [
        by_weeks(june, (date(2024, 6, 24), june.end)),
        by_weeks(august, (august.start, date(2024, 8, 4))),
    ]
    first, last = (JULY.start, date(2024, 7, 7)), (date(2024, 7, 29), JULY.end)
    store.commit(batch(by_weeks(JULY, first, (date(2024, 7, 8), date(2024, 7, 14)), last), *neighbours))

    restated = by_weeks(JULY, first, (date(2024, 7, 15), date(2024, 7, 21)))
    assert restate(store, restated) == 1

    assert landed_rows(store) == rows_made_of(restated, *neighbours)


@pytest.mark.parametrize("ends_between", [False, True])
def test_a_week_that_reaches_beyond_its_month_is_replaced_with_the_month_that_it_begins_in(
    store: Store, *, ends_between: bool
) -> None:
    """Weeks are documented to be clipped; one that is not must not land twice."""
    across, august = (date(2024, 7, 29), date(2024, 8, 4)), by_weeks(JULY.next(), (date(2024, 8, 5),) * 2)
    store.begin("run-1", "pull", NOW)
    store.commit(batch(by_weeks(JULY, across), august))
    if ends_between:
        store.finish("run-1", "complete", NOW, {})
    restated = by_weeks(JULY, (JULY.start, date(2024, 7, 7)), across)

    assert restate(store, restated) == 1

    assert landed_rows(store) == rows_made_of(restated, august)


def test_a_restated_week_leaves_the_same_days_of_other_datasets_alone(store: Store) -> None:
    weeks = [one for one in all_datasets("1", 1.0) if one.cell.period == WEEK_28]
    month = by_weeks(JULY, (WEEK_28.start, WEEK_28.end))
    store.commit(batch(*weeks, month))
    restated = evolve(weeks[0], record=month_of(washing=1.0))

    assert restate(store, restated) == 1

    assert landed_rows(store) == rows_made_of(restated, *weeks[1:], month)


def test_a_cell_that_is_restated_time_and_again_has_the_rows_of_the_last_time(store: Store) -> None:
    for number, wh in enumerate((1.0, 2.0, 1.0)):
        store.begin(f"run-{number}", "pull", NOW)
        restate(store, *all_datasets("1", wh)[:2])
        store.finish(f"run-{number}", "complete", NOW, {})

    assert landed_rows(store) == rows_made_of(*all_datasets("1", 1.0)[:2])
    assert sorted(one.new_total_wh or 0.0 for one in store.revisions()) == [2.0, 3.0, 4.0, 6.0]


# --- revisions ------------------------------------------------------------------------------------


def test_a_revision_tells_the_totals_and_hashes_before_and_after_and_the_run_that_found_it(
    store: Store,
) -> None:
    store.commit(batch(said("1", BEFORE), said("2", BEFORE)))

    assert restate(store, said("1", AFTER)) == 1

    assert store.table("revisions").to_pylist() == [
        {
            "device_id": "1",
            "dataset": "month",
            "period_start": JULY.start,
            "period_end": JULY.end,
            "revised_at": LATER,
            "run_id": "run-2",
            "old_total_wh": 10.0,
            "new_total_wh": 15.0,
            "old_hash": content_hash(BEFORE),
            "new_hash": content_hash(AFTER),
        }
    ]
    assert entry(store, "1")["content_hash"] == content_hash(AFTER)
    assert entry(store, "1")["total_consumption_wh"] == 15.0


def test_another_content_of_the_same_total_is_a_revision_too(store: Store) -> None:
    store.commit(batch(said("1", BEFORE)))

    assert restate(store, said("1", SHIFTED)) == 1

    [revision] = store.revisions()
    assert (revision.old_total_wh, revision.new_total_wh) == (10.0, 10.0)


def test_the_same_content_is_no_revision_though_it_is_written_again(store: Store) -> None:
    store.commit(batch(said("1", BEFORE), said("2", BEFORE)))

    assert restate(store, evolve(said("1", BEFORE), attempts=2), said("2", AFTER)) == 1

    assert [one.device_id for one in store.revisions()] == ["2"]
    assert landed_rows(store) == rows_made_of(said("1", BEFORE), said("2", AFTER))
    assert (entry(store, "1")["attempts"], entry(store, "1")["run_id"]) == (3, "run-2")


def test_what_lands_for_the_first_time_is_no_revision_also_where_others_are_restated(store: Store) -> None:
    store.commit(batch(absent("1"), failed("2"), said("3", BEFORE)))

    assert restate(store, *(said(device, AFTER) for device in "1234")) == 1

    assert [one.device_id for one in store.revisions()] == ["3"]
    assert landed_rows(store) == rows_made_of(*(said(device, AFTER) for device in "1234"))


def test_revisions_come_newest_first_and_no_more_than_are_asked_for(store: Store) -> None:
    assert store.revisions() == []
    cells = [said("2", BEFORE), said("1", BEFORE), Fetched(cell("3", Dataset.WEEK, WEEK_28), BEFORE)]
    store.commit(batch(*cells))
    for number, record in enumerate((AFTER, SHIFTED)):
        again = [evolve(one, record=record) for one in cells[number:]]
        store.commit(
            batch(*again, run_id=f"run-{number}", at=LATER + timedelta(hours=number)), refreshes=True
        )

    latest = LATER + timedelta(hours=1)
    month, week = (Dataset.MONTH, JULY), (Dataset.WEEK, WEEK_28)
    found = [
        Revision(latest, ids("1")[0], *month, 15.0, 10.0, "run-1"),
        Revision(latest, ids("3")[0], *week, 15.0, 10.0, "run-1"),
        Revision(LATER, ids("1")[0], *month, 10.0, 15.0, "run-0"),
        Revision(LATER, ids("2")[0], *month, 10.0, 15.0, "run-0"),
        Revision(LATER, ids("3")[0], *week, 10.0, 15.0, "run-0"),
    ]
    assert list(store.revisions()) == found
    assert list(store.revisions(limit=2)) == found[:2]


@pytest.mark.parametrize(
    ("record", "totals"),
    [
        (BEFORE, []),
        (SHIFTED, []),
        (ADDED_UP, []),
        (AFTER, [(10.0, 15.0, None, content_hash(AFTER))]),
        (NOTHING, [(10.0, 0.0, None, content_hash(NOTHING))]),
    ],
)
def test_a_cell_of_an_earlier_format_has_no_hash_and_is_restated_only_where_its_total_is_another(
    store: Store, record: Record, totals: Sequence[tuple[float, float, None, int]]
) -> None:
    store.commit(batch(said("1", BEFORE)))
    forget_hashes(store)

    assert restate(store, said("1", record)) == len(totals)

    assert [row[-4:] for row in rows_of(store, "revisions")] == totals
    assert landed_rows(store) == rows_made_of(said("1", record))
    assert store.hashes(*MONTH_OF_JULY, ids("1")) == {"1": content_hash(record)}


# --- what is refused ------------------------------------------------------------------------------


def test_without_leave_a_landed_cell_is_not_replaced_and_nothing_of_the_batch_is_written(
    store: Store,
) -> None:
    store.commit(batch(said("1", BEFORE)))
    before = whole(store)
    with pytest.raises(StoreError, match="1 cells have landed already, one of device 1"):
        store.commit(batch(said("2", AFTER), said("1", AFTER)))
    assert whole(store) == before


def test_a_cell_that_stands_in_a_batch_twice_is_refused_also_where_it_may_be_replaced(store: Store) -> None:
    store.commit(batch(said("1", BEFORE)))
    before = whole(store)
    with pytest.raises(StoreError, match="stand in one batch twice"):
        restate(store, said("1", AFTER), said("1", SHIFTED))
    assert whole(store) == before


# --- what is asked once more ----------------------------------------------------------------------


def test_landed_cells_are_asked_once_more_where_the_agenda_says_so_and_once_in_a_run(store: Store) -> None:
    store.commit(batch(said("1", BEFORE), absent("2"), said("3", BEFORE), failed("4")))
    store.begin("run-2", "pull", LATER)
    store.consider(ids("0", "1", "2", "3", "4"), AGAIN)
    assert [to_ask(store, turn) for turn in Turn] == [["0"], ["2", "4"], ["1", "3"]]
    assert list(store.count([MONTH_OF_JULY])) == [
        Count(*MONTH_OF_JULY, never_asked=1, again=2, known=0, refresh=2)
    ]

    restate(store, said("1", AFTER), said("2", BEFORE), said("0", BEFORE))

    assert [to_ask(store, turn) for turn in Turn] == [[], ["4"], ["3"]]
    assert list(store.count([MONTH_OF_JULY])) == [
        Count(*MONTH_OF_JULY, never_asked=0, again=1, known=3, refresh=1)
    ]


def test_only_the_periods_that_the_agenda_names_are_asked_once_more(store: Store) -> None:
    august = JULY.next()
    store.commit(batch(said("1", BEFORE), Fetched(cell("1", period=august), BEFORE)))
    store.consider(ids("1"), Agenda(as_of=LATER.date(), refreshes=lambda period: period == august))
    assert to_ask(store, Turn.REFRESH) == []
    assert to_ask(store, Turn.REFRESH, period=august) == ["1"]
    assert [(it.refresh, it.known) for it in store.count([MONTH_OF_JULY, (Dataset.MONTH, august)])] == [
        (0, 1),
        (1, 0),
    ]
    store.consider(ids("1"), EVERYTHING)
    assert to_ask(store, Turn.REFRESH, period=august) == []


def test_pages_of_landed_cells_go_on_after_some_were_restated_and_some_kept(store: Store) -> None:
    everybody = [str(number) for number in range(6)]
    store.commit(batch(*(said(device, BEFORE) for device in everybody)))
    store.begin("run-2", "pull", LATER)
    store.consider(ids(*everybody), AGAIN)
    assert store.outstanding(*MONTH_OF_JULY, Turn.REFRESH, -1, 3) == (["0", "1", "2"], 2)
    restate(store, said("1", AFTER))
    assert store.outstanding(*MONTH_OF_JULY, Turn.REFRESH, 2, 3) == (["3", "4", "5"], 5)
    restate(store, said("5", AFTER))
    assert store.outstanding(*MONTH_OF_JULY, Turn.REFRESH, 5, 3) == ([], 5)
    assert len(store.revisions()) == 2


def test_hashes_are_told_of_the_landed_cells_among_those_that_are_asked(store: Store) -> None:
    week = Fetched(cell("1", Dataset.WEEK, WEEK_28), SHIFTED)
    store.commit(batch(said("1", BEFORE), said("2", AFTER), absent("3"), failed("4"), fetched("5"), week))
    assert store.hashes(*MONTH_OF_JULY, ids("1", "2", "3", "4", "6")) == {
        "1": content_hash(BEFORE),
        "2": content_hash(AFTER),
    }
    assert store.hashes(Dataset.WEEK, WEEK_28, ids("1", "2")) == {"1": content_hash(SHIFTED)}
    assert store.hashes(*MONTH_OF_JULY, []) == {}
    forget_hashes(store)
    assert store.hashes(*MONTH_OF_JULY, ids("1", "3")) == {"1": None}
