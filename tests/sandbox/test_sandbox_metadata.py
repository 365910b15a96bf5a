import re
from datetime import date
from typing import Any

import pytest
from sandbox_caller import SAMPLES, Caller, calling, sample

from voltaware_async.sandbox import Fleet, Sandbox
from voltaware_async.sandbox.metadata import told_appliances, told_geolocation, told_property
from voltaware_async.sandbox.metadata_rules import APPLIANCE_RULES, APPLIANCES, GEOLOCATION, PROPERTY

pytestmark = pytest.mark.anyio

PROPERTY_PATH = "/sensors/0001/metadata/property"
APPLIANCES_PATH = "/sensors/0001/metadata/appliances"
GEOLOCATION_PATH = "/sensors/0001/metadata/geolocation"
OFFICE = {"property_type": "OFFICE", "power_generator_source": "NONE", "version": "1.0"}


def documented_appliances() -> str:
    """Return the documentation's example with its first choice where it offers several."""
    return re.sub(r'("\w+")( \| "\w+")+', r"\1", (SAMPLES / "put_appliances.txt").read_text())


def appliance_list(*appliances: dict[str, Any]) -> dict[str, Any]:
    return {"appliances": list(appliances), "version": "1.0"}


@pytest.mark.parametrize(
    ("path", "name"),
    [(PROPERTY_PATH, "put_property_house.json"), (GEOLOCATION_PATH, "put_geolocation.json")],
)
async def test_a_documented_example_is_accepted_and_shown_again(caller: Caller, path: str, name: str) -> None:
    answer = await caller.send("PUT", path, (SAMPLES / name).read_bytes())
    assert (answer.status, answer.body) == (204, b"")
    assert (await caller.get(path)).json == sample(name)


async def test_the_documented_appliance_list_is_accepted_and_shown_again(caller: Caller) -> None:
    answer = await caller.send("PUT", APPLIANCES_PATH, documented_appliances().encode())
    assert answer.status == 204
    shown = (await caller.get(APPLIANCES_PATH)).json
    assert len(shown["appliances"]) == 21
    assert {appliance["key"] for appliance in shown["appliances"]} == set(APPLIANCE_RULES)


async def test_the_pseudo_json_of_the_documentation_is_not_json(caller: Caller) -> None:
    answer = await caller.send("PUT", APPLIANCES_PATH, (SAMPLES / "put_appliances.txt").read_bytes())
    assert (answer.status, "not JSON" in answer.reason) == (400, True)


async def test_industry_is_refused_with_a_hint_at_the_table(caller: Caller) -> None:
    answer = await caller.put(PROPERTY_PATH, sample("put_property_industry.json"))
    assert (answer.status, "INDUSTRIAL" in answer.reason) == (400, True)


@pytest.mark.parametrize("kind", ["OFFICE", "COMMERCIAL", "INDUSTRIAL"])
async def test_other_properties_have_three_fields(caller: Caller, kind: str) -> None:
    body = OFFICE | {"property_type": kind}
    assert (await caller.put(PROPERTY_PATH, body)).status == 204
    answer = await caller.put(PROPERTY_PATH, body | {"home_size": 80})
    assert (answer.status, "home_size" in answer.reason) == (400, True)


async def test_a_home_needs_every_field(caller: Caller) -> None:
    house = sample("put_property_house.json")
    for name in house:
        lacking = {key: value for key, value in house.items() if key != name}
        answer = await caller.put(PROPERTY_PATH, lacking)
        assert (answer.status, f"{name} is missing" in answer.reason) == (400, True)


async def test_the_view_example_is_no_body_for_put(caller: Caller) -> None:
    answer = await caller.put(PROPERTY_PATH, sample("view_property.json"))
    assert (answer.status, answer.reason) == (400, "$.home_usage_type is missing")


@pytest.mark.parametrize(
    "change",
    [
        {"home_size": 49.8},
        {"people": []},
        {"people_amount_in_day_time": 0},
        {"bedroom_amount": 1, "people_amount": 1},
        {"people_amount": 7},
    ],
)
async def test_what_the_documentation_allows_is_accepted(caller: Caller, change: dict[str, Any]) -> None:
    assert (await caller.put(PROPERTY_PATH, sample("put_property_house.json") | change)).status == 204


