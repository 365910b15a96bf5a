"""JSON text <-> Python values, with errors that say where and hold nothing.

Hazard: orjson's errors hold the whole text, tokens included, so none leaves this module, not even as the
context of another error.
"""

from __future__ import annotations

from typing import Final

import orjson

from voltaware_async.protocol.malformed import Malformed

__all__ = ["dumped", "parsed"]

_BOM: Final = b"\xef\xbb\xbf"


def parsed(body: bytes) -> object:
    """Parse JSON, or raise Malformed with the byte where it is none; a byte order mark is let pass."""
    bare = body.removeprefix(_BOM)
    try:
        return orjson.loads(bare)
    except orjson.JSONDecodeError as error:
        what, at = error.msg, error.pos
    if not bare.strip():
        raise Malformed("$", "the body is empty")
    offset = len(body) - len(bare) + _bytes_before(bare, at)
    raise Malformed("$", f"not JSON: {what}, at byte {offset}")


def _bytes_before(body: bytes, characters: int) -> int:
    """Turn orjson's count of characters into bytes; of what is not UTF-8, return where it stops being so."""
    try:
        return len(body.decode()[:characters].encode())
    except UnicodeDecodeError as error:
        return error.start


def dumped(words: object) -> bytes:
    """Write compact JSON; ValueError for what it cannot say, such as half a character."""
    try:
        return orjson.dumps(words)
    except TypeError as error:
        reason = str(error)
    raise ValueError(f"this cannot be written as JSON: {reason}")
