"""Request ids: what the server says goes into reports, so that it must be harmless there."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.protocol.replies import HttpResponse, read
from voltaware_async.protocol.requests import list_devices
from voltaware_async.protocol.retry import Failure


def report(headers: dict[str, str]) -> dict[str, str | int | None]:
    verdict = read(list_devices(), HttpResponse(500, headers, b"{}"))
    assert isinstance(verdict, Failure)
    return verdict.error.support_report()


# aiohttp hands over what is no UTF-8 as lone surrogates.
HEADER_TEXT = st.text(st.characters(exclude_characters="\r\n"), max_size=300) | st.binary(max_size=300).map(
    lambda raw: raw.decode(errors="surrogateescape")
)


@given(HEADER_TEXT)
def test_a_request_id_of_any_bytes_is_one_printable_line_that_can_be_written_anywhere(text: str) -> None:
    found = report({"X-Request-Id": text})["request_id"]
    assert found is None or (found.isascii() and found.isprintable() and 0 < len(found) <= 200)
    orjson.dumps(found)


@pytest.mark.parametrize("blank", ["", " ", "\udcff\udcfe", "\x1b\x07"])
def test_an_id_of_nothing_printable_is_none_and_the_next_header_is_taken(blank: str) -> None:
    assert report({"X-Request-Id": blank})["request_id"] is None
    assert report({"X-Request-Id": blank, "X-Correlation-Id": "c-1"})["request_id"] == "c-1"


def test_an_id_that_is_printable_is_kept_as_it_is() -> None:
    assert report({"X-Request-Id": "req-7f/3=A b"})["request_id"] == "req-7f/3=A b"
