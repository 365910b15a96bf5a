"""What a run is to ask, by its agenda and by what the store knows of cells and devices."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import pytest
from store_cases import (
    EVERYTHING,
    JULY,
    MONTH_OF_JULY,
    NOW,
    TODAY,
    WEEK_28,
    absent,
    batch,
    cell,
    failed,
    fetched,
    fetched_as,
    ids,
    month_of,
    planned,
    to_ask,
)

from voltaware_async.cells import Absent, Dataset, Seen
from voltaware_async.periods import Month, Week
from voltaware_async.records.devices import Device, DeviceId, Locale
from voltaware_async.stores.agenda import Absence, Agenda, Count, Turn
from voltaware_async.stores.sightings import devices_seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from voltaware_async.stores import Store

THIRD, FOURTH, NINTH = (date(2024, 8, day) for day in (3, 4, 9))
MINDFUL: Final = Agenda(as_of=TODAY, minds_first_event=True)
RETRY: Final = Agenda(as_of=TODAY, never_asked=False, asks_again=lambda _absence: False)


@pytest.fixture(params=["duckdb", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Leave out Parquet stores, which keep all of this in a DuckDB file; see `test_store_laws` for them."""
    name: str = request.param
    return name


def counted(store: Store) -> tuple[int, int, int]:
    """Count July's month cells: never asked, again, known."""
    [count] = store.count([MONTH_OF_JULY])
    assert (len(to_ask(store, Turn.FIRST)), len(to_ask(store, Turn.AGAIN))) == (
        count.never_asked,
        count.again,
    )
    assert count.planned == count.never_asked + count.again
    assert (count.of(Turn.FIRST), count.of(Turn.AGAIN)) == (count.never_asked, count.again)
    return count.never_asked, count.again, count.known


def entry(store: Store, device: str = "1") -> dict[str, object]:
    [row] = [row for row in store.table("ledger").to_pylist() if row["device_id"] == device]
    return {name: row[name] for name in ("status", "asked_on", "absent_since")}


# --- the two turns -------------------------------------------------------------------------------


def test_what_was_never_asked_comes_first_and_what_did_not_land_again(store: Store) -> None:
    store.commit(batch(fetched("1"), absent("2"), failed("3")))
    store.consider(ids("4", "3", "2", "1", "0"), EVERYTHING)
    assert to_ask(store, Turn.FIRST) == ["4", "0"]
    assert to_ask(store, Turn.AGAIN) == ["3", "2"]
    assert counted(store) == (2, 2, 1)


def test_counts_come_per_dataset_and_period_in_the_order_in_which_they_are_asked_for(store: Store) -> None:
    store.commit(
        batch(
            fetched("0001"),
            absent("2"),
            fetched_as(Dataset.WEEK, WEEK_28, month_of(fridge=1.0)),
            Absent(cell("2", Dataset.WEEK, WEEK_28)),
        )
    )
    store.consider(ids("0001", "2", "3"), RETRY)
    parts = [(Dataset.WEEK, WEEK_28), (Dataset.MONTH, JULY.next()), MONTH_OF_JULY]
    assert list(store.count(parts)) == [
        Count(Dataset.WEEK, WEEK_28, never_asked=0, again=0, known=2),
        Count(Dataset.MONTH, JULY.next(), never_asked=0, again=0, known=0),
        Count(Dataset.MONTH, JULY, never_asked=0, again=0, known=2),
    ]
    assert list(store.count([])) == []


def test_only_the_devices_of_the_run_are_counted(store: Store) -> None:
    store.commit(batch(fetched("1"), absent("2"), failed("3"), failed("4")))
    store.consider(ids("1", "4", "5"), EVERYTHING)
    assert counted(store) == (1, 1, 1)


def test_a_run_that_only_repeats_failures_leaves_out_what_was_never_asked_and_what_is_absent(
    store: Store,
) -> None:
    store.commit(batch(fetched("1"), absent("2"), failed("3")))
    store.consider(ids("0", "1", "2", "3"), RETRY)
    assert to_ask(store, Turn.FIRST) == []
    assert to_ask(store, Turn.AGAIN) == ["3"]
    assert counted(store) == (0, 1, 2)


