"""Session: the only place that talks HTTP; one request in, one response or failure out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp import http_exceptions
from aiohttp.helpers import netrc_from_env
from attrs import evolve
from yarl import URL

from voltaware_async.errors import (
    ApiError,
    ClientClosedError,
    ConfigurationError,
    ProtocolError,
    ResponseTooLargeError,
    UnreachableError,
)
from voltaware_async.protocol.pressure import TimedOut
from voltaware_async.protocol.replies import HttpResponse
from voltaware_async.protocol.retry import Failure, Resend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from contextlib import AbstractAsyncContextManager

    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from voltaware_async.protocol.requests import HttpRequest
    from voltaware_async.protocol.secret import Secret

__all__ = ["HttpSession"]

R = TypeVar("R")

# One timer per attempt: each further one that aiohttp offers costs as much as decoding a reply. aiohttp would
# round the end of a long one up to whole seconds.
_ATTEMPT_S: Final = 30.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=_ATTEMPT_S, sock_connect=5, ceil_threshold=float("inf"))
_HEADERS: Final = {"Accept": "application/json", "User-Agent": "voltaware-async"}
_MIB: Final = 1024 * 1024


class HttpSession:
    """Send single requests over keep-alive connections.

    A lent session is used as it is: never closed or changed, and its settings that would change what is
    sent or read are overridden per request.
    """

    def __init__(self, base_url: str, lent: aiohttp.ClientSession | None = None) -> None:
        base = urlsplit(base_url)
        self._scheme, self._netloc, self._prefix = base.scheme, base.netloc, base.path
        self._lent = lent
        self._session = lent
        # Our own session has them already, and merges them for less.
        self._common_headers = {} if lent is None else _HEADERS
        self._is_closed = False
        if lent is not None:
            _check_lent(lent, base.hostname or "")

    @property
    def is_open(self) -> bool:
        """Whether it holds connections of its own that `aclose` would end."""
        return self._lent is None and self._session is not None

    async def send(
        self, request: HttpRequest[R], bearer: Secret | None, within_s: float
    ) -> HttpResponse | Failure:
        """Send once and read the whole reply, within so many seconds and never more than 30.

        Raises only for cancellation and a closed session.
        """
        try:
            async with self._requested(request, bearer, within_s) as response:
                body = await _body(response, request.endpoint.max_body)
                return HttpResponse(response.status, response.headers, body, _is_delimited(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = _failure_of(error, request)
        except _TooLargeError:
            failure = _too_large(request)
        return failure

    async def aclose(self) -> None:
        """Close the connections, unless the session was lent."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None and self._lent is None:
            await session.close()

    def _requested(
        self, request: HttpRequest[R], bearer: Secret | None, within_s: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        # A payload object keeps the body out of aiohttp's local variables, which error reporters print.
        data = None if request.body is None else aiohttp.BytesPayload(request.body)
        return self._opened().request(
            request.endpoint.method,
            self._url(request.target),
            data=data,
            headers=_headers(request, bearer, self._common_headers),
            allow_redirects=False,
            raise_for_status=False,
            timeout=_timeout(within_s),
            middlewares=(),
        )

    def _url(self, target: str) -> URL:
        """Put the URL together of its parts: parsing it back would cost more than encoding it did."""
        path, _, query = target.partition("?")
        return URL(SplitResult(self._scheme, self._netloc, self._prefix + path, query, ""), encoded=True)

    def _opened(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise ClientClosedError("this client has been closed")
        if self._session is None:
            self._session = _own_session()
        if self._session.closed:
            raise ClientClosedError("the aiohttp session that was lent to this client has been closed")
        return self._session


def _timeout(within_s: float) -> aiohttp.ClientTimeout:
    return _TIMEOUT if within_s >= _ATTEMPT_S else evolve(_TIMEOUT, total=max(within_s, 0.001))


class _Connector(aiohttp.TCPConnector):
    """Keep no connection on which the server spoke unasked: its words would be taken for the next reply."""

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is not None and not kept.protocol.should_close:
                return kept
            kept.close()
        return None


def _own_session() -> aiohttp.ClientSession:
    # Idle connections go before a typical server drops them; the callers' slots bound their number.
    connector = _Connector(limit=0, ttl_dns_cache=300, keepalive_timeout=15, happy_eyeballs_delay=0.25)
    # trust_env costs two thread hops per request, and a netrc entry would break every call.
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        timeout=_TIMEOUT,
        trust_env=False,
    )
    # aiohttp sends an idempotent request again by itself when a kept connection turns out to be closed:
    # a second request that no pace, budget or count would know of. It has no public switch for that.
    session._retry_connection = False  # noqa: SLF001
    return session


def _check_lent(session: aiohttp.ClientSession, host: str) -> None:
    if session.auth is not None or "Authorization" in session.headers:
        raise ConfigurationError("the lent session authorises itself, which collides with the token")
    netrc = netrc_from_env() if session.trust_env else None
    if netrc is not None and netrc.authenticators(host) is not None:
        raise ConfigurationError(
            f"the lent session takes a password for {host} from a netrc file, which collides with the token: "
            "lend one with trust_env off"
        )
    if not session.auto_decompress:
        raise ConfigurationError("the lent session has auto_decompress off: lend one with it on")


def _headers(request: HttpRequest[R], bearer: Secret | None, common: Mapping[str, str]) -> dict[str, str]:
    headers = dict(common)
    if bearer is not None:
        headers["Authorization"] = bearer.bearer()
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


class _TooLargeError(Exception):
    """Stop reading a body that passed its limit."""


def _body(response: aiohttp.ClientResponse, limit: int) -> Awaitable[bytes]:
    """Read a body, but never more than the limit."""
    length = response.content_length
    if length is not None and length > limit:
        raise _TooLargeError
    if length is not None and "Content-Encoding" not in response.headers:
        return response.read()
    return _capped_body(response, limit)


async def _capped_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body of unknown size: a compressed reply of 200 kB can hold 200 MB."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise _TooLargeError
    return bytes(body)


def _is_delimited(response: aiohttp.ClientResponse) -> bool:
    """Tell whether the end of the body was announced: else a cut connection looks like its end."""
    return response.content_length is not None or "Transfer-Encoding" in response.headers


def _too_large(request: HttpRequest[R]) -> Failure:
    limit = request.endpoint.max_body // _MIB
    error = ResponseTooLargeError(f"the reply is larger than {limit} MiB and was not read", request.context)
    return Failure(error, Resend.NEVER)


# --- every exception of aiohttp, by what may be done about it; the first match counts --------------

_NEVER: Final = (
    aiohttp.ClientSSLError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_NOT_HTTP: Final = (aiohttp.ClientResponseError, aiohttp.ContentTypeError)


def _failure_of(error: Exception, request: HttpRequest[R]) -> Failure:
    """Tell what an exception below us means; it is not chained, for its attributes hold the headers."""
    if isinstance(error, _NEVER):
        return Failure(UnreachableError(_sentence(error), request.context), Resend.NEVER)
    kind = TimedOut if isinstance(error, TimeoutError) else Failure
    if isinstance(error, _NOT_SENT):
        return kind(UnreachableError(_sentence(error), request.context), Resend.SAFE)
    if isinstance(error, _NOT_HTTP) or isinstance(error.__cause__, http_exceptions.ContentEncodingError):
        # Their status is synthetic: aiohttp says 400 for what it cannot parse.
        return Failure(ProtocolError("the reply is not valid HTTP", request.context), Resend.NEVER)
    return kind(_lost(error, request), Resend.IF_IDEMPOTENT)


def _lost(error: Exception, request: HttpRequest[R]) -> ApiError:
    if isinstance(error, TimeoutError):
        return UnreachableError("the API fell silent in the middle of the exchange", request.context)
    if isinstance(error, aiohttp.ClientPayloadError):
        return UnreachableError("the connection ended in the middle of the reply", request.context)
    return UnreachableError("the connection ended before the reply", request.context)


_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientHttpProxyError, "the proxy refuses to connect to the API"),
    (aiohttp.ClientProxyConnectionError, "the proxy cannot be reached"),
    (aiohttp.ClientSSLError, "no trusted TLS connection to {where}: {reason}"),
    (aiohttp.ServerFingerprintMismatch, "the certificate is not the expected one"),
    (aiohttp.ClientConnectorDNSError, "the name of {where} cannot be resolved: check the base URL"),
    (aiohttp.ClientConnectorError, "cannot connect to {where}: {reason}"),
    (aiohttp.ConnectionTimeoutError, "cannot connect to the API: no answer in time"),
    (Exception, "the base URL cannot be used"),
)


def _sentence(error: Exception) -> str:
    where = f"{error.host}:{error.port}" if isinstance(error, aiohttp.ClientConnectorError) else "the API"
    sentence = next(text for kind, text in _SENTENCES if isinstance(error, kind))
    return sentence.format(where=where, reason=_reason(error))


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
