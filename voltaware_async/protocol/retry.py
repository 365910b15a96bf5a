"""Retry: a failure -> wait how long, or give up. Nothing here waits.

Source: Debugging/Status code; the documentation says nothing of rate limits or retries.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen, validators

from voltaware_async.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Failure", "Resend", "RetryBudget", "RetryPolicy", "Tally", "http_date", "retry_after_s"]

_LONGEST_RETRY_AFTER_TEXT: Final = 32
_BACKOFF_DOUBLINGS_MAX: Final = 16


class Resend(Enum):
    """Tell whether a request that failed may be sent again."""

    SAFE = "the API did not act on it: it was not sent, or was answered with a passing refusal"
    IF_IDEMPOTENT = "the API may have acted on it"
    NEVER = "sending it again cannot help"


@frozen
class Failure:
    """Tell how one attempt failed.

    `retry_after` is in seconds, where the API asked for a pause. `is_throttle` marks a 429: it says that
    we are too fast, not that anything is broken.
    """

    error: ApiError
    resend: Resend
    retry_after: float | None = None
    is_throttle: bool = False


@define
class Tally:
    """Count what one call has met so far."""

    failures: int = 0
    throttles: int = 0

    def add(self, failure: Failure) -> None:
        """Count a failed attempt."""
        if failure.is_throttle:
            self.throttles += 1
        else:
            self.failures += 1


@frozen
class RetryPolicy:
    """Decide whether a failed request is sent again, and after how long.

    Times are in seconds. `attempts` is the most requests for one call that fail for another reason than
    being throttled; the deadline alone bounds the throttled ones. A back-off is drawn from 0 to
    `wait_initial`, doubling up to `wait_max` (full jitter: callers that failed together come back apart).
    A Retry-After over `retry_after_max` is not waited for. `budget` is how many retries all calls
    together may spend at once; each success earns `budget_refill` of one back, so that an outage
    cannot multiply the load.
    """

    attempts: int = field(default=3, validator=validators.ge(1))
    wait_initial: float = field(default=0.2, validator=validators.gt(0))
    wait_max: float = field(default=10.0, validator=validators.gt(0))
    retry_after_max: float = field(default=60.0, validator=validators.ge(0))
    budget: float = field(default=100.0, validator=validators.ge(0))
    budget_refill: float = field(default=0.1, validator=validators.ge(0))

    def decide(
        self, failure: Failure, tally: Tally, *, is_idempotent: bool, remaining: float, chance: float
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        `tally` counts this failure already; `remaining` is what the deadline leaves, in seconds;
        `chance` is a random number of [0, 1).
        """
        if failure.resend is Resend.NEVER:
            return None
        if failure.resend is Resend.IF_IDEMPOTENT and not is_idempotent:
            return None
        if tally.failures >= self.attempts:
            return None
        wait = self._wait(failure, tally, chance)
        return wait if wait is not None and wait < remaining else None

    def _wait(self, failure: Failure, tally: Tally, chance: float) -> float | None:
        if failure.retry_after is None:
            doublings = min(tally.failures + tally.throttles - 1, _BACKOFF_DOUBLINGS_MAX)
            return chance * min(self.wait_max, self.wait_initial * 2.0**doublings)
        if failure.retry_after > self.retry_after_max:
            return None
        return failure.retry_after + chance * self.wait_initial


@define
class RetryBudget:
    """Bound the retries of all calls together: a bucket that only successes refill."""

    policy: RetryPolicy
    _left: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with a full bucket."""
        self._left = self.policy.budget

    def spend(self) -> bool:
        """Take one retry out, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def refund(self) -> None:
        """Earn a part of a retry by a success."""
        self._left = min(self.policy.budget, self._left + self.policy.budget_refill)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After as seconds, from either of its forms; None where it says nothing usable.

    A date is taken against the reply's own Date, so that our clock does not matter.
    """
    text = headers.get("Retry-After", "").strip()
    if not text or len(text) > _LONGEST_RETRY_AFTER_TEXT:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    return _seconds_until(text, headers.get("Date", ""))


def _seconds_until(date_text: str, now_text: str) -> float | None:
    until = http_date(date_text)
    if until is None:
        return None
    wait = (until - (http_date(now_text) or datetime.now(UTC))).total_seconds()
    return wait if wait > 0 else None


def http_date(text: str) -> datetime | None:
    """Read an HTTP date as an aware instant; None where it is none."""
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a day of ten digits
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
