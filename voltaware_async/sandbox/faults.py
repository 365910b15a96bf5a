"""Faults: their kinds, by probability or by script, and what each does to a request."""

import random
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from attrs import define, frozen

from voltaware_async.sandbox.replies import JSON_TYPE, Delivery, Headers, Manner, Reply, json_reply
from voltaware_async.sandbox.route_names import AUTH_ROUTES, check_route

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


class FaultKind(StrEnum):
    """What can go wrong on purpose."""

    INTERNAL_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    TOO_MANY = "429"
    RESET = "reset"
    CUT = "cut"
    GARBAGE = "garbage"
    STALL = "stall"
    SLOW = "slow"

    @classmethod
    def parse(cls, word: str) -> "FaultKind":
        """Return the kind; ValueError says which kinds there are."""
        try:
            return cls(word)
        except ValueError:
            raise ValueError(f"fault kind {word!r} is none of {', '.join(cls)}") from None


def faulty_reply(kind: FaultKind, retry_after: float | None) -> Reply:
    """Return the reply that stands in for the real one; it is empty where none is sent."""
    after: Headers = () if retry_after is None else (("Retry-After", f"{retry_after:g}"),)
    match kind:
        case FaultKind.INTERNAL_ERROR:
            return json_reply(500, {"error": "Internal server error"}, after)
        case FaultKind.BAD_GATEWAY:
            return Reply(502, _HTML, (("Content-Type", "text/html; charset=utf-8"), *after))
        case FaultKind.UNAVAILABLE:
            return json_reply(503, {"error": "The service is not available"}, after)
        case FaultKind.TOO_MANY:
            return json_reply(429, {"error": "Too many requests"}, after or (("Retry-After", "1"),))
        case FaultKind.GARBAGE:
            return Reply(200, b'{"total_consumption": 416951.0, "appl', (("Content-Type", JSON_TYPE),))
        case FaultKind.RESET | FaultKind.CUT | FaultKind.STALL | FaultKind.SLOW:
            return Reply(200)


_MANNERS = {
    FaultKind.RESET: Manner.RESET,
    FaultKind.CUT: Manner.CUT,
    FaultKind.STALL: Manner.STALL,
    FaultKind.SLOW: Manner.SLOW,
}
_REAL_REPLY = {FaultKind.CUT, FaultKind.SLOW}
"""Kinds that spoil the delivery of the real reply: the request has been carried out."""


@frozen
class Effect:
    """What a fault does: how the reply is delivered, and the reply that replaces the real one, if it does."""

    manner: Manner
    reply: Reply | None

    @classmethod
    def of(cls, kind: FaultKind, retry_after: float | None = None) -> "Effect":
        """Return the effect of a kind; a kind that has a reply of its own replaces the real one."""
        manner = _MANNERS.get(kind, Manner.WHOLE)
        return cls(manner, None if kind in _REAL_REPLY else faulty_reply(kind, retry_after))

    def on(self, real: Callable[[], Reply]) -> Delivery:
        """Return the delivery; the real reply is computed only where it is delivered."""
        return Delivery(real() if self.reply is None else self.reply, self.manner)


@frozen
class Fault:
    """A kind of fault that befalls requests at random.

    Without a route it befalls all routes but /auth/*. `probability` is from 0 to 1.
    """

    kind: FaultKind
    probability: float
    route: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read "KIND:PROBABILITY" or "KIND@ROUTE:PROBABILITY", such as "500:0.01" or "503@auth/token:0.5"."""
        where, colon, share = text.strip().rpartition(":")
        kind, at, route = where.partition("@")
        if not colon:
            raise ValueError(f"fault {text!r} is not KIND:PROBABILITY or KIND@ROUTE:PROBABILITY")
        return cls(FaultKind.parse(kind), _probability(share), check_route(route) if at else None)

    def befalls(self, route: str) -> bool:
        """Return whether requests for the route can be hit."""
        return route not in AUTH_ROUTES if self.route is None else route == self.route


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"fault probability {text!r} is not a number from 0 to 1")
    return value


class Chance:
    """Decide at random, from a seed, which requests a fault hits."""

    def __init__(self, faults: Iterable[Fault | str], seed: int) -> None:
        self._faults = tuple(Fault.parse(it) if isinstance(it, str) else it for it in faults)
        self._rng = random.Random(seed)  # noqa: S311 - faults on purpose, no cryptography

    def effect(self, route: str) -> Effect | None:
        """Return what hits this request, if anything does; the first of several faults wins."""
        hits = (fault for fault in self._faults if fault.befalls(route) and self._hits(fault))
        fault = next(hits, None)
        return Effect.of(fault.kind) if fault else None

    def _hits(self, fault: Fault) -> bool:
        return self._rng.random() < fault.probability


@define(eq=False)
class Script:
    """A fault for the next `left` requests that match (None: for all), and how many it `hit`.

    Without a route it matches all routes but /auth/*; without a device or a method it matches all of them.
    """

    effect: Effect
    left: int | None = 1
    route: str | None = None
    device_id: str | None = None
    method: str | None = None
    hit: int = 0

    def cancel(self) -> None:
        """Take no more requests."""
        self.left = 0

    def takes(self, route: str, device_id: str | None, method: str) -> bool:
        """Return whether the request matches, and use up one of the times if it does."""
        on_route = route not in AUTH_ROUTES if self.route is None else route == self.route
        matches = (
            self.left != 0
            and on_route
            and self.device_id in {None, device_id}
            and self.method in {None, method}
        )
        if matches:
            self.hit += 1
            self.left = None if self.left is None else self.left - 1
        return matches


def scripted_effect(
    kind: str | None,
    *,
    status: int | None,
    body: bytes | str | None,
    headers: Mapping[str, str] | None,
    retry_after: float | None,
    raw: bytes | None,
) -> Effect:
    """Return the effect that a call of `Sandbox.script` describes.

    A status, a body or headers replace those of the kind. ValueError if nothing says what is to happen, or if
    a kind that answers nothing of its own is given a body.
    """
    if raw is not None:
        return Effect(Manner.RAW, Reply(0, raw))
    if kind is None and status is None:
        raise ValueError("a script needs a kind of fault, a status or raw bytes")
    base = Effect.of(FaultKind.parse(kind), retry_after) if kind else Effect(Manner.WHOLE, None)
    if kind and (status, body, headers) == (None, None, None):
        return base
    if base.manner in {Manner.RESET, Manner.STALL}:
        raise ValueError(f"fault {kind} sends no reply, so it takes no status, body or headers")
    after = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Effect(base.manner, _custom(base.reply or Reply(200), status, body, {**after, **(headers or {})}))


def _custom(base: Reply, status: int | None, body: bytes | str | None, headers: Mapping[str, str]) -> Reply:
    """Return the reply with what is given put in its place; without a Content-Type it is JSON."""
    content = base.body if body is None else body.encode() if isinstance(body, str) else body
    merged = {name.lower(): (name, value) for name, value in (*base.headers, *headers.items())}
    merged.setdefault("content-type", ("Content-Type", JSON_TYPE))
    return Reply(base.status if status is None else status, content, tuple(merged.values()))
