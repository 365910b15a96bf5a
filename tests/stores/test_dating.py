"""Cycles get their instants once their device's time zone is known, also where they landed before it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
from store_cases import NOW, TODAY, WEEK_28, batch, cell, date_all, fetched, ids, rows_of, whole

from voltaware_async.cells import Dataset, Fetched, Seen
from voltaware_async.periods import Month
from voltaware_async.records.devices import Device, DeviceId, Locale
from voltaware_async.records.disaggregation import ApplianceCycles, Cycle
from voltaware_async.stores.batches import arrow_tables
from voltaware_async.stores.sightings import devices_seen
from voltaware_async.stores.sql import dating

if TYPE_CHECKING:
    from voltaware_async.stores import Store

BERLIN: Final = Locale(time_zone_id="Europe/Berlin")
MARS: Final = Locale(time_zone_id="Mars/Olympus_Mons")
OCTOBER: Final = Month(2024, 10)


def cycle(start: str, end: str, wh: float = 1000.0) -> Cycle:
    return Cycle(datetime.fromisoformat(start), datetime.fromisoformat(end), wh)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# At noon; around the end of summer time, in its repeated hour, and over it.
NOON: Final = cycle("2024-10-01T12:00:00", "2024-10-01T13:30:00")
TWICE: Final = cycle("2024-10-27T02:15:00", "2024-10-27T02:45:00")
OVER: Final = cycle("2024-10-27T01:30:00", "2024-10-27T04:00:00.250000")


def cycles_of(device: str, *cycles: Cycle, dataset: Dataset = Dataset.MONTH_CYCLES) -> Fetched:
    period = OCTOBER if dataset is Dataset.MONTH_CYCLES else WEEK_28
    record = (ApplianceCycles("electric_vehicle", 1000.0 * len(cycles), cycles),)
    return Fetched(cell(device, dataset, period), record)


def see(store: Store, **locales: Locale) -> None:
    found = [Seen(DeviceId(name.strip("_")), Device(locale=locale)) for name, locale in locales.items()]
    store.see(devices_seen(found, NOW, TODAY))


def dated(store: Store, device: str = "1") -> list[tuple[object, object, object]]:
    """Return instants and doubt of a device's cycles, in the order of their readings."""
    rows = [row for row in store.table("cycles").to_pylist() if row["device_id"] == device]
    rows.sort(key=lambda row: row["start_local"])
    return [(row["start_utc"], row["end_utc"], row["ambiguous"]) for row in rows]


UNDATED: Final = (None, None, None)
DATED_NOON: Final = (utc("2024-10-01T10:00:00"), utc("2024-10-01T11:30:00"), False)


def test_cycles_that_landed_without_a_zone_get_their_instants_once_it_is_known(store: Store) -> None:
    store.commit(batch(cycles_of("1", NOON, TWICE, OVER)))
    date_all(store)
    assert dated(store) == [UNDATED] * 3

    see(store, _1=BERLIN)
    date_all(store)

    assert dated(store) == [
        DATED_NOON,
        (utc("2024-10-26T23:30:00"), utc("2024-10-27T03:00:00.250000"), False),
        (utc("2024-10-27T00:15:00"), utc("2024-10-27T00:45:00"), True),
    ]


def test_cycles_are_dated_as_if_the_zone_had_been_known_when_they_landed(store: Store) -> None:
    landed = [
        cycles_of("1", NOON, TWICE, OVER),
        cycles_of("1", NOON, NOON, dataset=Dataset.WEEK_CYCLES),
        cycles_of("2", OVER),
    ]
    store.commit(batch(*landed, fetched("1")))
    before = whole(store, "cycles", "devices")
    see(store, _1=BERLIN, _2=Locale(time_zone_id="Australia/Lord_Howe"))

    date_all(store)

    zones = {DeviceId("1"): BERLIN.tz, DeviceId("2"): Locale(time_zone_id="Australia/Lord_Howe").tz}
    expected = arrow_tables(landed, zones)["cycles"].to_pylist()
    assert rows_of(store, "cycles") == sorted((tuple(row.values()) for row in expected), key=repr)
    assert whole(store, "cycles", "devices") == before


