"""Requests: the documentation's own URLs and bodies, and ids that can be nothing but one path segment."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async import DeviceId, DeviceIdError, Month, Week
from voltaware_async.protocol import endpoints, requests
from voltaware_async.protocol.secret import Secret

SAMPLES = Path(__file__).parent.parent / "samples"
DEVICE = DeviceId("{device_id}")

# As the documentation prints them.
DOCUMENTED = [
    "POST /auth/token",
    "POST /auth/token/refresh",
    "GET /sensors",
    "GET /sensors/{device_id}",
    "GET /sensors/{device_id}/metadata/property",
    "PUT /sensors/{device_id}/metadata/property",
    "GET /sensors/{device_id}/metadata/appliances",
    "PUT /sensors/{device_id}/metadata/appliances",
    "GET /sensors/{device_id}/metadata/geolocation",
    "PUT /sensors/{device_id}/metadata/geolocation",
    "GET /sensors/{device_id}/sm/disag/month?year=2024&month=7",
    "GET /sensors/{device_id}/sm/disag/month/weeks?year=2023&month=9",
    "GET /sensors/{device_id}/sm/disag/week?startDate=2024-07-08&endDate=2024-07-14",
    "GET /sensors/{device_id}/sm/disag/cycles/monthly?year=2024&month=7",
    "GET /sensors/{device_id}/sm/disag/cycles/weekly?startDate=2024-07-08&endDate=2024-07-14",
    "GET /sensors/{device_id}/sm/reports/monthly?year=2024&month=7",
    "GET /sensors/{device_id}/sm/reports/weekly?startDate=2024-07-08&endDate=2024-07-14",
]


def example_of(endpoint: endpoints.Endpoint[object]) -> str:
    """Build the request that the documentation's example shows."""
    if endpoint is endpoints.MONTH_WEEKS:
        request = requests.for_a_period(endpoint, DEVICE, Month(2023, 9))
    elif endpoint.path.endswith(("month", "monthly")):
        request = requests.for_a_period(endpoint, DEVICE, Month(2024, 7))
    elif endpoint.path.endswith(("week", "weekly")):
        request = requests.for_a_period(endpoint, DEVICE, Week.of(date(2024, 7, 8)))
    elif endpoint.is_about_a_device:
        request = requests.about_a_device(endpoint, DEVICE)
    else:
        return f"{endpoint.method} {endpoint.path}"
    return f"{endpoint.method} {unquote(request.target)}"


def test_the_endpoints_are_the_documentations_and_no_others() -> None:
    assert [example_of(endpoint) for endpoint in endpoints.ALL] == DOCUMENTED


def test_the_bodies_of_token_calls_are_the_documentations() -> None:
    asked = requests.credentials_grant("YOUR_CLIENT_ID", Secret("YOUR_CLIENT_SECRET"))
    refreshed = requests.refresh_grant("YOUR_CLIENT_ID", Secret("YOUR_REFRESH_TOKEN"))

    assert json.loads(asked.body or b"") == json.loads((SAMPLES / "token_request.json").read_text())
    assert json.loads(refreshed.body or b"") == json.loads((SAMPLES / "refresh_request.json").read_text())
    assert "YOUR_CLIENT_SECRET" not in repr(asked)


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_one_path_segment_that_means_itself_or_is_refused(text: str) -> None:
    try:
        request = requests.about_a_device(endpoints.DEVICE, DeviceId(text))
    except DeviceIdError:
        return

    segments = request.target.split("/")
    assert segments[:2] == ["", "sensors"]
    assert len(segments) == 3
    assert unquote(segments[2]) == text
    assert segments[2].isascii()
    assert not set(segments[2]) & set("?#;\\ \r\n")
    assert segments[2] not in {".", ".."}


@pytest.mark.parametrize("text", ["", ".", "..", "a\r\nb", "a\x00b", "\x7f", "\x85", "\ud800", "x" * 513])
def test_what_could_be_taken_for_something_else_is_refused(text: str) -> None:
    with pytest.raises(DeviceIdError):
        requests.checked_device_id(text)


@pytest.mark.parametrize("number", [1, 1.0, True, None, b"0001"])
def test_a_number_is_no_device_id_for_it_has_lost_its_zeros(number: object) -> None:
    with pytest.raises(TypeError, match="the text that the API printed, such as '0001'"):
        requests.about_a_device(endpoints.DEVICE, number)  # type: ignore[arg-type]
