"""What goes back to a client: a reply, and the manner in which it reaches the wire."""

from collections.abc import Callable, Iterator
from enum import StrEnum

import orjson
from attrs import frozen

JSON_TYPE = "application/json"

Headers = tuple[tuple[str, str], ...]


@frozen
class Reply:
    """A status, headers and a body; `chunks` makes the body of a reply too long to be held at once."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    chunks: Callable[[], Iterator[bytes]] | None = None


class Manner(StrEnum):
    """How a reply is delivered; all but the first are faults."""

    WHOLE = "whole"
    CUT = "cut"
    SLOW = "slow"
    STALL = "stall"
    RESET = "reset"
    RAW = "raw"


@frozen
class Delivery:
    """A reply and its manner. A raw delivery sends the reply's body as it stands, head included."""

    reply: Reply
    manner: Manner = Manner.WHOLE

    @property
    def status(self) -> int | None:
        """The status that the client gets to see; None where the sandbox sends none of its own."""
        return self.reply.status if self.manner in {Manner.WHOLE, Manner.CUT, Manner.SLOW} else None


class RefusedError(Exception):
    """A request is not answered as it asked; the reason is one sentence for the body."""

    def __init__(self, status: int, reason: str, headers: Headers = ()) -> None:
        super().__init__(status, reason)
        self.reply = json_reply(status, {"error": reason}, headers)


def json_reply(status: int, value: object, headers: Headers = ()) -> Reply:
    """Return a reply whose body is the value as JSON."""
    return Reply(status, orjson.dumps(value), (("Content-Type", JSON_TYPE), *headers))


def no_content() -> Reply:
    """Return 204: "there is nothing to return"."""
    return Reply(204)
