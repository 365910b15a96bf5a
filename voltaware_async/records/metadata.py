"""Metadata of a device: the property that it measures, and where it stands.

Household and coordinates are personal data: the reprs of these records are coarse.

Source: Metadata.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias, TypeVar

from attrs import field, fields, frozen

from voltaware_async.errors import IncompleteError
from voltaware_async.records.argument_checks import flag, member_of, number, text, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LEGACY_INDUSTRY",
    "METADATA_VERSION",
    "AgeRange",
    "BusinessProperty",
    "Geolocation",
    "HomeProperty",
    "HomeType",
    "HomeUsageType",
    "Person",
    "PowerGeneratorSource",
    "Property",
    "PropertyType",
    "PropertyUpdate",
]

METADATA_VERSION: Final = "1.0"

LEGACY_INDUSTRY: Final = "INDUSTRY"

T = TypeVar("T")


class PropertyType(StrEnum):
    """Name what a property is used for.

    Hazard: the documentation's table says INDUSTRIAL, its example INDUSTRY; see `legacy_industry`.
    """

    HOME = "HOME"
    OFFICE = "OFFICE"
    COMMERCIAL = "COMMERCIAL"
    INDUSTRIAL = "INDUSTRIAL"


class HomeType(StrEnum):
    """Name the building that a home is."""

    FLAT = "FLAT"
    HOUSE = "HOUSE"


class HomeUsageType(StrEnum):
    """Tell whether people mainly live in a home."""

    PRIMARY = "PRIMARY"
    SECONDARY = "SECONDARY"


class PowerGeneratorSource(StrEnum):
    """Name what a property generates power by.

    The API takes them all, and says elsewhere that it does not support users that produce energy.
    """

    SOLAR = "SOLAR"
    HYDROELECTRICITY = "HYDROELECTRICITY"
    WIND = "WIND"
    BATTERY = "BATTERY"
    OTHER = "OTHER"
    NONE = "NONE"


class AgeRange(StrEnum):
    """Name an age group."""

    ZERO_TO_FIVE = "ZERO_TO_FIVE"
    SIX_TO_EIGHTEEN = "SIX_TO_EIGHTEEN"
    ADULT = "ADULT"
    PENSIONER = "PENSIONER"


@frozen
class Person:
    """Count the people of one age group in a home; an age group of a later API passes as its text.

    Source: Metadata, Property, people[].
    """

    age_range: AgeRange | str = field(repr=False)
    amount: int = field(validator=whole(), repr=False)


def _people(people: Iterable[Person]) -> tuple[Person, ...]:
    return tuple(people)


def _writable_people(_record: object, _field: object, people: tuple[object, ...]) -> None:
    if not all(isinstance(person, Person) for person in people):
        raise TypeError("people must be Person records")
    if not _is_writable(people):
        raise TypeError("the age_range of each of the people must be a member of AgeRange")


@frozen(kw_only=True)
class HomeProperty:
    """Set up a home; everything is required, and `people` may be empty.

    `home_size` is in square metres; `bedroom_amount` and `people_amount` are at least 1,
    `people_amount_in_day_time` at least 0. Whether the people add up is the API's to judge.

    Source: Metadata, Property, Set up property details.
    """

    property_type: ClassVar[PropertyType] = PropertyType.HOME
    wire_property_type: ClassVar[str] = PropertyType.HOME

    home_type: HomeType = field(validator=member_of(HomeType), repr=False)
    home_usage_type: HomeUsageType = field(validator=member_of(HomeUsageType), repr=False)
    home_size: float = field(validator=number(), repr=False)
    bedroom_amount: int = field(validator=whole(1), repr=False)
    power_generator_source: PowerGeneratorSource = field(
        validator=member_of(PowerGeneratorSource), repr=False
    )
    people_amount: int = field(validator=whole(1), repr=False)
    people_amount_in_day_time: int = field(validator=whole(0), repr=False)
    people: tuple[Person, ...] = field(converter=_people, validator=_writable_people, repr=False)
    version: str = field(default=METADATA_VERSION, validator=text)


def _is_industrial_if_legacy(record: BusinessProperty | Property, _field: object, value: object) -> None:
    if value and record.property_type is not PropertyType.INDUSTRIAL:
        raise ValueError("legacy_industry is for an INDUSTRIAL property only")


def _is_a_business(_record: object, _field: object, value: object) -> None:
    if value is PropertyType.HOME:
        raise ValueError("a HOME is set up by HomeProperty")


@frozen(kw_only=True)
class BusinessProperty:
    """Set up an office, a commercial or an industrial property.

    `legacy_industry=True` writes INDUSTRY instead of INDUSTRIAL, as the documentation's example does against
    its own table: for an API that refuses the table's word.

    Source: Metadata, Property, Set up property details.
    """

    property_type: PropertyType = field(validator=[member_of(PropertyType), _is_a_business])
    power_generator_source: PowerGeneratorSource = field(
        validator=member_of(PowerGeneratorSource), repr=False
    )
    version: str = field(default=METADATA_VERSION, validator=text)
    legacy_industry: bool = field(default=False, validator=[flag, _is_industrial_if_legacy])

    @property
    def wire_property_type(self) -> str:
        """The property type as it is sent."""
        return LEGACY_INDUSTRY if self.legacy_industry else self.property_type


PropertyUpdate: TypeAlias = HomeProperty | BusinessProperty


@frozen(kw_only=True)
class Property:
    """Describe a property as the API shows it: it may lack what an update requires.

    Fields are those of `HomeProperty`; values of a later API pass as their text. `legacy_industry` tells that
    the API wrote INDUSTRY for INDUSTRIAL.

    Source: Metadata, Property, View property details.
    """

    property_type: PropertyType | str
    home_type: HomeType | str | None = field(default=None, repr=False)
    home_usage_type: HomeUsageType | str | None = field(default=None, repr=False)
    home_size: float | None = field(default=None, repr=False)
    bedroom_amount: int | None = field(default=None, repr=False)
    power_generator_source: PowerGeneratorSource | str | None = field(default=None, repr=False)
    people_amount: int | None = field(default=None, repr=False)
    people_amount_in_day_time: int | None = field(default=None, repr=False)
    people: tuple[Person, ...] | None = field(default=None, repr=False)
    version: str | None = None
    legacy_industry: bool = field(default=False, validator=[flag, _is_industrial_if_legacy])

    @property
    def wire_property_type(self) -> str:
        """The property type as the API wrote it."""
        return LEGACY_INDUSTRY if self.legacy_industry else self.property_type

    def to_update(
        self,
        *,
        home_type: HomeType | None = None,
        home_usage_type: HomeUsageType | None = None,
        home_size: float | None = None,
        bedroom_amount: int | None = None,
        power_generator_source: PowerGeneratorSource | None = None,
        people_amount: int | None = None,
        people_amount_in_day_time: int | None = None,
        people: Iterable[Person] | None = None,
    ) -> PropertyUpdate:
        """Make an update of this view; what is given stands instead of the view's own.

        IncompleteError names the fields that are still missing, or whose text this version cannot write.
        """
        complete = Property(
            property_type=self.property_type,
            home_type=_either(home_type, self.home_type),
            home_usage_type=_either(home_usage_type, self.home_usage_type),
            home_size=_either(home_size, self.home_size),
            bedroom_amount=_either(bedroom_amount, self.bedroom_amount),
            power_generator_source=_either(power_generator_source, self.power_generator_source),
            people_amount=_either(people_amount, self.people_amount),
            people_amount_in_day_time=_either(people_amount_in_day_time, self.people_amount_in_day_time),
            people=self.people if people is None else tuple(people),
            version=self.version,
            legacy_industry=self.legacy_industry,
        )
        return _home(complete) if complete.property_type is PropertyType.HOME else _business(complete)


def _either(given: T | None, viewed: T | None) -> T | None:
    return viewed if given is None else given


def _home(view: Property) -> HomeProperty:
    if (
        isinstance(view.home_type, HomeType)
        and isinstance(view.home_usage_type, HomeUsageType)
        and view.home_size is not None
        and view.bedroom_amount is not None
        and isinstance(view.power_generator_source, PowerGeneratorSource)
        and view.people_amount is not None
        and view.people_amount_in_day_time is not None
        and view.people is not None
        and _is_writable(view.people)
    ):
        return HomeProperty(
            home_type=view.home_type,
            home_usage_type=view.home_usage_type,
            home_size=view.home_size,
            bedroom_amount=view.bedroom_amount,
            power_generator_source=view.power_generator_source,
            people_amount=view.people_amount,
            people_amount_in_day_time=view.people_amount_in_day_time,
            people=view.people,
        )
    raise IncompleteError("the home's property", _lacking(view, HomeProperty))


def _business(view: Property) -> BusinessProperty:
    if isinstance(view.property_type, PropertyType) and isinstance(
        view.power_generator_source, PowerGeneratorSource
    ):
        return BusinessProperty(
            property_type=view.property_type,
            power_generator_source=view.power_generator_source,
            legacy_industry=view.legacy_industry,
        )
    raise IncompleteError("the property", _lacking(view, BusinessProperty))


def _lacking(view: Property, update: type[PropertyUpdate]) -> tuple[str, ...]:
    """Name the fields of an update that a view lacks, or whose text this version cannot write."""
    names = (a.name for a in fields(update) if a.name != "version")
    return tuple(name for name in names if not _is_writable(getattr(view, name)))


def _is_writable(value: object) -> bool:
    """Tell whether a field of a view may stand in an update: there, and of a kind that this version knows."""
    if isinstance(value, tuple):
        return all(_is_writable(person.age_range) for person in value)
    return value is not None and type(value) is not str


@frozen(kw_only=True)
class Geolocation:
    """Tell where a device stands, in degrees: latitude -90 to 90, longitude -180 to 180, both exact.

    Source: Metadata, Meter geolocation.
    """

    latitude: float = field(validator=number(-90, 90), repr=lambda value: f"{value:.1f}…")
    longitude: float = field(validator=number(-180, 180), repr=lambda value: f"{value:.1f}…")
