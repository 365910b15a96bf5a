"""What a later API may add passes, and what the documentation leaves open may be missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voltaware_async.protocol import codec
from voltaware_async.records.appliances import AC, Appliances, UnknownAppliance
from voltaware_async.records.devices import ConnectionState, Device, Locale
from voltaware_async.records.disaggregation import ApplianceKey
from voltaware_async.records.metadata import Property, PropertyType
from voltaware_async.records.reports import CarbonFootprint, Report

if TYPE_CHECKING:
    from voltaware_async.protocol.codec import Codec

SAMPLES = Path(__file__).parent.parent / "samples"


def test_a_new_connection_state_passes_as_its_text() -> None:
    """T25."""
    assert codec.DEVICE.decode(b'{"connection_state":"sleeping"}').connection_state == "sleeping"
    never = codec.DEVICE.decode(b'{"connection_state":"never_connected"}').connection_state
    assert never is ConnectionState.NEVER_CONNECTED


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"connection_state":null,"firmware":null,"first_event":null,"last_event":null,"locale":null}',
    ],
)
def test_a_device_may_lack_everything(body: bytes) -> None:
    """T25, T26, T27, T32: null and missing are one."""
    assert codec.DEVICE.decode(body) == Device()


def test_a_locale_may_lack_parts_and_name_zones_that_no_one_knows() -> None:
    """T30, T31: no warning, no error at decoding."""
    body = b'{"locale":{"timeZoneId":"Mars/Base","isoCountryCode":null}}'
    assert codec.DEVICE.decode(body).locale == Locale(time_zone_id="Mars/Base")


def test_a_firmware_keeps_its_leading_zero() -> None:
    """T26."""
    assert codec.DEVICE.decode(b'{"firmware":"0112"}').firmware == "0112"


def test_a_new_appliance_key_passes_in_its_place() -> None:
    """T70."""
    body = (
        b'{"total_consumption":1,"disconnection_percentage":0,"appliances":['
        b'{"appliance_key":"dishwasher","consumption":1},{"appliance_key":"washing","consumption":0}]}'
    )
    keys = [item.appliance_key for item in codec.DISAGGREGATION.decode(body).appliances]
    assert keys == ["dishwasher", "washing"]
    assert [type(key) for key in keys] == [str, ApplianceKey]


def test_no_appliances_weeks_or_cycles_are_empty_tuples() -> None:
    """T66, T81."""
    body = b'{"total_consumption":0,"disconnection_percentage":100,"appliances":[]}'
    assert codec.DISAGGREGATION.decode(body).appliances == ()
    assert codec.CYCLES.decode(b"[]") == ()


def _report(of: Codec[Report], name: str, *, without: tuple[str, ...], nulls: bool) -> Report:
    sent = json.loads((SAMPLES / name).read_bytes())
    for part in (sent, sent["day_by_day_metrics"]):
        for key in without:
            if key in part:
                part[key] = None
            if not nulls:
                part.pop(key, None)
    return of.decode(json.dumps(sent).encode())


@pytest.mark.parametrize("nulls", [True, False])
@pytest.mark.parametrize(
    ("of", "period"), [(codec.MONTH_REPORT, "month"), (codec.WEEK_REPORT, "week")], ids=["month", "week"]
)
def test_averages_extremes_footprint_and_version_may_be_missing(
    of: Codec[Report], period: str, *, nulls: bool
) -> None:
    """T88, T92, T93."""
    figures = tuple(f"{stem}_{period}_consumption" for stem in ("average", "max", "min"))
    without = (*figures, "carbon_footprint", "version")
    report = _report(of, f"{period}_report.json", without=without, nulls=nulls)
    assert (report.average_consumption, report.max_consumption, report.min_consumption) == (None, None, None)
    assert (report.carbon_footprint, report.version) == (None, None)


def test_a_footprint_may_lack_its_parts() -> None:
    """T92."""
    sent = json.loads((SAMPLES / "week_report.json").read_bytes()) | {"carbon_footprint": {"trees": None}}
    assert codec.WEEK_REPORT.decode(json.dumps(sent).encode()).carbon_footprint == CarbonFootprint()


def test_the_days_of_a_report_are_neither_counted_nor_sorted() -> None:
    """T94."""
    sent = json.loads((SAMPLES / "week_report.json").read_bytes())
    days = sent["day_by_day_metrics"]["days"]
    for shuffled in ([], days[::-1], days * 2):
        sent["day_by_day_metrics"]["days"] = shuffled
        read = codec.WEEK_REPORT.decode(json.dumps(sent | {"version": 2}).encode())
        assert [day.day.isoformat() for day in read.days] == [day["day"] for day in shuffled]
        assert read.version == 2


# --- metadata ---------------------------------------------------------------------------------------


def test_a_property_may_lack_everything_but_its_type_and_new_words_pass() -> None:
    """T18, T33, T41."""
    bare = codec.PROPERTY.decode(b'{"property_type":"HOME","people":null}')
    assert bare == Property(property_type=PropertyType.HOME)
    assert codec.PROPERTY.encode(bare) == b'{"property_type":"HOME"}'
    new = codec.PROPERTY.decode(b'{"property_type":"BARN","home_type":"TENT","version":"1.1"}')
    assert (new.property_type, new.home_type, new.version) == ("BARN", "TENT", "1.1")


@pytest.mark.parametrize("word", ["INDUSTRY", "INDUSTRIAL"])
def test_both_words_of_an_industry_are_read_as_one_and_written_back_as_they_were(word: str) -> None:
    """T34."""
    body = f'{{"property_type":"{word}","power_generator_source":"NONE","version":"1.0"}}'.encode()
    view = codec.PROPERTY.decode(body)
    assert view.property_type is PropertyType.INDUSTRIAL
    assert view.legacy_industry is (word == "INDUSTRY")
    assert codec.PROPERTY.encode(view) == body
    assert codec.encode_property_update(view.to_update()) == body


def appliances(*items: object) -> bytes:
    return json.dumps({"appliances": items, "version": "1.0"}).encode()


AC_ITEM = {"key": "AC", "amount": 1, "type": "WINDOW", "usage_type": "BOTH"}


@pytest.mark.parametrize(
    "item",
    [
        {"key": "ROBOT"},
        {"key": "ROBOT", "amount": "many", "deep": {"a": [1, {"b": None}]}},
        {"key": "KETTLE"},
        {"key": "AC", "amount": 1},
        {**AC_ITEM, "type": "PORTABLE"},
        {"key": "ELECTRIC_OVEN", "amount": 1, "type": "I_DONT_KNOW"},
        {"key": "ELECTRIC_VEHICLE", "amount": 2, "type": "BIKE", "wattages": [750]},
        {"key": "ELECTRIC_VEHICLE", "amount": 1, "type": "BIKE", "wattages": [0]},
        {"key": "TUMBLE_DRYER", "amount": 1, "type": "VENTED", "usage_types": []},
        {"key": "TUMBLE_DRYER", "amount": 1, "type": "VENTED", "usage_types": ["MONSOON"]},
    ],
)
def test_an_appliance_that_is_not_as_documented_is_kept_as_it_came(item: dict[str, object]) -> None:
    """T45, T47, T48, T55: never lost, never guessed, written back unchanged."""
    body = appliances(AC_ITEM, item, AC_ITEM)
    read = codec.APPLIANCES.decode(body)
    assert read.appliances[1] == UnknownAppliance(str(item["key"]), item)
    assert [type(appliance) for appliance in read.appliances] == [AC, UnknownAppliance, AC]
    assert json.loads(codec.APPLIANCES.encode(read)) == json.loads(body)


def test_new_fields_of_a_known_appliance_are_kept_and_written_back() -> None:
    """T55: also one that is called like the attribute that keeps them."""
    body = appliances(AC_ITEM | {"brand": "X", "extra": {"a": [1]}})
    read = codec.APPLIANCES.decode(body)
    assert read.appliances[0].extra == {"brand": "X", "extra": {"a": [1]}}
    assert json.loads(codec.APPLIANCES.encode(read)) == json.loads(body)


def test_seasons_are_named_once_each_in_the_order_sent() -> None:
    """T47."""
    item = {
        "key": "TUMBLE_DRYER",
        "amount": 1,
        "type": "VENTED",
        "usage_types": ["WINTER", "AUTUMN", "WINTER"],
    }
    written = json.loads(codec.APPLIANCES.encode(codec.APPLIANCES.decode(appliances(item))))
    assert written["appliances"][0]["usage_types"] == ["WINTER", "AUTUMN"]


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_version_is_any_text(version: str) -> None:
    """T41."""
    body = json.dumps({"appliances": [], "version": version}).encode()
    assert codec.APPLIANCES.decode(body) == Appliances((), version)


def test_a_list_without_version_is_of_the_documented_one() -> None:
    assert codec.APPLIANCES.decode(b'{"appliances":[]}') == Appliances(())
