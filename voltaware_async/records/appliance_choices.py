"""The choices of the metadata's appliances: closed when written, one set per appliance.

Only some sets know "I don't know", whatever the documentation's prose says of all of them.

Source: Metadata, Appliances, Set up property appliances.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "AcType",
    "AcUsageType",
    "BoilerUsageType",
    "FridgeType",
    "HeaterType",
    "MetadataKey",
    "OvenType",
    "Season",
    "SolarThermalCoupling",
    "StoveType",
    "TumbleDryerType",
    "VehicleType",
]


class MetadataKey(StrEnum):
    """Name an appliance that a home owns.

    These are not the keys of results (`records.disaggregation.ApplianceKey`): see
    `records.appliance_results`.
    """

    AC = "AC"
    DEHUMIDIFIER = "DEHUMIDIFIER"
    DISHWASHER = "DISHWASHER"
    ELECTRIC_BOILER = "ELECTRIC_BOILER"
    ELECTRIC_HEATING = "ELECTRIC_HEATING"
    ELECTRIC_LAWN_MOWER = "ELECTRIC_LAWN_MOWER"
    ELECTRIC_OVEN = "ELECTRIC_OVEN"
    ELECTRIC_SHOWER = "ELECTRIC_SHOWER"
    ELECTRIC_STOVE = "ELECTRIC_STOVE"
    ELECTRIC_VEHICLE = "ELECTRIC_VEHICLE"
    FRIDGE = "FRIDGE"
    GAS_HEATING = "GAS_HEATING"
    HUMIDIFIER = "HUMIDIFIER"
    JACUZZI = "JACUZZI"
    KETTLE = "KETTLE"
    OTHER = "OTHER"
    POOL_PUMP = "POOL_PUMP"
    TUMBLE_DRYER = "TUMBLE_DRYER"
    WASHING_MACHINE = "WASHING_MACHINE"


class AcType(StrEnum):
    """Name a kind of air conditioner."""

    CENTRALISED = "CENTRALISED"
    MINI_SPLIT = "MINI_SPLIT"
    WINDOW = "WINDOW"
    OTHER = "OTHER"
    I_DONT_KNOW = "I_DONT_KNOW"


class AcUsageType(StrEnum):
    """Tell the season in which an air conditioner runs."""

    SUMMER = "SUMMER"
    WINTER = "WINTER"
    BOTH = "BOTH"


class BoilerUsageType(StrEnum):
    """Tell what a boiler heats."""

    SPACE_HEATING = "SPACE_HEATING"
    WATER_HEATING = "WATER_HEATING"
    BOTH = "BOTH"


class SolarThermalCoupling(StrEnum):
    """Tell whether a boiler is coupled with a solar thermal system: three answers, none of them a bool."""

    YES = "YES"
    NO = "NO"
    NOT_SURE = "NOT_SURE"


class HeaterType(StrEnum):
    """Name a kind of electric heating."""

    HEAT_PUMP = "HEAT_PUMP"
    HEAT_STORAGE = "HEAT_STORAGE"
    RADIATOR = "RADIATOR"
    UNDERFLOOR = "UNDERFLOOR"
    OTHER = "OTHER"


class OvenType(StrEnum):
    """Name a kind of electric oven."""

    MICROWAVE = "MICROWAVE"
    MINI = "MINI"
    REGULAR = "REGULAR"


class StoveType(StrEnum):
    """Name a kind of electric stove."""

    ELECTRIC = "ELECTRIC"
    INDUCTION = "INDUCTION"


class VehicleType(StrEnum):
    """Name a kind of electric vehicle."""

    BIKE = "BIKE"
    CAR = "CAR"
    MOTORBIKE = "MOTORBIKE"
    SCOOTER = "SCOOTER"


class FridgeType(StrEnum):
    """Name a kind of cooling device."""

    FRIDGE = "FRIDGE"
    FREEZER = "FREEZER"
    FRIDGE_AND_FREEZER = "FRIDGE_AND_FREEZER"
    SMALL_ELECTRIC_WINE_CELLAR = "SMALL_ELECTRIC_WINE_CELLAR"
    LARGE_ELECTRIC_WINE_CELLAR = "LARGE_ELECTRIC_WINE_CELLAR"


class TumbleDryerType(StrEnum):
    """Name a kind of tumble dryer."""

    CONDENSER = "CONDENSER"
    HEAT_PUMP = "HEAT_PUMP"
    VENTED = "VENTED"
    I_DONT_KNOW = "I_DONT_KNOW"


class Season(StrEnum):
    """Name a season in which a tumble dryer runs."""

    AUTUMN = "AUTUMN"
    SPRING = "SPRING"
    SUMMER = "SUMMER"
    WINTER = "WINTER"
