"""Grants: the two ways to a token, and where it is kept between runs.

Source: Authentication, Access Token and Refresh Token.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Final, Protocol

from attrs import frozen

from voltaware_async.errors import AuthUnavailableError, CredentialsRefusedError
from voltaware_async.protocol import requests
from voltaware_async.protocol.replies import Refused
from voltaware_async.protocol.retry import Failure, Resend
from voltaware_async.protocol.secret import Secret
from voltaware_async.protocol.token import StoredToken, Token
from voltaware_async.transport.retrier import Call

if TYPE_CHECKING:
    from voltaware_async.protocol.codec import TokenGrant
    from voltaware_async.protocol.replies import Verdict
    from voltaware_async.protocol.requests import HttpRequest
    from voltaware_async.transport.pace import Pace
    from voltaware_async.transport.retrier import Retrier
    from voltaware_async.transport.wire import Wire

__all__ = ["Credentials", "Grants", "TokenStore"]

logger: Final = logging.getLogger("voltaware_async")

_DEADLINE_S: Final = 45.0
_STORE_S: Final = 5.0
_REFUSED: Final = (
    "Voltaware refused the client id or secret: check what was passed, or VOLTAWARE_CLIENT_ID and "
    "VOLTAWARE_CLIENT_SECRET, or the profile"
)


class TokenStore(Protocol):
    """Keep a token between runs, for one base URL and client id. The client secret is never given to it.

    An OSError or ValueError of either method, or taking over 5 s, is logged and survived.
    """

    async def load(self) -> StoredToken | None:
        """Return the token that was kept, or None."""

    async def save(self, token: StoredToken) -> None:
        """Keep a token instead of the one before."""


@frozen
class Credentials:
    """Name a client of the API, and the only place that its secrets may go."""

    base_url: str
    client_id: str
    client_secret: Secret


class Grants:
    """Obtain tokens, one request each; a request that did not reach the API is tried again for 45 s.

    Raises CredentialsRefusedError or AuthUnavailableError.
    """

    def __init__(
        self,
        wire: Wire,
        pace: Pace,
        retrier: Retrier,
        credentials: Credentials,
        store: TokenStore | None = None,
    ) -> None:
        self._wire = wire
        self._pace = pace
        self._retrier = retrier
        self._credentials = credentials
        self._store = store
        self._unread_store = store
        self._logins = 0

    async def renew(self, token: Token | None) -> Token:
        """Get a token by what is cheapest: one that was kept, a refresh, else a login."""
        if token is None:
            token = await self._kept()
            if token is not None and _now() < token.usable_until:
                return token
        if token is not None and token.refresh is not None:
            request = requests.refresh_grant(self._credentials.client_id, token.refresh)
            verdict = await self._ask(request)
            if not _may_login_instead(verdict):
                return await self._granted(request, verdict, token)
        return await self.login()

    async def refresh(self, token: Token, refresh_token: Secret) -> Token:
        """Get a token by the refresh token and nothing else."""
        request = requests.refresh_grant(self._credentials.client_id, refresh_token)
        verdict = await self._ask(request)
        if isinstance(verdict, Refused):
            # It says nothing of the credentials: a login may well do.
            raise AuthUnavailableError("the refresh token was refused", request.context)
        return await self._granted(request, verdict, token)

    async def login(self) -> Token:
        """Get a token by the client's credentials."""
        client_id, client_secret = self._credentials.client_id, self._credentials.client_secret
        request = requests.credentials_grant(client_id, client_secret)
        verdict = await self._ask(request)
        self._logins += 1
        return await self._granted(request, verdict, None)

    async def _ask(self, request: HttpRequest[TokenGrant]) -> Verdict[TokenGrant]:
        # Not part of the 45 s: a pause that the API asked for may be longer.
        await self._pace.turn()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await self._answer(request)
        except TimeoutError:
            error = AuthUnavailableError("no token within 45 s", request.context)
        return Failure(error, Resend.IF_IDEMPOTENT)

    async def _answer(self, request: HttpRequest[TokenGrant]) -> Verdict[TokenGrant]:
        call = Call(is_idempotent=request.endpoint.is_idempotent, deadline_s=_DEADLINE_S)
        while True:
            call.begin()
            verdict = await self._wire.attempt(request, call.remaining())
            if not isinstance(verdict, Failure) or not await self._retrier.backed_off(verdict, call):
                return verdict
            await self._pace.turn()

    async def _granted(
        self, request: HttpRequest[TokenGrant], verdict: Verdict[TokenGrant], previous: Token | None
    ) -> Token:
        if isinstance(verdict, Failure):
            message = f"no token to be had: {verdict.error.message}"
            raise AuthUnavailableError(message, verdict.error.context, verdict.retry_after)
        if isinstance(verdict, Refused):
            raise CredentialsRefusedError(_REFUSED, request.context)
        if verdict.value is None:
            raise AuthUnavailableError(f"no token to be had: status {verdict.status}", request.context)
        token = Token.granted(verdict.value, previous, _now(), self._logins)
        await self._keep(token)
        return token

    async def _kept(self) -> Token | None:
        """Return the token of an earlier run; asked once, and only for this API and client."""
        store, self._unread_store = self._unread_store, None
        if store is None:
            return None
        try:
            async with asyncio.timeout(_STORE_S):
                stored = await store.load()
        except (OSError, ValueError) as error:
            logger.warning("the token store could not be read, and a new token is made: %s", _named(error))
            return None
        if stored is None or not self._is_ours(stored):
            return None
        if not stored.is_sound:
            logger.warning("the token store holds what is no token, and a new one is made")
            return None
        self._logins += 1
        life = None if stored.expires_at is None else max(0.0, stored.expires_at - time.time())
        return Token(stored.access, stored.refresh, _now(), life, self._logins)

    def _is_ours(self, stored: StoredToken) -> bool:
        ours = self._credentials
        return (stored.base_url, stored.client_id) == (ours.base_url, ours.client_id)

    async def _keep(self, token: Token) -> None:
        if self._store is None:
            return
        expires_at = None if token.life_s is None else time.time() + token.life_s
        ours = self._credentials
        stored = StoredToken(ours.base_url, ours.client_id, token.access, token.refresh, expires_at)
        try:
            async with asyncio.timeout(_STORE_S):
                await self._store.save(stored)
        except (OSError, ValueError) as error:
            logger.warning(
                "the token store could not be written; this run has its token all the same: %s", _named(error)
            )


def _may_login_instead(verdict: Verdict[TokenGrant]) -> bool:
    """Tell whether a login may do better than a refresh that failed.

    Not where the API could not be reached or was busy. A refresh that was lost may have used its refresh
    token up, so that only a login is left.
    """
    if isinstance(verdict, Failure):
        return verdict.resend is not Resend.SAFE
    return isinstance(verdict, Refused) or verdict.value is None


def _named(error: Exception) -> str:
    """Name the error of a token store without its own words, which may quote the token."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else type(error).__name__


def _now() -> float:
    return asyncio.get_running_loop().time()
