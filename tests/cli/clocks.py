"""A clock that a test turns on by itself."""

from __future__ import annotations

from attrs import define

__all__ = ["Clock"]


@define
class Clock:
    """Stand in for the module `time`."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now
