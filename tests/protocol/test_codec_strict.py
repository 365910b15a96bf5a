"""Nothing is coerced, and whatever is wrong ends as Malformed, with the place in words of the wire."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from voltaware_async.protocol import codec
from voltaware_async.protocol.codec import Codec, Malformed

SAMPLES = Path(__file__).parent.parent / "samples"


def sample(name: str) -> dict[str, object]:
    return json.loads((SAMPLES / name).read_bytes())


def refusal(of: Codec[object], sent: object) -> Malformed:
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    with pytest.raises(Malformed) as caught:
        of.decode(body)
    assert caught.value.__context__ is None, "the decoder's error holds the reply"
    assert str(caught.value) == f"{caught.value.reason} @ {caught.value.json_path}"
    return caught.value


# --- text that is no JSON ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (b"\xef\xbb\xbf", "the body is empty"),
        (b'{"total_consumption": 1', "unexpected end of data, at byte 23"),
        (b"{} trailing", "unexpected content after document, at byte 3"),
        (b'{"total_consumption": NaN}', "at byte 22"),
        (b'{"total_consumption": -Infinity}', "at byte 2"),
        (b'{"total_consumption": 1e400}', "number is infinity"),
        (b'{"a": "\xff"}', "at byte 7"),
        (b'"\xed\xa0\x80"', "at byte 1"),
        (b'{"a": "\\ud800"}', "surrogate"),
        ("{'é': 1}".encode(), "at byte 1"),
        ('{"é": x}'.encode(), "at byte 7"),
        ('\ufeff{"é": x}'.encode(), "at byte 10"),
        (b"[" * 100_000, "depth"),
        (b'{"a":' * 100_000, "depth"),
        (b"\x00", "at byte 0"),
        ('{"total_consumption": 1}'.encode("utf-16"), "not JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_the_byte(body: bytes, reason: str) -> None:
    """F61, F62."""
    for of in (codec.DISAGGREGATION, codec.CYCLES, codec.TOKEN_GRANT):
        refused = refusal(of, body)
        assert refused.json_path == "$"
        assert reason in refused.reason


def test_a_byte_order_mark_is_let_pass() -> None:
    """F60."""
    body = (SAMPLES / "month.json").read_bytes()
    assert codec.DISAGGREGATION.decode(b"\xef\xbb\xbf" + body) == codec.DISAGGREGATION.decode(body)


def test_of_a_key_that_is_sent_twice_the_last_counts() -> None:
    """F62: a decision; a second parser would be the only way to see it."""
    body = b'{"total_consumption":1,"total_consumption":2,"disconnection_percentage":0,"appliances":[]}'
    assert codec.DISAGGREGATION.decode(body).total_consumption == 2.0


# --- wrong types and missing fields -----------------------------------------------------------------

ITEM = {"appliance_key": "fridge", "consumption": 1.5}
CYCLE = {"from": "2024-07-12T00:32:53", "to": "2024-07-12T04:29:10", "consumption": 1.0}


def month(**changes: object) -> dict[str, object]:
    return {"total_consumption": 1.0, "disconnection_percentage": 0.5, "appliances": [ITEM]} | changes


def weeks(**changes: object) -> dict[str, object]:
    week = {"from": "2023-09-01", "to": "2023-09-03", "total_consumption": 1.0, "appliances": [ITEM]}
    return {"total_consumption": 1.0, "disconnection_percentage": 0.5, "weeks": [week, week | changes]}


def cycles(**changes: object) -> list[object]:
    return [{"appliance_key": "ev", "total_consumption": 1.0, "cycles": [CYCLE, CYCLE | changes]}]


def report(**changes: object) -> dict[str, object]:
    whole = sample("month_report.json")
    return whole | {"day_by_day_metrics": {**whole["day_by_day_metrics"], **changes}}


@pytest.mark.parametrize(
    ("of", "sent", "path", "reason"),
    [
        (codec.DISAGGREGATION, None, "$", "expected an object, got null"),
        (codec.DISAGGREGATION, [], "$", "expected an object, got an array"),
        (codec.DISAGGREGATION, "{}", "$", "expected an object, got a text ('{}')"),
        (codec.DISAGGREGATION, 7, "$", "expected an object, got a number (7)"),
        (codec.DISAGGREGATION, {}, "$.total_consumption", "the field 'total_consumption' is missing"),
        (
            codec.DISAGGREGATION,
            month(total_consumption="12"),
            "$.total_consumption",
            "expected a number, got a text ('12')",
        ),
        (
            codec.DISAGGREGATION,
            month(total_consumption=True),
            "$.total_consumption",
            "expected a number, got a boolean (true)",
        ),
        (
            codec.DISAGGREGATION,
            month(total_consumption=None),
            "$.total_consumption",
            "expected a number, got null",
        ),
        (
            codec.DISAGGREGATION,
            month(total_consumption="x" * 90),
            "$.total_consumption",
            f"expected a number, got a text ('{'x' * 39}…')",
        ),
        (
            codec.DISAGGREGATION,
            month(appliances="123"),
            "$.appliances",
            "expected an array, got a text ('123')",
        ),
        (codec.DISAGGREGATION, month(appliances={}), "$.appliances", "expected an array, got an object"),
        (codec.DISAGGREGATION, month(appliances=None), "$.appliances", "expected an array, got null"),
        (
            codec.DISAGGREGATION,
            month(appliances=[ITEM, []]),
            "$.appliances[1]",
            "expected an object, got an array",
        ),
        (
            codec.DISAGGREGATION,
            month(appliances=[ITEM, {"consumption": 1}]),
            "$.appliances[1].appliance_key",
            "the field 'appliance_key' is missing",
        ),
        (
            codec.DISAGGREGATION,
            month(appliances=[ITEM | {"appliance_key": None}]),
            "$.appliances[0].appliance_key",
            "expected a text, got null",
        ),
        (
            codec.DISAGGREGATION,
            month(appliances=[ITEM | {"appliance_key": 3}]),
            "$.appliances[0].appliance_key",
            "expected a text, got a number (3)",
        ),
        (
            codec.MONTH_BY_WEEKS,
            weeks(appliances=[ITEM, ITEM, ITEM | {"consumption": "12"}]),
            "$.weeks[1].appliances[2].consumption",
            "expected a number, got a text ('12')",
        ),
        (
            codec.MONTH_BY_WEEKS,
            weeks(**{"from": 5}),
            "$.weeks[1].from",
            "expected a day as YYYY-MM-DD, got a number (5)",
        ),
        (codec.CYCLES, {}, "$", "expected an array, got an object"),
        (codec.CYCLES, "abc", "$", "expected an array, got a text ('abc')"),
        (codec.CYCLES, [None], "$[0]", "expected an object, got null"),
        (
            codec.CYCLES,
            cycles(consumption=[]),
            "$[0].cycles[1].consumption",
            "expected a number, got an array",
        ),
        (
            codec.MONTH_REPORT,
            report(days_without_consumption=7.9),
            "$.day_by_day_metrics.days_without_consumption",
            "expected a whole number, got a number (7.9)",
        ),
        (
            codec.MONTH_REPORT,
            report(days_without_consumption=7.0),
            "$.day_by_day_metrics.days_without_consumption",
            "expected a whole number, got a number (7.0)",
        ),
        (
            codec.MONTH_REPORT,
            report(days_without_consumption=False),
            "$.day_by_day_metrics.days_without_consumption",
            "expected a whole number, got a boolean (false)",
        ),
        (
            codec.MONTH_REPORT,
            report(max_month_consumption={"day": "2024-07-01", "total_consumption": 1, "weekend": "false"}),
            "$.day_by_day_metrics.max_month_consumption.weekend",
            "expected true or false, got a text ('false')",
        ),
        (
            codec.MONTH_REPORT,
            report(min_month_consumption={"day": "2024-07-01", "total_consumption": 1, "weekend": 0}),
            "$.day_by_day_metrics.min_month_consumption.weekend",
            "expected true or false, got a number (0)",
        ),
        (codec.DEVICE, [], "$", "expected an object, got an array"),
        (codec.DEVICE, "firmware", "$", "expected an object, got a text ('firmware')"),
        (codec.DEVICE, {"firmware": 112}, "$.firmware", "expected a text, got a number (112)"),
        (
            codec.DEVICE,
            {"connection_state": 1},
            "$.connection_state",
            "expected a text or null, got a number (1)",
        ),
        (codec.DEVICE, {"locale": "de"}, "$.locale", "expected an object, got a text ('de')"),
        (
            codec.DEVICE,
            {"locale": {"timeZoneId": 1}},
            "$.locale.timeZoneId",
            "expected a text, got a number (1)",
        ),
        (
            codec.DEVICE,
            {"locale": {"userDefinedLanguage": 1}},
            "$.locale.userDefinedLanguage",
            "expected a text, got a number (1)",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    of: Codec[object], sent: object, path: str, reason: str
) -> None:
    """T22, T26, T46, F61, F63, F65, and the other rows where plain cattrs would coerce."""
    refused = refusal(of, sent)
    assert (refused.json_path, refused.reason) == (path, reason)


@pytest.mark.parametrize(
    ("of", "name", "foreign"),
    [
        (codec.MONTH_REPORT, "week_report.json", "total_week_consumption"),
        (codec.WEEK_REPORT, "month_report.json", "total_month_consumption"),
    ],
)
def test_a_report_of_the_other_period_is_refused_by_its_names(
    of: Codec[object], name: str, foreign: str
) -> None:
    """T86."""
    refused = refusal(of, sample(name))
    assert refused.json_path == "$.day_by_day_metrics"
    assert foreign in refused.reason


def test_even_an_optional_figure_of_the_other_period_is_refused() -> None:
    """T86: it would else be lost without a word."""
    refused = refusal(codec.MONTH_REPORT, report(average_week_consumption=1.0))
    assert refused.reason == "a report of a month has no average_week_consumption"


def test_the_first_of_several_wrong_values_is_named() -> None:
    refused = refusal(codec.DISAGGREGATION, month(disconnection_percentage="a", appliances="b"))
    assert refused.json_path == "$.disconnection_percentage"


# --- numbers, days, instants ------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [0, 80, 80.0, 1e-13, -1e-12, 2**63, 1.7976931348623157e308])
def test_a_number_is_stored_as_a_float_of_the_same_value(sent: float) -> None:
    """T40, T67."""
    total = codec.DISAGGREGATION.decode(json.dumps(month(total_consumption=sent)).encode()).total_consumption
    assert type(total) is float
    assert total == sent


@pytest.mark.parametrize(
    "day",
    [
        "20240712",
        "2024-W28-5",
        "2024-7-1",
        "2024-02-30",
        "0000-01-01",
        "\u0662024-07-01",
        " 2024-07-01",
        "2024-07-01T",
    ],
)
def test_a_day_is_written_in_one_way_only(day: str) -> None:
    """T90: Python's own reader takes the first two."""
    assert refusal(codec.MONTH_BY_WEEKS, weeks(to=day)).json_path == "$.weeks[1].to"


