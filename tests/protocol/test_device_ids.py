"""Device ids are opaque texts, exactly as printed, whatever JSON thinks of their zeros."""

from __future__ import annotations

import contextlib
import json
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.protocol.codec import DEVICE_IDS, Malformed
from voltaware_async.protocol.device_ids import scan_device_ids

BLANKS = st.text(" \t\r\n", max_size=3)


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b"[]", ()),
        (b" [ \n] ", ()),
        (b"[0001]", ("0001",)),
        (b'[0001, 10, "A-7"]', ("0001", "10", "A-7")),
        (b'["0001","0002"]', ("0001", "0002")),
        (b"[1,2,1]", ("1", "2", "1")),
        (b"[0,00,000]", ("0", "00", "000")),
        (b"[18446744073709551615]", ("18446744073709551615",)),
        (b"[18446744073709551616]", ("18446744073709551616",)),
        (b"[123456789012345678901234]", ("123456789012345678901234",)),
        (b'[000000000000000000000001,"-"]', ("000000000000000000000001", "-")),
        (b'[1, "A-7"]', ("1", "A-7")),
        (b"[" + b"1" * 400 + b"]", ("1" * 400,)),
        (b"\xef\xbb\xbf[01]", ("01",)),
        (b"\xef\xbb\xbf[1]", ("1",)),
        (b'[01,"\\u00e9\\"\\\\"]', ("01", 'é"\\')),
        ('[01,"é"]'.encode(), ("01", "é")),
        (b'[01,"a,]b"]', ("01", "a,]b")),
        (b'["null", "1.0"]', ("null", "1.0")),
    ],
)
def test_ids_are_kept_as_printed(body: bytes, ids: tuple[str, ...]) -> None:
    """T21, T22: zeros, repetitions and ids beyond 64 bits included."""
    read = DEVICE_IDS.decode(body)
    assert read == ids
    assert {type(item) for item in read} <= {str}
    assert scan_device_ids(body) == ids


@pytest.mark.parametrize(
    ("body", "path", "byte"),
    [
        (b"", "$", 0),
        (b"null", "$", 0),
        (b'{"sensors": []}', "$", 0),
        (b'"0001"', "$", 0),
        (b"0001", "$", 0),
        (b"[01,]", "$[1]", 4),
        (b"[,01]", "$[0]", 1),
        (b"[0001", "$[0]", 1),
        (b"[0001,", "$[1]", 6),
        (b"[01, 02", "$[1]", 5),
        (b"[1 2]", "$[0]", 1),
        (b"[01,,02]", "$[1]", 4),
        (b"[0x1]", "$[0]", 1),
        (b"[1e3]", "$[0]", 1),
        (b"[-1]", "$[0]", 1),
        (b"[-0]", "$[0]", 1),
        (b'[-0, "a"]', "$[0]", 1),
        (b"[1.0]", "$[0]", 1),
        (b"[1, 2.5]", "$[1]", 4),
        (b"[18446744073709551616.0]", "$[0]", 1),
        (b"[1, null]", "$[1]", 4),
        (b"[1, true]", "$[1]", 4),
        (b"[[1]]", "$[0]", 1),
        (b'[1, {"id": 2}]', "$[1]", 4),
        (b'[01, "open]', "$[1]", 5),
        (b'[01, "a\nb"]', "$[1]", 5),
        (b'[01, "\\x"]', "$[1]", 5),
        (b'[01, "\xff"]', "$[1]", 5),
        (b'["\xff"]', "$[0]", 1),
        (b'[01, "\\ud800"]', "$[1]", 5),
        (b"[01] x", "$", 5),
        (b"[01][02]", "$", 4),
        ("[٠١]".encode(), "$[0]", 1),  # noqa: RUF001  digits of another script
        (b"\xef\xbb\xbf[01, x]", "$[1]", 8),
        (b"[" * 100_000, "$[0]", 1),
    ],
)
def test_anything_else_is_refused_with_the_byte(body: bytes, path: str, byte: int) -> None:
    """T21, T22, F61, F62."""
    with pytest.raises(Malformed) as caught:
        DEVICE_IDS.decode(body)
    assert caught.value.json_path == path
    assert caught.value.reason.endswith(f"at byte {byte}")


def test_a_refusal_does_not_hold_the_parsers_error() -> None:
    with pytest.raises(Malformed) as caught:
        DEVICE_IDS.decode(b'[01, "\xff"]')
    assert caught.value.__context__ is None


@given(st.lists(st.one_of(st.text(), st.integers(0, 2**64 - 1))), BLANKS)
def test_the_scanner_reads_every_valid_list_as_json_does(ids: list[str | int], blank: str) -> None:
    """T21: also with blanks wherever JSON has room for them, and with every character escaped."""
    expected = tuple(str(item) for item in ids)
    for body in (orjson.dumps(ids), json.dumps(ids, separators=(f"{blank},{blank}", ":")).encode()):
        padded = blank.encode() + body + blank.encode()
        assert scan_device_ids(padded) == DEVICE_IDS.decode(padded) == expected


@given(st.lists(st.text()))
def test_ids_survive_writing_and_reading(ids: list[str]) -> None:
    assert DEVICE_IDS.decode(DEVICE_IDS.encode(tuple(ids))) == tuple(ids)


@given(st.lists(st.from_regex(r"[0-9]{1,30}", fullmatch=True)))
def test_bare_digits_of_any_length_survive(ids: list[str]) -> None:
    assert DEVICE_IDS.decode(f"[{','.join(ids)}]".encode()) == tuple(ids)


@given(st.one_of(st.binary(), st.text('[]",0123456789 \\ue.-').map(str.encode)))
def test_no_bytes_raise_anything_but_malformed(body: bytes) -> None:
    try:
        ids = DEVICE_IDS.decode(body)
    except Malformed:
        return
    assert all(type(item) is str for item in ids)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join(b"%07d" % number for number in range(300_000)) + b"]",
        b"[0" + b',"\\u0041"' * 100_000 + b"]",
        b'[0,"' + b'\\"' * 500_000,
        b"[0," + b'"' * 500_000,
        b"[0" + b" " * 500_000 + b"x",
        b"[" + b"0 " * 250_000 + b"]",
    ],
    ids=["padded", "escaped", "open text", "quotes", "blanks", "no commas"],
)
def test_a_long_list_takes_time_in_proportion_even_if_it_is_broken(body: bytes) -> None:
    """T19: the bar is for the noise of a busy machine; a search that starts over again would take minutes."""
    started = time.perf_counter()
    with contextlib.suppress(Malformed):
        DEVICE_IDS.decode(body)
    assert time.perf_counter() - started < 2


def test_half_a_character_is_not_written() -> None:
    """T50."""
    with pytest.raises(ValueError, match="UTF-8"):
        DEVICE_IDS.encode(("\ud800",))
