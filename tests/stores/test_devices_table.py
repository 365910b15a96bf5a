"""The table `devices`: what the API said of a device, who is to be looked up, and what that makes missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
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
    failed,
    fetched,
    fetched_as,
    ids,
    month_of,
    planned,
    seen,
)

from voltaware_async.cells import Dataset, Seen
from voltaware_async.records.devices import ConnectionState, Device, DeviceId, Locale
from voltaware_async.stores import Coverage
from voltaware_async.stores.agenda import Agenda
from voltaware_async.stores.sightings import devices_seen
from voltaware_async.stores.tables import DEVICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.periods import Period
    from voltaware_async.stores import Store

NIGHT: Final = Agenda(as_of=TODAY, minds_first_event=True)
PARTS: Final = [MONTH_OF_JULY, (Dataset.WEEK, WEEK_28)]
NEVER: Final = ConnectionState.NEVER_CONNECTED


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


def test_a_device_that_the_api_does_not_know_is_kept_as_looked_up() -> None:
    [row] = devices_seen([Seen(DeviceId("1"), None)], NOW, TODAY).to_pylist()
    assert {name: it for name, it in row.items() if it is not None} == {
        "device_id": "1",
        "seen_at": NOW,
        "asked_on": TODAY,
    }


def test_no_devices_make_rows_of_the_same_types() -> None:
    assert devices_seen([], NOW, TODAY).schema == DEVICES
    assert seen("1", "2", state="connected", day="2024-01-01").schema == DEVICES


@pytest.mark.parametrize(
    ("state", "stored"), [(NEVER, "never_connected"), ("asleep", "asleep"), ("", ""), (None, None)]
)
def test_a_connection_state_passes_as_its_text_and_one_of_a_later_api_too(
    state: str | None, stored: str | None
) -> None:
    assert seen("1", state=state).column("connection_state").to_pylist() == [stored]


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


# --- the first day -------------------------------------------------------------------------------

MIDNIGHT: Final = datetime(2024, 7, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "first_event", "first_day"),
    [
        ("Europe/Berlin", MIDNIGHT - 3 * HOUR, "2024-06-30"),
        ("Europe/Berlin", MIDNIGHT - HOUR, "2024-07-01"),
        ("Europe/Berlin", MIDNIGHT + 21 * HOUR, "2024-07-01"),
        ("America/New_York", MIDNIGHT + 3 * HOUR, "2024-06-30"),
        ("America/New_York", MIDNIGHT + 5 * HOUR, "2024-07-01"),
        ("America/New_York", datetime(2024, 1, 1, 4, 30, tzinfo=UTC), "2023-12-31"),
        ("UTC", MIDNIGHT, "2024-07-01"),
        ("UTC", datetime(2024, 7, 1, 1, tzinfo=timezone(2 * HOUR)), "2024-06-30"),
    ],
)
def test_the_first_day_is_a_day_of_the_devices_own_clock(
    zone: str, first_event: datetime, first_day: str
) -> None:
    assert first_day_of(first_event, Locale(time_zone_id=zone)) == date.fromisoformat(first_day)


@pytest.mark.parametrize("locale", [None, Locale(), Locale("US"), Locale(time_zone_id="Mars/Olympus_Mons")])
@pytest.mark.parametrize(
    ("first_event", "first_day"),
    [
        (MIDNIGHT + 11 * HOUR, "2024-06-30"),
        (MIDNIGHT + 12 * HOUR, "2024-07-01"),
        (datetime(2024, 7, 1, 13, tzinfo=timezone(2 * HOUR)), "2024-06-30"),
    ],
)
def test_without_a_zone_that_is_known_here_the_first_day_is_the_earliest_that_it_can_be(
    locale: Locale | None, first_event: datetime, first_day: str
) -> None:
    assert first_day_of(first_event, locale) == date.fromisoformat(first_day)


@pytest.mark.parametrize("zone", [None, "America/New_York", "Europe/Berlin"])
@pytest.mark.parametrize(
    ("edge", "at"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), NOW),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, tzinfo=UTC)),
    ],
)
def test_a_first_event_at_the_edge_of_the_calendar_has_a_first_day(
    edge: datetime, at: datetime, zone: str | None
) -> None:
    """Some systems write the first instant of the year 1 for "never": it must not end a run."""
    found = first_day_of(edge, Locale(time_zone_id=zone), at)
    assert found is not None
    assert abs(found - edge.date()) <= timedelta(days=1)


def test_a_device_that_sent_nothing_has_no_first_day() -> None:
    assert first_day_of(None, Locale(time_zone_id="Europe/Berlin")) is None


@pytest.mark.parametrize(
    ("ahead", "first_day"),
    [
        (timedelta(0), TODAY),
        (timedelta(days=1), TODAY + timedelta(days=1)),
        (timedelta(days=1, microseconds=1), None),
        (timedelta(days=400), None),
    ],
)
def test_a_first_event_that_is_still_to_come_tells_nothing_but_that_clocks_may_be_a_day_apart(
    ahead: timedelta, first_day: date | None
) -> None:
    assert first_day_of(NOW + ahead, Locale(time_zone_id="UTC")) == first_day


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


def first_day_of(first_event: datetime | None, locale: Locale | None, at: datetime = NOW) -> date | None:
    device = Device(first_event=first_event, locale=locale)
    rows = devices_seen([Seen(DeviceId("1"), device)], at, TODAY)
    assert rows.column("first_event").to_pylist() == [first_event]
    [day] = rows.column("first_day").to_pylist()
    return day


# --- who is to be looked up ----------------------------------------------------------------------


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
    for days in range(30):
        as_of = TODAY + timedelta(days=days)
        if unseen(store, "1", as_of=as_of, parts=[MONTH_OF_JULY]):
            looked_up.append(days)
            store.see(seen("1", day="2024-08-01", as_of=as_of))
    assert looked_up == [0, 7, 14, 21, 28]


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
