"""Grants and metadata: what is refused, and that no refusal repeats what was sent."""

from __future__ import annotations

import json
import traceback

import pytest

from voltaware_async.protocol import codec
from voltaware_async.protocol.codec import Codec, Malformed, TokenGrant
from voltaware_async.records.appliances import Appliances, OtherAppliance
from voltaware_async.records.metadata import Geolocation

PLANTED = "PLANTED-51.509865"


def refusal(of: Codec[object], sent: object) -> Malformed:
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    with pytest.raises(Malformed) as caught:
        of.decode(body)
    return caught.value


def grant(**changes: object) -> dict[str, object]:
    return {
        "access_token": "a",
        "token_type": "Bearer",
        "expires_in_secs": 43200,
        "refresh_token": "r",
    } | changes


def granted(**changes: object) -> TokenGrant:
    return codec.TOKEN_GRANT.decode(json.dumps(grant(**changes)).encode())


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_is_a_bearer_in_any_case(kind: str) -> None:
    """T14."""
    assert granted(token_type=kind) == TokenGrant("a", 43200.0, "r")


@pytest.mark.parametrize("kind", ["mac", "", None, 1])
def test_another_type_of_token_is_refused(kind: object) -> None:
    """T14."""
    assert refusal(codec.TOKEN_GRANT, grant(token_type=kind)).json_path == "$.token_type"


@pytest.mark.parametrize(
    ("lives", "seconds"),
    [
        ({"expires_in_secs": 60}, 60.0),
        ({"expires_in_secs": 0.5}, 0.5),
        ({"expires_in": 60}, 60.0),
        ({"expires_in_secs": 60, "expires_in": 3600}, 60.0),
        ({"expires_in_secs": "43200", "expires_in": 3600}, 3600.0),
        ({"expires_in_secs": "43200"}, None),
        ({"expires_in_secs": 0}, None),
        ({"expires_in_secs": -1}, None),
        ({"expires_in_secs": None}, None),
        ({"expires_in_secs": True}, None),
        ({"expires_in_secs": []}, None),
        ({}, None),
    ],
)
def test_the_life_of_a_token_has_two_names_and_may_be_unknown(
    lives: dict[str, object], seconds: float | None
) -> None:
    """T01."""
    body = {"access_token": "a", "token_type": "Bearer"} | lives
    assert codec.TOKEN_GRANT.decode(json.dumps(body).encode()).expires_in_s == seconds


def test_a_life_that_overflows_is_no_json() -> None:
    """T01, F62: orjson refuses the whole reply, and there is no second parser."""
    body = b'{"access_token":"a","token_type":"Bearer","expires_in_secs":1e400}'
    assert "number is infinity" in refusal(codec.TOKEN_GRANT, body).reason


@pytest.mark.parametrize("refresh", ["", None])
def test_no_refresh_token_is_none(refresh: object) -> None:
    """T03."""
    assert granted(refresh_token=refresh).refresh_token is None


@pytest.mark.parametrize("token", ["", "a b", "a\nX-Evil: 1", "é", "\x7f", 7, None, [], {}])
def test_what_cannot_be_a_header_is_no_token(token: object) -> None:
    assert refusal(codec.TOKEN_GRANT, grant(access_token=token)).json_path == "$.access_token"
    if token not in ("", None):
        assert refusal(codec.TOKEN_GRANT, grant(refresh_token=token)).json_path == "$.refresh_token"


@pytest.mark.parametrize("name", ["access_token", "token_type"])
def test_a_grant_without_its_fields_is_refused(name: str) -> None:
    sent = grant()
    del sent[name]
    assert refusal(codec.TOKEN_GRANT, sent).reason == f"the field '{name}' is missing"


def test_a_grant_is_written_without_what_it_lacks() -> None:
    assert codec.TOKEN_GRANT.encode(TokenGrant("a")) == b'{"access_token":"a","token_type":"Bearer"}'


def test_a_grants_repr_shows_no_token() -> None:
    assert repr(TokenGrant(PLANTED, 1.0, PLANTED)) == "TokenGrant(expires_in_s=1.0)"


AC_ITEM = {"key": "AC", "amount": 1, "type": "WINDOW", "usage_type": "BOTH"}


def listed(**changes: object) -> dict[str, object]:
    return {"appliances": [AC_ITEM, AC_ITEM | changes], "version": "1.0"}


