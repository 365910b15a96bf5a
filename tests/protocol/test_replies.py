"""Replies: the number decides, and only the API's own 404 means that there is nothing."""

from __future__ import annotations

import pytest

from voltaware_async import (
    BadRequestError,
    DeviceId,
    Month,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from voltaware_async.protocol import endpoints, requests
from voltaware_async.protocol.replies import HttpResponse, Refused, Reply, read
from voltaware_async.protocol.retry import Failure, Resend
from voltaware_async.protocol.secret import Secret

DEVICE = DeviceId("0001")
MONTH = requests.for_a_period(endpoints.MONTH, DEVICE, Month(2024, 7))
LIST = requests.list_devices()
SET = requests.about_a_device(endpoints.SET_PROPERTY, DEVICE, b"{}")
VIEW = requests.about_a_device(endpoints.GEOLOCATION, DEVICE)
TOKEN = requests.credentials_grant("me", Secret("s"))
REFRESH = requests.refresh_grant("me", Secret("s"))
READING = [it for it in endpoints.ALL if it.method == "GET" and it.is_about_a_device]


def response(status: int, body: bytes = b"{}", **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, {"Content-Type": "application/json", **named}, body)


def failed(verdict: object) -> Failure:
    assert isinstance(verdict, Failure)
    return verdict


@pytest.mark.parametrize("endpoint", READING, ids=lambda it: it.path)
@pytest.mark.parametrize(
    ("status", "body"), [(404, b'{"error": "x"}'), (404, b""), (204, b""), (204, b"ignored")]
)
def test_no_result_is_none_for_every_endpoint_of_a_device(
    endpoint: endpoints.Endpoint[object], status: int, body: bytes
) -> None:
    assert read(requests.about_a_device(endpoint, DEVICE), response(status, body)) == Reply(None, status)


@pytest.mark.parametrize("endpoint", READING, ids=lambda it: it.path)
@pytest.mark.parametrize("status", [403, 404])
def test_a_page_of_a_proxy_says_nothing_of_the_device(
    endpoint: endpoints.Endpoint[object], status: int
) -> None:
    page = response(status, b"<!DOCTYPE html><html>", Content_Type="text/html")

    error = failed(read(requests.about_a_device(endpoint, DEVICE), page)).error

    assert isinstance(error, UnexpectedResponseError)
    assert "a web page answered" in str(error)


def test_a_list_or_an_update_cannot_be_absent() -> None:
    for request in (LIST, SET):
        assert isinstance(failed(read(request, response(404))).error, BadRequestError)
    assert read(LIST, response(204, b"")) == Reply(None, 204)


def test_an_update_is_done_whatever_its_reply_holds() -> None:
    for status, body in ((200, b""), (200, b"not json"), (204, b"")):
        assert read(SET, response(status, body)) == Reply(None, status)


def test_who_was_refused_is_told_by_the_number_and_the_endpoint() -> None:
    assert read(MONTH, response(401)) is Refused.TOKEN
    assert read(MONTH, response(401, b"<html>")) is Refused.TOKEN
    assert read(MONTH, response(403)) is Refused.DEVICE
    for status in (400, 401, 403):
        assert read(TOKEN, response(status)) is Refused.CREDENTIALS
    assert isinstance(failed(read(LIST, response(403))).error, UnexpectedResponseError)
    assert isinstance(failed(read(TOKEN, response(403, b"<html>"))).error, UnexpectedResponseError)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
def test_what_passes_may_be_sent_again_if_that_is_harmless(status: int) -> None:
    assert failed(read(MONTH, response(status))).resend is Resend.IF_IDEMPOTENT
    assert failed(read(REFRESH, response(status))).resend is Resend.SAFE
    assert isinstance(failed(read(MONTH, response(status))).error, ServerError)


def test_a_pause_is_read_off_a_429_and_a_503() -> None:
    throttled = failed(read(MONTH, response(429, Retry_After="7")))
    unavailable = failed(read(MONTH, response(503, Retry_After="7")))

    assert (throttled.retry_after, throttled.is_throttle) == (7, True)
    assert (unavailable.retry_after, unavailable.is_throttle) == (7, False)
    assert isinstance(throttled.error, ThrottledError)
    assert throttled.error.retry_after == 7
    assert "asks for a pause of 7 s" in str(throttled.error)
    assert "does not say for how long" in str(failed(read(MONTH, response(429))).error)


@pytest.mark.parametrize("status", [*range(201, 204), *range(205, 209), *range(300, 309), *range(400, 600)])
def test_every_other_status_has_an_error_of_its_class(status: int) -> None:
    verdict = read(MONTH, response(status))

    if isinstance(verdict, Failure):
        assert verdict.error.context.status == status
        assert str(verdict.error).endswith(f"device 0001, status {status})")


def test_the_refusal_of_an_update_quotes_the_api_only_where_nothing_is_private() -> None:
    refused = response(400, b'{"error": "property_type INDUSTRIAL is not known"}')

    private, open_ = failed(read(SET, refused)).error, failed(read(MONTH, refused)).error

    assert "INDUSTRIAL is not known" not in str(private)
    assert "BusinessProperty(legacy_industry=True)" in str(private)
    assert "INDUSTRIAL is not known" in str(open_)


def test_the_excerpt_is_short_printable_and_of_one_line() -> None:
    noisy = response(400, b"\x1b[31m\r\nred " + b"x" * 500)

    excerpt = failed(read(MONTH, noisy)).error.context.excerpt

    assert excerpt.startswith("[31m red xxx")
    assert excerpt.isprintable()
    assert len(excerpt) <= 200


def test_the_request_id_is_kept_for_support() -> None:
    error = failed(read(MONTH, response(400, X_Request_Id="r-1"))).error

    assert error.support_report()["request_id"] == "r-1"


def test_what_is_cut_off_without_notice_may_be_asked_again() -> None:
    cut = HttpResponse(200, {}, b'{"total', is_delimited=False)
    whole = HttpResponse(200, {}, b'{"total', is_delimited=True)

    assert failed(read(MONTH, cut)).resend is Resend.IF_IDEMPOTENT
    assert failed(read(MONTH, whole)).resend is Resend.NEVER
    assert "may have been cut off" in str(failed(read(MONTH, cut)).error)


def test_a_malformed_private_reply_quotes_no_value() -> None:
    error = failed(read(VIEW, response(200, b'{"latitude": "secret place", "longitude": 1}'))).error

    assert "secret place" not in str(error)
    assert error.context.excerpt == ""
