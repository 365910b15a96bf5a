"""What the documentation says about the bodies of PUT …/metadata/…, as data."""

from voltaware_async.sandbox.rules import (
    AsManyAs,
    Decimal,
    Fields,
    Flag,
    Integer,
    ListOf,
    OneOf,
    Rule,
    Text,
    Variants,
)

_VERSION = OneOf(("1.0",))
_GENERATOR = OneOf(("SOLAR", "HYDROELECTRICITY", "WIND", "BATTERY", "OTHER", "NONE"))


def _property_type(word: str) -> dict[str, Rule]:
    return {"property_type": OneOf((word,))}


_PEOPLE = Fields(
    {
        "age_range": OneOf(("ZERO_TO_FIVE", "SIX_TO_EIGHTEEN", "ADULT", "PENSIONER")),
        "amount": Integer(minimum=0),
    }
)
_HOME = Fields(
    _property_type("HOME")
    | {
        "home_type": OneOf(("FLAT", "HOUSE")),
        "home_usage_type": OneOf(("PRIMARY", "SECONDARY")),
        "home_size": Decimal(),
        "bedroom_amount": Integer(minimum=1),
        "power_generator_source": _GENERATOR,
        "people_amount": Integer(minimum=1),
        "people_amount_in_day_time": Integer(minimum=0),
        "people": ListOf(_PEOPLE),
        "version": _VERSION,
    }
)


def _not_a_home(word: str) -> Fields:
    return Fields(_property_type(word) | {"power_generator_source": _GENERATOR, "version": _VERSION})


# The documentation's example says INDUSTRY, its table says INDUSTRIAL twice: the table is what is specified.
PROPERTY: Rule = Variants(
    "property_type",
    {"HOME": _HOME} | {word: _not_a_home(word) for word in ("OFFICE", "COMMERCIAL", "INDUSTRIAL")},
    hint="; the table of the documentation says INDUSTRIAL, INDUSTRY stands only in an example",
)

# The bounds of a "valid location", in degrees.
GEOLOCATION: Rule = Fields({"latitude": Decimal(-90, 90), "longitude": Decimal(-180, 180)})

_AMOUNT = Integer(minimum=0)
_SEASONS = ("AUTUMN", "SPRING", "SUMMER", "WINTER")


def _appliance(key: str, **fields: Rule) -> Fields:
    """Return the rule for one appliance: "For each appliance object sent, all fields are required"."""
    return Fields({"key": OneOf((key,)), "amount": _AMOUNT, **fields})


_WITH_FIELDS: dict[str, dict[str, Rule]] = {
    "AC": {
        "type": OneOf(("CENTRALISED", "MINI_SPLIT", "WINDOW", "OTHER", "I_DONT_KNOW")),
        "usage_type": OneOf(("SUMMER", "WINTER", "BOTH")),
    },
    "ELECTRIC_BOILER": {
        "usage_type": OneOf(("SPACE_HEATING", "WATER_HEATING", "BOTH")),
        "coupled_with_solar_thermal_system": OneOf(("YES", "NO", "NOT_SURE")),
        "water_tank": Flag(),
    },
    "ELECTRIC_HEATING": {"type": OneOf(("HEAT_PUMP", "HEAT_STORAGE", "RADIATOR", "UNDERFLOOR", "OTHER"))},
    "ELECTRIC_OVEN": {"type": OneOf(("MICROWAVE", "MINI", "REGULAR"))},
    "ELECTRIC_STOVE": {"type": OneOf(("ELECTRIC", "INDUCTION"))},
    "FRIDGE": {
        "type": OneOf(
            (
                "FRIDGE",
                "FREEZER",
                "FRIDGE_AND_FREEZER",
                "SMALL_ELECTRIC_WINE_CELLAR",
                "LARGE_ELECTRIC_WINE_CELLAR",
            )
        )
    },
    "GAS_HEATING": {"any_electric_heater": Flag()},
    "TUMBLE_DRYER": {
        "type": OneOf(("CONDENSER", "HEAT_PUMP", "VENTED", "I_DONT_KNOW")),
        "usage_types": ListOf(OneOf(_SEASONS)),
    },
    "OTHER": {"name": Text()},
}
_COUNTED_ONLY = (
    "DEHUMIDIFIER",
    "DISHWASHER",
    "ELECTRIC_LAWN_MOWER",
    "ELECTRIC_SHOWER",
    "HUMIDIFIER",
    "JACUZZI",
    "KETTLE",
    "POOL_PUMP",
    "WASHING_MACHINE",
)
_VEHICLE = AsManyAs(
    _appliance(
        "ELECTRIC_VEHICLE",
        type=OneOf(("BIKE", "CAR", "MOTORBIKE", "SCOOTER")),
        wattages=ListOf(Integer()),
    ),
    items="wattages",
    amount="amount",
)

APPLIANCE_RULES: dict[str, Rule] = {
    **{key: _appliance(key, **fields) for key, fields in _WITH_FIELDS.items()},
    **{key: _appliance(key) for key in _COUNTED_ONLY},
    "ELECTRIC_VEHICLE": _VEHICLE,
}

APPLIANCES: Rule = Fields({"appliances": ListOf(Variants("key", APPLIANCE_RULES)), "version": _VERSION})
