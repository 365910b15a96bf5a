"""The codec: JSON bytes <-> records, strictly, and open to what a later API may add.

A reply is decoded by a converter that is fast and says little; only where it fails, a second one, slow and
exact, reads the reply again to say what is wrong and where. Nothing is coerced. Unknown fields, appliance
keys and values of open sets pass.

Hazard: of a key that an object holds twice, the last counts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import cache, partial
from math import isfinite
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, get_args, get_origin

import orjson
from attrs import NOTHING, evolve, fields, frozen, has, resolve_types
from cattrs import BaseValidationError, ClassValidationError, Converter, IterableValidationError
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from voltaware_async.protocol import strict
from voltaware_async.protocol.device_ids import read_device_ids, scan_device_ids, write_device_ids
from voltaware_async.protocol.grants import TokenGrant, grant_object, read_grant
from voltaware_async.protocol.json_text import dumped, parsed
from voltaware_async.protocol.malformed import Malformed, Unfit
from voltaware_async.protocol.wire_names import Dialect
from voltaware_async.records.appliances import (
    KNOWN_APPLIANCES,
    Appliance,
    Appliances,
    KnownAppliance,
    UnknownAppliance,
)
from voltaware_async.records.devices import Device, DeviceId
from voltaware_async.records.disaggregation import ApplianceCycles, Cycle, Disaggregation, MonthByWeeks
from voltaware_async.records.metadata import (
    LEGACY_INDUSTRY,
    BusinessProperty,
    Geolocation,
    HomeProperty,
    Property,
    PropertyType,
)
from voltaware_async.records.reports import DayByDayMetrics, Report

if TYPE_CHECKING:
    from cattrs.gen._consts import AttributeOverride  # what `override` returns, which is public

    from voltaware_async.records.metadata import PropertyUpdate

__all__ = [
    "APPLIANCES",
    "CYCLES",
    "DEVICE",
    "DEVICE_IDS",
    "DISAGGREGATION",
    "GEOLOCATION",
    "MONTH_BY_WEEKS",
    "MONTH_REPORT",
    "PROPERTY",
    "TOKEN_GRANT",
    "WEEK_REPORT",
    "Codec",
    "Malformed",
    "TokenGrant",
    "encode_property_update",
]

R = TypeVar("R")
# As cattrs has them: it calls a hook for the type that it was registered for.
_Reader: TypeAlias = Callable[[Any, Any], Any]
_Writer: TypeAlias = Callable[[Any], object]

# Fields that the wire has in another form; `_property_reader` and their likes see to them.
_HIDDEN: Final = frozenset({"extra", "legacy_industry"})
# What Python, attrs, orjson and the readers of `strict` raise where a reply is not as documented.
_UNFIT: Final = (LookupError, TypeError, ValueError)


@frozen
class Codec(Generic[R]):
    """Read one kind of reply, and write it as the API words it.

    Immutable, and cheap until first used: only then are its converters built, once per process.
    """

    _quick: Callable[[bytes], R]
    _careful: Callable[[bytes], R]
    _write: Callable[[R], bytes]

    def decode(self, body: bytes) -> R:
        """Read a reply; raise Malformed, and nothing else, where it is not what was promised."""
        try:
            return self._quick(body)
        except _UNFIT:
            pass
        # Not in the handler: its error holds the reply, and would become the context of ours.
        return self._careful(body)

    def encode(self, record: R) -> bytes:
        """Write a record as compact JSON; ValueError where JSON has no way to say it."""
        return self._write(record)


# --- codecs --------------------------------------------------------------------------------------


def _codec(record: type[R], dialect: Dialect = Dialect.MONTH, *, private: bool = False) -> Codec[R]:
    """Make the codec of a record; a private one's errors quote no value."""

    @cache
    def reader() -> Callable[[object, type[R]], R]:
        return _fast(dialect).get_structure_hook(record)

    def quick(body: bytes) -> R:
        return reader()(orjson.loads(body), record)

    def careful(body: bytes) -> R:
        sent = parsed(body)
        # Not in the try: a hook that cannot be built is our fault, not the reply's.
        read: Callable[[object, type[R]], R] = _exact(dialect).get_structure_hook(record)
        try:
            return read(sent, record)
        except (*_UNFIT, BaseValidationError) as error:
            malformed = _malformed(error, dialect, private=private)
        raise malformed

    def write(value: R) -> bytes:
        return dumped(_fast(dialect).unstructure(value, record))

    return Codec(quick, careful, write)


