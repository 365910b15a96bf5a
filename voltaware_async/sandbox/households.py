"""What a household is like, drawn from the seed and the number of its device."""

from enum import IntEnum

from attrs import frozen

from voltaware_async.sandbox.hashing import Draws, mix


class Season(IntEnum):
    """How a load varies over the year."""

    FLAT = 0
    COOLING = 1
    HEATING = 2
    COOKING_HEATING = 3
    LIGHTS = 4
    WARM_WATER = 5
    FRIDGE = 6


class Habit(IntEnum):
    """How a load varies from day to day."""

    STEADY = 0
    VARIED = 1
    SOME_DAYS = 2
    CHARGING = 3


@frozen
class Load:
    """One appliance: its usual Wh per day, its season, and where its habit starts in the table of habits."""

    appliance: str
    daily_wh: int
    season: Season
    habit: Habit
    offset: int


@frozen
class Place:
    """Where a household lives, in the words of the API."""

    country: str
    locale: str
    zone: str
    latitude: float
    longitude: float


PLACES = (
    Place("DE", "de-DE", "Europe/Berlin", 52.520008, 13.404954),
    Place("GB", "en-GB", "Europe/London", 51.509865, -0.118092),
    Place("ES", "es-ES", "Europe/Madrid", 40.416775, -3.703790),
    Place("BR", "pt-BR", "America/Sao_Paulo", -23.533773, -46.625290),
    Place("AU", "en-AU", "Australia/Adelaide", -34.921230, 138.599503),
    Place("PT", "pt-PT", "Europe/Lisbon", 38.736946, -9.142685),
)

WHOLE_WH = 10_000
"""One Wh in the unit of all sums, 0.0001 Wh."""


@frozen
class Household:
    """The traits of a household that do not change.

    `first_day` is None for a Voltaware sensor that was never connected. `quantum` is the grain of its meter,
    in 0.0001 Wh. `prints_zeros` and `silent_cycles` say which of two documented shapes its replies have.
    """

    index: int
    key: int
    place: Place
    first_day: int | None
    connection_state: str | None
    firmware: str | None
    loads: tuple[Load, ...]
    charger_w: int
    quantum: int
    prints_zeros: bool
    silent_cycles: bool
    has_property: bool
    lists_appliances: bool
    has_geolocation: bool

    @property
    def south(self) -> bool:
        """Whether January is in summer."""
        return self.place.latitude < 0

    def owns(self, appliance: str) -> bool:
        """Return whether the household has the appliance."""
        return any(load.appliance == appliance for load in self.loads)


def household(seed: int, index: int, anchor: int, joined: int | None = None) -> Household:
    """Return the household of a device.

    Args:
        seed: the seed of the fleet.
        index: the number of the device, from 1.
        anchor: the day from which ages are counted back.
        joined: the day of its first event, if it joined while the sandbox was running.
    """
    draws = Draws(mix(seed, index))
    sensor = joined is None and draws.chance(20)
    state = draws.pick(_STATES) if sensor else None
    first_day = joined if joined is not None else anchor - _age(draws)
    lists_appliances = draws.chance(60)
    loads = _loads(draws, lists_appliances=lists_appliances)
    return Household(
        index=index,
        key=mix(seed, index, 1),
        place=draws.pick(PLACES),
        first_day=None if state == "never_connected" else first_day,
        connection_state=state,
        firmware=f"{draws.below(1_000_000):06d}" if sensor else None,
        loads=loads,
        charger_w=draws.pick((3700, 7200, 11000)),
        quantum=WHOLE_WH if draws.chance(33) else 1,
        prints_zeros=draws.chance(30),
        silent_cycles=draws.chance(6) and not any(load.habit is Habit.CHARGING for load in loads),
        has_property=draws.chance(50),
        lists_appliances=lists_appliances,
        has_geolocation=draws.chance(40),
    )


_STATES = ("connected",) * 54 + ("disconnected",) * 9 + ("never_connected",)


def _age(draws: Draws) -> int:
    """Return how many days ago the first event came; about 3 % joined within the last months."""
    recent = draws.chance(3)
    return draws.between(1, 150) if recent else draws.between(500, 2_500)


@frozen
class _Kind:
    """An appliance that some share of households, in percent, has."""

    appliance: str
    owners: int
    low_wh: int
    high_wh: int
    season: Season = Season.FLAT
    habit: Habit = Habit.VARIED


_KINDS = (
    _Kind("boiler", 20, 2_500, 5_500, Season.WARM_WATER, Habit.STEADY),
    _Kind("cooking", 94, 500, 1_500),
    _Kind("cooling", 25, 2_000, 5_000, Season.COOLING),
    _Kind("electric_vehicle", 33, 6_000, 12_000, habit=Habit.CHARGING),
    _Kind("fridge", 100, 700, 1_600, Season.FRIDGE, Habit.STEADY),
    _Kind("heating", 25, 6_000, 14_000, Season.HEATING),
    _Kind("lights", 100, 600, 2_200, Season.LIGHTS),
    _Kind("others", 50, 300, 1_200),
    _Kind("standby", 100, 800, 2_500, habit=Habit.STEADY),
    _Kind("washing", 90, 400, 1_300, habit=Habit.SOME_DAYS),
)
_COMBINED = _Kind("cooking_heating", 100, 6_000, 14_000, Season.COOKING_HEATING)


def _loads(draws: Draws, *, lists_appliances: bool) -> tuple[Load, ...]:
    """Return the loads in the order of their keys, as the documentation prints them.

    A household that heats with electricity and gave no appliance list gets the combined key, as documented.
    """
    kinds = {kind.appliance: kind for kind in _KINDS if draws.chance(kind.owners)}
    if "heating" in kinds and not lists_appliances:
        kinds.pop("heating")
        kinds.pop("cooking", None)
        kinds["cooking_heating"] = _COMBINED
    return tuple(_load(draws, kinds[appliance]) for appliance in sorted(kinds))


def _load(draws: Draws, kind: _Kind) -> Load:
    daily_wh = draws.between(kind.low_wh, kind.high_wh)
    return Load(kind.appliance, daily_wh, kind.season, kind.habit, offset=draws.below(1 << 20))
