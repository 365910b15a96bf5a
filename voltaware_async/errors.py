"""What can go wrong, and who should do what about it.

VoltawareError
│
├── handle these: the world is like that
│   ├── UnavailableError               no usable answer now; the same call may work later
│   │   ├── UnreachableError           the API was not reached, or its answer was lost on the way
│   │   │   └── DeadlineError          no complete answer within the call's deadline
│   │   ├── ServerError                a 5xx
│   │   ├── ThrottledError             a 429
│   │   └── AuthUnavailableError       no token to be had now; says nothing about the credentials
│   ├── AuthenticationError            a token that was just issued was refused
│   │   └── CredentialsRefusedError    /auth/token refused the client id or secret
│   ├── ForbiddenError                 a 403
│   │   └── DeviceNotRegisteredError   the device has sent no event that this login knows of
│   ├── OutageError                    a fleet pull found nothing but silence for a while, and stopped
│   └── StoreError                     the store cannot be used
│       ├── NoStoreError               there is none yet
│       └── StoreLockedError           another process writes to it
│
├── your call was wrong
│   ├── ConfigurationError             a setting is missing or not accepted
│   ├── DeviceIdError                  a text that is no device id
│   ├── IncompleteError                a view lacks what an update requires
│   ├── BadRequestError                the API refused the request itself (400, 409, 422 …)
│   ├── ClientClosedError              the client was closed
│   └── ClientLoopError                the client belongs to another event loop
│
└── the service misbehaved: report these, `support_report()` gathers what Voltaware needs
    └── UnexpectedResponseError        an answer that the documentation does not know
        ├── DecodeError                JSON that is not what the documentation promises
        ├── RedirectError              a redirect; never followed, it would carry secrets elsewhere
        ├── ResponseTooLargeError      a body over the endpoint's limit
        └── ProtocolError              not valid HTTP

Wrong arguments (an id, a period) raise the builtin TypeError or ValueError before any request.
"""

from __future__ import annotations

from attrs import evolve, frozen

__all__ = [
    "ApiError",
    "AuthUnavailableError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ClientLoopError",
    "ConfigurationError",
    "CredentialsRefusedError",
    "DeadlineError",
    "DecodeError",
    "DeviceIdError",
    "DeviceNotRegisteredError",
    "ErrorContext",
    "ForbiddenError",
    "IncompleteError",
    "NoStoreError",
    "OutageError",
    "ProtocolError",
    "RedirectError",
    "ResponseTooLargeError",
    "ServerError",
    "StoreError",
    "StoreLockedError",
    "ThrottledError",
    "UnavailableError",
    "UnexpectedResponseError",
    "UnreachableError",
    "VoltawareError",
]


class VoltawareError(Exception):
    """Base of every error that this library raises of its own."""


@frozen
class ErrorContext:
    """Tell which request an error is about; holds no header, credential or personal data.

    `path` is the template of the documentation, not the path that was sent. `excerpt` is the beginning
    of the reply's body, and empty for endpoints that carry secrets or personal data.
    """

    method: str
    path: str
    device_id: str | None = None
    status: int | None = None
    attempts: int = 1
    request_id: str | None = None
    excerpt: str = ""

    def __str__(self) -> str:
        """Word the context as the end of a sentence: `GET /sensors, status 500, after 3 attempts`."""
        parts = [f"{self.method} {self.path}"]
        if self.device_id is not None:
            parts.append(f"device {self.device_id}")
        if self.status is not None:
            parts.append(f"status {self.status}")
        if self.attempts > 1:
            parts.append(f"after {self.attempts} attempts")
        return ", ".join(parts)


