"""Replies: status, headers and bytes -> a record, no result, or what is wrong.

The number decides, never the reason phrase: the documentation calls 401 "Unauthorized" and 403
"Unauthenticated" and "Forbidden".

Source: Debugging/Status code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from voltaware_async.errors import (
    ApiError,
    BadRequestError,
    DecodeError,
    RedirectError,
    ServerError,
    ThrottledError,
    UnexpectedResponseError,
)
from voltaware_async.protocol.codec import Malformed
from voltaware_async.protocol.retry import Failure, Resend, retry_after_s

if TYPE_CHECKING:
    from voltaware_async.errors import ErrorContext
    from voltaware_async.protocol.requests import HttpRequest

__all__ = ["HttpResponse", "Refused", "Reply", "Verdict", "forbidden_message", "read"]

R = TypeVar("R")

_OK: Final = 200
_NO_CONTENT: Final = 204
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_THROTTLED: Final = 429
_GRANT_REFUSED: Final = frozenset({400, 401, 403})
_PASSING: Final = frozenset({408, 425, 500, 502, 503, 504})
_EXCERPT_BYTES: Final = 200
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_REQUEST_ID_HEADERS: Final = ("X-Request-Id", "X-Amzn-RequestId", "X-Correlation-Id")


@frozen
class HttpResponse:
    """Hold what came back; `is_delimited` tells whether the framing proves that the body is whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_delimited: bool = True

    @property
    def is_html(self) -> bool:
        """Whether a page answered instead of the API: a proxy, a login wall, a wrong base URL."""
        content_type = self.headers.get("Content-Type", "").lower()
        return "html" in content_type or self.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


class Refused(Enum):
    """Tell what was refused: another grant, a renewal or a new login may put it right."""

    CREDENTIALS = auto()
    TOKEN = auto()
    DEVICE = auto()


@frozen
class Reply(Generic[R]):
    """Hold what the API answered: a value, or None where it has no result; `status` is 200, 204 or 404."""

    value: R | None
    status: int


Verdict: TypeAlias = Reply[R] | Refused | Failure


def read(request: HttpRequest[R], response: HttpResponse) -> Verdict[R]:
    """Decide what a response means for the request that it answers."""
    status = response.status
    if status == _OK:
        return _value(request, response)
    if status == _NO_CONTENT or _is_no_result(request, response):
        return Reply(None, status)
    return _refused(request, response) or _failure(_context(request, response), request, response)


def _refused(request: HttpRequest[R], response: HttpResponse) -> Refused | None:
    status = response.status
    if status == _UNAUTHORIZED and not request.endpoint.is_auth:
        return Refused.TOKEN
    if response.is_html:
        return None
    if status == _FORBIDDEN and request.endpoint.is_about_a_device:
        return Refused.DEVICE
    if status in _GRANT_REFUSED and request.endpoint.is_auth:
        return Refused.CREDENTIALS
    return None


def _is_no_result(request: HttpRequest[R], response: HttpResponse) -> bool:
    """Tell whether a 404 is the API's own "nothing found": a page of a proxy is no such word."""
    if response.status != _NOT_FOUND or response.is_html:
        return False
    return request.endpoint.is_about_a_device and request.endpoint.method == "GET"


def _value(request: HttpRequest[R], response: HttpResponse) -> Verdict[R]:
    codec = request.endpoint.reply
    if codec is None:
        return Reply(None, response.status)
    try:
        return Reply(codec.decode(response.body), response.status)
    except Malformed as error:
        malformed = error
    # Raised or not, an error must not hold the decoder's frames: they hold the body, tokens included.
    return _undecodable(request, response, malformed.json_path, malformed.reason)


def _undecodable(request: HttpRequest[R], response: HttpResponse, json_path: str, reason: str) -> Failure:
    context = _context(request, response)
    if response.is_html:
        return Failure(UnexpectedResponseError(_a_page_answered("200"), context), Resend.NEVER)
    if response.is_delimited:
        error = DecodeError(f"the reply is not as documented: {reason} @ {json_path}", context, json_path)
        return Failure(error, Resend.NEVER)
    message = f"the reply may have been cut off: {reason} @ {json_path}"
    return Failure(DecodeError(message, context, json_path), Resend.IF_IDEMPOTENT)


def _failure(context: ErrorContext, request: HttpRequest[R], response: HttpResponse) -> Failure:
    status = response.status
    wait = retry_after_s(response.headers)
    if status == _THROTTLED:
        said = f"it asks for a pause of {wait:g} s" if wait is not None else "it does not say for how long"
        error = ThrottledError(f"the API refuses more requests for now; {said}", context, wait)
        return Failure(error, Resend.SAFE, wait, is_throttle=True)
    if status in _PASSING:
        # A grant is safe to ask again: what it may have made or used up, a login replaces.
        resend = Resend.SAFE if request.endpoint.is_auth else Resend.IF_IDEMPOTENT
        return Failure(ServerError("the API failed to answer", context, wait), resend, wait)
    return Failure(_final_error(context, request, response), Resend.NEVER)


def _final_error(context: ErrorContext, request: HttpRequest[R], response: HttpResponse) -> ApiError:
    status = response.status
    if 300 <= status < 400:  # noqa: PLR2004  the class of redirects
        return RedirectError("the API redirects, which is not followed: check the base URL", context)
    if status >= 500:  # noqa: PLR2004  the class of server errors
        return ServerError("the API failed in a way that does not pass", context)
    if response.is_html:
        return UnexpectedResponseError(_a_page_answered(str(status)), context)
    if status in {_FORBIDDEN, _UNAUTHORIZED}:
        return UnexpectedResponseError("the API refuses access to this endpoint", context)
    if 400 <= status < 500:  # noqa: PLR2004  the class of client errors
        return BadRequestError(_refusal(context, request), context)
    return UnexpectedResponseError("the API answered with a status that it does not document", context)


def _refusal(context: ErrorContext, request: HttpRequest[R]) -> str:
    said = f", saying {context.excerpt!r}" if context.excerpt else ""
    hint = f"; {request.endpoint.refused_hint}" if request.endpoint.refused_hint else ""
    return f"the API refuses the request{said}{hint}"


def _a_page_answered(status: str) -> str:
    return f"a web page answered ({status}) instead of the API: check the base URL, proxies and login walls"


def _context(request: HttpRequest[R], response: HttpResponse) -> ErrorContext:
    excerpt = "" if request.endpoint.private else _excerpt(response.body)
    found = (_printable(response.headers.get(name, "")) for name in _REQUEST_ID_HEADERS)
    request_id = next((value for value in found if value), None)
    return evolve(request.context, status=response.status, request_id=request_id, excerpt=excerpt)


def _excerpt(body: bytes) -> str:
    return _printable(body[:_EXCERPT_BYTES].decode(errors="replace"))


def _printable(text: str) -> str:
    """Return the beginning of what the API said, in one printable line."""
    return _UNPRINTABLE.sub(" ", text[:_EXCERPT_BYTES]).strip()


def forbidden_message(*, after_reconnect: bool) -> str:
    """Say what a 403 of a device means and what to do.

    Source: Debugging/Status code, 403.
    """
    tried = " even after a fresh login" if after_reconnect else ""
    return (
        f"the API does not know this device{tried}: it must send its first event (one data point is enough) "
        "before anything else; a login made before that event needs `reconnect()`"
    )
