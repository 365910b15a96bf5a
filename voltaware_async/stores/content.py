"""Content: what a record says, as one number, so that a store sees whether the API has restated it."""

from __future__ import annotations

from hashlib import blake2b
from math import inf
from struct import pack
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field

from voltaware_async.records.disaggregation import ApplianceCycles, Disaggregation, MonthByWeeks
from voltaware_async.records.reports import CarbonFootprint, Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.cells import Record
    from voltaware_async.records.disaggregation import ApplianceConsumption
    from voltaware_async.records.reports import DayConsumption

__all__ = ["content_hash"]

_Appliances: TypeAlias = "list[tuple[str, float]]"

# Tells the kinds of records apart: of each, nothing at all may be sent.
_DISAGGREGATION: Final = 1
_MONTH_BY_WEEKS: Final = 2
_CYCLES: Final = 3
_REPORT: Final = 4

# JSON has no such number, so that none is mistaken for one that was not sent.
_NOT_SENT: Final = inf


def content_hash(record: Record) -> int:
    """Hash what a record says: a signed 64-bit number, the same in every process and on every machine.

    Records that differ only in the order of their appliances, weeks, days or cycles have one hash, and so
    have 0, 0.0 and -0.0; what no row shows, such as a field of a later API, is no part of it. Any other
    difference makes another hash, but for one chance in 2**64. Costs about 4 µs for a month.

    Hazard: this is part of the format of a store. With another algorithm, every landed cell that is asked
    once more would seem restated.

    The hash is BLAKE2b of 8 bytes, read as a little-endian number, over all numbers of the record as
    little-endian doubles and then all its texts in UTF-8. Parts that have no order are sorted; before each
    stands how many there are, and the lengths of texts are among the numbers.
    """
    content = _Content()
    match record:
        case Disaggregation():
            content.numbers.append(_DISAGGREGATION)
            content.add_disaggregation(record)
        case MonthByWeeks():
            content.numbers.append(_MONTH_BY_WEEKS)
            content.add_weeks(record)
        case Report():
            content.numbers.append(_REPORT)
            content.add_report(record)
        case _:
            content.numbers.append(_CYCLES)
            content.add_cycles(record)
    return content.hash()


def _sorted(appliances: Sequence[ApplianceConsumption]) -> _Appliances:
    return sorted([(appliance.appliance_key, appliance.consumption) for appliance in appliances])


@define
class _Content:
    """Gather the numbers and texts of a record, in an order that says which is which."""

    numbers: list[float] = field(factory=list)
    texts: list[str] = field(factory=list)

    def hash(self) -> int:
        # Adding zero makes a float of an int, and 0.0 of -0.0.
        numbers = pack(f"<{len(self.numbers)}d", *[number + 0.0 for number in self.numbers])
        # A text of our own making may have half a character.
        texts = "".join(self.texts).encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(numbers + texts, digest_size=8).digest(), "little", signed=True)

    def add_texts(self, texts: Sequence[str]) -> None:
        self.texts += texts
        self.numbers += map(len, texts)

    def add_appliances(self, appliances: _Appliances) -> None:
        self.numbers.append(len(appliances))
        if appliances:
            keys, consumption = zip(*appliances, strict=True)
            self.numbers += consumption
            self.add_texts(keys)

    def add_disaggregation(self, record: Disaggregation) -> None:
        self.numbers += record.total_consumption, record.disconnection_percentage
        self.add_appliances(_sorted(record.appliances))

    def add_weeks(self, record: MonthByWeeks) -> None:
        self.numbers += record.total_consumption, record.disconnection_percentage, len(record.weeks)
        weeks = [
            (week.start.toordinal(), week.end.toordinal(), week.total_consumption, _sorted(week.appliances))
            for week in record.weeks
        ]
        for start, end, total, appliances in sorted(weeks):
            self.numbers += start, end, total
            self.add_appliances(appliances)

    def add_cycles(self, record: tuple[ApplianceCycles, ...]) -> None:
        self.numbers.append(len(record))
        appliances = [
            (
                appliance.appliance_key,
                appliance.total_consumption,
                sorted(
                    [(it.start.isoformat(), it.end.isoformat(), it.consumption) for it in appliance.cycles]
                ),
            )
            for appliance in record
        ]
        for key, total, cycles in sorted(appliances):
            self.numbers += total, len(cycles)
            self.add_texts([key])
            for start, end, consumption in cycles:
                self.numbers.append(consumption)
                self.add_texts((start, end))

    def add_report(self, report: Report) -> None:
        metrics = report.day_by_day_metrics
        carbon = report.carbon_footprint or CarbonFootprint()
        self.add_disaggregation(report.disaggregation_metrics)
        self.numbers += (
            metrics.total_consumed_on_week_days,
            metrics.total_consumed_on_weekend_days,
            metrics.total_consumption,
            *map(_sent, (metrics.average_consumption, carbon.kgco2, carbon.trees)),
            *_extreme(metrics.max_consumption),
            *_extreme(metrics.min_consumption),
        )
        # As texts: a whole number may be beyond what a double tells exactly.
        self.add_texts((str(metrics.days_without_consumption), str(report.version)))
        self.numbers.append(len(metrics.days))
        for day in sorted([(it.day.toordinal(), it.total_consumption, it.weekend) for it in metrics.days]):
            self.numbers += day


def _sent(number: float | None) -> float:
    return _NOT_SENT if number is None else number


def _extreme(day: DayConsumption | None) -> tuple[float, float]:
    """Leave out whether it was a weekend, which no row shows."""
    return (_NOT_SENT, _NOT_SENT) if day is None else (day.day.toordinal(), day.total_consumption)