def test_a_later_agenda_takes_the_place_of_an_earlier_one(store: Store) -> None:
    store.commit(batch(absent("1"), failed("2")))
    store.consider(ids("0", "1", "2"), RETRY)
    assert counted(store) == (0, 1, 1)
    store.consider(ids("0", "1", "2"), EVERYTHING)
    assert counted(store) == (1, 2, 0)
    store.consider(ids("0", "1", "2"), RETRY)
    assert counted(store) == (0, 1, 1)


def test_a_cell_that_a_run_has_asked_does_not_come_again_in_the_same_run(store: Store) -> None:
    store.commit(batch(failed("1"), absent("2"), run_id="run-1"))
    store.begin("run-2", "sync", NOW)
    store.consider(ids("1", "2", "3", "4"), EVERYTHING)
    assert to_ask(store, Turn.FIRST) == ["3", "4"]
    store.commit(batch(failed("3"), absent("4"), run_id="run-2"))
    assert to_ask(store, Turn.AGAIN) == ["1", "2"]
    store.commit(batch(failed("1"), absent("2"), run_id="run-2"))
    assert counted(store) == (0, 0, 4)
    store.finish("run-2", "incomplete", NOW, {})
    store.consider(ids("1", "2", "3", "4"), EVERYTHING)
    assert counted(store) == (0, 4, 0)


# --- absent cells --------------------------------------------------------------------------------

RULES: Final[dict[str, tuple[Callable[[Absence], bool], list[str]]]] = {
    "all": (lambda _: True, ["404 new", "404 old", "204 new", "204 old"]),
    "none": (lambda _: False, []),
    "by status": (lambda it: it.http_status == 404, ["404 new", "404 old"]),
    "by the day they were asked on": (lambda it: it.asked_on < FOURTH, ["404 new", "204 new"]),
    "by the day they are absent since": (
        lambda it: it.absent_since < it.asked_on,
        ["404 old", "204 old"],
    ),
    "by dataset": (lambda it: it.dataset is Dataset.MONTH_WEEKS, []),
    "by period": (lambda it: it.period == JULY.next(), []),
    "by everything": (
        lambda it: it == Absence(Dataset.MONTH, JULY, 204, absent_since=THIRD, asked_on=FOURTH),
        ["204 old"],
    ),
}


@pytest.mark.parametrize(("asks_again", "due"), RULES.values(), ids=RULES)
def test_absent_cells_are_asked_again_where_the_agenda_says_so_and_failed_ones_always(
    store: Store, asks_again: Callable[[Absence], bool], due: list[str]
) -> None:
    everybody = ["failed", "404 new", "404 old", "204 new", "204 old", "landed"]
    missing = [absent("404 old"), absent("204 old", http_status=204)]
    store.commit(batch(*missing, as_of=THIRD))
    store.commit(batch(*missing, as_of=FOURTH))
    store.commit(batch(absent("404 new"), absent("204 new", http_status=204), as_of=THIRD))
    store.commit(batch(failed("failed"), fetched("landed"), as_of=THIRD))

    store.consider(ids(*everybody), Agenda(as_of=NINTH, asks_again=asks_again))

    assert to_ask(store, Turn.AGAIN) == ["failed", *due]
    assert counted(store) == (0, 1 + len(due), 5 - len(due))


def test_the_agenda_is_asked_once_for_all_cells_that_are_absent_alike(store: Store) -> None:
    asked: list[Absence] = []

    def note(absence: Absence) -> bool:
        asked.append(absence)
        return True

    store.commit(
        batch(*(absent(f"{n}") for n in range(50)), failed("failed"), fetched("landed"), as_of=THIRD)
    )
    store.consider([], Agenda(as_of=NINTH, asks_again=note))
    assert asked == [Absence(Dataset.MONTH, JULY, 404, absent_since=THIRD, asked_on=THIRD)]


