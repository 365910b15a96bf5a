"""The table `devices`: what the API said of a device, who is to be looked up, and what that makes missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa
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
    failed,
    fetched,
    fetched_as,
    ids,
    month_of,
    planned,
    seen,
    to_ask,
)

from voltaware_async.cells import Dataset, Seen
from voltaware_async.records.devices import ConnectionState, Device, DeviceId, Locale
from voltaware_async.stores import Coverage
from voltaware_async.stores.agenda import Agenda, Turn
from voltaware_async.stores.sightings import devices_seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.periods import Period
    from voltaware_async.stores import Store

NIGHT: Final = Agenda(as_of=TODAY, minds_first_event=True)
PARTS: Final = [MONTH_OF_JULY, (Dataset.WEEK, WEEK_28)]
NEVER: Final = ConnectionState.NEVER_CONNECTED


@pytest.fixture(params=["duckdb", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Leave out Parquet stores, which keep all of this in a DuckDB file; see `test_store_laws` for them."""
    name: str = request.param
    return name


def known(store: Store) -> dict[str, dict[str, object]]:
    rows = store.table("devices").to_pylist()
    found = {row.pop("device_id"): row for row in rows}
    assert len(found) == len(rows)
    return found


def unseen(
    store: Store, *names: str, as_of: date = TODAY, parts: Sequence[tuple[Dataset, Period]] = PARTS
) -> list[str]:
    """Return who is to be looked up, page by page."""
    store.consider(ids(*names), Agenda(as_of=as_of, minds_first_event=True))
    counted = store.count_unseen(parts)
    found: list[str] = []
    page, last = store.unseen(-1, 2)
    while page:
        assert len(page) <= 2
        found += page
        page, last = store.unseen(last, 2)
    assert len(found) == counted
    return found


# --- what is written -----------------------------------------------------------------------------


def test_everything_that_the_api_says_of_a_device_is_kept(store: Store) -> None:
    first, last = datetime(2024, 2, 1, 9, 30, 0, 250_000, UTC), datetime(2024, 8, 2, 23, 59, tzinfo=UTC)
    device = Device(ConnectionState.CONNECTED, "1.2.3", first, last, Locale("DE", "de-DE", "Europe/Berlin"))
    store.see(devices_seen([Seen(DeviceId("0001"), device)], NOW, TODAY))
    assert known(store) == {
        "0001": {
            "connection_state": "connected",
            "firmware": "1.2.3",
            "first_event": first,
            "last_event": last,
            "iso_country_code": "DE",
            "iso_locale_code": "de-DE",
            "time_zone_id": "Europe/Berlin",
            "seen_at": NOW,
            "asked_on": TODAY,
            "first_day": date(2024, 2, 1),
            "unlisted_since": None,
        }
    }


def test_a_device_that_is_seen_again_is_replaced_and_the_others_stay(store: Store) -> None:
    store.see(seen("1", "2", "3", state=NEVER, as_of=date(2024, 7, 1)))
    store.see(seen("3", "1", state="connected", day="2024-08-01"))
    assert {name: (it["connection_state"], it["first_day"]) for name, it in known(store).items()} == {
        "1": ("connected", date(2024, 8, 1)),
        "2": ("never_connected", None),
        "3": ("connected", date(2024, 8, 1)),
    }


def test_a_device_that_nothing_is_said_of_any_more_loses_what_was_known(store: Store) -> None:
    store.see(seen("1", state="connected", day="2024-08-01"))
    store.see(devices_seen([Seen(DeviceId("1"), None)], NOW, TODAY))
    assert known(store)["1"]["first_day"] is known(store)["1"]["connection_state"] is None


def test_considering_devices_makes_none_known(store: Store) -> None:
    store.consider(ids("1", "2"), NIGHT)
    assert store.count_unseen(PARTS) == 2
    assert known(store) == {}


def test_a_device_that_was_looked_up_twice_at_a_time_is_known_once_as_it_was_said_last(store: Store) -> None:
    """Two of its cells may be under way at once, each of which wants its time zone."""
    twice = [seen("1", state="first"), seen("2"), seen("1", state="second"), seen("1", state="third")]
    store.see(pa.concat_tables(twice))
    assert {name: it["connection_state"] for name, it in known(store).items()} == {"1": "third", "2": None}
    store.consider(ids("1", "2"), EVERYTHING)
    assert to_ask(store, Turn.FIRST) == ["1", "2"]


