"""Looked up devices → rows of `devices`: pure, as batches are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from voltaware_async.records.devices import Device, Locale
from voltaware_async.stores.columns import storable
from voltaware_async.stores.tables import DEVICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.cells import Seen

__all__ = ["devices_seen"]

# No clock is further behind UTC.
_FURTHEST_BEHIND: Final = timedelta(hours=12)
_CLOCKS_APART: Final = timedelta(days=1)


def devices_seen(seen: Sequence[Seen], at: datetime, as_of: date, *, is_listed: bool = True) -> pa.Table:
    """Return the rows, in order; `at` is an aware instant, `as_of` the day that the run took for today.

    Devices that were named, and of which it is not known that the API lists them, are not `is_listed`.

    Texts are storable, as in a batch: U+FFFD stands for NUL and for half of a character.
    """
    unlisted_since = None if is_listed else as_of
    rows = [{**_row(one, at, as_of), "unlisted_since": unlisted_since} for one in seen]
    return pa.Table.from_pylist(rows, schema=DEVICES)


def _row(seen: Seen, at: datetime, as_of: date) -> dict[str, str | date | None]:
    device = seen.device or Device()
    locale = device.locale or Locale()
    return {
        "device_id": seen.device_id,
        "connection_state": storable(device.connection_state),
        "firmware": storable(device.firmware),
        "first_event": device.first_event,
        "last_event": device.last_event,
        "iso_country_code": storable(locale.iso_country_code),
        "iso_locale_code": storable(locale.iso_locale_code),
        "time_zone_id": storable(locale.time_zone_id),
        "seen_at": at,
        "asked_on": as_of,
        "first_day": _first_day(device.first_event, locale, at),
    }


def _first_day(first_event: datetime | None, locale: Locale, at: datetime) -> date | None:
    """Return the day of the first event by the device's own clock; where that is not known, the earliest.

    Periods are days of that clock: a day too early costs a request, a day too late a result. A first event
    that is still to come tells nothing.
    """
    if first_event is None or first_event > at + _CLOCKS_APART:
        return None
    try:
        return _day_on_its_clock(first_event, locale)
    except OverflowError:
        # The first or last day that there is: no clock's date can be told, and no period is near it.
        return first_event.date()


def _day_on_its_clock(first_event: datetime, locale: Locale) -> date:
    try:
        return first_event.astimezone(locale.tz).date()
    except ValueError:
        return (first_event.astimezone(UTC) - _FURTHEST_BEHIND).date()
