"""The appliances of a home: one record per documented key, each with exactly its documented fields.

`amount` counts units. The same key may appear more than once, one record per type. A list that is sent is
taken to replace the whole list; the documentation does not say. `extra` keeps the fields of a view that this
version does not know, and is written back.

Source: Metadata, Appliances.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias, get_args

from attrs import Attribute, field, fields, frozen

from voltaware_async.records.appliance_choices import (
    AcType,
    AcUsageType,
    BoilerUsageType,
    FridgeType,
    HeaterType,
    MetadataKey,
    OvenType,
    Season,
    SolarThermalCoupling,
    StoveType,
    TumbleDryerType,
    VehicleType,
)
from voltaware_async.records.argument_checks import each, flag, member_of, text, whole
from voltaware_async.records.json_values import JsonObject, kept
from voltaware_async.records.metadata import METADATA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "AC",
    "KNOWN_APPLIANCES",
    "Appliance",
    "Appliances",
    "Dehumidifier",
    "Dishwasher",
    "ElectricBoiler",
    "ElectricHeating",
    "ElectricLawnMower",
    "ElectricOven",
    "ElectricShower",
    "ElectricStove",
    "ElectricVehicle",
    "Fridge",
    "GasHeating",
    "Humidifier",
    "Jacuzzi",
    "Kettle",
    "KnownAppliance",
    "OtherAppliance",
    "PoolPump",
    "TumbleDryer",
    "UnknownAppliance",
    "WashingMachine",
]


def _seasons(seasons: Iterable[Season]) -> tuple[Season, ...]:
    """Drop repetitions, keep the order."""
    return tuple(dict.fromkeys(seasons))


def _wattages(wattages: Iterable[int]) -> tuple[int, ...]:
    return tuple(wattages)


def _not_empty(_record: object, attribute: Attribute[tuple[Season, ...]], value: tuple[Season, ...]) -> None:
    if not value:
        raise ValueError(f"{attribute.name} must name a season at least")


def _one_per_unit(record: ElectricVehicle, _attribute: object, value: tuple[int, ...]) -> None:
    if len(value) != record.amount:
        raise ValueError(
            "wattages must hold as many numbers as amount says; the documentation has no word for a wattage "
            "that is not known"
        )


def _not_a_field(record: KnownAppliance, _attribute: object, extra: JsonObject) -> None:
    if clash := record.wire_names().intersection(extra):
        raise ValueError(f"extra holds documented fields: {', '.join(sorted(clash))}")


@frozen(kw_only=True)
class KnownAppliance:
    """Hold what every appliance has: its key and how many units there are."""

    key: ClassVar[MetadataKey]

    amount: int = field(validator=whole())
    extra: JsonObject = field(factory=dict, converter=kept, validator=_not_a_field, hash=False, repr=False)

    @classmethod
    def wire_names(cls) -> frozenset[str]:
        """Return the fields that the documentation gives it, every one of them required."""
        return frozenset({"key", *(attribute.name for attribute in fields(cls))} - {"extra"})


@frozen(kw_only=True)
class AC(KnownAppliance):
    """Describe air conditioners; used in cold months they show in results as heating."""

    key: ClassVar[MetadataKey] = MetadataKey.AC
    type: AcType = field(validator=member_of(AcType))
    usage_type: AcUsageType = field(validator=member_of(AcUsageType))


@frozen(kw_only=True)
class Dehumidifier(KnownAppliance):
    """Count dehumidifiers."""

    key: ClassVar[MetadataKey] = MetadataKey.DEHUMIDIFIER


@frozen(kw_only=True)
class Dishwasher(KnownAppliance):
    """Count dishwashers."""

    key: ClassVar[MetadataKey] = MetadataKey.DISHWASHER


@frozen(kw_only=True)
class ElectricBoiler(KnownAppliance):
    """Describe electric boilers (water heaters)."""

    key: ClassVar[MetadataKey] = MetadataKey.ELECTRIC_BOILER
    usage_type: BoilerUsageType = field(validator=member_of(BoilerUsageType))
    coupled_with_solar_thermal_system: SolarThermalCoupling = field(validator=member_of(SolarThermalCoupling))
    water_tank: bool = field(validator=flag)


@frozen(kw_only=True)
class ElectricHeating(KnownAppliance):
    """Describe electric space heating, for a home whose main heating is electric."""

    key: ClassVar[MetadataKey] = MetadataKey.ELECTRIC_HEATING
    type: HeaterType = field(validator=member_of(HeaterType))


@frozen(kw_only=True)
class ElectricLawnMower(KnownAppliance):
    """Count electric lawn mowers."""

    key: ClassVar[MetadataKey] = MetadataKey.ELECTRIC_LAWN_MOWER


@frozen(kw_only=True)
class ElectricOven(KnownAppliance):
    """Describe electric ovens."""

    key: ClassVar[MetadataKey] = MetadataKey.ELECTRIC_OVEN
    type: OvenType = field(validator=member_of(OvenType))


@frozen(kw_only=True)
class ElectricShower(KnownAppliance):
    """Count electric showers."""

    key: ClassVar[MetadataKey] = MetadataKey.ELECTRIC_SHOWER


@frozen(kw_only=True)
class ElectricStove(KnownAppliance):
    """Describe electric or induction stoves."""

    key: ClassVar[MetadataKey] = MetadataKey.ELECTRIC_STOVE
    type: StoveType = field(validator=member_of(StoveType))


@frozen(kw_only=True)
class ElectricVehicle(KnownAppliance):
    """Describe electric vehicles; `wattages` holds the charger's watts of each, above 0."""

    key: ClassVar[MetadataKey] = MetadataKey.ELECTRIC_VEHICLE
    type: VehicleType = field(validator=member_of(VehicleType))
    wattages: tuple[int, ...] = field(converter=_wattages, validator=[each(whole(1)), _one_per_unit])


