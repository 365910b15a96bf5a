"""Endpoints: what the documentation says, and nothing else."""

from __future__ import annotations

import inspect
import re
from datetime import date
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async import Dataset, DeviceId, DeviceIdError, Month, Week, resources
from voltaware_async.protocol import endpoints, requests
from voltaware_async.protocol.secret import Secret
from voltaware_async.transport.session import HttpSession

# The documentation's headings and, under each, the request that it shows; indented as they are nested.
DOCUMENTATION = """
Authentication
    Access Token
        POST /auth/token
    Refresh Token
        POST /auth/token/refresh
Devices
    List all devices
        GET /sensors
    View single sensor
        GET /sensors/{device_id}
Metadata
    Property
        View property details
            GET /sensors/{device_id}/metadata/property
        Set up property details
            PUT /sensors/{device_id}/metadata/property
    Appliances
        View property appliances
            GET /sensors/{device_id}/metadata/appliances
        Set up property appliances
            PUT /sensors/{device_id}/metadata/appliances
    Meter geolocation
        View geolocation
            GET /sensors/{device_id}/metadata/geolocation
        Set up geolocation
            PUT /sensors/{device_id}/metadata/geolocation
Disaggregation
    Month
        GET /sensors/{device_id}/sm/disag/month?year=2024&month=7
    Month by Weeks
        GET /sensors/{device_id}/sm/disag/month/weeks?year=2023&month=9
    Week
        GET /sensors/{device_id}/sm/disag/week?startDate=2024-07-08&endDate=2024-07-14
    Appliance Cycles - Month
        GET /sensors/{device_id}/sm/disag/cycles/monthly?year=2024&month=7
    Appliance Cycles - Week
        GET /sensors/{device_id}/sm/disag/cycles/weekly?startDate=2024-07-08&endDate=2024-07-14
Reports
    Monthly
        GET /sensors/{device_id}/sm/reports/monthly?year=2024&month=7
    Weekly
        GET /sensors/{device_id}/sm/reports/weekly?startDate=2024-07-08&endDate=2024-07-14
"""


def documented() -> dict[str, str]:
    """Return the example request of each section, by the way to it."""
    found: dict[str, str] = {}
    way: list[str] = []
    for line in DOCUMENTATION.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 4
        way = way[:depth]
        if re.match(r"\s*(GET|PUT|POST) ", line):
            found[", ".join(way)] = line.strip()
        else:
            way.append(line.strip())
    return found


def period_of(query: str) -> Month | Week:
    sent = parse_qs(query)
    if "year" in sent:
        return Month(int(sent["year"][0]), int(sent["month"][0]))
    return Week(date.fromisoformat(sent["startDate"][0]))


@pytest.mark.parametrize("endpoint", endpoints.ALL, ids=lambda it: it.source)
def test_an_endpoint_cites_its_section_and_sends_what_that_one_shows(
    endpoint: endpoints.Endpoint[object],
) -> None:
    shown = documented()[endpoint.source]
    _, _, query = shown.partition("?")

    if query:
        request = requests.for_a_period(endpoint, DeviceId("{device_id}"), period_of(query))
    elif endpoint.is_about_a_device:
        request = requests.about_a_device(endpoint, DeviceId("{device_id}"))
    else:
        request = requests.HttpRequest(endpoint, endpoint.path)

    assert f"{endpoint.method} {unquote(request.target)}" == shown


def test_every_section_with_a_request_has_its_endpoint() -> None:
    assert [it.source for it in endpoints.ALL] == list(documented())


def test_every_call_cites_the_section_of_the_endpoint_that_it_uses() -> None:
    groups = [it for _, it in inspect.getmembers(resources, inspect.isclass) if it.__name__.endswith("Calls")]
    calls = [call for group in groups for _, call in inspect.getmembers(group, inspect.isfunction)]
    cited = {source for call in calls for source in re.findall(r"Source: (.+)\.", call.__doc__ or "")}

    assert cited == {it.source for it in endpoints.ALL if not it.is_auth}


@pytest.mark.parametrize("dataset", Dataset)
def test_a_dataset_and_its_endpoint_agree_on_the_kind_of_period(dataset: Dataset) -> None:
    assert endpoints.BY_DATASET[dataset].period is dataset.period_type


def test_only_the_seven_datasets_are_asked_for_a_period() -> None:
    assert {it.path for it in endpoints.ALL if it.period} == {it.path for it in endpoints.BY_DATASET.values()}


def test_what_holds_secrets_or_personal_data_is_private() -> None:
    assert {it.path for it in endpoints.ALL if it.private} == {
        it.path for it in endpoints.ALL if it.is_auth or "/metadata/" in it.path
    }