@pytest.mark.parametrize("locale", [None, Locale(), MARS])
def test_without_a_zone_that_is_known_here_instants_stay_null_and_nothing_is_written(
    store: Store, locale: Locale | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit(batch(cycles_of("1", NOON, TWICE)))
    store.see(devices_seen([Seen(DeviceId("1"), Device(locale=locale))], NOW, TODAY))
    monkeypatch.setattr(dating, "_date", lambda *_: pytest.fail("cycles were written anew"))

    date_all(store)

    assert dated(store) == [UNDATED, UNDATED]


def test_cycles_of_a_zone_that_is_not_known_here_do_not_hold_up_others(store: Store) -> None:
    store.commit(batch(*(cycles_of(device, NOON) for device in "1234")))
    see(store, _1=MARS, _2=BERLIN, _3=Locale())

    date_all(store)

    assert [dated(store, device) for device in "1234"] == [[UNDATED], [DATED_NOON], [UNDATED], [UNDATED]]


def test_cycles_that_are_dated_stay_so_whatever_zone_their_device_is_said_to_have_later(store: Store) -> None:
    store.commit(batch(cycles_of("1", NOON)))
    see(store, _1=BERLIN)
    date_all(store)
    see(store, _1=Locale(time_zone_id="Asia/Tokyo"))

    date_all(store)

    assert dated(store) == [DATED_NOON]


def test_a_cycle_that_came_with_an_offset_keeps_its_instants_beside_one_that_gets_them(store: Store) -> None:
    """The API's own offset tells which of two hours it was; the clock alone does not."""
    second = cycle("2024-10-27T02:15:00+01:00", "2024-10-27T02:45:00+01:00")
    store.commit(batch(cycles_of("1", NOON, second)))
    before = dated(store)[1]
    see(store, _1=BERLIN)

    date_all(store)

    assert dated(store) == [DATED_NOON, before]
    assert before == (utc("2024-10-27T01:15:00"), utc("2024-10-27T01:45:00"), False)


def test_a_reading_at_the_edge_of_the_calendar_stays_without_instants_and_spoils_no_other(
    store: Store,
) -> None:
    edge = cycle("0001-01-01T00:00:00", "0001-01-01T00:30:00")
    store.commit(batch(cycles_of("1", edge, NOON)))
    see(store, _1=BERLIN)
    for _ in range(2):
        date_all(store)
        assert dated(store) == [UNDATED, DATED_NOON]


def test_two_cycles_alike_stay_two(store: Store) -> None:
    store.commit(batch(cycles_of("1", NOON, NOON)))
    see(store, _1=BERLIN)
    date_all(store)
    assert dated(store) == [DATED_NOON, DATED_NOON]


def test_a_fleet_is_dated_in_portions_between_which_a_run_may_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dating, "_PORTION", 3)
    names = ["Z", "a", "10", "9", "Ä", "b", "0001"]
    store.commit(batch(*(cycles_of(name, NOON) for name in names), cycles_of("z")))
    see(store, **{f"_{name}": MARS if name == "b" else BERLIN for name in [*names, "z"]})

    # In the order of their characters, whatever the language of the server.
    assert store.date_cycles(ids("")[0]) == "9"
    assert [name for name in names if dated(store, name) == [DATED_NOON]] == ["10", "9", "0001"]
    assert store.date_cycles(ids("9")[0]) == "b"
    assert store.date_cycles(ids("b")[0]) == "Ä"
    assert store.date_cycles(ids("Ä")[0]) is None
    assert [name for name in names if dated(store, name) == [UNDATED]] == ["b"]


def test_a_store_without_cycles_has_nothing_to_date(store: Store) -> None:
    store.commit(batch(fetched("1"), Fetched(cell("2", Dataset.MONTH_CYCLES), ()), cycles_of("3")))
    see(store, _1=BERLIN, _2=BERLIN, _3=BERLIN)
    date_all(store)
    assert rows_of(store, "cycles") == []
