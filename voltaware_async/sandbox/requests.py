"""A request as the endpoints see it, and how its body is read."""

import orjson
from attrs import frozen

from voltaware_async.sandbox.replies import JSON_TYPE, RefusedError
from voltaware_async.sandbox.rules import Rule

_CHARSETS = {"", "charset=utf-8"}


@frozen
class Request:
    """The parts of an HTTP request that the API looks at; `path` and `query` are raw."""

    method: str
    path: str
    query: str
    authorization: str | None
    content_type: str | None
    body: bytes


def json_body(request: Request, rule: Rule) -> object:
    """Return the body if it is JSON, says so, and keeps the rule; otherwise refuse it with 400."""
    media_type, _, parameter = (request.content_type or "").partition(";")
    if media_type.strip().lower() != JSON_TYPE or parameter.strip().lower() not in _CHARSETS:
        raise RefusedError(400, f"The request header Content-Type must be {JSON_TYPE}")
    try:
        value: object = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise RefusedError(400, "The request body is not JSON") from None
    complaint = rule.complaint(value, "$")
    if complaint:
        raise RefusedError(400, complaint)
    return value


def no_body(request: Request) -> None:
    """Refuse a body where the documentation shows none."""
    if request.body:
        raise RefusedError(400, f"{request.method} takes no request body")
