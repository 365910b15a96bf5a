"""Requests: an endpoint and its arguments, as one encoded target and body."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote

import orjson
from attrs import field, frozen

from voltaware_async.errors import DeviceIdError, ErrorContext
from voltaware_async.periods import Month, Period
from voltaware_async.protocol import endpoints
from voltaware_async.protocol.endpoints import Endpoint
from voltaware_async.records.devices import DeviceId

if TYPE_CHECKING:
    from voltaware_async.protocol.codec import TokenGrant
    from voltaware_async.protocol.secret import Secret

__all__ = [
    "HttpRequest",
    "about_a_device",
    "checked_device_id",
    "credentials_grant",
    "for_a_period",
    "list_devices",
    "refresh_grant",
]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_LONGEST_DEVICE_ID: Final = 512
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@frozen
class HttpRequest(Generic[R_co]):
    """Hold what is to be sent: `target` is the path and query, already encoded."""

    endpoint: Endpoint[R_co]
    target: str
    device_id: DeviceId | None = None
    body: bytes | None = field(default=None, repr=False)

    @property
    def context(self) -> ErrorContext:
        """What errors about this request say of it."""
        return ErrorContext(self.endpoint.method, self.endpoint.path, self.device_id)


def credentials_grant(client_id: str, client_secret: Secret) -> HttpRequest[TokenGrant]:
    """Ask for a new token by the client's credentials.

    Source: Authentication, Access Token.
    """
    body = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret.reveal(),
    }
    return HttpRequest(endpoints.TOKEN, endpoints.TOKEN.path, body=orjson.dumps(body))


def refresh_grant(client_id: str, refresh_token: Secret) -> HttpRequest[TokenGrant]:
    """Ask for a new token by the refresh token; the client's secret is not sent.

    Source: Authentication, Refresh Token.
    """
    body = {
        "grant_type": "refresh_token",
        "client_id": client_id,
        "refresh_token": refresh_token.reveal(),
    }
    return HttpRequest(endpoints.TOKEN_REFRESH, endpoints.TOKEN_REFRESH.path, body=orjson.dumps(body))


def list_devices() -> HttpRequest[tuple[DeviceId, ...]]:
    """Ask for the ids of all devices."""
    return HttpRequest(endpoints.DEVICES, endpoints.DEVICES.path)


def about_a_device(endpoint: Endpoint[R], device_id: DeviceId, body: bytes | None = None) -> HttpRequest[R]:
    """Ask about one device, or set something of it; TypeError or ValueError for what is no device id."""
    return HttpRequest(endpoint, _target(endpoint.path, device_id), device_id, body)


def for_a_period(endpoint: Endpoint[R], device_id: DeviceId, period: Period) -> HttpRequest[R]:
    """Ask for one device's result for a period; TypeError for one of the wrong kind, ValueError as above."""
    if type(period) is not endpoint.period:
        raise TypeError(f"{endpoint.path} is asked for a {_kind_of(endpoint)}, not for {period!r}")
    return HttpRequest(endpoint, f"{_target(endpoint.path, device_id)}?{_query(period)}", device_id)


def checked_device_id(text: str) -> DeviceId:
    """Return a text as a device id, or raise DeviceIdError; nothing is changed or looked up."""
    _segment(DeviceId(text))
    return DeviceId(text)


def _target(template: str, device_id: DeviceId) -> str:
    return template.replace("{device_id}", _segment(device_id))


def _segment(device_id: DeviceId) -> str:
    """Encode an id as exactly one path segment, whatever it holds, or refuse it."""
    if not isinstance(device_id, str):
        raise TypeError(
            f"a device id is the text that the API printed, such as '0001', not {type(device_id).__name__} "
            f"{device_id!r}: a number loses its leading zeros"
        )
    if device_id.isascii() and device_id.isalnum() and len(device_id) <= _LONGEST_DEVICE_ID:
        return device_id
    return _quoted(device_id)


def _quoted(device_id: str) -> str:
    # Servers and proxies resolve dot segments even when they are percent-encoded.
    if device_id in {"", ".", ".."} or _CONTROL.search(device_id) or len(device_id) > _LONGEST_DEVICE_ID:
        raise DeviceIdError(
            f"a device id is 1 to {_LONGEST_DEVICE_ID} characters without control characters, and not "
            f"'.' or '..'; got {device_id[:40]!r}"
        )
    try:
        return quote(device_id, safe="")
    except UnicodeEncodeError:
        raise DeviceIdError(f"a device id is valid Unicode text; got {device_id[:40]!r}") from None


def _kind_of(endpoint: Endpoint[R]) -> str:
    return endpoint.period.__name__ if endpoint.period else "device alone"


@lru_cache(maxsize=64)
def _query(period: Period) -> str:
    """Word a period as its endpoints want it: numbers unpadded, a week's two days.

    Source: Disaggregation, Month and Week.
    """
    if isinstance(period, Month):
        return f"year={period.year}&month={period.month}"
    return f"startDate={period.start}&endDate={period.end}"