def test_only_tokens_are_posted_and_only_what_is_posted_is_not_idempotent() -> None:
    assert {it.method for it in endpoints.ALL} == {"GET", "PUT", "POST"}
    for endpoint in endpoints.ALL:
        assert endpoint.is_auth == (endpoint.method == "POST") == (not endpoint.is_idempotent)
        assert (endpoint.reply is None) == (endpoint.method == "PUT")


# Periods of the wrong kind.


@pytest.mark.parametrize("endpoint", endpoints.BY_DATASET.values(), ids=lambda it: it.path)
@pytest.mark.parametrize("wrong", ["2024-07", None, 202407, date(2024, 7, 8), (2024, 7), {}])
def test_what_is_no_period_is_refused_by_name(endpoint: endpoints.Endpoint[object], wrong: object) -> None:
    kind = endpoint.period.__name__
    with pytest.raises(TypeError, match=f"is asked for a {kind}, not for "):
        requests.for_a_period(endpoint, DeviceId("0001"), wrong)


@pytest.mark.parametrize("endpoint", endpoints.BY_DATASET.values(), ids=lambda it: it.path)
def test_a_period_of_the_other_kind_is_refused(endpoint: endpoints.Endpoint[object]) -> None:
    other = Week.iso(2024, 28) if endpoint.period is Month else Month(2024, 7)
    with pytest.raises(TypeError, match=f"is asked for a {endpoint.period.__name__}, not for "):
        requests.for_a_period(endpoint, DeviceId("0001"), other)


def test_what_is_not_asked_for_a_period_says_so() -> None:
    with pytest.raises(TypeError, match="is asked for a device alone"):
        requests.for_a_period(endpoints.DEVICE, DeviceId("0001"), Month(2024, 7))


@given(st.dates(date(1971, 1, 1), date(2998, 12, 31)))
def test_a_query_reads_back_as_the_period_that_it_was_made_of(day: date) -> None:
    for endpoint, period in ((endpoints.MONTH, Month.of(day)), (endpoints.WEEK, Week.of(day))):
        target = requests.for_a_period(endpoint, DeviceId("0001"), period).target
        sent = parse_qs(urlsplit(target).query, strict_parsing=True)

        assert period_of(urlsplit(target).query) == period
        assert all(len(values) == 1 and values[0] == values[0].lstrip("0") for values in sent.values())
        assert sent.get("endDate", [str(period.end)]) == [str(period.end)]


# Where a request goes.


@given(
    st.text(max_size=40)
    | st.sampled_from(
        ["//evil.example/", "https://evil.example/", "@evil.example", "\\\\evil", "%2e%2e", "..;/"]
    )
)
@pytest.mark.parametrize("base_url", ["https://a.example", "https://a.example:8443/v1", "http://[::1]:8080"])
def test_no_id_takes_a_request_to_another_origin_or_path(base_url: str, text: str) -> None:
    try:
        request = requests.about_a_device(endpoints.GEOLOCATION, DeviceId(text))
    except DeviceIdError:
        return

    url = HttpSession(base_url)._url(request.target)

    assert str(url) == base_url + request.target
    ours, sent = urlsplit(base_url), urlsplit(str(url))
    assert (sent.scheme, sent.netloc) == (ours.scheme, ours.netloc)
    assert (url.host, url.port, url.user) == (ours.hostname, ours.port or 443, None)
    assert url.raw_path == f"{ours.path}{request.target}"


def test_a_request_shows_no_secret_in_its_repr() -> None:
    grant = requests.credentials_grant("me", Secret("planted-secret"))
    refresh = requests.refresh_grant("me", Secret("planted-secret"))

    assert "planted-secret" not in f"{grant!r} {refresh!r} {grant.context!r} {grant.endpoint!r}"


def test_an_id_of_the_longest_length_passes_and_one_longer_does_not() -> None:
    for letter in ("x", "é"):
        assert requests.checked_device_id(letter * 512) == letter * 512
        with pytest.raises(DeviceIdError, match="1 to 512 characters"):
            requests.checked_device_id(letter * 513)


@pytest.mark.parametrize(
    ("text", "segment"),
    [
        ("0001", "0001"),
        ("A-7", "A-7"),
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("...", "..."),
        ("%2e%2e", "%252e%252e"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b;c\\d", "a%20b%3Bc%5Cd"),
        ("é\u200f", "%C3%A9%E2%80%8F"),
        ("٣", "%D9%A3"),
        ("{device_id}", "%7Bdevice_id%7D"),
        ("\U0001d7d9", "%F0%9D%9F%99"),
    ],
)
def test_an_id_is_sent_as_one_segment(text: str, segment: str) -> None:
    assert requests.about_a_device(endpoints.DEVICE, DeviceId(text)).target == f"/sensors/{segment}"
