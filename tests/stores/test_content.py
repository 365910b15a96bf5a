"""Content hashes: what makes two records the same to a store, and what does not."""

from __future__ import annotations

import json
import struct
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve, fields, has
from hypothesis import given, settings
from hypothesis import strategies as st

from voltaware_async.protocol import codec
from voltaware_async.records.disaggregation import (
    ApplianceConsumption,
    ApplianceCycles,
    ApplianceKey,
    Cycle,
    Disaggregation,
    MonthByWeeks,
    WeekOfMonth,
)
from voltaware_async.records.reports import CarbonFootprint, DayByDayMetrics, DayConsumption, Report
from voltaware_async.stores.content import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from voltaware_async.cells import Record

SAMPLES: Final = Path(__file__).parents[1] / "samples"
DECODE: Final[Mapping[str, Callable[[bytes], Record]]] = {
    "month": codec.DISAGGREGATION.decode,
    "month_weeks": codec.MONTH_BY_WEEKS.decode,
    "month_cycles": codec.CYCLES.decode,
    "month_report": codec.MONTH_REPORT.decode,
    "week_report": codec.WEEK_REPORT.decode,
}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


# --- the algorithm ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("month", 5363734093152291975),
        ("month_weeks", 3236075454269240635),
        ("month_cycles", 6292694287061030955),
        ("month_report", 7751753857539355668),
        ("week_report", -6742310488778444188),
    ],
)
def test_the_documentations_examples_hash_as_in_every_store_that_there_is(name: str, expected: int) -> None:
    """Never adapt these numbers to a change of the code: stores hold such numbers."""
    assert content_hash(DECODE[name](sample(name))) == expected


def test_a_reply_without_any_cycles_hashes_as_in_every_store_that_there_is() -> None:
    assert content_hash(()) == -6591250648727248532


def test_a_month_is_hashed_as_its_docstring_says() -> None:
    record = Disaggregation(9.5, 0.5, (ApplianceConsumption("fridge", 8.0), ApplianceConsumption("été", -1)))
    kind, appliances = 1, 2
    numbers = struct.pack("<8d", kind, 9.5, 0.5, appliances, 8.0, -1.0, len("fridge"), len("été"))
    digest = blake2b(numbers + "fridgeété".encode(), digest_size=8).digest()

    assert content_hash(record) == int.from_bytes(digest, "little", signed=True)


def test_a_key_hashes_the_same_whether_it_is_documented_or_only_a_text() -> None:
    assert content_hash(month(("fridge", 1.0))) == content_hash(month((ApplianceKey.FRIDGE, 1.0)))


# --- what is no difference ----------------------------------------------------------------------------


def shuffled(value: object, random: Random) -> object:
    """Shuffle every array of a reply, and the fields of every object."""
    if isinstance(value, list):
        return random.sample([shuffled(item, random) for item in value], len(value))
    if isinstance(value, dict):
        fields = [(name, shuffled(item, random)) for name, item in value.items()]
        return dict(random.sample(fields, len(fields)))
    return value


def with_more_fields(value: object) -> object:
    """Add a field to every object of a reply, as a later API may."""
    if isinstance(value, list):
        return [with_more_fields(item) for item in value]
    if isinstance(value, dict):
        return {name: with_more_fields(item) for name, item in value.items()} | {"quality": "estimated"}
    return value


@pytest.mark.parametrize("name", DECODE)
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_a_reply_is_no_difference(name: str, random: Random) -> None:
    sent = sample(name)
    other = json.dumps(shuffled(json.loads(sent), random)).encode()

    assert content_hash(DECODE[name](other)) == content_hash(DECODE[name](sent))


@pytest.mark.parametrize("name", DECODE)
@pytest.mark.parametrize(
    "changed",
    [
        lambda sent: json.dumps(json.loads(sent), indent=7).replace("\n", "\r\n").encode(),
        lambda sent: json.dumps(with_more_fields(json.loads(sent))).encode(),
        lambda sent: sent.replace(b'"consumption": 0\n', b'"consumption": -0.0\n'),
        lambda sent: sent.replace(b'"consumption": 0\n', b'"consumption": 0.000e0\n'),
    ],
    ids=["white space", "more fields", "a negative zero", "another zero"],
)
def test_the_wording_of_a_reply_is_no_difference(name: str, changed: Callable[[bytes], bytes]) -> None:
    sent = sample(name)

    assert changed(sent) != sent or b'"consumption": 0\n' not in sent
    assert content_hash(DECODE[name](changed(sent))) == content_hash(DECODE[name](sent))


