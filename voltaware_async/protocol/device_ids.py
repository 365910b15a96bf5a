"""The list of device ids, which the documentation prints with leading zeros: that is not JSON.

Ids are opaque texts, exactly the characters that the API printed. Strict JSON is tried first; what it
refuses, or would change (a number over 64 bits, a minus before a zero), is scanned: a JSON array of JSON
strings and bare runs of digits, and nothing else.

Source: Devices, List all devices.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

import orjson

from voltaware_async.protocol.json_text import dumped
from voltaware_async.protocol.malformed import Malformed
from voltaware_async.records.devices import DeviceId

__all__ = ["read_device_ids", "scan_device_ids", "write_device_ids"]

_BOM: Final = rb"(?:\xef\xbb\xbf)?"
_BLANK: Final = rb"[ \t\r\n]*+"
_OPENING: Final = re.compile(_BOM + _BLANK + rb"\[" + _BLANK)
_CLOSING: Final = re.compile(rb"\]" + _BLANK)
_ITEM: Final = re.compile(
    rb'(?:([0-9]++)|("(?:[^"\\\x00-\x1f]++|\\.)*+"))' + _BLANK + rb"(?:(,)" + _BLANK + rb"|(?=\]))"
)


def read_device_ids(body: bytes) -> tuple[DeviceId, ...]:
    """Read the ids in the order sent, repetitions included; Malformed gives the offset of what is none."""
    try:
        sent = orjson.loads(body)
    except ValueError:
        sent = None
    if type(sent) is list:
        if all(type(item) is str for item in sent):
            return tuple(sent)
        if _are_exact(sent, body):
            return tuple([DeviceId(str(item)) for item in sent])
    return scan_device_ids(body)


def _are_exact(sent: list[object], body: bytes) -> bool:
    # -0 reads as 0; a text with a minus in it only costs a scan.
    return all(type(item) in {int, str} for item in sent) and b"-" not in body


def scan_device_ids(body: bytes) -> tuple[DeviceId, ...]:
    """Read the ids from an array that may hold bare digits with leading zeros."""
    opening = _OPENING.match(body)
    if opening is None:
        raise Malformed("$", "expected an array of device ids at byte 0")
    ids: list[DeviceId] = []
    at = opening.end()
    follows = False
    # Matched one by one: a search would go over the rest of a broken body again and again.
    while item := _ITEM.match(body, at):
        digits, quoted, comma = item.groups()
        text = digits.decode() if digits else _unquoted(quoted)
        if text is None:
            _refuse(at, len(ids))
        ids.append(DeviceId(text))
        at, follows = item.end(), comma is not None
    closing = _CLOSING.match(body, at)
    if follows or closing is None:
        _refuse(at, len(ids))
    if closing.end() != len(body):
        raise Malformed("$", f"expected nothing after the array, at byte {closing.end()}")
    return tuple(ids)


def _unquoted(quoted: bytes) -> str | None:
    """Read a JSON string, None if it is none; one without escapes, by far the most, is its own text."""
    try:
        return quoted[1:-1].decode() if b"\\" not in quoted else str(orjson.loads(quoted))
    except ValueError:
        return None


def _refuse(at: int, index: int) -> NoReturn:
    raise Malformed(f"$[{index}]", f"expected a device id (a text or digits), then ',' or ']', at byte {at}")


def write_device_ids(ids: tuple[DeviceId, ...]) -> bytes:
    """Write the ids as JSON strings."""
    return dumped(ids)