def encode_property_update(update: PropertyUpdate) -> bytes:
    """Write an update of a property as the API words it; TypeError for a mere view, which may lack fields.

    Source: Metadata, Property, Set up property details.
    """
    if not isinstance(update, HomeProperty | BusinessProperty):
        raise TypeError("a property is set by a HomeProperty or a BusinessProperty; a view has `to_update()`")
    return dumped(_fast(Dialect.MONTH).unstructure(update))


# --- what is wrong, and where --------------------------------------------------------------------


def _malformed(error: Exception, dialect: Dialect, *, private: bool) -> Malformed:
    path = "$"
    while isinstance(error, ClassValidationError | IterableValidationError):
        step, error = _first_inside(error, dialect)
        path += step
    if isinstance(error, Unfit):
        return Malformed(path + error.at, error.reason(private=private))
    if isinstance(error, KeyError):
        return Malformed(path, f"the field {error} is missing")
    return Malformed(path, str(error))


def _first_inside(
    group: ClassValidationError | IterableValidationError, dialect: Dialect
) -> tuple[str, Exception]:
    """Return the first error of a group and the step of the path that leads to it, in words of the wire."""
    if isinstance(group, IterableValidationError):
        inner, place = group.group_exceptions()[0][0]
        return f"[{place.index}]", inner
    noted, of_the_whole = group.group_exceptions()
    if not noted:
        return "", of_the_whole[0]
    inner, note = noted[0]
    return f".{dialect.names(group.cl).get(note.name, note.name)}", inner


# --- converters ----------------------------------------------------------------------------------


@cache
def _fast(dialect: Dialect) -> Converter:
    return _converter(dialect, detailed=False)


@cache
def _exact(dialect: Dialect) -> Converter:
    return _converter(dialect, detailed=True)


def _converter(dialect: Dialect, *, detailed: bool) -> Converter:
    """Build a converter; of the hooks that match a type, the one that was registered last counts."""
    converter = Converter(detailed_validation=detailed)
    for kind, read in strict.SCALARS.items():
        converter.register_structure_hook(kind, read)
    converter.register_structure_hook_factory(_is_open, _open_reader)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    converter.register_structure_hook_factory(has, partial(_reader, dialect))
    converter.register_structure_hook(TokenGrant, read_grant)
    converter.register_structure_hook_factory(lambda kind: kind == Appliance, _appliance_reader)
    converter.register_unstructure_hook(float, _finite)
    converter.register_unstructure_hook(datetime, strict.write_instant)
    converter.register_unstructure_hook_factory(has, partial(_writer, dialect))
    converter.register_unstructure_hook(TokenGrant, grant_object)
    return converter


def _is_open(kind: object) -> bool:
    """Tell whether a type is an open set: an enum of texts or any other text, or null too."""
    return isinstance(kind, UnionType) and any(issubclass(part, StrEnum) for part in get_args(kind))


def _open_reader(kind: UnionType) -> _Reader:
    parts = get_args(kind)
    members = {member.value: member for part in parts if issubclass(part, StrEnum) for member in part}
    return strict.one_of(members, nullable=NoneType in parts)


def _is_tuple(kind: type) -> bool:
    return get_origin(kind) is tuple


def _tuple_reader(kind: type, converter: Converter) -> _Reader:
    read = list_structure_factory(kind, converter)
    return lambda value, _: tuple(read(strict.array(value), kind))


def _words(record: type, dialect: Dialect) -> dict[str, AttributeOverride]:
    """Return how each attribute is worded on the wire, where cattrs would not know it."""
    resolve_types(record)
    words = {name: override(rename=word) for name, word in dialect.names(record).items()}
    if record is Cycle:
        read, write = strict.local_time, strict.write_local_time
        words = {name: evolve(word, struct_hook=read, unstruct_hook=write) for name, word in words.items()}
    hidden = _HIDDEN & {attribute.name for attribute in fields(record)}
    return words | {name: override(omit=True) for name in hidden}


def _record_reader(dialect: Dialect, record: type, converter: Converter) -> _Reader:
    """Make a reader of a record by its annotations; any wrong value is refused, unknown fields pass."""
    detailed = converter.detailed_validation
    read: _Reader = make_dict_structure_fn(
        record,
        converter,
        _cattrs_forbid_extra_keys=False,
        _cattrs_use_linecache=True,
        _cattrs_prefer_attrib_converters=False,
        _cattrs_detailed_validation=detailed,
        _cattrs_use_alias=False,
        _cattrs_include_init_false=False,
        **_words(record, dialect),
    )
    if not detailed and any(attribute.default is NOTHING for attribute in fields(record)):
        return read  # it asks for a required field by name, which only an object answers
    return lambda value, kind: read(strict.json_object(value), kind)