REPORT: Final = codec.MONTH_REPORT.decode(sample("month_report"))
METRICS: Final = REPORT.day_by_day_metrics


def with_metrics(metrics: DayByDayMetrics) -> Report:
    return evolve(REPORT, day_by_day_metrics=metrics)


def test_what_no_row_of_a_report_shows_is_no_difference() -> None:
    extreme = DayConsumption(date(2024, 7, 23), 0.46071, weekend=False)
    on_a_weekend = evolve(METRICS, max_consumption=evolve(extreme, weekend=True))
    nothing_said, nothing_in_it = None, CarbonFootprint()

    assert METRICS.max_consumption == extreme
    assert content_hash(with_metrics(on_a_weekend)) == content_hash(REPORT)
    assert content_hash(evolve(REPORT, carbon_footprint=nothing_said)) == content_hash(
        evolve(REPORT, carbon_footprint=nothing_in_it)
    )


# --- what is a difference -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        with_metrics(evolve(METRICS, days_without_consumption=1)),
        with_metrics(evolve(METRICS, days_without_consumption=2**64 - 1)),
        with_metrics(evolve(METRICS, days_without_consumption=2**64 - 2)),
        with_metrics(evolve(METRICS, total_consumed_on_week_days=1.0)),
        with_metrics(evolve(METRICS, total_consumed_on_weekend_days=1.0)),
        with_metrics(evolve(METRICS, total_consumption=1.0)),
        with_metrics(evolve(METRICS, average_consumption=None)),
        with_metrics(evolve(METRICS, average_consumption=0.0)),
        with_metrics(evolve(METRICS, max_consumption=None)),
        with_metrics(evolve(METRICS, min_consumption=None)),
        with_metrics(evolve(METRICS, max_consumption=METRICS.min_consumption)),
        with_metrics(evolve(METRICS, days=())),
        with_metrics(evolve(METRICS, days=METRICS.days[1:])),
        with_metrics(evolve(METRICS, days=(evolve(METRICS.days[0], weekend=True), *METRICS.days[1:]))),
        with_metrics(evolve(METRICS, days=(evolve(METRICS.days[0], day=date.min), *METRICS.days[1:]))),
        with_metrics(evolve(METRICS, days=(evolve(METRICS.days[0], total_consumption=0), *METRICS.days[1:]))),
        evolve(REPORT, carbon_footprint=None),
        evolve(REPORT, carbon_footprint=CarbonFootprint(kgco2=7.11378249)),
        evolve(REPORT, carbon_footprint=CarbonFootprint(trees=7.11378249)),
        evolve(REPORT, version=None),
        evolve(REPORT, version=2),
        evolve(REPORT, disaggregation_metrics=evolve(REPORT.disaggregation_metrics, appliances=())),
    ],
)
def test_whatever_a_row_of_a_report_shows_is_a_difference(other: Report) -> None:
    everything = {content_hash(REPORT), content_hash(other), content_hash(REPORT.disaggregation_metrics)}

    assert len(everything) == 3


def month(*appliances: tuple[str, float], total: float = 0.0, disconnection: float = 0.0) -> Disaggregation:
    return Disaggregation(total, disconnection, tuple(ApplianceConsumption(*pair) for pair in appliances))


@pytest.mark.parametrize(
    "records",
    [
        [month(), (), MonthByWeeks(0.0, 0.0, ())],
        [month(total=1.0), month(disconnection=1.0), month(("", 1.0)), month(("", 0.0))],
        [month(("a", 1.0), ("b", 2.0)), month(("a", 2.0), ("b", 1.0)), month(("ab", 1.0), ("", 2.0))],
        [month(("fridge", 1.0)), month(("fridge", 1.0), ("fridge", 1.0)), month(("fridge", 2.0))],
        [month(("a\x00", 1.0), ("b", 1.0)), month(("a", 1.0), ("\x00b", 1.0)), month(("a\x00\x00b", 1.0))],
        [month(("\ud800", 1.0)), month(("\udfff", 1.0)), month(("\ufffd", 1.0)), month(("?", 1.0))],
        [month(("a", 0.1 + 0.2)), month(("a", 0.3)), month(("a", 1e-320)), month(("a", 0.0))],
        [month(total=1.7e308), month(total=-1.7e308), month(total=1.6e308)],
    ],
)
def test_records_that_say_something_else_hash_otherwise(records: list[Record]) -> None:
    assert len({content_hash(record) for record in records}) == len(records)


