"""Credentials and tokens: who may call, for how long, and which devices a login knows."""

import secrets
from collections.abc import Callable
from hmac import compare_digest
from typing import NotRequired, TypedDict

from attrs import define, frozen

from voltaware_async.sandbox.replies import RefusedError


class TokenBody(TypedDict):
    """The reply of /auth/token; a refresh leaves out the refresh token, as documented."""

    access_token: str
    token_type: str
    expires_in_secs: float | int
    refresh_token: NotRequired[str]


@frozen
class Credentials:
    """What Voltaware issues to a customer."""

    client_id: str
    client_secret: str


@frozen
class Login:
    """One POST /auth/token; tokens refreshed from it know no more devices than it did."""

    registered: int


@frozen
class RefreshPolicy:
    """What a refresh does to the refresh token; the documentation's example shows neither."""

    rotate: bool = False
    send: bool = False


@define
class _Access:
    login: Login
    expires_at: float


class Logins:
    """Issue access tokens and tell whose they are.

    Args:
        credentials: the only ones accepted.
        token_ttl: the life of an access token, in seconds.
        policy: what a refresh does to the refresh token.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        token_ttl: float,
        policy: RefreshPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._credentials = credentials
        self._token_ttl = token_ttl
        self._policy = policy
        self._clock = clock
        self._access: dict[str, _Access] = {}
        self._refresh: dict[str, Login] = {}
        self._revoked = False

    def log_in(self, client_id: str, client_secret: str, *, registered: int) -> TokenBody:
        """Return an access and a refresh token for credentials; 401 if they are wrong or revoked."""
        if self._revoked or not self._matches(client_id, client_secret):
            raise RefusedError(401, "The client credentials are not accepted")
        login = Login(registered)
        body = self._issue(login)
        body["refresh_token"] = self._issue_refresh(login)
        return body

    def refresh(self, client_id: str, refresh_token: str) -> TokenBody:
        """Return an access token of the same login; 401 for another client or an unknown refresh token."""
        login = self._refresh.get(refresh_token)
        if login is None or client_id != self._credentials.client_id:
            raise RefusedError(401, "The refresh token is not accepted")
        body = self._issue(login)
        if self._policy.rotate:
            del self._refresh[refresh_token]
            body["refresh_token"] = self._issue_refresh(login)
        elif self._policy.send:
            body["refresh_token"] = refresh_token
        return body

    def of(self, authorization: str | None) -> Login:
        """Return the login behind an Authorization header; 401 without one that is good now."""
        if authorization is None:
            raise RefusedError(401, "The request header Authorization is missing")
        scheme, _, token = authorization.partition(" ")
        access = self._access.get(token)
        if scheme != "Bearer" or access is None:
            raise RefusedError(401, "The access token is not known")
        if access.expires_at <= self._clock():
            raise RefusedError(401, "The access token has expired")
        return access.login

    def expire_tokens(self) -> None:
        """Refuse every access token issued so far."""
        for access in self._access.values():
            access.expires_at = self._clock()

    def revoke_refresh_tokens(self) -> None:
        """Refuse every refresh token issued so far."""
        self._refresh.clear()

    def revoke_credentials(self) -> None:
        """Refuse the client credentials from now on; tokens already issued go on working."""
        self._revoked = True

    def _matches(self, client_id: str, client_secret: str) -> bool:
        right = self._credentials
        return client_id == right.client_id and compare_digest(
            client_secret.encode(), right.client_secret.encode()
        )

    def _issue(self, login: Login) -> TokenBody:
        self._forget_long_expired()
        token = secrets.token_urlsafe(16)
        self._access[token] = _Access(login, self._clock() + self._token_ttl)
        # The documentation shows an integer; the fraction of a life shorter than a second must not be lost.
        ttl = self._token_ttl
        life = int(ttl) if ttl == int(ttl) else ttl
        return {"access_token": token, "token_type": "Bearer", "expires_in_secs": life}

    def _issue_refresh(self, login: Login) -> str:
        token = secrets.token_urlsafe(16)
        self._refresh[token] = login
        return token

    def _forget_long_expired(self) -> None:
        """Keep a soak test with a short token life from growing without end."""
        if len(self._access) > _REMEMBERED:
            now = self._clock()
            self._access = {token: it for token, it in self._access.items() if it.expires_at > now}


_REMEMBERED = 10_000
