"""Device ids and what GET /sensors/{device_id} says about a device."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import overload

from voltaware_async.sandbox.hashing import mix
from voltaware_async.sandbox.households import Household
from voltaware_async.sandbox.shapes import Device


def device_id(index: int) -> str:
    """Return the id of the device with this number, from 1: at least four digits."""
    return f"{index:04d}"


class DeviceIds(Sequence[str]):
    """All ids in order, made as they are asked for: a million of them take no memory."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, position: int) -> str: ...

    @overload
    def __getitem__(self, position: slice) -> list[str]: ...

    def __getitem__(self, position: int | slice) -> str | list[str]:
        indices = range(self._first, self._first + self._count)[position]
        return device_id(indices) if isinstance(indices, int) else [device_id(index) for index in indices]


def view(household: Household, today: date) -> Device:
    """Return the device as the API shows it on the day `today`."""
    draw = mix(household.key, 4)
    place = household.place
    return {
        "connection_state": household.connection_state,
        "firmware": household.firmware,
        "last_event": _last_event(household, draw, today),
        "first_event": _first_event(household, draw),
        "locale": {
            "isoCountryCode": place.country,
            "isoLocaleCode": place.locale,
            "timeZoneId": place.zone,
            "userDefinedLanguage": "pt-BR" if draw % 5 == 0 else place.locale,
        },
    }


def _first_event(household: Household, draw: int) -> str | None:
    """Return a time between 08:00 and 12:00 UTC, when it is the same day in every zone of the fleet."""
    if household.first_day is None:
        return None
    seconds = 8 * 3600 + draw % (4 * 3600)
    milliseconds = 0 if draw % 3 == 0 else (draw >> 16) % 1000
    return _timestamp(household.first_day, seconds, milliseconds)


def _last_event(household: Household, draw: int, today: date) -> str | None:
    """Return a time of `today`, or of some weeks ago where the sensor is disconnected."""
    if household.first_day is None:
        return None
    silent = 5 + (draw >> 32) % 60 if household.connection_state == "disconnected" else 0
    day = max(today.toordinal() - silent, household.first_day)
    return _timestamp(day, 12 * 3600 + (draw >> 24) % 3600)


def _timestamp(day: int, seconds: int, milliseconds: int = 0) -> str:
    midnight = datetime.combine(date.fromordinal(day), time.min, UTC)
    instant = midnight + timedelta(seconds=seconds, milliseconds=milliseconds)
    precision = "milliseconds" if milliseconds else "seconds"
    return instant.isoformat(timespec=precision).replace("+00:00", "Z")
