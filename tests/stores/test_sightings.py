"""Looked up devices become rows of the table `devices`: what the API said, and the day of the first event."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

import pytest
from store_cases import NOW, TODAY, seen

from voltaware_async.cells import Seen
from voltaware_async.records.devices import ConnectionState, Device, DeviceId, Locale
from voltaware_async.stores.sightings import devices_seen
from voltaware_async.stores.tables import DEVICES

NEVER: Final = ConnectionState.NEVER_CONNECTED


MIDNIGHT: Final = datetime(2024, 7, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


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


def first_day_of(first_event: datetime | None, locale: Locale | None, at: datetime = NOW) -> date | None:
    device = Device(first_event=first_event, locale=locale)
    rows = devices_seen([Seen(DeviceId("1"), device)], at, TODAY)
    assert rows.column("first_event").to_pylist() == [first_event]
    [day] = rows.column("first_day").to_pylist()
    return day