@pytest.mark.parametrize(
    ("of", "sent", "path"),
    [
        (codec.TOKEN_GRANT, grant(token_type=PLANTED), "$.token_type"),
        (codec.TOKEN_GRANT, grant(access_token=f"{PLANTED} "), "$.access_token"),
        (codec.TOKEN_GRANT, f'{{"access_token":"{PLANTED}",'.encode(), "$"),
        (codec.TOKEN_GRANT, f'{{"access_token":"{PLANTED}\xff"'.encode("latin-1"), "$"),
        (codec.PROPERTY, {"property_type": "HOME", "home_size": PLANTED}, "$.home_size"),
        (codec.PROPERTY, {"property_type": "HOME", "version": 1}, "$.version"),
        (codec.PROPERTY, {"property_type": "HOME", "bedroom_amount": 2.0}, "$.bedroom_amount"),
        (codec.PROPERTY, {"property_type": ["HOME"]}, "$.property_type"),
        (codec.PROPERTY, {"home_type": PLANTED}, "$.property_type"),
        (codec.PROPERTY, PLANTED, "$"),
        (codec.PROPERTY, {"property_type": "HOME", "people": PLANTED}, "$.people"),
        (codec.PROPERTY, {"property_type": "HOME", "people": [{"age_range": PLANTED}]}, "$.people[0].amount"),
        (
            codec.PROPERTY,
            {"property_type": "HOME", "people": [{"age_range": "ADULT", "amount": PLANTED}]},
            "$.people[0].amount",
        ),
        (codec.GEOLOCATION, {"latitude": PLANTED, "longitude": 1}, "$.latitude"),
        (codec.GEOLOCATION, {"latitude": 1, "longitude": True}, "$.longitude"),
        (codec.GEOLOCATION, {"latitude": 1}, "$.longitude"),
        (codec.GEOLOCATION, {"latitude": 1, "longitude": None}, "$.longitude"),
        (codec.APPLIANCES, listed(amount=PLANTED), "$.appliances[1].amount"),
        (codec.APPLIANCES, listed(amount=1.0), "$.appliances[1].amount"),
        (codec.APPLIANCES, listed(amount=PLANTED, type="NEW"), "$.appliances[1].amount"),
        (codec.APPLIANCES, listed(type=7), "$.appliances[1].type"),
        (codec.APPLIANCES, listed(key="KETTLE", amount=True), "$.appliances[1].amount"),
        (
            codec.APPLIANCES,
            listed(key="GAS_HEATING", any_electric_heater="NO"),
            "$.appliances[1].any_electric_heater",
        ),
        (
            codec.APPLIANCES,
            listed(key="ELECTRIC_VEHICLE", type="CAR", wattages=[7200, PLANTED]),
            "$.appliances[1].wattages[1]",
        ),
        (
            codec.APPLIANCES,
            listed(key="ELECTRIC_VEHICLE", type="CAR", wattages="7200"),
            "$.appliances[1].wattages",
        ),
        (codec.APPLIANCES, listed(key="OTHER", name=[PLANTED]), "$.appliances[1].name"),
        (codec.APPLIANCES, listed(key=None), "$.appliances[1].key"),
        (codec.APPLIANCES, {"appliances": [{"amount": 1}]}, "$.appliances[0].key"),
        (codec.APPLIANCES, {"appliances": {"key": "AC"}}, "$.appliances"),
        (codec.APPLIANCES, {"appliances": [PLANTED]}, "$.appliances[0]"),
        (codec.APPLIANCES, {"appliances": [], "version": 1}, "$.version"),
    ],
)
def test_a_refusal_names_the_place_and_never_the_value(of: Codec[object], sent: object, path: str) -> None:
    """T41, T46, T57, T59: not in the message, not in the traceback with its chained errors."""
    refused = refusal(of, sent)
    assert refused.json_path == path
    told = "".join(traceback.format_exception(refused)) + repr(refused)
    assert PLANTED not in told
    assert refused.__context__ is None


@pytest.mark.parametrize(("latitude", "longitude"), [(90.0001, 0), (-91, 0), (0, 180.5), (0, -181)])
def test_a_place_off_the_globe_is_refused(latitude: float, longitude: float) -> None:
    """T57."""
    refused = refusal(codec.GEOLOCATION, {"latitude": latitude, "longitude": longitude})
    assert refused.reason in {"latitude must be -90 to 90", "longitude must be -180 to 180"}


def test_json_that_could_not_be_written_back_is_refused() -> None:
    """T55: orjson reads deeper than it writes."""
    deep = {"appliances": [{"key": "ROBOT", "deep": json.loads("[" * 300 + "]" * 300)}]}
    assert "nested deeper" in refusal(codec.APPLIANCES, deep).reason
    deep["appliances"][0]["key"] = "KETTLE"
    assert "nested deeper" in refusal(codec.APPLIANCES, deep).reason


def test_an_unwritable_record_is_a_value_error_that_holds_no_value() -> None:
    """T50."""
    name = OtherAppliance(amount=2**70, name="x")
    with pytest.raises(ValueError, match="64-bit") as caught:
        codec.APPLIANCES.encode(Appliances((name,)))
    assert caught.value.__context__ is None


def test_coordinates_survive_exactly() -> None:
    """T57."""
    here = Geolocation(latitude=0.1 + 0.2, longitude=-179.99999999999997)
    assert codec.GEOLOCATION.decode(codec.GEOLOCATION.encode(here)) == here
    poles = codec.GEOLOCATION.decode(b'{"latitude":-90,"longitude":180}')
    assert (poles.latitude, poles.longitude) == (-90.0, 180.0)
