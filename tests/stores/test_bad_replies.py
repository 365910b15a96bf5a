"""Bad replies: what no store can hold is refused or replaced before it gets there, and never ends a run."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_cases import JULY, NOW, TODAY, batch, cell, fetched, fetched_as, rows

from voltaware_async.cells import Dataset, Failed, Fetched, Seen
from voltaware_async.errors import VoltawareError
from voltaware_async.protocol import codec
from voltaware_async.protocol.malformed import Malformed
from voltaware_async.records.devices import DeviceId
from voltaware_async.records.disaggregation import (
    ApplianceConsumption,
    ApplianceCycles,
    Cycle,
    Disaggregation,
)
from voltaware_async.records.reports import DayByDayMetrics, Report
from voltaware_async.stores.batches import BatchBuilder
from voltaware_async.stores.columns import storable
from voltaware_async.stores.sightings import devices_seen

if TYPE_CHECKING:
    import pyarrow as pa

    from voltaware_async.stores.batches import Batch

MONTH: Final = b'{"total_consumption": %s, "disconnection_percentage": 0, "appliances": [%s]}'
APPLIANCE: Final = b'{"appliance_key": "%s", "consumption": %s}'


def month(key: bytes = b"fridge", consumption: bytes = b"1", total: bytes = b"1") -> bytes:
    return MONTH % (total, APPLIANCE % (key, consumption))


def landed(reply: bytes) -> Batch:
    return batch(fetched_as(Dataset.MONTH, JULY, codec.DISAGGREGATION.decode(reply)))


def consumption(found: Batch) -> list[tuple[object, object]]:
    return [(key, wh) for *_, key, wh in rows(found, "consumption")]


# --- what is refused where it is read -----------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        month(consumption=b"NaN"),
        month(consumption=b"Infinity"),
        month(consumption=b"-Infinity"),
        month(consumption=b"1e400"),
        month(consumption=b"-1e400"),
        month(consumption=b"9" * 400),
        month(consumption=b"null"),
        month(consumption=b'"1.5"'),
        month(consumption=b"true"),
        month(total=b"1e309"),
        month(key=rb"\ud800"),
        month(key=rb"fridge\udfff"),
        month(key=rb"\ude00\ud83d"),
        month(key=b"\xed\xa0\x80"),
        month(key=b"\xff"),
        month(key=b"\x00"),
    ],
)
def test_what_is_no_number_or_no_unicode_never_becomes_a_record(reply: bytes) -> None:
    with pytest.raises(Malformed):
        codec.DISAGGREGATION.decode(reply)


@pytest.mark.parametrize("body", [rb'["\ud800"]', b'["\xed\xa0\x80"]', rb'[0001, "\udfff"]'])
def test_a_device_id_with_half_a_character_is_refused_where_it_is_read(body: bytes) -> None:
    with pytest.raises(Malformed):
        codec.DEVICE_IDS.decode(body)


# --- numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"2.2737368e-13", 2.2737368e-13),
        (b"-1e-12", -1e-12),
        (b"1e-400", 0.0),
        (b"1.7976931348623157e308", 1.7976931348623157e308),
        (b"18446744073709551615", 18446744073709551615.0),
        (b"9007199254740993", 9007199254740992.0),
        (b"-9223372036854775809", -9223372036854775809.0),
    ],
)
def test_any_number_that_json_can_say_is_stored(sent: bytes, stored: float) -> None:
    found = landed(month(consumption=sent, total=sent))
    assert consumption(found) == [("fridge", stored)]
    assert found.ledger.column("total_consumption_wh").to_pylist() == [stored]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (2**63 - 1, 2**63 - 1),
        (-(2**63) + 1, -(2**63) + 1),
        (2**63, None),
        (2**64 - 1, None),
        (-(2**63), None),
    ],
)
def test_a_count_that_no_column_holds_is_null_and_the_report_lands(sent: int, stored: int | None) -> None:
    report = Report(DayByDayMetrics(sent, 0.0, 0.0, 0.0, ()), Disaggregation(0.0, 0.0, ()), version=sent)
    [row] = batch(fetched_as(Dataset.MONTH_REPORT, JULY, report)).tables["reports"].to_pylist()
    assert row["days_without_consumption"] == row["version"] == stored


def test_totals_that_are_too_large_to_be_added_up_leave_the_sum_unknown() -> None:
    record = (ApplianceCycles("electric_vehicle", 1e308, ()), ApplianceCycles("boiler", 1e308, ()))
    found = batch(fetched_as(Dataset.MONTH_CYCLES, JULY, record))
    assert found.ledger.column("total_consumption_wh").to_pylist() == [None]
    assert consumption(found) == [("electric_vehicle", 1e308), ("boiler", 1e308)]


# --- texts --------------------------------------------------------------------------------------------


def test_a_nul_in_a_key_is_replaced_and_nothing_else_is() -> None:
    found = landed(month(key=rb"fri\u0000dge\u0000"))
    assert consumption(found) == [("fri\ufffddge\ufffd", 1.0)]


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        ("\ud800", "\ufffd"),
        ("a\udfffb\x00", "a\ufffdb\ufffd"),
        ("\ud83d\ude00", "\ufffd\ufffd"),
        ("😀 é \x01 \u200f", "😀 é \x01 \u200f"),
        ("", ""),
        ("x" * 100_000, "x" * 100_000),
    ],
)
def test_a_key_of_our_own_making_is_stored_with_what_every_store_has_characters_for(
    key: str, stored: str
) -> None:
    used = Disaggregation(1.0, 0.0, (ApplianceConsumption(key, 1.0), ApplianceConsumption("fridge", 2.0)))
    found = batch(fetched_as(Dataset.MONTH, JULY, used))
    assert consumption(found) == [(stored, 1.0), ("fridge", 2.0)]


def test_a_key_of_cycles_is_stored_alike_in_both_their_tables() -> None:
    reading = datetime(2024, 7, 1, 2)  # noqa: DTZ001  a local clock
    record = (ApplianceCycles("ev\x00", 1.0, (Cycle(reading, reading, 1.0),)),)
    found = batch(fetched_as(Dataset.MONTH_CYCLES, JULY, record))
    assert {row[4] for name in ("cycles", "consumption") for row in rows(found, name)} == {"ev\ufffd"}


def test_a_nul_in_an_error_is_replaced() -> None:
    found = batch(Failed(cell("1"), VoltawareError("the server said a\x00b")))
    assert found.ledger.column("error").to_pylist() == ["the server said a\ufffdb"]


@given(st.text(st.characters(), max_size=20))
def test_what_is_stored_of_any_text_is_utf8_without_nul_and_of_the_same_length(text: str) -> None:
    stored = storable(text)
    assert stored is not None
    assert len(stored) == len(text)
    assert "\x00" not in stored
    assert stored.encode().decode() == stored
    assert all(ours in {theirs, "\ufffd"} for ours, theirs in zip(stored, text, strict=True))


def test_what_is_missing_stays_missing() -> None:
    assert storable(None) is None


DEVICE: Final = rb"""{
    "connection_state": "conn\u0000ected",
    "firmware": "1\u00002",
    "first_event": "2024-07-01T00:00:00Z",
    "locale": {
        "isoCountryCode": "D\u0000",
        "isoLocaleCode": "\u0000de",
        "timeZoneId": "Europe/\u0000Berlin"
    }
}"""


def test_nuls_in_what_is_said_of_a_device_are_replaced() -> None:
    device = codec.DEVICE.decode(DEVICE)
    [row] = devices_seen([Seen(DeviceId("1"), device)], NOW, TODAY).to_pylist()
    assert {name: value for name, value in row.items() if isinstance(value, str)} == {
        "device_id": "1",
        "connection_state": "conn\ufffdected",
        "firmware": "1\ufffd2",
        "iso_country_code": "D\ufffd",
        "iso_locale_code": "\ufffdde",
        "time_zone_id": "Europe/\ufffdBerlin",
    }
    assert row["first_day"] == date(2024, 6, 30), "a zone that is not known here"


# --- shapes -------------------------------------------------------------------------------------------


def test_an_appliance_that_is_sent_twice_stays_two_rows() -> None:
    twice = b",".join(APPLIANCE % (b"fridge", consumption) for consumption in (b"2", b"1"))
    assert consumption(landed(MONTH % (b"3", twice))) == [("fridge", 2.0), ("fridge", 1.0)]


def test_a_month_with_ten_thousand_appliances_lands() -> None:
    many = b",".join(APPLIANCE % (b"appliance %d" % number, b"0.5") for number in range(10_000))
    found = landed(MONTH % (b"5000", many))
    assert len(consumption(found)) == 10_000
    assert consumption(found)[-1] == ("appliance 9999", 0.5)
    assert sum(found.tables["consumption"].column("consumption_wh").to_pylist()) == 5000


CYCLE: Final = {"from": "2024-07-12T04:29:10", "to": "2024-07-12T00:32:53", "consumption": 838.9}


def cycles_of(*cycles: dict[str, object], zone: ZoneInfo | None = None) -> list[dict[str, object]]:
    """Land cycles as they are sent, and return their rows without what the first columns say."""
    reply = [{"appliance_key": "electric_vehicle", "total_consumption": 838.9, "cycles": cycles}]
    record = codec.CYCLES.decode(orjson.dumps(reply))
    builder = BatchBuilder()
    builder.add(Fetched(cell("0001", Dataset.MONTH_CYCLES), record), zone)
    names = ["start_local", "end_local", "start_utc", "end_utc", "ambiguous", "consumption_wh"]
    found: pa.Table = builder.rows()["cycles"]
    return found.select(names).to_pylist()


def test_a_cycle_that_ends_before_it_starts_lands_as_it_was_sent() -> None:
    start, end = datetime(2024, 7, 12, 4, 29, 10), datetime(2024, 7, 12, 0, 32, 53)  # noqa: DTZ001
    assert cycles_of(CYCLE, zone=ZoneInfo("Europe/Berlin")) == [
        {
            "start_local": start,
            "end_local": end,
            "start_utc": datetime(2024, 7, 12, 2, 29, 10, tzinfo=UTC),
            "end_utc": datetime(2024, 7, 11, 22, 32, 53, tzinfo=UTC),
            "ambiguous": False,
            "consumption_wh": 838.9,
        }
    ]


@pytest.mark.parametrize("zone", [None, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")])
def test_cycles_at_the_ends_of_the_calendar_land_and_have_no_instants(zone: ZoneInfo | None) -> None:
    """Some systems write the first or last instant that there is for "never"."""
    sent = {**CYCLE, "from": "0001-01-01T00:00:00", "to": "9999-12-31T23:59:59"}
    [row] = cycles_of(sent, zone=zone)
    assert (row["start_utc"], row["end_utc"], row["ambiguous"]) == (None, None, None)
    assert (row["start_local"], row["end_local"]) == (
        datetime(1, 1, 1),  # noqa: DTZ001  readings
        datetime(9999, 12, 31, 23, 59, 59),  # noqa: DTZ001
    )


def test_a_cell_that_cannot_be_placed_does_not_keep_its_neighbours_from_it() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = cycles_of({**CYCLE, "from": "0001-01-01T00:00:00"}, CYCLE, zone=berlin)
    assert [row["ambiguous"] for row in found] == [None, False]


def test_bad_and_good_replies_in_one_batch_all_land() -> None:
    bad = Disaggregation(1.0, 0.0, (ApplianceConsumption("\udcff\x00", 1.0),))
    found = batch(fetched("0002"), fetched_as(Dataset.MONTH, JULY, bad), fetched("0003"))
    assert consumption(found) == [("fridge", 10.0), ("\ufffd\ufffd", 1.0), ("fridge", 10.0)]
    assert found.ledger.column("status").to_pylist() == ["landed"] * 3