@pytest.mark.parametrize("due", [JULY, JULY.next()])
def test_of_cells_that_are_absent_alike_in_two_periods_those_of_one_may_be_due(
    store: Store, due: Month
) -> None:
    everybody = ids("1", "2", "3")
    for period in (JULY, JULY.next()):
        store.commit(batch(*(Absent(cell(it, period=period), http_status=404) for it in everybody)))
    store.consider(everybody, Agenda(as_of=NINTH, asks_again=lambda it: it.period == due))
    for period in (JULY, JULY.next()):
        asked = everybody if period == due else []
        assert to_ask(store, Turn.AGAIN, period=period) == asked
        assert planned(store, period=period) == len(asked)


def test_months_and_weeks_that_begin_on_one_day_are_told_apart(store: Store) -> None:
    april = Month(2024, 4)
    week = Week(april.start)
    store.commit(batch(Absent(cell("1", period=april)), Absent(cell("1", Dataset.WEEK, week)), as_of=THIRD))
    found: list[Absence] = []
    store.consider(
        ids("1"), Agenda(as_of=NINTH, asks_again=lambda it: not found.append(it) and it.period == week)
    )
    assert sorted(it.period for it in found if isinstance(it.period, Month)) == [april]
    assert [it.period for it in found if isinstance(it.period, Week)] == [week]
    assert to_ask(store, Turn.AGAIN, period=april) == []
    assert to_ask(store, Turn.AGAIN, Dataset.WEEK, week) == ["1"]


# --- since when a cell is absent -----------------------------------------------------------------


def test_a_cell_is_absent_since_it_first_was_whatever_came_between(store: Store) -> None:
    for day, ending in enumerate([failed("1"), absent("1"), failed("1"), absent("1"), failed("1")], 1):
        store.commit(batch(ending, as_of=date(2024, 8, day)))
        since = date(2024, 8, 2) if day >= 2 else None
        assert entry(store) == {
            "status": type(ending).__name__.lower(),
            "asked_on": date(2024, 8, day),
            "absent_since": since,
        }


@pytest.mark.parametrize("between", [[], [failed("1")], [absent("1"), failed("1")]], ids=len)
def test_a_cell_that_is_absent_since_a_day_to_come_heals_once_the_clock_is_right(
    store: Store, between: list[Absent]
) -> None:
    """Else it would look too young to be given up, for years."""
    for ending in [absent("1"), *between]:
        store.commit(batch(ending, as_of=date(2030, 1, 1)))
    assert entry(store)["absent_since"] == date(2030, 1, 1)
    store.commit(batch(absent("1"), as_of=THIRD))
    assert entry(store) == {"status": "absent", "asked_on": THIRD, "absent_since": THIRD}
    store.commit(batch(absent("1"), as_of=NINTH))
    assert entry(store) == {"status": "absent", "asked_on": NINTH, "absent_since": THIRD}


def test_a_cell_that_heals_does_so_as_well_where_it_was_given_out_again(store: Store) -> None:
    store.commit(batch(absent("1"), as_of=date(2030, 1, 1), run_id="run-0"))
    store.consider(ids("1"), EVERYTHING)
    assert to_ask(store, Turn.AGAIN) == ["1"]
    store.commit(batch(absent("1"), as_of=THIRD))
    assert entry(store) == {"status": "absent", "asked_on": THIRD, "absent_since": THIRD}


@pytest.mark.parametrize("before", [[], [absent("1")], [absent("1"), failed("1")]], ids=len)
def test_a_cell_that_has_landed_is_absent_since_no_day(store: Store, before: list[Absent]) -> None:
    for ending in before:
        store.commit(batch(ending, as_of=THIRD))
    store.commit(batch(fetched("1"), as_of=NINTH))
    assert entry(store) == {"status": "landed", "asked_on": NINTH, "absent_since": None}


def test_absence_is_kept_as_well_where_a_cell_was_given_out_again(store: Store) -> None:
    store.commit(batch(absent("1"), failed("2"), as_of=THIRD, run_id="run-0"))
    store.consider(ids("1", "2", "3"), EVERYTHING)
    assert to_ask(store, Turn.AGAIN) == ["1", "2"]
    store.commit(batch(failed("1"), absent("2"), as_of=NINTH))
    assert entry(store, "1") == {"status": "failed", "asked_on": NINTH, "absent_since": THIRD}
    assert entry(store, "2") == {"status": "absent", "asked_on": NINTH, "absent_since": NINTH}
    assert to_ask(store, Turn.FIRST) == ["3"]
    store.commit(batch(absent("3"), as_of=NINTH))
    assert entry(store, "3") == {"status": "absent", "asked_on": NINTH, "absent_since": NINTH}


