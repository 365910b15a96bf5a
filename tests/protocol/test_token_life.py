"""How long a token may be used: plain numbers, no clock."""

from __future__ import annotations

import pickle
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.protocol.grants import TokenGrant
from voltaware_async.protocol.secret import Secret
from voltaware_async.protocol.token import StoredToken, Token

lives = st.floats(min_value=1e-3, max_value=1e7)
starts = st.floats(min_value=0, max_value=1e7)

TWELVE_HOURS = 43_200.0


def token(life_s: float | None, *, at: float = 0.0, refresh: str | None = "refresh") -> Token:
    return Token(Secret("access"), refresh and Secret(refresh), issued_at=at, life_s=life_s)


def test_a_token_of_twelve_hours_is_renewed_15_minutes_and_dropped_1_minute_before_its_end() -> None:
    known = token(TWELVE_HOURS, at=100.0)
    assert known.fresh_until == 100.0 + TWELVE_HOURS - 900
    assert known.usable_until == 100.0 + TWELVE_HOURS - 60


@pytest.mark.parametrize(
    ("life_s", "fresh_until", "usable_until"),
    [
        (2.0, 1.0, 1.8),
        (60.0, 30.0, 54.0),
        (600.0, 300.0, 540.0),
        (1_800.0, 900.0, 1_740.0),
        (3_600.0, 2_700.0, 3_540.0),
    ],
)
def test_a_life_shorter_than_the_windows_is_divided(
    life_s: float, fresh_until: float, usable_until: float
) -> None:
    assert token(life_s).fresh_until == pytest.approx(fresh_until)
    assert token(life_s).usable_until == pytest.approx(usable_until)


def test_a_token_of_unknown_life_is_used_until_it_is_refused() -> None:
    assert token(None).fresh_until == token(None).usable_until == inf


def test_a_token_without_a_refresh_token_is_not_renewed_ahead_of_time() -> None:
    alone = token(TWELVE_HOURS, refresh=None)
    assert alone.fresh_until == alone.usable_until == TWELVE_HOURS - 60


def test_a_kept_token_that_has_expired_is_neither_fresh_nor_usable() -> None:
    assert token(0.0, at=5.0).fresh_until == token(0.0, at=5.0).usable_until == 5.0


@given(lives, starts)
def test_a_token_expires_earlier_than_the_api_says_never_later(life_s: float, at: float) -> None:
    """F16: a well-known client shipped the wrong sign."""
    known = token(life_s, at=at)
    assert at <= known.fresh_until <= known.usable_until <= at + life_s


@given(lives)
def test_at_least_half_of_a_life_is_used_before_it_is_renewed(life_s: float) -> None:
    assert token(life_s).fresh_until >= life_s / 2 * (1 - 1e-9)


@pytest.mark.parametrize("absent", [None, ""])
def test_a_grant_without_a_refresh_token_keeps_the_one_before(absent: str | None) -> None:
    before = token(10.0, refresh="original")
    after = Token.granted(TokenGrant("next", 20.0, absent), before, 7.0, 3)
    assert after == Token(Secret("next"), Secret("original"), issued_at=7.0, life_s=20.0, login=3)


def test_a_grant_with_a_refresh_token_replaces_the_one_before() -> None:
    before = token(10.0, refresh="original")
    assert Token.granted(TokenGrant("next", 20.0, "rotated"), before, 7.0, 3).refresh == Secret("rotated")


def test_a_first_grant_without_a_refresh_token_has_none() -> None:
    assert Token.granted(TokenGrant("first", 20.0), None, 0.0, 1).refresh is None


def test_no_form_of_a_token_shows_its_secrets() -> None:
    stored = StoredToken("https://api.example", "client", Secret("PLANTED-A"), Secret("PLANTED-R"), 1.0)
    known = Token(Secret("PLANTED-A"), Secret("PLANTED-R"), 0.0, 1.0)
    for secretive in (stored, known):
        assert "PLANTED" not in f"{secretive} {secretive!r}"
        with pytest.raises(TypeError, match="not to be pickled"):
            pickle.dumps(secretive)
