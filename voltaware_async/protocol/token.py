"""Tokens: how long one may be used, decided on plain numbers.

Source: Authentication.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from attrs import frozen

from voltaware_async.protocol.grants import is_token
from voltaware_async.protocol.secret import Secret

if TYPE_CHECKING:
    from voltaware_async.protocol.codec import TokenGrant

__all__ = ["StoredToken", "Token"]

# The documentation does not promise that a refresh works before expiry, so it starts early enough to
# be tried several times, and its failure is harmless.
_SOFT_WINDOW_S: Final = 900.0
_HARD_SKEW_S: Final = 60.0
# A life shorter than the windows is divided instead: a 2 s token of a sandbox is still used for 1.8 s.
_SOFT_SHARE: Final = 0.5
_HARD_SHARE: Final = 0.1


@frozen
class Token:
    """Hold an access token and how long it lives.

    `issued_at` is on the loop's monotonic clock; `life_s` is None where the API did not say, and the token
    is then used until it is refused. `login` counts the logins by client credentials: a refreshed token
    belongs to the login that its refresh token came from.
    """

    access: Secret
    refresh: Secret | None
    issued_at: float
    life_s: float | None
    login: int = 0

    @property
    def usable_until(self) -> float:
        """When it stops being sent: a little before it expires; never, for an unknown life."""
        return self._before_its_end(_HARD_SKEW_S, _HARD_SHARE)

    @property
    def fresh_until(self) -> float:
        """When it begins to be refreshed while it still works."""
        if self.refresh is None:
            return self.usable_until
        return self._before_its_end(_SOFT_WINDOW_S, _SOFT_SHARE)

    def _before_its_end(self, window_s: float, share: float) -> float:
        if self.life_s is None:
            return inf
        return self.issued_at + self.life_s - min(window_s, self.life_s * share)

    @classmethod
    def granted(cls, grant: TokenGrant, previous: Token | None, now: float, login: int) -> Token:
        """Make a token of a grant; a grant without a refresh token keeps the previous one.

        Source: Authentication, Refresh Token: its response body has no refresh_token.
        """
        refresh = Secret(grant.refresh_token) if grant.refresh_token else None
        return cls(
            access=Secret(grant.access_token),
            refresh=refresh or (previous.refresh if previous else None),
            issued_at=now,
            life_s=grant.expires_in_s,
            login=login,
        )


@frozen
class StoredToken:
    """Hold a token as a token store keeps it: bound to one API and one client.

    `expires_at` is in seconds of Unix time; None where the API did not say.
    """

    base_url: str
    client_id: str
    access: Secret
    refresh: Secret | None
    expires_at: float | None

    @property
    def is_sound(self) -> bool:
        """Whether it can be sent: what was kept may have been spoilt since."""
        return is_token(self.access.reveal()) and (self.refresh is None or is_token(self.refresh.reveal()))