@frozen(kw_only=True)
class Fridge(KnownAppliance):
    """Describe cooling devices."""

    key: ClassVar[MetadataKey] = MetadataKey.FRIDGE
    type: FridgeType = field(validator=member_of(FridgeType))


@frozen(kw_only=True)
class GasHeating(KnownAppliance):
    """Describe gas heating, for a home whose main heating is gas, and whether electric heaters help it."""

    key: ClassVar[MetadataKey] = MetadataKey.GAS_HEATING
    any_electric_heater: bool = field(validator=flag)


@frozen(kw_only=True)
class Humidifier(KnownAppliance):
    """Count humidifiers."""

    key: ClassVar[MetadataKey] = MetadataKey.HUMIDIFIER


@frozen(kw_only=True)
class Jacuzzi(KnownAppliance):
    """Count jacuzzis."""

    key: ClassVar[MetadataKey] = MetadataKey.JACUZZI


@frozen(kw_only=True)
class Kettle(KnownAppliance):
    """Count kettles."""

    key: ClassVar[MetadataKey] = MetadataKey.KETTLE


@frozen(kw_only=True)
class PoolPump(KnownAppliance):
    """Count pool pumps."""

    key: ClassVar[MetadataKey] = MetadataKey.POOL_PUMP


@frozen(kw_only=True)
class TumbleDryer(KnownAppliance):
    """Describe tumble dryers and the seasons in which they run: at least one, each once."""

    key: ClassVar[MetadataKey] = MetadataKey.TUMBLE_DRYER
    type: TumbleDryerType = field(validator=member_of(TumbleDryerType))
    usage_types: tuple[Season, ...] = field(
        converter=_seasons, validator=[each(member_of(Season)), _not_empty]
    )


@frozen(kw_only=True)
class WashingMachine(KnownAppliance):
    """Count washing machines."""

    key: ClassVar[MetadataKey] = MetadataKey.WASHING_MACHINE


@frozen(kw_only=True)
class OtherAppliance(KnownAppliance):
    """Name an appliance that has no key of its own; it never shows in results.

    `name` is any text; it may be personal, and stays out of reprs.
    """

    key: ClassVar[MetadataKey] = MetadataKey.OTHER
    name: str = field(validator=text, repr=False)


@frozen
class UnknownAppliance:
    """Keep an appliance that this version cannot describe, and write it back unchanged.

    A key of a later API, or a known key whose fields are not the documented ones: `raw` is what was sent.
    """

    key: str
    raw: JsonObject = field(converter=kept, hash=False, repr=False)

    @raw.validator
    def _has_the_key(self, _attribute: object, value: JsonObject) -> None:
        if value.get("key") != self.key:
            raise ValueError("key must be the key that raw holds")


Appliance: TypeAlias = (
    AC
    | Dehumidifier
    | Dishwasher
    | ElectricBoiler
    | ElectricHeating
    | ElectricLawnMower
    | ElectricOven
    | ElectricShower
    | ElectricStove
    | ElectricVehicle
    | Fridge
    | GasHeating
    | Humidifier
    | Jacuzzi
    | Kettle
    | PoolPump
    | TumbleDryer
    | WashingMachine
    | OtherAppliance
    | UnknownAppliance
)

KNOWN_APPLIANCES: Final[Mapping[str, type[KnownAppliance]]] = MappingProxyType(
    {kind.key.value: kind for kind in get_args(Appliance) if issubclass(kind, KnownAppliance)}
)


def _appliances(appliances: Iterable[Appliance]) -> tuple[Appliance, ...]:
    return tuple(appliances)


def _are_appliances(_record: object, _attribute: object, value: tuple[object, ...]) -> None:
    if not all(isinstance(item, KnownAppliance | UnknownAppliance) for item in value):
        raise TypeError("appliances must be records of this module")


@frozen
class Appliances:
    """List a home's appliances in the order sent; the same key may appear more than once.

    Source: Metadata, Appliances.
    """

    appliances: tuple[Appliance, ...] = field(converter=_appliances, validator=_are_appliances)
    version: str = field(default=METADATA_VERSION, validator=text)
