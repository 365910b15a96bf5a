"""Local clocks: which instants two readings stand for, also on the nights when clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import combinations_with_replacement, pairwise
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.records import Cycle, LocalizedCycle
from voltaware_async.records.local_clock import localized

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
FIRST, LAST = datetime.min, datetime.max  # noqa: DTZ901  readings


def readings(text: str) -> tuple[datetime, datetime]:
    """Read `2024-10-27 02:50 > 02:10`: the day is said once, or by each reading."""
    start, end = text.split(" > ")
    day = start.split()[0]
    return datetime.fromisoformat(start), datetime.fromisoformat(end if "-" in end else f"{day} {end}")


def told(found: LocalizedCycle) -> str:
    assert found.start.tzinfo is found.end.tzinfo is UTC
    return f"{found.start:%m-%d %H:%M} > {found.end:%m-%d %H:%M}"


# --- examples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "clock", "utc"),
    [
        ("Europe/Berlin", "2024-06-01 22:00 > 2024-06-02 03:00", "06-01 20:00 > 06-02 01:00"),
        ("Europe/Berlin", "2024-10-27 01:59 > 03:00", "10-26 23:59 > 10-27 02:00"),
        ("Europe/Berlin", "2024-03-31 01:59 > 03:00", "03-31 00:59 > 03-31 01:00"),
        ("America/New_York", "2024-11-03 00:30 > 02:30", "11-03 04:30 > 11-03 07:30"),
        ("Australia/Lord_Howe", "2024-04-07 01:29 > 02:00", "04-06 14:29 > 04-06 15:30"),
        ("Pacific/Apia", "2011-12-29 23:00 > 2011-12-31 01:00", "12-30 09:00 > 12-30 11:00"),
        ("Asia/Kolkata", "2024-10-27 02:50 > 03:10", "10-26 21:20 > 10-26 21:40"),
        ("UTC", "2024-10-27 02:50 > 03:10", "10-27 02:50 > 10-27 03:10"),
    ],
)
def test_readings_that_occurred_once_are_certain(zone: str, clock: str, utc: str) -> None:
    found = localized(*readings(clock), ZoneInfo(zone))

    assert told(found) == utc
    assert not found.ambiguous


@pytest.mark.parametrize(
    ("zone", "clock", "utc"),
    [
        ("Europe/Berlin", "2024-10-27 02:50 > 02:10", "10-27 00:50 > 10-27 01:10"),
        ("Europe/Berlin", "2024-10-27 02:10 > 02:50", "10-27 00:10 > 10-27 00:50"),
        ("Europe/Berlin", "2024-10-27 02:30 > 02:30", "10-27 00:30 > 10-27 00:30"),
        ("Europe/Berlin", "2024-10-27 02:00 > 05:00", "10-27 00:00 > 10-27 04:00"),
        ("Europe/Berlin", "2024-10-26 22:00 > 2024-10-27 02:59", "10-26 20:00 > 10-27 00:59"),
        ("Australia/Lord_Howe", "2024-04-07 01:50 > 01:40", "04-06 14:50 > 04-06 15:10"),
        ("America/New_York", "2024-11-03 01:50 > 01:10", "11-03 05:50 > 11-03 06:10"),
    ],
)
def test_readings_that_occurred_twice_are_the_earliest_instants_in_order(
    zone: str, clock: str, utc: str
) -> None:
    found = localized(*readings(clock), ZoneInfo(zone))

    assert told(found) == utc
    assert found.ambiguous


@pytest.mark.parametrize(
    ("zone", "clock", "utc"),
    [
        ("Europe/Berlin", "2024-03-31 02:30 > 02:30", "03-31 01:30 > 03-31 01:30"),
        ("Europe/Berlin", "2024-03-31 02:10 > 02:50", "03-31 01:10 > 03-31 01:50"),
        ("Europe/Berlin", "2024-03-31 01:50 > 02:30", "03-31 00:50 > 03-31 01:30"),
        ("Europe/Berlin", "2024-03-31 02:50 > 03:10", "03-31 00:50 > 03-31 01:10"),
        ("Europe/Berlin", "2024-03-31 02:10 > 05:00", "03-31 01:10 > 03-31 03:00"),
        ("Australia/Lord_Howe", "2024-10-06 02:20 > 02:40", "10-05 15:20 > 10-05 15:40"),
        ("Pacific/Apia", "2011-12-30 12:00 > 2011-12-31 13:00", "12-30 22:00 > 12-30 23:00"),
        ("Pacific/Apia", "2011-12-30 12:00 > 2011-12-31 11:00", "12-29 22:00 > 12-30 21:00"),
        ("Pacific/Kwajalein", "1993-08-21 06:00 > 07:00", "08-21 18:00 > 08-21 19:00"),
    ],
)
def test_readings_that_never_happened_are_flagged_and_in_order(zone: str, clock: str, utc: str) -> None:
    found = localized(*readings(clock), ZoneInfo(zone))

    assert told(found) == utc
    assert found.ambiguous


@pytest.mark.parametrize(
    ("clock", "utc", "ambiguous"),
    [
        ("2024-06-01 03:00 > 02:00", "06-01 01:00 > 06-01 00:00", False),
        ("2024-10-27 02:30 > 01:30", "10-27 00:30 > 10-26 23:30", True),
        ("2024-10-27 03:10 > 02:50", "10-27 02:10 > 10-27 00:50", True),
        ("2024-03-31 02:50 > 01:10", "03-31 01:50 > 03-31 00:10", True),
    ],
)
def test_a_cycle_that_no_choice_puts_in_order_ends_before_it_starts(
    clock: str,
    utc: str,
    ambiguous: bool,  # noqa: FBT001
) -> None:
    found = localized(*readings(clock), ZoneInfo("Europe/Berlin"))

    assert told(found) == utc
    assert found.ambiguous is ambiguous


@pytest.mark.parametrize(
    "zone",
    [UTC, timezone(timedelta(hours=1)), ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")],
    ids=str,
)
@pytest.mark.parametrize("fold", [0, 1])
def test_a_reading_with_an_offset_is_only_converted(zone: timezone | ZoneInfo, fold: int) -> None:
    start, end = (it.replace(tzinfo=zone, fold=fold) for it in readings("2024-10-27 02:10 > 02:50"))

    found = localized(start, end, ZoneInfo("Europe/Berlin"))

    assert found == LocalizedCycle(start.astimezone(UTC), end.astimezone(UTC), ambiguous=False)
    assert found.start.tzinfo is found.end.tzinfo is UTC


def test_a_reading_with_an_offset_settles_what_the_other_may_be() -> None:
    start, end = readings("2024-10-27 00:55 > 02:50")

    found = localized(start.replace(tzinfo=UTC), end, ZoneInfo("Europe/Berlin"))

    assert told(found) == "10-27 00:55 > 10-27 01:50"
    assert found.ambiguous


def test_the_fold_of_a_naive_reading_says_nothing() -> None:
    start, end = readings("2024-10-27 02:10 > 02:50")
    berlin = ZoneInfo("Europe/Berlin")

    assert localized(start.replace(fold=1), end.replace(fold=1), berlin) == localized(start, end, berlin)


@pytest.mark.parametrize(
    ("reading", "zone"),
    [
        (FIRST, ZoneInfo("Europe/Berlin")),
        (LAST, ZoneInfo("America/New_York")),
        (FIRST, timezone(SECOND)),
        (LAST, timezone(-SECOND)),
        (FIRST.replace(tzinfo=timezone(HOUR)), UTC),
        (LAST.replace(tzinfo=timezone(-HOUR)), UTC),
    ],
)
def test_a_reading_at_the_edge_of_the_calendar_is_refused_as_a_value(
    reading: datetime, zone: timezone | ZoneInfo
) -> None:
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)

    for start, end in (reading, noon), (noon, reading):
        with pytest.raises(ValueError, match=r"(0001-01-01|9999-12-31).*too near the calendar's edge"):
            localized(start, end, zone)


@pytest.mark.parametrize("reading", [FIRST, LAST], ids=str)
def test_a_reading_at_the_edge_of_the_calendar_is_placed_where_it_can_be(reading: datetime) -> None:
    instant = reading.replace(tzinfo=UTC)

    assert localized(reading, reading, UTC) == LocalizedCycle(instant, instant, ambiguous=False)


def test_a_cycle_is_placed_by_its_device_s_zone() -> None:
    start, end = readings("2024-10-27 02:50 > 02:10")
    berlin = ZoneInfo("Europe/Berlin")

    placed = Cycle(start, end, 7000.0).localized(berlin)

    assert placed == localized(start, end, berlin)
    with pytest.raises(FrozenInstanceError):
        placed.ambiguous = False  # type: ignore[misc]


# --- every change of every clock ------------------------------------------------------------------------


class Change(NamedTuple):
    """Tell when a clock was changed: the first instant after it, and its offsets before and after."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def shift(self) -> timedelta:
        return abs(self.after - self.before)