@pytest.mark.parametrize(
    "change",
    [
        {"home_type": "CASTLE"},
        {"home_usage_type": None},
        {"home_size": "80"},
        {"home_size": True},
        {"bedroom_amount": 0},
        {"bedroom_amount": True},
        {"bedroom_amount": 2.0},
        {"power_generator_source": "SUN"},
        {"people_amount": 0},
        {"people_amount_in_day_time": -1},
        {"people": None},
        {"people": {}},
        {"people": ["ADULT"]},
        {"people": [{"age_range": "ADULT"}]},
        {"people": [{"age_range": "BABY", "amount": 1}]},
        {"people": [{"age_range": "ADULT", "amount": "1"}]},
        {"version": 1.0},
        {"version": "2.0"},
        {"pets": 1},
    ],
)
async def test_a_home_with_a_wrong_field_is_refused_by_name(caller: Caller, change: dict[str, Any]) -> None:
    answer = await caller.put(PROPERTY_PATH, sample("put_property_house.json") | change)
    assert (answer.status, next(iter(change)) in answer.reason) == (400, True)


@pytest.mark.parametrize("body", [[], None, 7, {}, {"property_type": ["HOME"]}, {"property_type": 1}])
async def test_a_property_must_say_what_it_is(caller: Caller, body: object) -> None:
    assert (await caller.put(PROPERTY_PATH, body)).status == 400


@pytest.mark.parametrize(
    ("appliance", "word"),
    [
        ({"key": "TOASTER", "amount": 1}, "key"),
        ({"amount": 1}, "key"),
        ({"key": "KETTLE"}, "amount"),
        ({"key": "KETTLE", "amount": "1"}, "amount"),
        ({"key": "KETTLE", "amount": True}, "amount"),
        ({"key": "KETTLE", "amount": -1}, "amount"),
        ({"key": "KETTLE", "amount": 1, "type": "REGULAR"}, "type"),
        ({"key": "AC", "amount": 1, "type": "WINDOW"}, "usage_type"),
        ({"key": "AC", "amount": 1, "type": "WALL", "usage_type": "BOTH"}, "type"),
        ({"key": "ELECTRIC_OVEN", "amount": 1, "type": "I_DONT_KNOW"}, "type"),
        ({"key": "GAS_HEATING", "amount": 1, "any_electric_heater": "NO"}, "any_electric_heater"),
        ({"key": "GAS_HEATING", "amount": 1, "type": "RADIATOR"}, "any_electric_heater"),
        ({"key": "OTHER", "amount": 1, "name": None}, "name"),
        ({"key": "ELECTRIC_VEHICLE", "amount": 2, "type": "BIKE", "wattages": [750]}, "wattages"),
        ({"key": "ELECTRIC_VEHICLE", "amount": 1, "type": "BIKE", "wattages": [7.5]}, "wattages[0]"),
        ({"key": "ELECTRIC_VEHICLE", "amount": 1, "type": "BIKE", "wattages": [True]}, "wattages[0]"),
        ({"key": "ELECTRIC_VEHICLE", "amount": 1, "type": "BIKE"}, "wattages"),
        ({"key": "TUMBLE_DRYER", "amount": 1, "type": "VENTED", "usage_types": "SUMMER"}, "usage_types"),
        ({"key": "TUMBLE_DRYER", "amount": 1, "type": "VENTED", "usage_types": ["MAY"]}, "usage_types[0]"),
        ("KETTLE", "object"),
    ],
)
async def test_a_wrong_appliance_is_refused_with_its_place(
    caller: Caller, appliance: dict[str, Any], word: str
) -> None:
    answer = await caller.put(APPLIANCES_PATH, appliance_list({"key": "KETTLE", "amount": 1}, appliance))
    assert answer.status == 400
    assert "$.appliances[1]" in answer.reason
    assert word in answer.reason


async def test_a_boiler_knows_strings_from_booleans(caller: Caller) -> None:
    boiler = {
        "key": "ELECTRIC_BOILER",
        "amount": 1,
        "usage_type": "BOTH",
        "coupled_with_solar_thermal_system": "NOT_SURE",
        "water_tank": True,
    }
    assert (await caller.put(APPLIANCES_PATH, appliance_list(boiler))).status == 204
    for change in ({"water_tank": "YES"}, {"coupled_with_solar_thermal_system": False}, {"water_tank": 1}):
        assert (await caller.put(APPLIANCES_PATH, appliance_list(boiler | change))).status == 400


