"""A device's local clock: the instants that its naive readings stand for.

When clocks go back, an hour of readings occurs twice; when they go forward, an hour of readings never
happens. Fold 0 and fold 1 of PEP 495 are the two instants that such a reading may stand for.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from attrs import frozen

__all__ = ["LocalizedCycle", "localized"]


@frozen
class LocalizedCycle:
    """Tell when a cycle took place: `start` and `end` are aware instants in UTC.

    `ambiguous` tells that a reading occurred twice on the device's clock, or never happened there: then the
    instants are the likeliest ones, and each may be wrong by as much as the clock was changed, mostly by an
    hour. `end` is before `start` only where no choice of instants puts them in order.
    """

    start: datetime
    end: datetime
    ambiguous: bool


def localized(start: datetime, end: datetime, zone: tzinfo) -> LocalizedCycle:
    """Place a cycle in UTC, by two readings of a clock in `zone`, which must heed folds as `ZoneInfo` does.

    A naive reading is taken for both its folds, whatever its own is. A reading that is aware already is
    converted, and is never ambiguous. ValueError where a reading is too near the first or the last day of
    the calendar to be placed in UTC.
    """
    try:
        starts, ends = _candidates(start, zone), _candidates(end, zone)
    except OverflowError:
        raise ValueError(f"{start} or {end} is too near the calendar's edge to be placed in UTC") from None
    if len(starts) == len(ends) == 1:
        return LocalizedCycle(starts[0], ends[0], ambiguous=False)
    return LocalizedCycle(*_likeliest(starts, ends), ambiguous=True)


def _candidates(reading: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return the instants in UTC that a reading may stand for: one, or those of fold 0 and of fold 1."""
    if reading.utcoffset() is not None:
        return (reading.astimezone(UTC),)
    # Compared in UTC: between two datetimes of one zone, Python ignores the folds.
    # Equal folds mean that exactly one instant reads so: tests/records/test_local_clock.py, over every zone.
    first = reading.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = reading.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return (first,) if first == second else (first, second)


def _likeliest(starts: tuple[datetime, ...], ends: tuple[datetime, ...]) -> tuple[datetime, datetime]:
    """Return the first start that has an end in order, with the earliest such end; else fold 0 of both."""
    for start in starts:
        in_order = [end for end in ends if end >= start]
        if in_order:
            return start, min(in_order)
    return starts[0], ends[0]
