"""How much each appliance of a household uses on each day, in whole units of 0.0001 Wh.

Integers, so that the days of a month, its weeks, its cycles and its reports add up exactly.
"""

import math
import random
from collections.abc import Callable
from functools import cache
from itertools import chain
from operator import mul

from attrs import frozen

from voltaware_async.sandbox.hashing import mix
from voltaware_async.sandbox.households import WHOLE_WH, Habit, Household, Load, Season
from voltaware_async.sandbox.shapes import Number
from voltaware_async.sandbox.spans import Span

_YEARS = 1461
"""Days after which the seasons repeat: four years."""

_HABITS = 4093
"""Days after which habits repeat; a prime beyond eleven years."""

_LONGEST = 31
"""Tables are continued by the longest span, so that no slice wraps around."""

_BLOCK = 32
"""Days within which there is at most one outage."""


def number(units: int) -> Number:
    """Return Wh as the API prints them: a float, or a bare 0."""
    return units / WHOLE_WH if units else 0


@frozen
class Daily:
    """The days of a span: units per appliance and day, and how many days the meter was away."""

    span: Span
    appliances: dict[str, list[int]]
    days_away: int

    def total(self) -> int:
        """Return the units of the whole span."""
        return sum(chain.from_iterable(self.appliances.values()))

    def by_day(self) -> list[int]:
        """Return the units of each day."""
        return [sum(day) for day in zip(*self.appliances.values(), strict=True)]


class Consumption:
    """The days of any household, from tables that depend on the seed alone."""

    def __init__(self, seed: int) -> None:
        self._seasons = {
            (season, south): _season_table(season, south=south)
            for season in Season
            for south in (False, True)
        }
        self._habits = {habit: tuple(_habit_table(habit, seed)) for habit in Habit}

    def daily(self, household: Household, span: Span) -> Daily:
        """Return what each appliance used on each day of the span; nothing on days without connection."""
        away = _days_away(household, span)
        appliances = {load.appliance: self._load(household, load, span) for load in household.loads}
        for days in appliances.values() if away else ():
            for day in away:
                days[day] = 0
        return Daily(span, appliances, len(away))

    def _load(self, household: Household, load: Load, span: Span) -> list[int]:
        season = span.first % _YEARS
        habit = (span.first + load.offset) % _HABITS
        percents = map(
            mul,
            self._seasons[load.season, household.south][season : season + span.days],
            self._habits[load.habit][habit : habit + span.days],
        )
        if household.quantum == 1:
            return [load.daily_wh * percent for percent in percents]
        return [load.daily_wh * percent // WHOLE_WH * WHOLE_WH for percent in percents]


def _days_away(household: Household, span: Span) -> list[int]:
    """Return the offsets of the days before the first event and of the days in an outage."""
    joined = household.first_day or 0
    before = range(min(max(joined - span.first, 0), span.days))
    blocks = range(span.first // _BLOCK, span.last // _BLOCK + 1)
    lost = [day - span.first for block in blocks for day in _outage(household, block)]
    return sorted({*before, *(day for day in lost if 0 <= day < span.days)})


def _outage(household: Household, block: int) -> range:
    """Return the days of the block without connection: one to seven days in one of forty blocks."""
    draw = mix(household.key, block, 2)
    if draw % 40:
        return range(0)
    start = block * _BLOCK + draw // 40 % 24
    return range(start, start + 1 + draw // 960 % 7)


# Percent of the usual consumption for a day, where `cold` runs from -1 in midsummer to 1 in midwinter.
_PERCENT: dict[Season, Callable[[float], float]] = {
    Season.FLAT: lambda _: 100,
    Season.COOLING: lambda cold: max(0.0, -cold - 0.3) * 150,
    Season.HEATING: lambda cold: max(0.0, cold) * 200,
    Season.COOKING_HEATING: lambda cold: 12 + max(0.0, cold) * 200,
    Season.LIGHTS: lambda cold: 100 + 35 * cold,
    Season.WARM_WATER: lambda cold: 100 + 15 * cold,
    Season.FRIDGE: lambda cold: 100 - 12 * cold,
}


@cache
def _season_table(season: Season, *, south: bool) -> tuple[int, ...]:
    """Return the percentage of the usual consumption for each day of four years; the same for every seed."""

    def percent(day: int) -> int:
        # In this century four-year cycles counted from ordinal 0 begin in mid January, the coldest days.
        turn = day % _YEARS / 365.25 + (0.5 if south else 0)
        return round(_PERCENT[season](math.cos(2 * math.pi * turn)))

    return tuple(percent(day) for day in range(_YEARS + _LONGEST))


def _habit_table(habit: Habit, seed: int) -> list[int]:
    """Return the percentage of the usual consumption for each day of the habits' period."""
    rng = random.Random(mix(seed, habit))  # noqa: S311 - a synthetic household, no cryptography
    days = [_habit_percent(habit, rng) for _ in range(_HABITS)]
    return days + days[:_LONGEST]


def _habit_percent(habit: Habit, rng: random.Random) -> int:
    match habit:
        case Habit.STEADY:
            return rng.randint(94, 106)
        case Habit.VARIED:
            return rng.randint(40, 160)
        case Habit.SOME_DAYS:
            return rng.choice((0, rng.randint(80, 320)))
        case Habit.CHARGING:
            return rng.choice((0, 0, 0, rng.randint(30, 190), rng.randint(30, 190)))
