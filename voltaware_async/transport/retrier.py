"""Retrier: executes what the retry policy decides."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from attrs import define, field

from voltaware_async.protocol.retry import Failure, RetryBudget, RetryPolicy, Tally

if TYPE_CHECKING:
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Call", "Retrier"]


@define
class Call(Tally):
    """Follow one call through its attempts, and tally how they failed.

    `deadline_at` is on the loop's clock, and None until the first attempt is sent: queueing for that one
    under our own cap is no failing of the API.
    """

    is_idempotent: bool = field(kw_only=True)
    deadline_s: float = field(kw_only=True)
    deadline_at: float | None = None
    attempts: int = 0

    def begin(self) -> None:
        """Start the deadline's clock, at the first attempt."""
        self.attempts += 1
        if self.deadline_at is None:
            self.deadline_at = asyncio.get_running_loop().time() + self.deadline_s

    def remaining(self) -> float:
        """Return the seconds that the deadline leaves."""
        if self.deadline_at is None:
            return self.deadline_s
        return self.deadline_at - asyncio.get_running_loop().time()


class Retrier:
    """Wait before the next attempt, or say that there is to be none: by policy, budget and deadline."""

    def __init__(self, policy: RetryPolicy, traffic: Traffic) -> None:
        self._policy = policy
        self._budget = RetryBudget(policy)
        self._traffic = traffic

    def succeeded(self) -> None:
        """Take note of an answer: it earns a part of a retry."""
        self._budget.refund()

    async def backed_off(self, failure: Failure, call: Call) -> bool:
        """Wait for the next attempt; False at once, where nothing more can help."""
        call.add(failure)
        wait = self._policy.decide(
            failure,
            call,
            is_idempotent=call.is_idempotent,
            remaining=call.remaining(),
            chance=random.random(),  # noqa: S311  jitter needs no secrecy
        )
        # Being throttled says that nothing is broken: only what may be broken spends the budget.
        if wait is None or not (failure.is_throttle or self._budget.spend()):
            return False
        self._traffic.retries += 1
        await asyncio.sleep(wait)
        return True