def clock_reading(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def offset_at(instant: datetime, zone: ZoneInfo) -> timedelta:
    return clock_reading(instant, zone) - instant.replace(tzinfo=None)


WEEKS = [datetime(1990, 1, 1) + timedelta(weeks=number) for number in range(2662)]  # noqa: DTZ001  readings


def changes(zone: ZoneInfo) -> Iterator[Change]:
    """Find each change from 1990 to 2040; no clock is changed twice in a week, as a grid of 6 hours tells."""
    offsets = map(zone.utcoffset, WEEKS)
    for week, (before, after) in zip(WEEKS, pairwise(offsets), strict=False):
        if before != after:
            assert before is not None
            assert after is not None
            yield Change(_first_after(week.replace(tzinfo=UTC), before, zone), before, after)


def _first_after(week: datetime, before: timedelta, zone: ZoneInfo) -> datetime:
    """Halve to the second, from a day before the week to a day after it: it was read on a local clock."""
    early, late = 0, 9 * 24 * 3600
    start = week - timedelta(days=1)
    while late - early > 1:
        middle = (early + late) // 2
        unchanged = offset_at(start + middle * SECOND, zone) == before
        early, late = (middle, late) if unchanged else (early, middle)
    return start + late * SECOND


@cache
def changed_clocks() -> list[tuple[ZoneInfo, tuple[Change, ...]]]:
    """Return one zone for each history of changes: the others of the IANA's names are copies of it."""
    zones = (ZoneInfo(name) for name in sorted(available_timezones()))
    by_history = {history: zone for zone in zones if (history := tuple(changes(zone)))}
    return [(zone, history) for history, zone in by_history.items()]


@cache
def every_change() -> list[tuple[ZoneInfo, Change]]:
    return [(zone, change) for zone, history in changed_clocks() for change in history]


@pytest.mark.parametrize(
    ("zone", "instant", "hours"),
    [
        ("Europe/Berlin", datetime(2024, 3, 31, 1, tzinfo=UTC), 1),
        ("Europe/Berlin", datetime(2024, 10, 27, 1, tzinfo=UTC), -1),
        ("Australia/Lord_Howe", datetime(2024, 4, 6, 15, tzinfo=UTC), -0.5),
        ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC), 24),
        ("Africa/Casablanca", datetime(2024, 4, 14, 2, tzinfo=UTC), 1),
    ],
)
def test_the_changes_that_the_laws_walk_through_are_those_that_took_place(
    zone: str, instant: datetime, hours: float
) -> None:
    found = {change.at: change.after - change.before for change in changes(ZoneInfo(zone))}

    assert found[instant] == hours * HOUR
    assert instant in {change.at for _, change in every_change()}


