"""Laws that hold for every record and every reply, not only for the examples."""

from __future__ import annotations

import copy
import json
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import fields
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voltaware_async.protocol import codec
from voltaware_async.protocol.codec import Codec, Malformed, TokenGrant
from voltaware_async.records import appliance_choices as choices
from voltaware_async.records import appliances as a
from voltaware_async.records import metadata as m
from voltaware_async.records.devices import ConnectionState, Device, Locale
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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import StrEnum

SAMPLES = Path(__file__).parent.parent / "samples"
BRISK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

REPLIES: dict[str, Codec[object]] = {
    "token_reply.json": codec.TOKEN_GRANT,
    "device.json": codec.DEVICE,
    "property_view.json": codec.PROPERTY,
    "appliances_view.json": codec.APPLIANCES,
    "geolocation_view.json": codec.GEOLOCATION,
    "month.json": codec.DISAGGREGATION,
    "month_weeks.json": codec.MONTH_BY_WEEKS,
    "month_cycles.json": codec.CYCLES,
    "month_report.json": codec.MONTH_REPORT,
    "week_report.json": codec.WEEK_REPORT,
}
SENT = {name: json.loads((SAMPLES / name).read_bytes()) for name in REPLIES}

# --- records ----------------------------------------------------------------------------------------

TEXT = st.text(max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(-(2**63), 2**63 - 1)
FLAG = st.booleans()
JSON = st.recursive(
    st.one_of(st.none(), FLAG, COUNT, NUMBER, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)


def many(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=3).map(tuple)


def open_set(enum: type[StrEnum]) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(enum), TEXT)


def maybe(some: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), some)


KEY = open_set(ApplianceKey)
CONSUMED = many(st.builds(ApplianceConsumption, KEY, NUMBER))
RESULT = st.builds(Disaggregation, NUMBER, NUMBER, CONSUMED)
WEEK = st.builds(WeekOfMonth, st.dates(), st.dates(), NUMBER, CONSUMED)
CYCLE = st.builds(Cycle, st.datetimes(), st.datetimes(), NUMBER)
DAY = st.builds(DayConsumption, st.dates(), NUMBER, FLAG)
METRICS = st.builds(
    DayByDayMetrics, COUNT, NUMBER, NUMBER, NUMBER, many(DAY), maybe(NUMBER), maybe(DAY), maybe(DAY)
)
FOOTPRINT = st.builds(CarbonFootprint, maybe(NUMBER), maybe(NUMBER))
REPORT = st.builds(Report, METRICS, RESULT, maybe(FOOTPRINT), maybe(COUNT))
LOCALE = st.builds(Locale, maybe(TEXT), maybe(TEXT), maybe(TEXT), maybe(TEXT))
INSTANT = st.datetimes(timezones=st.just(UTC))
DEVICE = st.builds(
    Device, maybe(open_set(ConnectionState)), maybe(TEXT), maybe(INSTANT), maybe(INSTANT), maybe(LOCALE)
)
PERSON = st.builds(m.Person, open_set(m.AgeRange), COUNT)
PROPERTY = st.builds(
    m.Property,
    property_type=open_set(m.PropertyType),
    home_type=maybe(open_set(m.HomeType)),
    home_usage_type=maybe(open_set(m.HomeUsageType)),
    home_size=maybe(NUMBER),
    bedroom_amount=maybe(COUNT),
    power_generator_source=maybe(open_set(m.PowerGeneratorSource)),
    people_amount=maybe(COUNT),
    people_amount_in_day_time=maybe(COUNT),
    people=maybe(many(PERSON)),
    version=maybe(TEXT),
)
GEOLOCATION = st.builds(m.Geolocation, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))
TOKEN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
GRANT = st.builds(TokenGrant, TOKEN, maybe(st.floats(1e-9, 1e9)), maybe(TOKEN))

VALUES: dict[str, st.SearchStrategy[object]] = {
    "bool": FLAG,
    "str": TEXT,
    "tuple[Season, ...]": st.lists(st.sampled_from(choices.Season), min_size=1),
}


@st.composite
def known_appliances(draw: st.DrawFn) -> a.KnownAppliance:
    kind = draw(st.sampled_from(list(a.KNOWN_APPLIANCES.values())))
    own = {name: draw(values(kind, name)) for name in kind.wire_names() - {"key", "amount", "wattages"}}
    amount = draw(st.integers(0, 3) if kind is a.ElectricVehicle else COUNT)
    if kind is a.ElectricVehicle:
        own["wattages"] = draw(st.lists(st.integers(1, 10_000), min_size=amount, max_size=amount))
    extra = draw(st.dictionaries(TEXT.filter(lambda name: name not in kind.wire_names()), JSON, max_size=2))
    return kind(amount=amount, extra=extra, **own)


def values(kind: type[a.KnownAppliance], name: str) -> st.SearchStrategy[object]:
    annotation = getattr(fields(kind), name).type
    word = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if word in VALUES:
        return VALUES[word]
    if name == "usage_types":
        return VALUES["tuple[Season, ...]"]
    return st.sampled_from(getattr(choices, word))