def test_time_zones_are_told_of_the_devices_that_were_looked_up(store: Store) -> None:
    locales = {"0001": Locale(time_zone_id="Europe/Berlin"), "2": Locale("DE"), "3": None, "4": Locale()}
    found = [Seen(DeviceId(name), Device(locale=locale)) for name, locale in locales.items()]
    store.see(devices_seen([*found, Seen(DeviceId("unknown to the API"), None)], NOW, TODAY))
    store.consider(ids("listed"), EVERYTHING)
    store.take_stock(TODAY)
    asked = ids("0001", "1", "2", "3", "unknown to the API", "listed", "never heard of")
    assert store.time_zones(asked) == {
        "0001": "Europe/Berlin",
        "2": None,
        "3": None,
        "unknown to the API": None,
    }
    assert store.time_zones([]) == {}


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_device_that_was_named_and_looked_up_is_not_listed_until_a_list_has_it(
    store: Store, *, is_listed: bool
) -> None:
    one = Seen(DeviceId("1"), Device("connected"))
    store.see(devices_seen([one], NOW, TODAY, is_listed=is_listed))
    assert known(store)["1"]["unlisted_since"] == (None if is_listed else TODAY)
    store.consider(ids("1"), NIGHT)
    store.take_stock(TODAY)
    store.see(devices_seen([one], NOW, TODAY, is_listed=False))
    assert known(store)["1"]["unlisted_since"] is None


# --- who is to be looked up ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "never", [datetime(9999, 12, 31, 23, 59, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)]
)
def test_a_device_with_a_first_event_to_come_is_asked_for_every_period(store: Store, never: datetime) -> None:
    """Some systems write the last instant that there is for "never": it must not hide a device's results."""
    device = Device(NEVER, first_event=never, locale=Locale(time_zone_id="UTC"))
    store.see(devices_seen([Seen(DeviceId("1"), device)], NOW, TODAY))
    assert unseen(store, "1", as_of=TODAY + timedelta(days=400)) == []
    assert planned(store) == 1
    store.expect([MONTH_OF_JULY], None)
    assert store.coverage() == [Coverage(*MONTH_OF_JULY, landed=0, absent=0, failed=0, never_asked=1)]


def test_new_devices_are_looked_up_in_the_order_of_the_run(store: Store) -> None:
    assert unseen(store, "9", "0001", "1", "0001", "A") == ["9", "0001", "1", "A"]


def test_a_device_that_was_looked_up_is_not_looked_up_again_whatever_was_said_of_it(store: Store) -> None:
    store.see(seen("with data", day="2024-01-01"))
    store.see(seen("silent", state="disconnected"))
    store.see(devices_seen([Seen(DeviceId("unknown"), None)], NOW, TODAY))
    later = TODAY + timedelta(days=400)
    assert unseen(store, "with data", "silent", "new", "unknown", as_of=later) == ["new"]


def test_a_device_that_is_known_by_its_id_alone_is_still_to_be_looked_up(store: Store) -> None:
    store.consider(ids("1"), EVERYTHING)
    store.take_stock(TODAY)
    assert store.table("devices").num_rows == 1
    assert unseen(store, "1") == ["1"]


def test_a_device_whose_every_cell_is_in_the_ledger_needs_no_looking_up(store: Store) -> None:
    week = fetched_as(Dataset.WEEK, WEEK_28, month_of(fridge=1.0))
    store.commit(batch(week, absent("0001"), fetched("2"), failed("3")))
    assert unseen(store, "0001", "2", "3", "4") == ["2", "3", "4"]
    assert unseen(store, "0001", "2", "3", "4", parts=[MONTH_OF_JULY]) == ["4"]
    assert unseen(store, "0001", "2", "3", "4", parts=[(Dataset.MONTH, JULY.next())]) == [
        *("0001", "2", "3", "4")
    ]


def test_nobody_is_looked_up_before_nothing(store: Store) -> None:
    assert unseen(store, "1", "2", parts=[]) == []


@pytest.mark.parametrize(
    ("days_later", "is_due"), [(-1, True), (0, False), (1, False), (6, False), (7, True), (40, True)]
)
def test_a_sensor_that_was_never_connected_is_looked_up_again_after_a_week_and_when_the_clock_went_back(
    store: Store, days_later: int, *, is_due: bool
) -> None:
    store.see(seen("dormant", state=NEVER))
    store.see(seen("awake", state=NEVER, day="2024-07-01"))
    found = unseen(store, "dormant", "awake", as_of=TODAY + timedelta(days=days_later))
    assert found == (["dormant"] if is_due else [])