def _reader(dialect: Dialect, record: type, converter: Converter) -> _Reader:
    """Make a reader of a record, with what annotations cannot say."""
    read = _record_reader(dialect, record, converter)
    if record is DayByDayMetrics:
        foreign, period = dialect.foreign, dialect.value
        return lambda value, kind: read(_own_figures(strict.json_object(value), foreign, period), kind)
    if record is Property:
        return lambda value, _: _property(strict.json_object(value), read)
    if issubclass(record, KnownAppliance):
        return lambda value, _: _with_extra(strict.json_object(value), read, record)
    return read


def _own_figures(metrics: dict[str, object], foreign: frozenset[str], period: str) -> dict[str, object]:
    if not foreign.isdisjoint(metrics):
        names = ", ".join(sorted(foreign.intersection(metrics)))
        raise ValueError(f"a report of a {period} has no {names}")
    return metrics


def _property(sent: dict[str, object], read: Callable[[object, type[Property]], Property]) -> Property:
    """Read INDUSTRY, as the documentation's example has it, as the INDUSTRIAL of its table."""
    if sent.get("property_type") != LEGACY_INDUSTRY:
        return read(sent, Property)
    view = read({**sent, "property_type": PropertyType.INDUSTRIAL.value}, Property)
    return evolve(view, legacy_industry=True)


A = TypeVar("A", bound=KnownAppliance)


def _with_extra(sent: dict[str, object], read: Callable[[object, type[A]], A], record: type[A]) -> A:
    """Read an appliance, and keep the fields that this version does not know."""
    known = read(sent, record)
    documented = record.wire_names()
    extra = {name: value for name, value in sent.items() if name not in documented}
    return evolve(known, extra=extra) if extra else known


def _appliance_reader(_: object, converter: Converter) -> _Reader:
    """Make a reader of one appliance: where only its types are as documented, it is kept as it came."""
    required = {key: record.wire_names() for key, record in KNOWN_APPLIANCES.items()}

    def read(value: object, _: object) -> KnownAppliance | UnknownAppliance:
        sent = strict.json_object(value)
        key = strict.text_in(sent, "key")
        record = KNOWN_APPLIANCES.get(key)
        if record is None or not required[key].issubset(sent):
            return UnknownAppliance(key, sent)
        try:
            return converter.structure(sent, record)
        except (*_UNFIT, BaseValidationError) as error:
            if _is_about_types(error):
                raise
        return UnknownAppliance(key, sent)

    return read


def _is_about_types(error: Exception) -> bool:
    """Tell a wrong JSON type from what only the record's own checks refuse, as a value of a later API."""
    return isinstance(error, Unfit) or (
        isinstance(error, BaseValidationError) and error.subgroup(Unfit) is not None
    )


def _writer(dialect: Dialect, record: type, converter: Converter) -> _Writer:
    """Make a writer of a record, in words of the wire."""
    write: Callable[[Any], dict[str, object]] = make_dict_unstructure_fn(
        record,
        converter,
        _cattrs_omit_if_default=record is Property,  # a view of an office has no empty home in it
        _cattrs_use_linecache=True,
        _cattrs_use_alias=False,
        _cattrs_include_init_false=False,
        **_words(record, dialect),
    )
    if issubclass(record, KnownAppliance):
        return lambda known: {"key": known.key, **write(known), **known.extra}
    if issubclass(record, Property | HomeProperty | BusinessProperty):
        return lambda some: _with_property_type(some.wire_property_type, write(some))
    if record is UnknownAppliance:
        return lambda unknown: dict(unknown.raw)
    return write


def _with_property_type(word: str, words: dict[str, object]) -> dict[str, object]:
    """Put the property's type first, as the documentation does, and in its own word."""
    return {"property_type": word} | words | {"property_type": word}


def _finite(value: float) -> float:
    if not isfinite(value):
        raise ValueError("JSON has no number that is not finite")
    return value


DEVICE_IDS: Final[Codec[tuple[DeviceId, ...]]] = Codec(read_device_ids, scan_device_ids, write_device_ids)
DEVICE: Final = _codec(Device)
DISAGGREGATION: Final = _codec(Disaggregation)
MONTH_BY_WEEKS: Final = _codec(MonthByWeeks)
CYCLES: Final = _codec(tuple[ApplianceCycles, ...])
MONTH_REPORT: Final = _codec(Report)
WEEK_REPORT: Final = _codec(Report, Dialect.WEEK)
PROPERTY: Final = _codec(Property, private=True)
APPLIANCES: Final = _codec(Appliances, private=True)
GEOLOCATION: Final = _codec(Geolocation, private=True)
TOKEN_GRANT: Final = _codec(TokenGrant, private=True)
