"""Deterministic draws: the whole fleet is a function of integers, nothing about a device is stored."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def mix(*words: int) -> int:
    """Return 64 bits that depend on every word and on their order (SplitMix64)."""
    state = 0
    for word in words:
        state = (state ^ word) * _GAMMA + _GAMMA & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


class Draws:
    """Draw one value after another from a key; the order of the calls is part of what a seed means."""

    __slots__ = ("_count", "_key")

    def __init__(self, key: int) -> None:
        self._key = key
        self._count = 0

    def below(self, bound: int) -> int:
        """Return an integer from 0 up to, not including, `bound`."""
        self._count += 1
        return mix(self._key, self._count) % bound

    def between(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: float) -> bool:
        """Return true in `percent` of all keys."""
        return self.below(10_000) < percent * 100

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]