# --- what is known of devices --------------------------------------------------------------------


def seen(device: str, *, state: str | None = None, first_day: date | None = None) -> Seen:
    noon = NOW.replace(hour=12)
    first_event = first_day and noon.replace(first_day.year, first_day.month, first_day.day)
    locale = Locale(time_zone_id="Europe/Berlin")
    return Seen(DeviceId(device), Device(state, first_event=first_event, locale=locale))


@pytest.fixture
def surveyed(store: Store) -> Store:
    found = [
        seen("since the 30th", first_day=date(2024, 7, 30)),
        seen("since the last", first_day=JULY.end),
        seen("since August", first_day=date(2024, 8, 1)),
        seen("never connected", state="never_connected"),
        seen("never connected, with data", state="never_connected", first_day=date(2020, 1, 1)),
        seen("silent", state="disconnected"),
        seen("of a later state", state="asleep"),
        Seen(DeviceId("unknown to the API"), None),
    ]
    store.see(devices_seen(found, NOW, TODAY))
    return store


EVERYBODY: Final = ids(
    *("since the 30th", "since the last", "since August", "never connected", "never connected, with data"),
    *("silent", "of a later state", "unknown to the API", "never looked up"),
)
WITH_JULY: Final = [it for it in EVERYBODY if it not in {"since August", "never connected"}]


def test_a_mindful_agenda_leaves_out_what_ended_before_a_first_day_and_sensors_never_connected(
    surveyed: Store,
) -> None:
    surveyed.consider(EVERYBODY, MINDFUL)
    assert to_ask(surveyed, Turn.FIRST) == WITH_JULY
    assert counted(surveyed) == (7, 0, 0)
    assert to_ask(surveyed, Turn.FIRST, period=JULY.next()) == [
        it for it in EVERYBODY if it != "never connected"
    ]
    assert to_ask(surveyed, Turn.FIRST, Dataset.WEEK, WEEK_28) == WITH_JULY[2:]


def test_any_other_agenda_asks_for_every_period_of_every_device(surveyed: Store) -> None:
    surveyed.consider(EVERYBODY, EVERYTHING)
    assert to_ask(surveyed, Turn.FIRST) == EVERYBODY
    assert counted(surveyed) == (9, 0, 0)


def test_a_mindful_agenda_leaves_such_cells_out_of_its_second_turn_too_and_counts_them_as_known(
    surveyed: Store,
) -> None:
    surveyed.commit(batch(*(failed(it) for it in EVERYBODY[:4])))
    surveyed.consider(EVERYBODY, MINDFUL)
    assert to_ask(surveyed, Turn.AGAIN) == EVERYBODY[:2]
    assert counted(surveyed) == (5, 2, 2)


@pytest.mark.parametrize("listed_on", [None, TODAY])
def test_a_mindful_agenda_goes_by_what_is_known_when_stock_is_taken(
    store: Store, listed_on: date | None
) -> None:
    store.consider(ids("1", "2"), MINDFUL)
    store.see(devices_seen([seen("1", first_day=date(2024, 8, 1))], NOW, TODAY))
    assert counted(store) == (2, 0, 0)
    store.take_stock(listed_on)
    assert counted(store) == (1, 0, 0)
    assert to_ask(store, Turn.FIRST) == ["2"]


@pytest.mark.parametrize("listed_on", [None, TODAY])
def test_a_page_after_the_stock_taking_goes_by_what_is_known_then(
    store: Store, listed_on: date | None
) -> None:
    store.consider(ids("1", "2", "3"), MINDFUL)
    assert store.outstanding(*MONTH_OF_JULY, Turn.FIRST, -1, 1) == (["1"], 0)
    store.see(devices_seen([seen("2", first_day=date(2024, 8, 1))], NOW, TODAY))
    store.take_stock(listed_on)
    assert store.outstanding(*MONTH_OF_JULY, Turn.FIRST, 0, 9) == (["3"], 2)
