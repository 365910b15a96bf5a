"""Appliances: each key takes exactly its documented fields, and what is not known is kept."""

from __future__ import annotations

import json

import pytest
from attrs import evolve, fields

from voltaware_async.protocol.codec import APPLIANCES
from voltaware_async.records import appliance_choices as choices
from voltaware_async.records import appliances as a
from voltaware_async.records.appliance_choices import MetadataKey
from voltaware_async.records.appliance_results import result_keys
from voltaware_async.records.disaggregation import ApplianceKey

# What the documentation's PUT example and prose give each key, `amount` apart.
DOCUMENTED: dict[type[a.KnownAppliance], dict[str, object]] = {
    a.AC: {"type": choices.AcType.MINI_SPLIT, "usage_type": choices.AcUsageType.BOTH},
    a.Dehumidifier: {},
    a.Dishwasher: {},
    a.ElectricBoiler: {
        "usage_type": choices.BoilerUsageType.WATER_HEATING,
        "coupled_with_solar_thermal_system": choices.SolarThermalCoupling.NOT_SURE,
        "water_tank": True,
    },
    a.ElectricHeating: {"type": choices.HeaterType.UNDERFLOOR},
    a.ElectricLawnMower: {},
    a.ElectricOven: {"type": choices.OvenType.MINI},
    a.ElectricShower: {},
    a.ElectricStove: {"type": choices.StoveType.INDUCTION},
    a.ElectricVehicle: {"type": choices.VehicleType.CAR, "wattages": (7200,)},
    a.Fridge: {"type": choices.FridgeType.LARGE_ELECTRIC_WINE_CELLAR},
    a.GasHeating: {"any_electric_heater": True},
    a.Humidifier: {},
    a.Jacuzzi: {},
    a.Kettle: {},
    a.PoolPump: {},
    a.TumbleDryer: {
        "type": choices.TumbleDryerType.I_DONT_KNOW,
        "usage_types": (choices.Season.AUTUMN, choices.Season.SPRING),
    },
    a.WashingMachine: {},
    a.OtherAppliance: {"name": "Sprinklers"},
}
KINDS = pytest.mark.parametrize("kind", DOCUMENTED)


def build(kind: type[a.KnownAppliance], **changes: object) -> a.KnownAppliance:
    return kind(**{"amount": 1, **DOCUMENTED[kind], **changes})


def written(*appliances: a.Appliance) -> list[dict[str, object]]:
    return json.loads(APPLIANCES.encode(a.Appliances(appliances)))["appliances"]


def test_every_key_of_the_documentation_has_its_record() -> None:
    """T43, T44, T56: nineteen, gas and electric heating apart, named as on the wire."""
    assert len(DOCUMENTED) == len(MetadataKey) == 19
    assert set(a.KNOWN_APPLIANCES.values()) == set(DOCUMENTED)
    assert set(a.KNOWN_APPLIANCES) == set(MetadataKey)


@KINDS
def test_an_appliance_is_written_with_its_key_its_amount_and_its_own_fields(
    kind: type[a.KnownAppliance],
) -> None:
    """T43, T44, T47."""
    (words,) = written(build(kind))
    assert list(words) == ["key", "amount", *DOCUMENTED[kind]]
    assert words["key"] == kind.key
    assert APPLIANCES.decode(APPLIANCES.encode(a.Appliances((build(kind),)))).appliances == (build(kind),)


@KINDS
def test_every_field_is_required_and_no_other_is_taken(kind: type[a.KnownAppliance]) -> None:
    """T43, T44: a field of another appliance included."""
    complete = {"amount": 1, **DOCUMENTED[kind]}
    for name in complete:
        with pytest.raises(TypeError):
            kind(**{key: value for key, value in complete.items() if key != name})
    with pytest.raises(TypeError):
        kind(**complete, wattage=1)
    with pytest.raises(TypeError):
        kind(*complete.values())


