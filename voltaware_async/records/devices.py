"""Devices: sensors and smart meters.

Source: Devices.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from enum import StrEnum
from typing import NewType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import frozen

__all__ = ["ConnectionState", "Device", "DeviceId", "Locale", "known_zone"]

# An opaque text, exactly the characters that the API printed: `0001` and `1` are two devices.
DeviceId = NewType("DeviceId", str)


class ConnectionState(StrEnum):
    """Tell whether a Voltaware sensor is connected; a state of a later API passes as its text."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    NEVER_CONNECTED = "never_connected"


@frozen
class Locale:
    """Tell where a device stands, in the API's own codes; each may be missing.

    Source: Devices, View single sensor.
    """

    iso_country_code: str | None = None
    iso_locale_code: str | None = None
    time_zone_id: str | None = None
    _user_defined_language: str | None = None

    @property
    def user_defined_language(self) -> str | None:
        """A field that the API has deprecated; reading it warns."""
        warnings.warn("userDefinedLanguage is deprecated by the API", DeprecationWarning, stacklevel=2)
        return self._user_defined_language

    @property
    def tz(self) -> ZoneInfo:
        """The device's time zone; ValueError if the API named none, or one that is not known here."""
        if not self.time_zone_id:
            raise ValueError("the API named no time zone for this device")
        try:
            return ZoneInfo(self.time_zone_id)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"the time zone {self.time_zone_id!r} is not known here") from None


def known_zone(time_zone_id: str | None) -> ZoneInfo | None:
    """Return a time zone by its id; None where there is none, or it is not known here."""
    try:
        return Locale(time_zone_id=time_zone_id).tz
    except ValueError:
        return None


@frozen
class Device:
    """Describe a device.

    `connection_state` and `firmware` are known for Voltaware sensors only. `first_event` and `last_event`
    are aware instants in UTC of the first and last data point received; None for a device that sent none.

    Source: Devices, View single sensor.
    """

    connection_state: ConnectionState | str | None = None
    firmware: str | None = None
    first_event: datetime | None = None
    last_event: datetime | None = None
    locale: Locale | None = None