class ApiError(VoltawareError):
    """Base of the errors that concern one request to the API."""

    def __init__(self, message: str, context: ErrorContext) -> None:
        super().__init__(message, context)
        self.message = message
        self.context = context

    def __str__(self) -> str:
        """Say what happened, then to which device and endpoint."""
        return f"{self.message} ({self.context})"

    def after(self, attempts: int) -> ApiError:
        """Set how many requests were sent before giving up."""
        self.context = evolve(self.context, attempts=attempts)
        self.args = (self.message, self.context, *self.args[2:])
        return self

    def support_report(self) -> dict[str, str | int | None]:
        """Gather what Voltaware's support needs to look into it, without secrets."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "request": f"{self.context.method} {self.context.path}",
            "device_id": self.context.device_id,
            "status": self.context.status,
            "attempts": self.context.attempts,
            "request_id": self.context.request_id,
            "body_excerpt": self.context.excerpt,
        }


# --- handle these --------------------------------------------------------------------------------


class UnavailableError(ApiError):
    """Got no usable answer now; the same call may work later.

    `retry_after` is in seconds from when the reply arrived; None if the API did not say.
    """

    def __init__(self, message: str, context: ErrorContext, retry_after: float | None = None) -> None:
        super().__init__(message, context)
        self.args = (message, context, retry_after)
        self.retry_after = retry_after


class UnreachableError(UnavailableError):
    """Could not reach the API, or lost its answer on the way."""


class DeadlineError(UnreachableError):
    """Got no complete answer within the call's deadline, retries included."""


class ServerError(UnavailableError):
    """Got a 5xx (or 408, 425) from the API."""


class ThrottledError(UnavailableError):
    """Was told to slow down: a 429."""


class AuthUnavailableError(UnavailableError):
    """Could not get a token now; says nothing about the credentials."""


class AuthenticationError(ApiError):
    """Had a token refused that was just issued."""


class CredentialsRefusedError(AuthenticationError):
    """Had the client id or secret refused by `/auth/token`."""


class ForbiddenError(ApiError):
    """Got a 403."""


class DeviceNotRegisteredError(ForbiddenError):
    """Got a 403 even after a fresh login: the device has sent no event yet.

    Source: Debugging/Status code, 403.
    """


class OutageError(VoltawareError):
    """Got no usable answer for a while in a fleet pull, and stopped it; what had arrived is landed."""


class StoreError(VoltawareError):
    """Could not use the store: unreadable, foreign, full, or written by a newer version."""


class NoStoreError(StoreError):
    """Found no store yet where one was to be read."""


class StoreLockedError(StoreError):
    """Found another process writing to the store."""


# --- your call was wrong -------------------------------------------------------------------------


class ConfigurationError(VoltawareError, ValueError):
    """Was given a setting that is missing or not accepted."""


class DeviceIdError(VoltawareError, ValueError):
    """Was given a text that is no device id."""


class IncompleteError(VoltawareError, ValueError):
    """Was asked to build an update from a view that lacks required fields; `missing` names them."""

    def __init__(self, what: str, missing: tuple[str, ...]) -> None:
        super().__init__(what, missing)
        self.missing = missing

    def __str__(self) -> str:
        """Name the fields to add."""
        return f"{self.args[0]} lacks {', '.join(self.missing)}: pass them to complete it."


class BadRequestError(ApiError):
    """Had the request itself refused by the API; sending it again will not help."""


class ClientClosedError(VoltawareError, RuntimeError):
    """Used a client that was closed."""


class ClientLoopError(VoltawareError, RuntimeError):
    """Used a client on another event loop or thread than the one it first ran on."""


# --- the service misbehaved ----------------------------------------------------------------------


class UnexpectedResponseError(ApiError):
    """Got an answer that the documentation does not know."""


class DecodeError(UnexpectedResponseError):
    """Got JSON that is not what the documentation promises; `json_path` says where."""

    def __init__(self, message: str, context: ErrorContext, json_path: str = "$") -> None:
        super().__init__(message, context)
        self.args = (message, context, json_path)
        self.json_path = json_path


class RedirectError(UnexpectedResponseError):
    """Got a redirect, which is never followed: it would carry secrets to another place."""


class ResponseTooLargeError(UnexpectedResponseError):
    """Got a body over the endpoint's limit."""


class ProtocolError(UnexpectedResponseError):
    """Got something that is not valid HTTP."""