async def test_the_same_appliance_may_stand_twice_and_the_list_may_be_empty(caller: Caller) -> None:
    other = {"key": "OTHER", "amount": 1, "name": 'Zwölf "Pumpen" 🐟'}
    assert (await caller.put(APPLIANCES_PATH, appliance_list(other, other))).status == 204
    assert (await caller.get(APPLIANCES_PATH)).json == appliance_list(other, other)
    assert (await caller.put(APPLIANCES_PATH, appliance_list())).status == 204


@pytest.mark.parametrize(
    "body",
    [
        {"latitude": 90.0001, "longitude": 0},
        {"latitude": 0, "longitude": -180.5},
        {"latitude": 51.5},
        {"latitude": "51.5", "longitude": 0},
        {"latitude": False, "longitude": 0},
        {"latitude": 1, "longitude": 2, "altitude": 3},
    ],
)
async def test_a_location_must_be_whole_and_on_earth(caller: Caller, body: dict[str, object]) -> None:
    assert (await caller.put(GEOLOCATION_PATH, body)).status == 400


async def test_a_location_without_end_is_not_json(caller: Caller) -> None:
    for text in (b'{"latitude": NaN, "longitude": 0}', b'{"latitude": 1e400, "longitude": 0}'):
        assert (await caller.send("PUT", GEOLOCATION_PATH, text)).status == 400


async def test_the_poles_and_the_date_line_are_places(caller: Caller) -> None:
    assert (await caller.put(GEOLOCATION_PATH, {"latitude": -90, "longitude": 180})).status == 204


async def test_a_refused_body_changes_nothing(caller: Caller) -> None:
    here = {"latitude": 1.25, "longitude": -2.5}
    await caller.put(GEOLOCATION_PATH, here)
    await caller.put(GEOLOCATION_PATH, {"latitude": 91, "longitude": 0})
    assert (await caller.get(GEOLOCATION_PATH)).json == here


async def test_some_devices_have_metadata_before_anybody_put_it(sandbox: Sandbox, caller: Caller) -> None:
    for topic in ("property", "appliances", "geolocation"):
        paths = [f"/sensors/{it}/metadata/{topic}" for it in sandbox.fleet.device_ids()[:40]]
        assert {(await caller.get(path)).status for path in paths} == {200, 404}


def test_what_households_tell_keeps_the_rules_of_put() -> None:
    fleet = Fleet(devices=600, seed=5, today=date(2024, 9, 15))
    for home in map(fleet.household, fleet.device_ids()):
        assert home is not None
        shown = told_property(home)
        if isinstance(shown, dict) and shown["property_type"] == "HOME":
            # The documentation's VIEW lacks the field that its PUT requires.
            shown["home_usage_type"] = "PRIMARY"
        for told, rule in (
            (shown, PROPERTY),
            (told_appliances(home), APPLIANCES),
            (told_geolocation(home), GEOLOCATION),
        ):
            assert told is None or rule.complaint(told, "$") is None


@pytest.mark.parametrize("topic", ["property", "appliances", "geolocation"])
async def test_metadata_of_a_meter_without_events_is_forbidden(caller: Caller, topic: str) -> None:
    path = f"/sensors/0301/metadata/{topic}"
    assert (await caller.get(path)).status == 403
    assert (await caller.put(path, {})).status == 403


async def test_a_new_meter_is_known_after_a_new_login_and_not_after_a_refresh(
    sandbox: Sandbox, caller: Caller
) -> None:
    path = f"/sensors/{sandbox.register_device()}/metadata/property"
    assert (await caller.put(path, OFFICE)).status == 403
    caller.token = (await caller.refresh()).json["access_token"]
    assert (await caller.put(path, OFFICE)).status == 403
    assert (await caller.get(path)).status == 403
    old_token = caller.token
    await caller.log_in()
    assert (await caller.get(path)).status == 404
    assert (await caller.put(path, OFFICE)).status == 204
    assert (await caller.get(path)).json == OFFICE
    caller.token = old_token
    assert (await caller.get(path)).status == 403


async def test_authorization_is_checked_before_anything_else() -> None:
    async with Sandbox(devices=1) as sandbox, calling(sandbox) as caller:
        caller.token = "wrong"
        assert (await caller.put("/sensors/9999/metadata/property?x=1", {})).status == 401
