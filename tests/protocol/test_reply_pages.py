"""Replies: every number and every endpoint, and pages in disguise."""

from __future__ import annotations

import pytest

from voltaware_async import (
    ApiError,
    BadRequestError,
    DecodeError,
    DeviceId,
    RedirectError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from voltaware_async.protocol import endpoints, requests
from voltaware_async.protocol.replies import HttpResponse, Refused, Reply, forbidden_message, read
from voltaware_async.protocol.retry import Failure, Resend

DEVICE = DeviceId("0001")
NUMBERS = [100, 101, *range(201, 204), *range(205, 230), *range(300, 600), 600, 999]


def asking(endpoint: endpoints.Endpoint[object]) -> requests.HttpRequest[object]:
    path = endpoint.path.replace("{device_id}", DEVICE)
    return requests.HttpRequest(endpoint, path, DEVICE if endpoint.is_about_a_device else None)


def meaning_of(endpoint: endpoints.Endpoint[object], status: int) -> object:
    """Say what a status means that is no failure, as the documentation does; else the kind of error."""
    if status == 404 and endpoint.is_about_a_device and endpoint.method == "GET":
        return Reply(None, 404)
    if status == 401 and not endpoint.is_auth:
        return Refused.TOKEN
    if status == 403 and endpoint.is_about_a_device:
        return Refused.DEVICE
    if status in {400, 401, 403} and endpoint.is_auth:
        return Refused.CREDENTIALS
    return kind_of(status)


def kind_of(status: int) -> type[ApiError]:
    if status == 429:
        return ThrottledError
    if status in {408, 425} or status >= 500:
        return ServerError
    if status in range(300, 400):
        return RedirectError
    return BadRequestError if status >= 400 and status != 403 else UnexpectedResponseError


@pytest.mark.parametrize("endpoint", endpoints.ALL, ids=lambda it: f"{it.method} {it.path}")
def test_every_number_of_every_endpoint_has_its_meaning(endpoint: endpoints.Endpoint[object]) -> None:
    for status in NUMBERS:
        expected = meaning_of(endpoint, status)
        verdict = read(asking(endpoint), HttpResponse(status, {}, b'{"error": "no"}'))

        if isinstance(expected, type):
            assert isinstance(verdict, Failure), status
            assert type(verdict.error) is expected, status
            assert verdict.error.context.status == status
            assert verdict.error.context.path == endpoint.path
            is_passing = status in {408, 425, 429, 500, 502, 503, 504}
            assert (verdict.resend is not Resend.NEVER) == is_passing, status
        else:
            assert verdict == expected, status


@pytest.mark.parametrize("endpoint", endpoints.ALL, ids=lambda it: f"{it.method} {it.path}")
@pytest.mark.parametrize("body", [b"", b"ignored", b"<html>"])
def test_no_content_is_never_read(endpoint: endpoints.Endpoint[object], body: bytes) -> None:
    assert read(asking(endpoint), HttpResponse(204, {}, body)) == Reply(None, 204)


READING = [it for it in endpoints.ALL if it.reply is not None]


@pytest.mark.parametrize("endpoint", READING, ids=lambda it: f"{it.method} {it.path}")
@pytest.mark.parametrize("body", [b"", b" ", b"null", b"7", b'"text"', b"nonsense", b"\xff", b"[" * 100_000])
def test_a_body_that_is_none_is_a_decode_error_with_a_place(
    endpoint: endpoints.Endpoint[object], body: bytes
) -> None:
    verdict = read(asking(endpoint), HttpResponse(200, {}, body))

    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, DecodeError)
    assert verdict.resend is Resend.NEVER
    assert verdict.error.json_path.startswith("$")
    assert f"@ {verdict.error.json_path}" in str(verdict.error)
    assert verdict.error.__cause__ is verdict.error.__context__ is None


PAGES = {
    "a page": b"<html>",
    "a page after a byte order mark": b"\xef\xbb\xbf<!DOCTYPE html>",
    "a page after blanks": b"\r\n\t <html>",
    "a document of XML": b'<?xml version="1.0"?><Error/>',
}


@pytest.mark.parametrize("body", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("label", ["", "application/json", "text/html; charset=utf-8"])
@pytest.mark.parametrize("status", [200, 400, 403, 404, 410])
def test_a_page_is_known_by_its_content_too(body: bytes, label: str, status: int) -> None:
    verdict = read(asking(endpoints.DEVICE), HttpResponse(status, {"Content-Type": label}, body))

    assert isinstance(verdict, Failure)
    assert type(verdict.error) is UnexpectedResponseError
    assert f"a web page answered ({status})" in str(verdict.error)
    assert verdict.resend is Resend.NEVER


@pytest.mark.parametrize("label", ["text/html", "application/xhtml+xml", "TEXT/HTML"])
def test_a_page_is_known_by_its_label_too(label: str) -> None:
    verdict = read(asking(endpoints.DEVICE), HttpResponse(404, {"Content-Type": label}, b"not found"))

    assert isinstance(verdict, Failure)


@pytest.mark.parametrize("endpoint", endpoints.ALL, ids=lambda it: f"{it.method} {it.path}")
def test_only_what_is_not_private_is_quoted(endpoint: endpoints.Endpoint[object]) -> None:
    for status in (200, 402, 500):
        body = b'{"planted": "value"}'
        verdict = read(asking(endpoint), HttpResponse(status, {}, body))
        if isinstance(verdict, Failure):
            report = str(verdict.error.support_report())
            assert ("planted" in report) != endpoint.private
            assert isinstance(verdict.error, ApiError)


@pytest.mark.parametrize("name", ["X-Request-Id", "X-Amzn-RequestId", "X-Correlation-Id"])
def test_a_request_id_is_found_under_each_of_its_names_and_is_cut_short(name: str) -> None:
    verdict = read(asking(endpoints.DEVICE), HttpResponse(500, {name: "x" * 1000}, b""))

    assert isinstance(verdict, Failure)
    assert verdict.error.context.request_id == "x" * 200


def test_a_403_says_what_to_do_and_what_was_tried() -> None:
    assert "it must send its first event" in forbidden_message(after_reconnect=False)
    assert "`reconnect()`" in forbidden_message(after_reconnect=False)
    assert "even after a fresh login" in forbidden_message(after_reconnect=True)


def test_a_response_shows_neither_headers_nor_body_in_its_repr() -> None:
    assert "planted" not in repr(HttpResponse(200, {"X": "planted"}, b"planted"))