UNKNOWN = st.builds(
    lambda key, rest: a.UnknownAppliance(key, {**rest, "key": key}),
    TEXT.filter(lambda key: key not in a.KNOWN_APPLIANCES),
    st.dictionaries(TEXT, JSON, max_size=3),
)
APPLIANCES = st.builds(a.Appliances, many(st.one_of(known_appliances(), UNKNOWN)), TEXT)


@BRISK
@given(st.data())
@pytest.mark.parametrize(
    ("of", "records"),
    [
        (codec.DEVICE, DEVICE),
        (codec.DISAGGREGATION, RESULT),
        (codec.MONTH_BY_WEEKS, st.builds(MonthByWeeks, NUMBER, NUMBER, many(WEEK))),
        (codec.CYCLES, many(st.builds(ApplianceCycles, KEY, NUMBER, many(CYCLE)))),
        (codec.MONTH_REPORT, REPORT),
        (codec.WEEK_REPORT, REPORT),
        (codec.PROPERTY, PROPERTY),
        (codec.APPLIANCES, APPLIANCES),
        (codec.GEOLOCATION, GEOLOCATION),
        (codec.TOKEN_GRANT, GRANT),
    ],
    ids=["device", "result", "weeks", "cycles", "month", "week", "property", "appliances", "place", "grant"],
)
def test_what_is_written_is_read_back(
    of: Codec[object], records: st.SearchStrategy[object], data: st.DataObject
) -> None:
    record = data.draw(records)
    assert of.decode(of.encode(record)) == record


@BRISK
@given(GEOLOCATION, st.sampled_from(["latitude", "longitude"]))
def test_a_view_of_a_place_is_what_is_set(place: m.Geolocation, name: str) -> None:
    """T57: no rounding anywhere."""
    assert json.loads(codec.GEOLOCATION.encode(place))[name] == getattr(place, name)


# --- replies of a later API -------------------------------------------------------------------------


def objects(node: object) -> Iterator[dict[str, object]]:
    """Yield every object of a reply."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from objects(inner)


@BRISK
@given(st.data())
@pytest.mark.parametrize("name", REPLIES)
def test_new_fields_change_nothing(name: str, data: st.DataObject) -> None:
    """T18, F64: at every level; appliances keep theirs aside."""
    later = copy.deepcopy(SENT[name])
    added = st.dictionaries(TEXT.map("new_{}".format), JSON, max_size=2)
    for found in list(objects(later)):
        known = dict(found)
        found.clear()
        found.update(data.draw(added), **known)
    read = REPLIES[name].decode(json.dumps(later).encode())
    if isinstance(read, a.Appliances):
        assert json.loads(codec.APPLIANCES.encode(read))["appliances"] == later["appliances"]
        bare = (type(item)(**item_fields(item)) for item in read.appliances)
        read = a.Appliances(tuple(bare), read.version)
    assert read == REPLIES[name].decode(json.dumps(SENT[name]).encode())


def item_fields(item: a.Appliance) -> dict[str, object]:
    return {field.name: getattr(item, field.name) for field in fields(type(item)) if field.name != "extra"}


@BRISK
@given(st.lists(st.dictionaries(TEXT, JSON, max_size=4), max_size=3), st.data())
def test_any_appliance_whose_types_are_right_is_written_back_unchanged(
    items: list[dict[str, object]], data: st.DataObject
) -> None:
    """T55."""
    sent = [{**item, "key": data.draw(TEXT)} for item in items]
    read = codec.APPLIANCES.decode(json.dumps({"appliances": sent}).encode())
    assert json.loads(codec.APPLIANCES.encode(read))["appliances"] == sent


# --- broken replies ---------------------------------------------------------------------------------


def places(node: object) -> Iterator[tuple[dict[object, object] | list[object], object]]:
    """Yield every place of a reply as a container and a key or index."""
    steps = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for step in list(steps):
        yield node, step
        yield from places(node[step])


@settings(BRISK, max_examples=100)
@given(st.data())
@pytest.mark.parametrize("name", REPLIES)
def test_one_wrong_value_is_malformed_or_let_pass(name: str, data: st.DataObject) -> None:
    """F61, F63, F65, F100: never another exception; what passes can be written and read again."""
    broken = copy.deepcopy(SENT[name])
    container, step = data.draw(st.sampled_from(list(places(broken))))
    if data.draw(FLAG):
        container[step] = data.draw(JSON)
    else:
        del container[step]
    settle(REPLIES[name], json.dumps(broken).encode())


@settings(BRISK, max_examples=100)
@given(st.data())
@pytest.mark.parametrize("name", REPLIES)
def test_one_wrong_byte_is_malformed_or_let_pass(name: str, data: st.DataObject) -> None:
    """F61, F62."""
    body = bytearray((SAMPLES / name).read_bytes())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    settle(REPLIES[name], bytes(body))


@BRISK
@given(st.one_of(st.binary(), JSON.map(json.dumps).map(str.encode)))
def test_no_body_raises_anything_but_malformed(body: bytes) -> None:
    """F61, F62."""
    for of in REPLIES.values():
        settle(of, body)


def settle(of: Codec[object], body: bytes) -> None:
    try:
        record = of.decode(body)
    except Malformed as error:
        check(error)
        return
    assert of.decode(of.encode(record)) == record


def check(error: Malformed) -> None:
    assert error.json_path.startswith("$")
    assert error.reason
    assert error.__context__ is None
