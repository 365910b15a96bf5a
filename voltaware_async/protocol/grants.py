"""What `/auth/token` and `/auth/token/refresh` grant.

Source: Authentication.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from voltaware_async.protocol import strict
from voltaware_async.protocol.malformed import MISSING, Unfit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TokenGrant", "grant_object", "is_token", "read_grant"]

# The documentation's own name first, then that of RFC 6749.
_LIFE_NAMES: Final = ("expires_in_secs", "expires_in")


@frozen
class TokenGrant:
    """Hold a granted token; its repr shows none of it.

    `expires_in_s` is None where the API did not say, or not in a way that can be used. `refresh_token` is
    None for a refresh: its documented reply has none, and the old one stays valid.

    Source: Authentication, Access Token and Refresh Token.
    """

    access_token: str = field(repr=False)
    expires_in_s: float | None = None
    refresh_token: str | None = field(default=None, repr=False)


def read_grant(value: object, _: object = None) -> TokenGrant:
    """Read a grant."""
    reply = strict.json_object(value)
    kind = strict.text_in(reply, "token_type")
    if kind.lower() != "bearer":
        raise Unfit("the token type Bearer", kind, ".token_type")
    refresh = reply.get("refresh_token")
    return TokenGrant(
        access_token=_token(reply.get("access_token", MISSING), ".access_token"),
        expires_in_s=_life(reply),
        refresh_token=None if refresh is None or refresh == "" else _token(refresh, ".refresh_token"),
    )


def grant_object(grant: TokenGrant) -> dict[str, object]:
    """Word a grant as the API does; what is None is left out."""
    words = {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in_secs": grant.expires_in_s,
        "refresh_token": grant.refresh_token,
    }
    return {name: value for name, value in words.items() if value is not None}


def is_token(text: str) -> bool:
    """Tell whether a text can be a token: printable ASCII, since it goes into a header."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def _token(value: object, at: str) -> str:
    if type(value) is str and is_token(value):
        return value
    raise Unfit("a token of printable ASCII", value, at)


def _life(reply: Mapping[str, object]) -> float | None:
    """Read how long a token lives, in seconds; what makes no sense counts as not said."""
    for name in _LIFE_NAMES:
        life = reply.get(name)
        if isinstance(life, int | float) and not isinstance(life, bool) and isfinite(life) and life > 0:
            return float(life)
    return None
