"""Property and geolocation: what may be written, and that reprs tell nothing of a home."""

from __future__ import annotations

import json
import math

import pytest
from attrs import evolve

from voltaware_async.errors import IncompleteError
from voltaware_async.protocol.codec import PROPERTY, encode_property_update
from voltaware_async.records.metadata import (
    AgeRange,
    BusinessProperty,
    Geolocation,
    HomeProperty,
    HomeType,
    HomeUsageType,
    Person,
    PowerGeneratorSource,
    Property,
    PropertyType,
)

HOME = HomeProperty(
    home_type=HomeType.FLAT,
    home_usage_type=HomeUsageType.SECONDARY,
    home_size=49.8,
    bedroom_amount=1,
    power_generator_source=PowerGeneratorSource.WIND,
    people_amount=1,
    people_amount_in_day_time=0,
    people=(),
)
VIEW = Property(
    property_type=PropertyType.HOME,
    home_type=HomeType.FLAT,
    home_size=49.8,
    bedroom_amount=2,
    power_generator_source=PowerGeneratorSource.SOLAR,
    people_amount=2,
    people_amount_in_day_time=0,
    people=(Person(AgeRange.ADULT, 2),),
)


# --- updates of a home ------------------------------------------------------------------------------


def test_no_people_are_written_as_an_empty_list() -> None:
    """T37."""
    assert b'"people":[]' in encode_property_update(HOME)
    assert evolve(HOME, people=[]) == HOME


@pytest.mark.parametrize(
    ("name", "minimum"), [("bedroom_amount", 1), ("people_amount", 1), ("people_amount_in_day_time", 0)]
)
def test_the_documented_minima_hold(name: str, minimum: int) -> None:
    """T38."""
    assert getattr(evolve(HOME, **{name: minimum}), name) == minimum
    with pytest.raises(ValueError, match=f"{name} must be at least {minimum}"):
        evolve(HOME, **{name: minimum - 1})


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
@pytest.mark.parametrize("name", ["bedroom_amount", "people_amount", "people_amount_in_day_time"])
def test_a_count_is_an_int_and_nothing_like_it(name: str, value: object) -> None:
    """T38, T40."""
    with pytest.raises(TypeError, match=f"{name} must be an int"):
        evolve(HOME, **{name: value})


@pytest.mark.parametrize("value", [True, "80", None])
def test_a_size_is_a_number(value: object) -> None:
    """T40."""
    with pytest.raises(TypeError, match="home_size must be a number"):
        evolve(HOME, home_size=value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_size_is_finite(value: float) -> None:
    """T40."""
    with pytest.raises(ValueError, match="home_size must be finite"):
        evolve(HOME, home_size=value)


def test_a_whole_size_is_the_same_as_its_float() -> None:
    """T40: and no sign is asked of it, the documentation names no minimum."""
    assert evolve(HOME, home_size=80) == evolve(HOME, home_size=80.0)
    assert evolve(HOME, home_size=-1).home_size == -1


def test_people_that_do_not_add_up_are_the_apis_to_judge() -> None:
    """T39."""
    odd = evolve(HOME, people_amount_in_day_time=9, people=[Person(AgeRange.PENSIONER, -4)])
    assert json.loads(encode_property_update(odd))["people"] == [{"age_range": "PENSIONER", "amount": -4}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("home_type", "FLAT"),
        ("home_type", "CASTLE"),
        ("home_usage_type", None),
        ("power_generator_source", HomeType.FLAT),
        ("people", "ab"),
        ("people", [{"age_range": "ADULT", "amount": 1}]),
        ("people", [Person("TEEN", 1)]),
        ("version", 1),
    ],
)
def test_closed_sets_are_closed_when_written(name: str, value: object) -> None:
    """T36, T41: members only, not their texts."""
    with pytest.raises(TypeError, match=name):
        evolve(HOME, **{name: value})


@pytest.mark.parametrize("source", PowerGeneratorSource)
def test_every_generator_may_be_written(source: PowerGeneratorSource) -> None:
    """T36: whatever the prose says of producers."""
    assert json.loads(encode_property_update(evolve(HOME, power_generator_source=source)))[
        "power_generator_source"
    ] == str(source)


def test_a_person_is_counted_by_an_int() -> None:
    with pytest.raises(TypeError, match="amount must be an int"):
        Person(AgeRange.ADULT, amount=True)


# --- updates of a business --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PropertyType.OFFICE, PropertyType.COMMERCIAL, PropertyType.INDUSTRIAL])
def test_a_business_is_written_with_exactly_three_keys(kind: PropertyType) -> None:
    """T34, T35: the table's word."""
    update = BusinessProperty(property_type=kind, power_generator_source=PowerGeneratorSource.NONE)
    expected = f'{{"property_type":"{kind}","power_generator_source":"NONE","version":"1.0"}}'
    assert encode_property_update(update) == expected.encode()


def test_a_home_is_no_business() -> None:
    with pytest.raises(ValueError, match="HomeProperty"):
        BusinessProperty(property_type=PropertyType.HOME, power_generator_source=PowerGeneratorSource.NONE)


@pytest.mark.parametrize("kind", ["OFFICE", None])
def test_the_type_of_a_business_is_a_member(kind: object) -> None:
    with pytest.raises(TypeError, match="property_type"):
        BusinessProperty(property_type=kind, power_generator_source=PowerGeneratorSource.NONE)


def test_the_legacy_word_is_for_industry_only() -> None:
    """T34."""
    with pytest.raises(ValueError, match="INDUSTRIAL"):
        BusinessProperty(
            property_type=PropertyType.OFFICE,
            power_generator_source=PowerGeneratorSource.NONE,
            legacy_industry=True,
        )
    with pytest.raises(ValueError, match="INDUSTRIAL"):
        Property(property_type="INDUSTRY", legacy_industry=True)
    with pytest.raises(TypeError, match="True or False"):
        Property(property_type=PropertyType.INDUSTRIAL, legacy_industry=1)