@KINDS
@pytest.mark.parametrize("amount", [True, 1.0, "1", None])
def test_an_amount_is_an_int(kind: type[a.KnownAppliance], amount: object) -> None:
    with pytest.raises(TypeError, match="amount must be an int"):
        build(kind, amount=amount)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (a.AC, "type", "WINDOW"),
        (a.AC, "type", choices.HeaterType.OTHER),
        (a.AC, "usage_type", choices.BoilerUsageType.BOTH),
        (a.ElectricBoiler, "coupled_with_solar_thermal_system", False),
        (a.ElectricBoiler, "coupled_with_solar_thermal_system", "NO"),
        (a.ElectricBoiler, "water_tank", "YES"),
        (a.ElectricBoiler, "water_tank", 1),
        (a.GasHeating, "any_electric_heater", "false"),
        (a.ElectricOven, "type", choices.AcType.I_DONT_KNOW),
        (a.TumbleDryer, "usage_types", ("AUTUMN",)),
        (a.TumbleDryer, "usage_types", "AUTUMN"),
        (a.ElectricVehicle, "wattages", (7200.0,)),
        (a.ElectricVehicle, "wattages", (True,)),
        (a.ElectricVehicle, "wattages", "7"),
        (a.OtherAppliance, "name", 7),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: type[a.KnownAppliance], name: str, value: object) -> None:
    """T45, T46, T48: the texts of members included."""
    with pytest.raises(TypeError, match=name):
        build(kind, **{name: value})


def test_only_the_ac_and_the_dryer_know_i_dont_know() -> None:
    """T45: whatever the prose says of all questions."""
    sets = [getattr(choices, name) for name in choices.__all__]
    assert [s for s in sets if "I_DONT_KNOW" in s.__members__] == [choices.AcType, choices.TumbleDryerType]
    assert [s for s in sets if "NOT_SURE" in s.__members__] == [choices.SolarThermalCoupling]


def test_a_vehicle_has_one_wattage_per_unit() -> None:
    """T48."""
    two = build(a.ElectricVehicle, amount=2, wattages=[750, 750])
    assert written(two)[0]["wattages"] == [750, 750]
    with pytest.raises(ValueError, match="has no word for a wattage that is not known"):
        build(a.ElectricVehicle, amount=2, wattages=[750])
    with pytest.raises(ValueError, match="wattages must be at least 1"):
        build(a.ElectricVehicle, wattages=[0])


def test_seasons_are_each_named_once_and_at_least_one() -> None:
    """T47."""
    autumn, winter = choices.Season.AUTUMN, choices.Season.WINTER
    assert build(a.TumbleDryer, usage_types=[winter, autumn, winter]).usage_types == (winter, autumn)
    with pytest.raises(ValueError, match="usage_types must name a season"):
        build(a.TumbleDryer, usage_types=[])


@pytest.mark.parametrize("name", ["", 'quo"te', "naïve 🌊 \u0000", "x" * 10_000])
def test_any_text_names_another_appliance(name: str) -> None:
    """T50, T51."""
    listed = a.Appliances((a.OtherAppliance(amount=3, name=name),))
    assert APPLIANCES.decode(APPLIANCES.encode(listed)) == listed
    if name:
        assert name not in repr(listed)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_character_is_refused_before_anything_is_sent(text: str) -> None:
    """T50."""
    with pytest.raises(ValueError, match="name holds half a character"):
        a.OtherAppliance(amount=1, name=text)
    for extra in ({"a": text}, {"a": [text]}):
        with pytest.raises(ValueError, match="half a character"):
            a.Kettle(amount=1, extra=extra)
    with pytest.raises(TypeError, match="keys"):
        a.Kettle(amount=1, extra={text: 1})


# --- what this version does not know ----------------------------------------------------------------


def test_extra_fields_are_written_after_the_documented_ones() -> None:
    """T55."""
    extra: dict[str, object] = {"brand": "X", "parts": [{"a": None}], "hot": True, "w": 1.5}
    kettle = a.Kettle(amount=1, extra=extra)
    extra["brand"] = "changed later"
    assert written(kettle) == [
        {"key": "KETTLE", "amount": 1, "brand": "X", "parts": [{"a": None}], "hot": True, "w": 1.5}
    ]
    assert "brand" not in repr(kettle)