def test_a_leap_day_is_a_day() -> None:
    read = codec.MONTH_BY_WEEKS.decode(json.dumps(weeks(to="2024-02-29")).encode())
    assert read.weeks[1].end == date(2024, 2, 29)


NOON = datetime(2024, 7, 12, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-07-12T12:00:00Z", NOON),
        ("2024-07-12t12:00:00z", NOON),
        ("2024-07-12T12:00Z", NOON),
        ("2024-07-12T12:00:00", NOON),
        ("2024-07-12T14:00:00+02:00", NOON),
        ("2024-07-12T14:00:00+0200", NOON),
        ("2024-07-12T12:00:00-00:00", NOON),
        ("2024-07-12T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2024-07-12T12:00:00.287Z", NOON + timedelta(milliseconds=287)),
        ("2024-07-12T12:00:00.1234567Z", NOON + timedelta(microseconds=123456)),
        ("2024-07-12T12:00:00.999999999+00:00", NOON + timedelta(microseconds=999999)),
    ],
)
def test_an_instant_is_read_in_utc(text: str, instant: datetime) -> None:
    """T28: any digits, any offset; without one it is UTC, as documented."""
    read = codec.DEVICE.decode(json.dumps({"first_event": text}).encode()).first_event
    assert read == instant
    assert read is not None
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-07-12",
        "2024-07-12 12:00:00Z",
        "2024-07-12T24:00:00Z",
        "2024-07-12T12:00:60Z",
        "2024-02-30T12:00:00Z",
        "2024-07-12T12:00:00.Z",
        "2024-07-12T12:00:00.1234567890Z",
        "2024-07-12T12:00:00+24:00",
        "2024-07-12T12:00:00 Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        1720785600,
    ],
)
def test_what_is_no_instant_is_refused(text: object) -> None:
    assert refusal(codec.DEVICE, {"last_event": text}).json_path == "$.last_event"