# --- from a view to an update -----------------------------------------------------------------------


def test_the_documented_view_is_completed_by_what_it_lacks() -> None:
    """T33."""
    with pytest.raises(IncompleteError) as caught:
        VIEW.to_update()
    assert caught.value.missing == ("home_usage_type",)
    update = VIEW.to_update(home_usage_type=HomeUsageType.PRIMARY)
    assert isinstance(update, HomeProperty)
    assert update.people == (Person(AgeRange.ADULT, 2),)
    sent, viewed = json.loads(encode_property_update(update)), json.loads(PROPERTY.encode(VIEW))
    assert sent == viewed | {"home_usage_type": "PRIMARY", "version": "1.0"}


def test_every_missing_field_is_named_in_the_order_of_the_wire() -> None:
    with pytest.raises(IncompleteError) as caught:
        Property(property_type=PropertyType.HOME).to_update()
    assert caught.value.missing == (
        "home_type",
        "home_usage_type",
        "home_size",
        "bedroom_amount",
        "power_generator_source",
        "people_amount",
        "people_amount_in_day_time",
        "people",
    )


def test_what_is_given_stands_instead_of_what_was_viewed() -> None:
    """A zero and an empty list are given too."""
    update = VIEW.to_update(
        home_type=HomeType.HOUSE,
        home_usage_type=HomeUsageType.PRIMARY,
        home_size=80,
        bedroom_amount=3,
        power_generator_source=PowerGeneratorSource.NONE,
        people_amount=4,
        people_amount_in_day_time=0,
        people=[],
    )
    assert update == HomeProperty(
        home_type=HomeType.HOUSE,
        home_usage_type=HomeUsageType.PRIMARY,
        home_size=80,
        bedroom_amount=3,
        power_generator_source=PowerGeneratorSource.NONE,
        people_amount=4,
        people_amount_in_day_time=0,
        people=(),
    )


def test_words_that_this_version_cannot_write_count_as_missing() -> None:
    new = evolve(VIEW, home_type="TENT", home_usage_type="RARE", people=(Person("TEEN", 1),))
    with pytest.raises(IncompleteError) as caught:
        new.to_update()
    assert caught.value.missing == ("home_type", "home_usage_type", "people")


def test_a_view_of_a_business_becomes_a_business() -> None:
    office = Property(property_type=PropertyType.OFFICE)
    with pytest.raises(IncompleteError) as caught:
        office.to_update()
    assert caught.value.missing == ("power_generator_source",)
    update = office.to_update(power_generator_source=PowerGeneratorSource.WIND)
    assert update == BusinessProperty(
        property_type=PropertyType.OFFICE, power_generator_source=PowerGeneratorSource.WIND
    )


def test_a_type_of_a_later_api_cannot_be_written() -> None:
    with pytest.raises(IncompleteError) as caught:
        Property(property_type="BARN", power_generator_source=PowerGeneratorSource.WIND).to_update()
    assert caught.value.missing == ("property_type",)


def test_a_view_itself_is_not_sent() -> None:
    """T33."""
    with pytest.raises(TypeError, match="to_update"):
        encode_property_update(VIEW)


# --- geolocation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(-90, -180), (90.0, 180.0), (0, 0), (51.509865, -0.118092)]
)
def test_a_place_on_the_globe_is_kept_exactly(latitude: float, longitude: float) -> None:
    """T57."""
    here = Geolocation(latitude=latitude, longitude=longitude)
    assert (here.latitude, here.longitude) == (latitude, longitude)


@pytest.mark.parametrize("value", [90.0001, -90.0001, math.nan, math.inf, -math.inf, 10**400])
def test_a_latitude_is_finite_and_on_the_globe(value: float) -> None:
    """T57."""
    with pytest.raises(ValueError, match=r"latitude must be (finite|-90 to 90)"):
        Geolocation(latitude=value, longitude=0)


@pytest.mark.parametrize("value", [180.0001, -180.0001, math.nan])
def test_a_longitude_is_finite_and_on_the_globe(value: float) -> None:
    """T57."""
    with pytest.raises(ValueError, match=r"longitude must be (finite|-180 to 180)"):
        Geolocation(latitude=0, longitude=value)


@pytest.mark.parametrize("value", ["51.5", True, None])
def test_a_coordinate_is_a_number(value: object) -> None:
    """T57."""
    with pytest.raises(TypeError, match="latitude must be a number"):
        Geolocation(latitude=value, longitude=0)


def test_coordinates_are_named_so_that_they_cannot_be_swapped() -> None:
    """T57."""
    with pytest.raises(TypeError):
        Geolocation(51.5, -0.1)


# --- personal data ----------------------------------------------------------------------------------


def test_reprs_are_coarse() -> None:
    """T59."""
    assert repr(Geolocation(latitude=51.509865, longitude=-0.118092)) == (
        "Geolocation(latitude=51.5…, longitude=-0.1…)"
    )
    assert repr(VIEW) == (
        "Property(property_type=<PropertyType.HOME: 'HOME'>, version=None, legacy_industry=False)"
    )
    assert repr(HOME) == "HomeProperty(version='1.0')"
    assert repr(Person(AgeRange.ADULT, 2)) == "Person()"


@pytest.mark.parametrize("value", [90.1234567, "51.5098765"])
def test_a_refused_coordinate_is_not_repeated(value: object) -> None:
    """T59."""
    with pytest.raises((TypeError, ValueError)) as caught:
        Geolocation(latitude=value, longitude=0)
    assert str(value) not in str(caught.value)