@KINDS
def test_extra_cannot_stand_in_for_a_documented_field(kind: type[a.KnownAppliance]) -> None:
    """T43, T55."""
    for name in ("key", "amount", *DOCUMENTED[kind]):
        with pytest.raises(ValueError, match=f"documented fields: {name}"):
            build(kind, extra={name: 1})
    assert kind.wire_names() == {"key", "amount", *DOCUMENTED[kind]}
    assert {field.name for field in fields(kind)} == {"amount", "extra", *DOCUMENTED[kind]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_extra_must_be_json_that_can_be_written(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        a.Kettle(amount=1, extra={"a": [value]})


@pytest.mark.parametrize("value", [object(), {1}, b"", (1,)])
def test_extra_holds_nothing_that_json_has_no_word_for(value: object) -> None:
    with pytest.raises(TypeError, match="JSON has no"):
        a.Kettle(amount=1, extra={"a": value})


@pytest.mark.parametrize("depth", [99, 100])
def test_extra_has_a_depth_that_is_cheap_to_handle(depth: int) -> None:
    """F62: a list that holds itself included."""
    deep: list[object] = []
    for _ in range(depth - 2):
        deep = [deep]
    if depth <= 99:
        assert a.Kettle(amount=1, extra={"a": deep}).extra == {"a": deep}
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested deeper"):
        a.Kettle(amount=1, extra={"a": endless})


def test_an_unknown_appliance_has_the_key_that_it_holds() -> None:
    """T55."""
    robot = a.UnknownAppliance("ROBOT", {"key": "ROBOT", "secret": "PLANTED"})
    assert "PLANTED" not in repr(robot)
    assert written(robot) == [{"key": "ROBOT", "secret": "PLANTED"}]
    with pytest.raises(ValueError, match="key must be"):
        a.UnknownAppliance("ROBOT", {"key": "KETTLE"})


def test_order_and_repetition_are_kept() -> None:
    """T49."""
    kettle, fridge = a.Kettle(amount=1), build(a.Fridge)
    listed = a.Appliances([kettle, fridge, kettle])
    assert listed.appliances == (kettle, fridge, kettle)
    assert APPLIANCES.decode(APPLIANCES.encode(listed)) == listed


def test_a_list_takes_only_appliances() -> None:
    with pytest.raises(TypeError, match="appliances must be records"):
        a.Appliances(({"key": "KETTLE", "amount": 1},))
    with pytest.raises(TypeError, match="version must be a str"):
        a.Appliances((), 1)


def test_appliances_can_be_hashed_and_changed_by_copy() -> None:
    kettle = a.Kettle(amount=1, extra={"a": []})
    assert len({kettle, evolve(kettle, amount=2), a.UnknownAppliance("R", {"key": "R", "a": []})}) == 3


# --- the keys of results ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "results"),
    [
        (MetadataKey.AC, {ApplianceKey.COOLING, ApplianceKey.HEATING}),
        (MetadataKey.ELECTRIC_OVEN, {ApplianceKey.COOKING, ApplianceKey.COOKING_HEATING}),
        (MetadataKey.ELECTRIC_STOVE, {ApplianceKey.COOKING, ApplianceKey.COOKING_HEATING}),
        (MetadataKey.ELECTRIC_HEATING, {ApplianceKey.HEATING, ApplianceKey.COOKING_HEATING}),
        (MetadataKey.WASHING_MACHINE, {ApplianceKey.WASHING}),
        (MetadataKey.DISHWASHER, {ApplianceKey.WASHING}),
        (MetadataKey.TUMBLE_DRYER, {ApplianceKey.WASHING}),
        (MetadataKey.ELECTRIC_BOILER, {ApplianceKey.BOILER}),
        (MetadataKey.FRIDGE, {ApplianceKey.FRIDGE}),
        (MetadataKey.ELECTRIC_VEHICLE, {ApplianceKey.ELECTRIC_VEHICLE}),
        (MetadataKey.JACUZZI, {ApplianceKey.OTHERS}),
        (MetadataKey.OTHER, set()),
        (MetadataKey.KETTLE, set()),
    ],
)
def test_an_appliance_shows_in_results_under_the_documented_keys(
    key: MetadataKey, results: set[ApplianceKey]
) -> None:
    """T51, T52: OTHER never shows, and nothing is promised to be one to one."""
    assert result_keys(key) == results


def test_the_keys_of_metadata_and_of_results_are_two_sets() -> None:
    """T54."""
    assert not set(map(str, MetadataKey)) & set(map(str, ApplianceKey))
