"""The charging cycles of an electric vehicle, as local clock readings."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from voltaware_async.sandbox.consumption import Daily, number
from voltaware_async.sandbox.hashing import mix
from voltaware_async.sandbox.households import WHOLE_WH, Household
from voltaware_async.sandbox.shapes import ApplianceCycles, Cycle

KEY = "electric_vehicle"
"""The only appliance that has cycles, as documented."""

_NIGHT_S = 5 * 60
_EVENING_S = 14 * 3600
_LATEST_S = 4 * 3600
"""A session starts within so many seconds of its part of the day, so that none runs past midnight."""


def appliance_cycles(household: Household, daily: Daily) -> list[ApplianceCycles]:
    """Return the cycles of the span; empty where nothing was charged."""
    charged = daily.appliances.get(KEY, [])
    if not any(charged):
        return []
    zone = ZoneInfo(household.place.zone)
    cycles = [
        _cycle(household, zone, daily.span.first + offset, start_s, units)
        for offset, total in enumerate(charged)
        if total
        for start_s, units in _sessions(household, daily.span.first + offset, total)
    ]
    return [{"appliance_key": KEY, "total_consumption": number(sum(charged)), "cycles": cycles}]


def _sessions(household: Household, day: int, total: int) -> Iterator[tuple[int, int]]:
    """Yield (start in seconds after midnight, units): one session or two, which add up to the day."""
    draw = mix(household.key, day, 3)
    night = _NIGHT_S + (draw >> 8) % _LATEST_S
    evening = _EVENING_S + (draw >> 24) % (_LATEST_S // 2)
    match draw % 4:
        case 0:
            yield night, total
        case 1:
            yield evening, total
        case _:
            first = total * (30 + (draw >> 40) % 40) // 100
            yield night, first
            yield evening, total - first


def _cycle(household: Household, zone: ZoneInfo, day: int, start_s: int, units: int) -> Cycle:
    """Return one session; its length follows from the power of the charger.

    The length is added in UTC: across a change of the clocks the two readings differ by an hour more or less
    than the session lasted, and a start that the clocks skipped is read an hour later, as a real meter would.
    """
    midnight = datetime.combine(date.fromordinal(day), time.min)
    start = (midnight + timedelta(seconds=start_s)).replace(tzinfo=zone).astimezone(UTC)
    end = start + timedelta(seconds=units * 3600 // (WHOLE_WH * household.charger_w))
    return {"from": _reading(start, zone), "to": _reading(end, zone), "consumption": number(units)}


def _reading(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).replace(tzinfo=None).isoformat()