@pytest.mark.parametrize(
    ("days_later", "is_due"), [(-1, True), (0, False), (1, False), (6, False), (7, True), (40, True)]
)
def test_a_device_whose_first_day_leaves_out_a_part_is_looked_up_again_after_a_week_as_well(
    store: Store, days_later: int, *, is_due: bool
) -> None:
    store.see(seen("young", day="2024-07-20"))
    store.see(seen("old", day="2024-07-14"))
    found = unseen(store, "young", "old", as_of=TODAY + timedelta(days=days_later))
    assert found == (["young"] if is_due else [])


@pytest.mark.parametrize(
    ("day", "parts", "is_due"),
    [
        ("2024-07-14", PARTS, False),
        ("2024-07-15", PARTS, True),
        ("2024-07-15", [MONTH_OF_JULY], False),
        ("2024-07-31", [MONTH_OF_JULY], False),
        ("2024-08-01", [MONTH_OF_JULY], True),
        ("2024-08-01", [MONTH_OF_JULY, (Dataset.MONTH, JULY.next())], True),
        ("2024-08-01", [(Dataset.MONTH, JULY.next()), MONTH_OF_JULY], True),
        ("2024-08-01", [(Dataset.MONTH, JULY.next())], False),
    ],
)
def test_whether_a_first_day_leaves_out_a_part_goes_by_the_part_that_ends_first(
    store: Store, day: str, parts: Sequence[tuple[Dataset, Period]], *, is_due: bool
) -> None:
    store.see(seen("1", day=day))
    found = unseen(store, "1", as_of=TODAY + timedelta(days=7), parts=parts)
    assert found == (["1"] if is_due else [])


def test_a_young_device_that_was_asked_for_every_part_all_the_same_is_not_looked_up_again(
    store: Store,
) -> None:
    store.see(seen("0001", day="2024-08-01"))
    store.commit(batch(absent("0001"), fetched_as(Dataset.WEEK, WEEK_28, month_of(fridge=1.0))))
    assert unseen(store, "0001", as_of=TODAY + timedelta(days=7)) == []


def test_a_young_device_whose_data_came_late_is_asked_for_what_its_first_day_left_out(store: Store) -> None:
    store.see(seen("1", day="2024-08-01"))
    later = TODAY + timedelta(days=7)
    assert unseen(store, "1", as_of=later, parts=[MONTH_OF_JULY]) == ["1"]
    assert planned(store) == 0
    store.see(seen("1", day="2024-07-31", as_of=later))
    store.take_stock(later)
    assert planned(store) == 1
    assert unseen(store, "1", as_of=later + timedelta(days=7), parts=[MONTH_OF_JULY]) == []


def test_a_young_device_that_stays_young_is_looked_up_once_a_week(store: Store) -> None:
    looked_up = []
    for days in range(16):
        as_of = TODAY + timedelta(days=days)
        if unseen(store, "1", as_of=as_of, parts=[MONTH_OF_JULY]):
            looked_up.append(days)
            store.see(seen("1", day="2024-08-01", as_of=as_of))
    assert looked_up == [0, 7, 14]


def test_an_agenda_that_does_not_mind_first_events_looks_nobody_up(store: Store) -> None:
    assert unseen(store, "1") == ["1"]
    store.consider(ids("1"), EVERYTHING)
    assert store.count_unseen(PARTS) == 0
    assert store.unseen(-1, 9) == ([], -1)


def test_nobody_is_to_be_looked_up_before_a_run_was_considered(store: Store) -> None:
    assert store.count_unseen(PARTS) == 0
    assert store.unseen(-1, 9) == ([], -1)


def test_who_is_looked_up_is_decided_once_for_all_pages(store: Store) -> None:
    store.consider(ids("1", "2", "3"), NIGHT)
    assert store.count_unseen(PARTS) == 3
    assert store.unseen(-1, 2) == (["1", "2"], 1)
    store.see(seen("1", "2", "3"))
    assert store.unseen(1, 2) == (["3"], 2)
    store.consider(ids("1", "2", "3"), NIGHT)
    assert store.count_unseen(PARTS) == 0
