import json
import re
from datetime import date, datetime, timedelta

import pytest
from sandbox_caller import Caller, calling, sample

from voltaware_async.sandbox import Fleet, Sandbox
from voltaware_async.sandbox.endpoints import printed_ids

pytestmark = pytest.mark.anyio

TODAY = date(2024, 9, 15)


async def test_ids_are_printed_as_the_documentation_prints_them() -> None:
    async with Sandbox(devices=3) as sandbox, calling(sandbox) as caller:
        answer = await caller.get("/sensors")
    assert (answer.status, answer.body) == (200, b"[0001, 0002, 0003]")
    assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(json.JSONDecodeError):
        answer.json  # noqa: B018 - reading the property is what raises


async def test_ids_can_be_json_strings() -> None:
    async with Sandbox(devices=2, id_style="text") as sandbox, calling(sandbox) as caller:
        assert (await caller.get("/sensors")).json == ["0001", "0002"]


@pytest.mark.parametrize("id_style", ["documented", "text"])
async def test_an_empty_fleet_is_an_empty_list(id_style: str) -> None:
    async with Sandbox(devices=0, id_style=id_style) as sandbox, calling(sandbox) as caller:
        assert (await caller.get("/sensors")).body == b"[]"


async def test_a_long_list_arrives_whole() -> None:
    async with Sandbox(devices=20_000) as sandbox, calling(sandbox) as caller:
        answer = await caller.get("/sensors")
        assert re.findall(r"[0-9]+", answer.body.decode()) == list(sandbox.fleet.device_ids())


def test_a_million_ids_are_printed_in_pieces() -> None:
    fleet = Fleet(devices=1_000_000, seed=7, today=TODAY)
    pieces = printed_ids(fleet, as_text=False)
    assert next(pieces).startswith(b"[0001, 0002, ")
    assert len(fleet.device_ids()) == 1_000_000
    assert fleet.device_ids()[-1] == "1000000"
    assert fleet.device_ids()[9_998:10_000] == ["9999", "10000"]


async def test_a_device_has_exactly_the_documented_keys(sandbox: Sandbox, caller: Caller) -> None:
    documented = sample("view_device.json")
    for device_id in sandbox.fleet.device_ids()[:20]:
        shown = (await caller.get(f"/sensors/{device_id}")).json
        assert list(shown) == list(documented)
        assert list(shown["locale"]) == list(documented["locale"])
        assert shown == sandbox.fleet.device(device_id)


@pytest.mark.parametrize(
    "device_id", ["1", "00001", "0000", "0301", "x", "%30001", "%C2%B2", "9" * 30, "0001%20"]
)
async def test_an_id_is_known_only_as_it_was_printed(caller: Caller, device_id: str) -> None:
    answer = await caller.get(f"/sensors/{device_id}")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/json"


def test_sensors_have_a_state_and_smart_meters_have_none() -> None:
    fleet = Fleet(devices=3000, seed=7, today=TODAY)
    shown = [device for it in fleet.device_ids() if (device := fleet.device(it))]
    states = {device["connection_state"] for device in shown}
    assert states == {None, "connected", "disconnected", "never_connected"}
    for device in shown:
        assert (device["connection_state"] is None) == (device["firmware"] is None)
        assert (device["connection_state"] == "never_connected") == (device["first_event"] is None)


def test_events_are_utc_timestamps_in_order_and_not_in_the_future() -> None:
    fleet = Fleet(devices=500, seed=7, today=TODAY)
    for device in map(fleet.device, fleet.device_ids()):
        assert device is not None
        if device["first_event"] is None or device["last_event"] is None:
            continue
        assert device["first_event"].endswith("Z")
        first, last = (datetime.fromisoformat(device[key]) for key in ("first_event", "last_event"))
        assert first < last
        assert last.date() <= TODAY


def test_the_fleet_is_as_mixed_as_it_says() -> None:
    fleet = Fleet(devices=4000, seed=11, today=TODAY)
    homes = [home for it in fleet.device_ids() if (home := fleet.household(it))]

    def share(count: int) -> float:
        return count / len(homes)

    assert 0.28 < share(sum(home.owns("electric_vehicle") for home in homes)) < 0.38
    heating = sum(home.owns("heating") or home.owns("cooking_heating") for home in homes)
    assert 0.20 < share(heating) < 0.30
    recent = (TODAY - timedelta(days=150)).toordinal()
    joined = sum(home.first_day is not None and home.first_day >= recent for home in homes)
    assert 0.015 < share(joined) < 0.045
    assert len({home.place.zone for home in homes}) >= 5


def test_cooking_and_heating_are_never_listed_beside_their_combination() -> None:
    fleet = Fleet(devices=1000, seed=3, today=TODAY)
    homes = [home for it in fleet.device_ids() if (home := fleet.household(it))]
    combined = [home for home in homes if home.owns("cooking_heating")]
    assert combined
    for home in combined:
        assert not home.owns("cooking")
        assert not home.owns("heating")
        assert not home.lists_appliances


async def test_a_new_meter_is_listed_at_once(sandbox: Sandbox, caller: Caller) -> None:
    device_id = sandbox.register_device()
    assert (await caller.get("/sensors")).body.endswith(b"0300, 0301]")
    shown = (await caller.get(f"/sensors/{device_id}")).json
    assert shown["first_event"].startswith(sandbox.today.isoformat())


@pytest.mark.parametrize(
    "path",
    ["/", "/sensors/", "/sensors/0001/", "//sensors", "/sensors/0001/sm/disag", "/SENSORS", "/sensors/../x"],
)
async def test_paths_are_not_normalised(caller: Caller, path: str) -> None:
    answer = await caller.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/auth/token", "POST"),
        ("POST", "/sensors", "GET"),
        ("HEAD", "/sensors", "GET"),
        ("DELETE", "/sensors/0001", "GET"),
        ("PATCH", "/sensors/0001/metadata/property", "GET, PUT"),
        ("PUT", "/sensors/0001/sm/disag/month", "GET"),
    ],
)
async def test_other_methods_are_refused(caller: Caller, method: str, path: str, allowed: str) -> None:
    answer = await caller.send(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_parameters_that_nobody_documented_are_refused(caller: Caller) -> None:
    answer = await caller.get("/sensors?page=2")
    assert (answer.status, "page" in answer.reason) == (400, True)
    assert (await caller.get("/sensors/0001?verbose=1")).status == 400


async def test_a_get_takes_no_body(caller: Caller) -> None:
    answer = await caller.send("GET", "/sensors", b"{}")
    assert (answer.status, "body" in answer.reason) == (400, True)
