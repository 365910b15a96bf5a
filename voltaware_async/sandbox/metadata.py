"""The metadata of devices: what clients put, and before that what some households told already."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from attrs import frozen

from voltaware_async.sandbox.fleet import Fleet
from voltaware_async.sandbox.hashing import Draws, mix
from voltaware_async.sandbox.households import Household
from voltaware_async.sandbox.metadata_rules import APPLIANCES, GEOLOCATION, PROPERTY
from voltaware_async.sandbox.rules import Rule
from voltaware_async.sandbox.shapes import Geolocation

VERSION = "1.0"

Appliance = dict[str, str | int | bool | list[int] | list[str]]
T = TypeVar("T")


class Topic(StrEnum):
    """The three kinds of metadata, as they end the path."""

    PROPERTY = "property"
    APPLIANCES = "appliances"
    GEOLOCATION = "geolocation"


@frozen
class TopicFacts:
    """How a topic is checked when put, and what a household has told before anybody put it."""

    rule: Rule
    told: Callable[[Household], object | None]


class MetadataBook:
    """Keep what clients put; the only thing the sandbox stores per device."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._put: dict[tuple[str, Topic], object] = {}

    def put(self, device_id: str, topic: Topic, body: object) -> None:
        """Replace the metadata of a device; the body has been checked."""
        self._put[device_id, topic] = body

    def get(self, device_id: str, topic: Topic) -> object | None:
        """Return what was put last, else what the household told, else None."""
        if (device_id, topic) in self._put:
            return self._put[device_id, topic]
        household = self._fleet.household(device_id)
        # A meter that joined while the sandbox runs has told nothing: it must be set up first.
        number = self._fleet.index(device_id)
        if household is None or number is None or not self._fleet.known_to(device_id, 0):
            return None
        return TOPICS[topic].told(household)


def told_property(household: Household) -> object | None:
    """Return the property as the documentation's VIEW example shows it: without home_usage_type."""
    if not household.has_property:
        return None
    draws = Draws(mix(household.key, 10))
    source = draws.pick(("NONE", "NONE", "NONE", "SOLAR"))
    if draws.chance(6):
        kind = draws.pick(("OFFICE", "COMMERCIAL", "INDUSTRIAL"))
        return {"property_type": kind, "power_generator_source": source, "version": VERSION}
    adults = draws.between(1, 4)
    return {
        "property_type": "HOME",
        "home_type": draws.pick(("FLAT", "HOUSE")),
        "home_size": draws.between(250, 2400) / 10,
        "bedroom_amount": draws.between(1, 5),
        "power_generator_source": source,
        "people_amount": adults,
        "people_amount_in_day_time": draws.below(adults + 1),
        "people": [{"age_range": "ADULT", "amount": adults}],
        "version": VERSION,
    }


def told_appliances(household: Household) -> object | None:
    """Return the appliance list that fits what the household consumes."""
    if not household.lists_appliances:
        return None
    candidates = ((key, make) for key, make in _APPLIANCES.items() if household.owns(key))
    appliances = [appliance for _, make in candidates for appliance in make(household)]
    if not household.owns("heating"):
        appliances.append({"key": "GAS_HEATING", "amount": 1, "any_electric_heater": False})
    return {"appliances": appliances, "version": VERSION}


def told_geolocation(household: Household) -> Geolocation | None:
    """Return a place within some kilometres of the household's city."""
    if not household.has_geolocation:
        return None
    draws = Draws(mix(household.key, 12))
    return {
        "latitude": round(household.place.latitude + draws.between(-90_000, 90_000) / 1e6, 6),
        "longitude": round(household.place.longitude + draws.between(-90_000, 90_000) / 1e6, 6),
    }


def _boiler(household: Household) -> list[Appliance]:
    return [
        {
            "key": "ELECTRIC_BOILER",
            "amount": 1,
            "usage_type": "WATER_HEATING",
            "coupled_with_solar_thermal_system": "YES" if household.key % 8 == 0 else "NO",
            "water_tank": household.key % 2 == 0,
        }
    ]


def _cooking(household: Household) -> list[Appliance]:
    stove = "INDUCTION" if household.key % 3 == 0 else "ELECTRIC"
    return [
        {"key": "ELECTRIC_OVEN", "amount": 1, "type": "REGULAR"},
        {"key": "ELECTRIC_STOVE", "amount": 1, "type": stove},
    ]


def _cooling(household: Household) -> list[Appliance]:
    kind = "CENTRALISED" if household.key % 4 == 0 else "MINI_SPLIT"
    return [{"key": "AC", "amount": 1, "type": kind, "usage_type": "SUMMER"}]


def _vehicle(household: Household) -> list[Appliance]:
    return [{"key": "ELECTRIC_VEHICLE", "amount": 1, "type": "CAR", "wattages": [household.charger_w]}]


def _fridge(household: Household) -> list[Appliance]:
    kinds = ("FRIDGE", "FREEZER") if household.key % 5 == 0 else ("FRIDGE_AND_FREEZER",)
    return [{"key": "FRIDGE", "amount": 1, "type": kind} for kind in kinds]


def _heating(household: Household) -> list[Appliance]:
    kind = "HEAT_PUMP" if household.key % 2 == 0 else "RADIATOR"
    return [{"key": "ELECTRIC_HEATING", "amount": 1, "type": kind}]


def _others(_: Household) -> list[Appliance]:
    return [{"key": "OTHER", "amount": 1, "name": "A Electronic Device"}]


def _washing(household: Household) -> list[Appliance]:
    machines: list[Appliance] = [{"key": "WASHING_MACHINE", "amount": 1}]
    if household.key % 3 == 0:
        seasons = ["AUTUMN", "WINTER"]
        machines.append({"key": "TUMBLE_DRYER", "amount": 1, "type": "I_DONT_KNOW", "usage_types": seasons})
    return machines


_APPLIANCES: dict[str, Callable[[Household], list[Appliance]]] = {
    "cooling": _cooling,
    "boiler": _boiler,
    "heating": _heating,
    "cooking": _cooking,
    "electric_vehicle": _vehicle,
    "fridge": _fridge,
    "others": _others,
    "washing": _washing,
}

TOPICS: dict[Topic, TopicFacts] = {
    Topic.PROPERTY: TopicFacts(PROPERTY, told_property),
    Topic.APPLIANCES: TopicFacts(APPLIANCES, told_appliances),
    Topic.GEOLOCATION: TopicFacts(GEOLOCATION, told_geolocation),
}
