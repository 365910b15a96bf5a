"""All calls over real HTTP: what is sent is what is documented, and what is not there is None."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voltaware_async import (
    Absent,
    Cell,
    CredentialsRefusedError,
    Dataset,
    DecodeError,
    DeviceId,
    DeviceIdError,
    Failed,
    Fetched,
    IncompleteError,
    Month,
    RetryPolicy,
    UnexpectedResponseError,
    VoltawareClient,
    Week,
)
from voltaware_async.protocol import codec, endpoints
from voltaware_async.records.metadata import (
    BusinessProperty,
    Geolocation,
    HomeProperty,
    PowerGeneratorSource,
    Property,
    PropertyType,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voltaware_async.sandbox import Sandbox

    Call = Callable[[VoltawareClient], Awaitable[Any]]

pytestmark = pytest.mark.anyio

SAMPLES = Path(__file__).parent / "samples"
DEVICE = DeviceId("0001")
JULY = Month(2024, 7)
WEEK = Week(date(2024, 7, 8))

READING: dict[str, Call] = {
    "sensor": lambda it: it.devices.get(DEVICE),
    "metadata/property": lambda it: it.metadata.get_property(DEVICE),
    "metadata/appliances": lambda it: it.metadata.get_appliances(DEVICE),
    "metadata/geolocation": lambda it: it.metadata.get_geolocation(DEVICE),
    "sm/disag/month": lambda it: it.disaggregation.month(DEVICE, JULY),
    "sm/disag/month/weeks": lambda it: it.disaggregation.month_weeks(DEVICE, JULY),
    "sm/disag/week": lambda it: it.disaggregation.week(DEVICE, WEEK),
    "sm/disag/cycles/monthly": lambda it: it.disaggregation.month_cycles(DEVICE, JULY),
    "sm/disag/cycles/weekly": lambda it: it.disaggregation.week_cycles(DEVICE, WEEK),
    "sm/reports/monthly": lambda it: it.reports.month(DEVICE, JULY),
    "sm/reports/weekly": lambda it: it.reports.week(DEVICE, WEEK),
}
SAMPLE_OF = {
    "sensor": "device.json",
    "metadata/property": "property_view.json",
    "metadata/appliances": "appliances_view.json",
    "metadata/geolocation": "geolocation_view.json",
    "sm/disag/month": "month.json",
    "sm/disag/month/weeks": "month_weeks.json",
    "sm/disag/week": "week.json",
    "sm/disag/cycles/monthly": "month_cycles.json",
    "sm/disag/cycles/weekly": "week_cycles.json",
    "sm/reports/monthly": "month_report.json",
    "sm/reports/weekly": "week_report.json",
}
CODEC_OF = {
    endpoint.path.removeprefix("/sensors/{device_id}").lstrip("/") or "sensor": endpoint.reply
    for endpoint in endpoints.ALL
    if endpoint.is_about_a_device and endpoint.method == "GET"
}


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


@pytest.mark.parametrize("route", READING)
async def test_every_reading_call_understands_the_documentations_own_example(
    route: str, client: VoltawareClient, sandbox: Sandbox
) -> None:
    body = sample(SAMPLE_OF[route])
    script = sandbox.script(status=200, body=body, route=route)

    record = await READING[route](client)

    assert script.hit == 1
    assert record == CODEC_OF[route].decode(body)
    assert sandbox.requests[-1].has_authorization


@pytest.mark.parametrize("route", READING)
@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b'{"error": "not found"}'), (404, b""), (204, b"")],
    ids=["404", "bare 404", "204"],
)
async def test_what_is_not_there_is_none(
    route: str, status: int, body: bytes, client: VoltawareClient, sandbox: Sandbox
) -> None:
    sandbox.script(status=status, body=body, route=route)

    assert await READING[route](client) is None
    assert sandbox.count(route) == 1


@pytest.mark.parametrize("route", READING)
async def test_a_page_of_404_is_an_error_of_every_call(
    route: str, client: VoltawareClient, sandbox: Sandbox
) -> None:
    sandbox.script(status=404, body=b"<html>", headers={"Content-Type": "text/html"}, route=route)

    with pytest.raises(UnexpectedResponseError, match=r"a web page answered \(404\)"):
        await READING[route](client)


@pytest.mark.parametrize("route", READING)
async def test_a_malformed_reply_names_its_endpoint_device_and_place(
    route: str, client: VoltawareClient, sandbox: Sandbox
) -> None:
    sandbox.script(status=200, body=b"7", route=route)

    with pytest.raises(DecodeError) as raised:
        await READING[route](client)

    context = raised.value.context
    assert (context.method, context.device_id, context.attempts) == ("GET", "0001", 1)
    assert raised.value.json_path == "$"
    assert context.path.removeprefix("/sensors/{device_id}").lstrip("/") == route.removeprefix("sensor")


@pytest.mark.parametrize("route", ["sm/disag/cycles/monthly", "sm/disag/cycles/weekly"])
async def test_no_cycles_are_not_the_same_as_no_result(
    route: str, client: VoltawareClient, sandbox: Sandbox
) -> None:
    sandbox.script(status=200, body=b"[]", route=route)

    assert await READING[route](client) == ()


# What is set.


def home() -> HomeProperty:
    body = json.loads(sample("property_home_update.json"))
    view = codec.PROPERTY.decode(json.dumps(body).encode())
    update = view.to_update()
    assert isinstance(update, HomeProperty)
    return update


SETTING: dict[str, tuple[Call, bytes]] = {
    "metadata/property": (
        lambda it: it.metadata.set_property(DEVICE, home()),
        sample("property_home_update.json"),
    ),
    "metadata/geolocation": (
        lambda it: it.metadata.set_geolocation(DEVICE, Geolocation(latitude=51.509865, longitude=-0.118092)),
        sample("geolocation_update.json"),
    ),
    "metadata/appliances": (
        lambda it: it.metadata.set_appliances(
            DEVICE, codec.APPLIANCES.decode(sample("appliances_view.json"))
        ),
        sample("appliances_view.json"),
    ),
}


@pytest.mark.parametrize("route", SETTING)
async def test_what_is_set_is_sent_exactly_as_documented(
    route: str, client: VoltawareClient, sandbox: Sandbox
) -> None:
    call, documented = SETTING[route]

    assert await call(client) is None

    sent = sandbox.requests[-1]
    assert (sent.method, sent.path, sent.query) == ("PUT", f"/sensors/0001/{route}", "")
    assert (sent.content_type, sent.has_authorization) == ("application/json", True)
    assert json.loads(sent.body) == json.loads(documented)


async def test_a_business_is_sent_with_three_fields_and_the_word_of_the_table(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    industry = json.loads(sample("property_industry_update.json"))
    modern = BusinessProperty(
        property_type=PropertyType.INDUSTRIAL, power_generator_source=PowerGeneratorSource.SOLAR
    )
    legacy = BusinessProperty(
        property_type=PropertyType.INDUSTRIAL,
        power_generator_source=PowerGeneratorSource.SOLAR,
        legacy_industry=True,
    )

    await client.metadata.set_property(DEVICE, modern)
    assert json.loads(sandbox.requests[-1].body) == {**industry, "property_type": "INDUSTRIAL"}

    sandbox.script(status=204, route="metadata/property", method="PUT")
    await client.metadata.set_property(DEVICE, legacy)
    assert json.loads(sandbox.requests[-1].body) == industry


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("route", SETTING)
async def test_an_update_is_done_by_either_answer(
    status: int, route: str, client: VoltawareClient, sandbox: Sandbox
) -> None:
    sandbox.script(status=status, body=b"" if status == 204 else b"OK", route=route, method="PUT")

    assert await SETTING[route][0](client) is None


async def test_what_was_set_is_what_is_viewed(client: VoltawareClient) -> None:
    appliances = codec.APPLIANCES.decode(sample("appliances_view.json"))
    location = Geolocation(latitude=-90.0, longitude=180.0)

    await client.metadata.set_property(DEVICE, home())
    await client.metadata.set_appliances(DEVICE, appliances)
    await client.metadata.set_geolocation(DEVICE, location)

    viewed = await client.metadata.get_property(DEVICE)
    assert viewed is not None
    assert viewed.to_update() == home()
    assert await client.metadata.get_appliances(DEVICE) == appliances
    assert await client.metadata.get_geolocation(DEVICE) == location


async def test_the_documentations_own_view_of_a_property_is_no_update(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    view = codec.PROPERTY.decode(sample("property_view.json"))
    assert isinstance(view, Property)

    with pytest.raises(IncompleteError) as raised:
        await client.metadata.set_property(DEVICE, view)

    assert raised.value.missing == ("home_usage_type",)
    assert not sandbox.requests


# What is refused before anything is sent.


NO_IDS = {
    "empty": ("", DeviceIdError),
    "a dot": (".", DeviceIdError),
    "a line end": ("a\r\nX: y", DeviceIdError),
    "a number": (1, TypeError),
    "nothing": (None, TypeError),
}


@pytest.mark.parametrize("case", NO_IDS)
async def test_what_is_no_id_costs_no_request(case: str, client: VoltawareClient, sandbox: Sandbox) -> None:
    wrong, kind = NO_IDS[case]
    metadata, disaggregation, reports = client.metadata, client.disaggregation, client.reports
    calls = [
        lambda: client.devices.get(wrong),
        lambda: metadata.get_property(wrong),
        lambda: metadata.set_property(wrong, home()),
        lambda: metadata.get_appliances(wrong),
        lambda: metadata.set_appliances(wrong, codec.APPLIANCES.decode(sample("appliances_view.json"))),
        lambda: metadata.get_geolocation(wrong),
        lambda: metadata.set_geolocation(wrong, Geolocation(latitude=1.0, longitude=1.0)),
        lambda: disaggregation.month(wrong, JULY),
        lambda: disaggregation.month_weeks(wrong, JULY),
        lambda: disaggregation.week(wrong, WEEK),
        lambda: disaggregation.month_cycles(wrong, JULY),
        lambda: disaggregation.week_cycles(wrong, WEEK),
        lambda: reports.month(wrong, JULY),
        lambda: reports.week(wrong, WEEK),
    ]

    for call in calls:
        with pytest.raises(kind, match="a device id is"):
            await call()

    assert not sandbox.requests


async def test_a_period_of_the_wrong_kind_costs_no_request(client: VoltawareClient, sandbox: Sandbox) -> None:
    months = [client.disaggregation.month, client.disaggregation.month_weeks]
    months += [client.disaggregation.month_cycles, client.reports.month]
    weeks = [client.disaggregation.week, client.disaggregation.week_cycles, client.reports.week]

    for call in months:
        with pytest.raises(TypeError, match="is asked for a Month"):
            await call(DEVICE, WEEK)
    for call in weeks:
        with pytest.raises(TypeError, match="is asked for a Week"):
            await call(DEVICE, JULY)

    assert not sandbox.requests


# What the API decides.


@pytest.mark.parametrize("month", [Month(2019, 1), Month(2024, 9), Month(2030, 12)])
async def test_an_old_a_current_and_a_future_month_are_asked_for(
    month: Month, client: VoltawareClient, sandbox: Sandbox
) -> None:
    assert await client.disaggregation.month(DEVICE, month) is None

    assert sandbox.requests[-1].query == f"year={month.year}&month={month.month}"


async def test_a_week_over_the_years_end_is_asked_for_by_its_two_days(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    await client.reports.week(DEVICE, Week.parse("2025-W01"))

    assert sandbox.requests[-1].query == "startDate=2024-12-30&endDate=2025-01-05"


async def test_a_device_that_is_not_listed_is_asked_for(client: VoltawareClient, sandbox: Sandbox) -> None:
    assert await client.devices.get(DeviceId("A-7/ü")) is None

    assert sandbox.requests[-1].path == "/sensors/A-7%2F%C3%BC"


# Cells.


async def test_a_cell_ends_as_a_value_whatever_happens_to_it(
    make_client: Callable[..., VoltawareClient], sandbox: Sandbox
) -> None:
    async with make_client(retry=RetryPolicy(wait_initial=0.001)) as client:
        cell = Cell(DEVICE, Dataset.MONTH, JULY)
        fetched = await client.fleet.fetch(cell)
        absent = await client.fleet.fetch(Cell(DEVICE, Dataset.MONTH, Month(2019, 1)))
        nameless = await client.fleet.fetch(Cell(DeviceId(".."), Dataset.MONTH, JULY))
        sandbox.script("500", times=None)
        failed = await client.fleet.fetch(cell)

    assert isinstance(fetched, Fetched)
    assert (absent, type(absent)) == (Absent(absent.cell, http_status=404, attempts=1), Absent)
    assert isinstance(failed, Failed)
    assert (failed.http_status, failed.attempts) == (500, 3)
    assert isinstance(nameless, Failed)
    assert (type(nameless.error), nameless.http_status, nameless.attempts) == (DeviceIdError, None, 0)
    assert failed.error.__traceback__ is nameless.error.__traceback__ is None


async def test_refused_credentials_concern_every_cell_and_are_raised(sandbox: Sandbox) -> None:
    async with VoltawareClient("sandbox-client", "wrong", base_url=sandbox.base_url) as client:
        with pytest.raises(CredentialsRefusedError):
            await client.fleet.fetch(Cell(DEVICE, Dataset.MONTH, JULY))
