"""The 17 endpoints of the API, as data.

Source: the whole documentation; each endpoint names its section.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from attrs import field, frozen

from voltaware_async.cells import Dataset, Record
from voltaware_async.periods import Month, Week
from voltaware_async.protocol import codec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALL", "BY_DATASET", "Decodes", "Endpoint"]

R_co = TypeVar("R_co", covariant=True)

_MIB: Final = 1024 * 1024


class Decodes(Protocol[R_co]):
    """Read a reply's body."""

    def decode(self, body: bytes) -> R_co:
        """Return the record, or raise Malformed."""


@frozen
class Endpoint(Generic[R_co]):
    """Describe one endpoint.

    `path` is the documentation's template. `reply` decodes the body of a 200; None where the API answers
    nothing worth reading. `max_body` is in bytes of decompressed body. `private` bodies hold secrets or
    personal data, and are never quoted in an error or a log. `refused_hint` completes the message of a 400.
    `period` is the kind of period that it is asked for, if it is asked for one.
    """

    method: str
    path: str
    reply: Decodes[R_co] | None
    source: str
    max_body: int = field(default=16 * _MIB, kw_only=True)
    private: bool = field(default=False, kw_only=True)
    refused_hint: str = field(default="", kw_only=True)
    period: type[Month | Week] | None = field(default=None, kw_only=True)

    @property
    def is_auth(self) -> bool:
        """Whether it issues tokens: then no Authorization header is sent to it."""
        return self.path.startswith("/auth/")

    @property
    def is_idempotent(self) -> bool:
        """Whether sending it twice does what sending it once does."""
        return self.method in {"GET", "PUT"}

    @property
    def is_about_a_device(self) -> bool:
        """Whether a 404 may mean that this device has no such thing."""
        return "{device_id}" in self.path


_SENSOR: Final = "/sensors/{device_id}"
_METADATA: Final = f"{_SENSOR}/metadata"
_DISAGGREGATION: Final = f"{_SENSOR}/sm/disag"
_REPORTS: Final = f"{_SENSOR}/sm/reports"
_INDUSTRY: Final = (
    "if it was the property_type: the documentation's table says INDUSTRIAL, its example INDUSTRY; "
    "BusinessProperty(legacy_industry=True) sends the latter"
)

TOKEN: Final = Endpoint(
    "POST", "/auth/token", codec.TOKEN_GRANT, "Authentication, Access Token", private=True
)
TOKEN_REFRESH: Final = Endpoint(
    "POST", "/auth/token/refresh", codec.TOKEN_GRANT, "Authentication, Refresh Token", private=True
)

# 256 MiB hold about 20 million ids; every other reply is bounded by what one device can have.
DEVICES: Final = Endpoint(
    "GET", "/sensors", codec.DEVICE_IDS, "Devices, List all devices", max_body=256 * _MIB
)
DEVICE: Final = Endpoint("GET", _SENSOR, codec.DEVICE, "Devices, View single sensor")

PROPERTY: Final = Endpoint(
    "GET",
    f"{_METADATA}/property",
    codec.PROPERTY,
    "Metadata, Property, View property details",
    private=True,
)
SET_PROPERTY: Final = Endpoint[None](
    "PUT",
    f"{_METADATA}/property",
    None,
    "Metadata, Property, Set up property details",
    private=True,
    refused_hint=_INDUSTRY,
)
APPLIANCES: Final = Endpoint(
    "GET",
    f"{_METADATA}/appliances",
    codec.APPLIANCES,
    "Metadata, Appliances, View property appliances",
    private=True,
)
SET_APPLIANCES: Final = Endpoint[None](
    "PUT",
    f"{_METADATA}/appliances",
    None,
    "Metadata, Appliances, Set up property appliances",
    private=True,
)
GEOLOCATION: Final = Endpoint(
    "GET",
    f"{_METADATA}/geolocation",
    codec.GEOLOCATION,
    "Metadata, Meter geolocation, View geolocation",
    private=True,
)
SET_GEOLOCATION: Final = Endpoint[None](
    "PUT",
    f"{_METADATA}/geolocation",
    None,
    "Metadata, Meter geolocation, Set up geolocation",
    private=True,
)

MONTH: Final = Endpoint(
    "GET", f"{_DISAGGREGATION}/month", codec.DISAGGREGATION, "Disaggregation, Month", period=Month
)
MONTH_WEEKS: Final = Endpoint(
    "GET",
    f"{_DISAGGREGATION}/month/weeks",
    codec.MONTH_BY_WEEKS,
    "Disaggregation, Month by Weeks",
    period=Month,
)
WEEK: Final = Endpoint(
    "GET", f"{_DISAGGREGATION}/week", codec.DISAGGREGATION, "Disaggregation, Week", period=Week
)
MONTH_CYCLES: Final = Endpoint(
    "GET",
    f"{_DISAGGREGATION}/cycles/monthly",
    codec.CYCLES,
    "Disaggregation, Appliance Cycles - Month",
    period=Month,
)
WEEK_CYCLES: Final = Endpoint(
    "GET",
    f"{_DISAGGREGATION}/cycles/weekly",
    codec.CYCLES,
    "Disaggregation, Appliance Cycles - Week",
    period=Week,
)
MONTH_REPORT: Final = Endpoint(
    "GET", f"{_REPORTS}/monthly", codec.MONTH_REPORT, "Reports, Monthly", period=Month
)
WEEK_REPORT: Final = Endpoint("GET", f"{_REPORTS}/weekly", codec.WEEK_REPORT, "Reports, Weekly", period=Week)

BY_DATASET: Final[Mapping[Dataset, Endpoint[Record]]] = MappingProxyType(
    {
        Dataset.MONTH: MONTH,
        Dataset.MONTH_WEEKS: MONTH_WEEKS,
        Dataset.WEEK: WEEK,
        Dataset.MONTH_CYCLES: MONTH_CYCLES,
        Dataset.WEEK_CYCLES: WEEK_CYCLES,
        Dataset.MONTH_REPORT: MONTH_REPORT,
        Dataset.WEEK_REPORT: WEEK_REPORT,
    }
)

ALL: Final = (
    TOKEN,
    TOKEN_REFRESH,
    DEVICES,
    DEVICE,
    PROPERTY,
    SET_PROPERTY,
    APPLIANCES,
    SET_APPLIANCES,
    GEOLOCATION,
    SET_GEOLOCATION,
    MONTH,
    MONTH_WEEKS,
    WEEK,
    MONTH_CYCLES,
    WEEK_CYCLES,
    MONTH_REPORT,
    WEEK_REPORT,
)
