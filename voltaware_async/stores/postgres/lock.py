"""One writer at a time: an advisory lock of the server, which ends when its session does, however that is.

Source: PostgreSQL documentation, 13.3.5 Advisory Locks; 53.13 pg_locks.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import frozen

from voltaware_async.errors import StoreLockedError

if TYPE_CHECKING:
    from voltaware_async.stores.postgres.session import Session

__all__ = ["take_lock"]

# The lock of a store is named by this number, "volt" in ASCII, and by the id of its schema.
_KEY: Final = 0x766F6C74

_TAKE: Final = f"""
SELECT pg_try_advisory_lock({_KEY}, CAST(oid AS INTEGER)) FROM pg_namespace WHERE nspname = current_schema()
"""

# Of another user's session the server may tell no more than its name.
_HOLDER: Final = f"""
SELECT
    locked.pid,
    activity.application_name,
    host(activity.client_addr),
    activity.backend_start,
    coalesce(activity.application_name = current_setting('application_name'), false)
FROM pg_locks AS locked
LEFT JOIN pg_stat_activity AS activity ON activity.pid = locked.pid
WHERE locked.locktype = 'advisory' AND locked.granted AND locked.objsubid = 2
AND locked.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND locked.classid = {_KEY}
AND locked.objid = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
"""

_END: Final = "SELECT pg_terminate_backend(CAST($backend AS INTEGER))"

# A server may take a moment to notice that a process was killed, also in the midst of a statement.
_NOTICES_S: Final = 3.0
_LOOK_AGAIN_S: Final = 0.05


@frozen
class _Holder:
    backend: int
    name: str | None
    address: str | None
    since: datetime | None
    is_ours: bool

    def __str__(self) -> str:
        name = self.name or "a session without a name"
        address = f" from {self.address}" if self.address else ""
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        connected = f", connected{address}{since}" if address or since else ""
        return f"{name} (server process {self.backend}{connected})"


def take_lock(session: Session, lost: int | None = None) -> None:
    """Take the lock of the session's store, or raise StoreLockedError, which names who has it.

    `lost` is the server's process of a connection of ours that was lost: where the server has not noticed
    yet, that one is ended.
    """
    until = time.monotonic() + _NOTICES_S
    while not _take(session):
        holder = _holder(session)
        if time.monotonic() >= until:
            raise StoreLockedError(_refusal(session.target, holder))
        if holder is not None and holder.is_ours and holder.backend == lost:
            session.rows(_END, {"backend": lost})
        time.sleep(_LOOK_AGAIN_S)


def _take(session: Session) -> bool:
    [(is_taken,)] = session.rows(_TAKE)
    return bool(is_taken)


def _holder(session: Session) -> _Holder | None:
    """Look who has the lock; nobody may have it by now."""
    rows = session.rows(_HOLDER)
    return _Holder(*rows[0]) if rows else None


def _refusal(target: str, holder: _Holder | None) -> str:
    if holder is not None and holder.is_ours:
        return f"{target} is in use by this very process ({holder}): close that store first"
    return f"{target} is in use by {holder or 'another session'}: wait until it ends, or stop it"