def test_a_cycles_time_stays_as_the_local_clock_showed_it() -> None:
    """T79: naive; seconds may be missing, as Java writes a time with none."""
    read = codec.CYCLES.decode(json.dumps(cycles(**{"from": "2024-07-12T00:32"})).encode())
    assert read[0].cycles[1].start == datetime(2024, 7, 12, 0, 32)  # noqa: DTZ001  a local clock


def test_a_cycles_offset_is_kept_if_one_is_ever_sent() -> None:
    """T82: mixed in one list."""
    read = codec.CYCLES.decode(json.dumps(cycles(**{"from": "2024-07-12T00:32:53+02:00"})).encode())
    assert [cycle.start.utcoffset() for cycle in read[0].cycles] == [None, timedelta(hours=2)]
    assert codec.CYCLES.decode(codec.CYCLES.encode(read)) == read
    zulu = codec.CYCLES.decode(json.dumps(cycles(to="2024-07-12T04:29:10Z")).encode())
    assert zulu[0].cycles[1].end.tzinfo is UTC


def test_an_instant_of_another_zone_or_none_is_written_in_utc() -> None:
    device = codec.DEVICE.decode(b"{}")
    there = datetime(2024, 7, 12, 14, 0, 0, 120, tzinfo=timezone(timedelta(hours=2)))
    naive = there.replace(tzinfo=None)
    written = codec.DEVICE.encode(type(device)(first_event=there, last_event=naive))
    assert (
        b'"first_event":"2024-07-12T12:00:00.000120Z","last_event":"2024-07-12T14:00:00.000120Z"' in written
    )


def test_a_number_that_is_not_finite_is_not_written() -> None:
    record = codec.DISAGGREGATION.decode(json.dumps(month()).encode())
    broken = type(record)(float("nan"), 0.0, ())
    with pytest.raises(ValueError, match="not finite"):
        codec.DISAGGREGATION.encode(broken)