def instants_around(change: Change) -> list[datetime]:
    """Return instants in order: within the shift of the change on both sides, at its edges, and beyond."""
    shift, beyond = change.shift, change.shift + 3 * HOUR
    return [
        change.at + it for it in (-beyond, -shift, -shift / 4, -SECOND, 0 * HOUR, shift / 4, shift, beyond)
    ]


def test_a_real_cycle_around_any_change_is_placed_in_order_on_its_own_readings() -> None:
    """Flagged, or exact; exact too where the clock reads backwards; else off by the shift and no more."""
    for zone, change in every_change():
        read = {it: clock_reading(it, zone) for it in instants_around(change)}
        for start, end in combinations_with_replacement(read, 2):
            found = localized(read[start], read[end], zone)
            off = {abs(found.start - start), abs(found.end - end)}
            case = (zone, start, end, found)

            assert found.start <= found.end, case
            assert clock_reading(found.start, zone) == read[start], case
            assert clock_reading(found.end, zone) == read[end], case
            assert off <= {0 * HOUR, change.shift}, case
            if not found.ambiguous or read[end] < read[start]:
                assert off == {0 * HOUR}, case


def test_a_reading_is_flagged_unless_exactly_one_instant_reads_so() -> None:
    """The instants are sought with every offset that the clock ever had, and without any fold.

    Between the edges of a change nothing changes, so these readings stand for all.
    """
    tick = datetime.resolution
    for zone, history in changed_clocks():
        offsets = {offset for change in history for offset in (change.before, change.after)}
        for change in history:
            low, high = sorted(change.at.replace(tzinfo=None) + it for it in (change.before, change.after))
            within = [low, low + change.shift / 2, high - tick]
            for reading in (low - 3 * HOUR, low - tick, *within, high, high + 3 * HOUR):
                instants = [(reading - offset).replace(tzinfo=UTC) for offset in offsets]
                count = sum(clock_reading(it, zone) == reading for it in instants)

                assert count == (1 if reading not in within else 2 * (change.after < change.before))
                assert localized(reading, reading, zone).ambiguous == (count != 1), (zone, reading)


@st.composite
def readings_near_a_change(draw: st.DrawFn) -> tuple[ZoneInfo, datetime, datetime]:
    """Draw a zone and two readings in order of its clock, whether or not they ever happened."""
    zone, change = draw(st.sampled_from(every_change()))
    away = st.timedeltas(-2 * change.shift, 2 * change.shift)
    start, end = sorted(clock_reading(change.at, zone) + draw(away) for _ in range(2))
    return zone, start, end


@given(readings_near_a_change())
def test_a_cycle_that_reads_in_order_never_ends_before_it_starts(
    cycle: tuple[ZoneInfo, datetime, datetime],
) -> None:
    zone, start, end = cycle

    found = localized(start, end, zone)

    assert found.start <= found.end
