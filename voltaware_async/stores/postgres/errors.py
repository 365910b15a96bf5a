"""PostgreSQL's errors as ours: one sentence that says what to do, and never a password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from adbc_driver_manager.dbapi import Error
from attrs import frozen

from voltaware_async.errors import StoreError
from voltaware_async.stores.sql.database import ConnectionLostError

if TYPE_CHECKING:
    from voltaware_async.stores.postgres.url import DatabaseUrl

__all__ = ["ServerAwayError", "code_of", "connect_error", "statement_error", "was_interrupted"]

# Source: PostgreSQL documentation, Appendix A. PostgreSQL Error Codes.
_CANCELLED: Final = "57014"
_WHAT_TO_DO: Final = {
    "53100": (
        "cannot be written: the disk of its server is full: make room, then run the same again;"
        " what had landed is safe"
    ),
    "42501": "refuses this user: have its owner grant what is missing",
    "25006": "cannot be written: it was opened read-only, or its server is",
    "55P03": "is held up: another session has locked a table of it: end that one, then run the same again",
    _CANCELLED: "was stopped by its server: allow its statements more time, if that is why",
}


@frozen
class _Refusal:
    """Tell what to do about a connection that failed; `passes` where it may be over in a moment."""

    sign: str
    what_to_do: str
    passes: bool = False


_STARTS: Final = "is starting up or shutting down: run the same again when it is up"
_IS_FULL: Final = "has no connection left: end some, or let its server have more"
_SILENT: Final = "does not answer: start its server, or check host and port"
# What libpq says of a failed connection has no code; where the server does not speak English it fits none.
_REFUSALS: Final = (
    _Refusal("password authentication failed", "refuses this user: check the user and its password"),
    _Refusal("no password supplied", "wants a password: give it by PGPASSWORD, ~/.pgpass or in its URL"),
    _Refusal("no pg_hba.conf entry", "refuses this user from here: have its pg_hba.conf allow it"),
    _Refusal(r'role ".*" (does not exist|is not permitted)', "refuses this user: check its name"),
    _Refusal(r'database ".*" does not exist', "is not there: create the database, or check its name"),
    _Refusal("could not translate host name", "is on no host that is known: check its host", passes=True),
    _Refusal("starting up|shutting down|not yet accepting", _STARTS, passes=True),
    _Refusal("too many clients|connection slots|too many connections", _IS_FULL, passes=True),
    _Refusal("refused|No such file|expired|timed out|unreachable|No route", _SILENT, passes=True),
    _Refusal("closed the connection|reset by peer|Broken pipe", _SILENT, passes=True),
)


class ServerAwayError(StoreError):
    """Found no server that answers, which may be over in a moment."""


def connect_error(url: DatabaseUrl, error: Exception) -> StoreError:
    """Word why there is no connection."""
    said = url.scrub(_one_line(str(error).removeprefix("IO: [libpq] Failed to connect: ")))
    for refusal in _REFUSALS:
        if re.search(refusal.sign, said):
            kind = ServerAwayError if refusal.passes else StoreError
            return kind(f"{url.shown} {refusal.what_to_do} ({said})")
    return StoreError(f"{url.shown} cannot be connected to: {said}")


def statement_error(url: DatabaseUrl, error: Exception, *, is_lost: bool) -> StoreError:
    """Word why a statement failed."""
    said = url.scrub(_message(error))
    if is_lost:
        return ConnectionLostError(
            f"{url.shown} hung up: see to its server, then run the same again; what landed is safe ({said})"
        )
    what_to_do = _WHAT_TO_DO.get(code_of(error))
    if what_to_do is not None:
        return StoreError(f"{url.shown} {what_to_do} ({said})")
    return StoreError(f"{url.shown} cannot be used: {said}")


def was_interrupted(error: Exception) -> bool:
    """Tell whether a statement was cancelled by somebody, not by a limit."""
    return code_of(error) == _CANCELLED and "user request" in _message(error)


def code_of(error: Exception) -> str:
    """Return the server's code of an error; empty where the error is the driver's own."""
    return (error.sqlstate or "") if isinstance(error, Error) else ""


def _message(error: Exception) -> str:
    """Return the server's own sentence; without the statement, and without the row that it was about."""
    details = {_text(name): _text(value) for name, value in error.details} if isinstance(error, Error) else {}
    return _one_line(details.get("PG_DIAG_MESSAGE_PRIMARY") or str(error).partition("Query was")[0])


def _text(part: str | bytes) -> str:
    """Take a name of a detail, which the driver promises as str and gives as bytes, or its value."""
    return part if isinstance(part, str) else part.decode(errors="replace")


def _one_line(text: str) -> str:
    return " ".join(text.split())