def test_an_offset_of_a_reading_is_a_difference_and_so_is_none() -> None:
    reading = datetime(2024, 10, 27, 2, 30)  # noqa: DTZ001  a local clock
    zones = [None, *(timezone(timedelta(hours=hours)) for hours in (0, 1, 2))]
    found = {content_hash(charges(reading.replace(tzinfo=zone))) for zone in zones}

    assert len(found) == 4
    assert content_hash(charges(reading.replace(fold=1))) in found


def charges(start: datetime) -> tuple[ApplianceCycles, ...]:
    return (ApplianceCycles("electric_vehicle", 1.0, (Cycle(start, start, 1.0),)),)


# --- both, for any records ----------------------------------------------------------------------------

# So few values that two records often say the same.
numbers = st.sampled_from([0, 0.0, -0.0, 1.0, 2.0])
keys = st.sampled_from(["", "a", "b", "ab"])
days = st.sampled_from([date(2024, 7, 1), date(2024, 7, 8)])
times = st.sampled_from([datetime(2024, 7, 1, 2), datetime(2024, 7, 1, 3)])  # noqa: DTZ001  local clocks
flags = st.booleans()


def up_to(size: int, parts: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(parts, max_size=size).map(tuple)


appliances = up_to(2, st.builds(ApplianceConsumption, keys, numbers))
disaggregations = st.builds(Disaggregation, numbers, numbers, appliances)
weeks = up_to(2, st.builds(WeekOfMonth, days, days, numbers, appliances))
cycles = up_to(2, st.builds(Cycle, times, times, numbers))
report_days = st.builds(DayConsumption, days, numbers, flags)
metrics = st.builds(
    DayByDayMetrics,
    st.integers(0, 1),
    numbers,
    numbers,
    numbers,
    up_to(2, report_days),
    st.none() | numbers,
    st.none() | report_days,
    st.none() | report_days,
)
carbon = st.builds(CarbonFootprint, st.none() | numbers, st.none() | numbers)
records = st.one_of(
    disaggregations,
    st.builds(MonthByWeeks, numbers, numbers, weeks),
    up_to(2, st.builds(ApplianceCycles, keys, numbers, cycles)),
    st.builds(Report, metrics, disaggregations, st.none() | carbon, st.none() | st.integers(0, 1)),
)


def said(value: object) -> object:
    """Word what a record says so that `==` compares it: parts that have no order are counted."""
    if isinstance(value, tuple):
        return frozenset(Counter(said(part) for part in value).items())
    if isinstance(value, Report):
        value = evolve(value, carbon_footprint=value.carbon_footprint or CarbonFootprint())
    if isinstance(value, DayByDayMetrics):
        value = evolve(value, **{name: without_weekend(getattr(value, name)) for name in EXTREMES})
    if has(type(value)):
        return type(value), tuple(said(getattr(value, one.name)) for one in fields(type(value)))
    return value


EXTREMES: Final = "max_consumption", "min_consumption"


def without_weekend(day: DayConsumption | None) -> DayConsumption | None:
    return day and evolve(day, weekend=False)


@given(st.lists(records, min_size=2, max_size=4))
def test_records_have_one_hash_exactly_where_they_say_the_same(some: list[Record]) -> None:
    for one in some:
        for other in some:
            assert (content_hash(one) == content_hash(other)) == (said(one) == said(other)), (one, other)


def backwards(value: object) -> object:
    """Turn the order of all parts of a record around."""
    if isinstance(value, tuple):
        return tuple(backwards(part) for part in reversed(value))
    if has(type(value)):
        parts = {one.name: backwards(getattr(value, one.name)) for one in fields(type(value))}
        return evolve(value, **parts)
    return value


@given(records)
def test_a_record_that_is_sent_backwards_has_the_same_hash(record: Record) -> None:
    assert content_hash(backwards(record)) == content_hash(record)


@given(records)
def test_a_hash_is_a_number_that_a_column_of_counts_can_hold(record: Record) -> None:
    assert -(2**63) <= content_hash(record) < 2**63


def test_half_of_all_hashes_are_negative() -> None:
    """They are signed: as unsigned numbers, every other one would not fit its column."""
    negative = [content_hash(month(total=float(number))) < 0 for number in range(400)]

    assert 120 < sum(negative) < 280
