"""Retrier: the one loop that sends a request again, as the policy decides."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from attrs import define, field

from voltaware_async.protocol.retry import Failure, RetryBudget, RetryPolicy, Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voltaware_async.protocol.replies import Verdict
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Call", "Retrier"]

R = TypeVar("R")


@define
class Call:
    """Follow one call through its attempts.

    `deadline_at` is on the loop's clock, and None until the first attempt is sent: queueing for that one
    under our own cap is no failing of the API.
    """

    is_idempotent: bool
    deadline_s: float
    deadline_at: float | None = None
    attempts: int = 0
    tally: Tally = field(factory=Tally)

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
    """Run attempts until one is answered, or the policy, the budget or the deadline ends it."""

    def __init__(self, policy: RetryPolicy, traffic: Traffic) -> None:
        self._policy = policy
        self._budget = RetryBudget(policy)
        self._traffic = traffic

    async def run(self, attempt: Callable[[], Awaitable[Verdict[R]]], call: Call) -> Verdict[R]:
        """Return the first verdict that is no failure, or the failure that nothing more can help."""
        while True:
            verdict = await attempt()
            if not isinstance(verdict, Failure):
                self._budget.refund()
                return verdict
            call.tally.add(verdict)
            wait = self._wait(verdict, call)
            if wait is None:
                return verdict
            self._traffic.retries += 1
            await asyncio.sleep(wait)

    def _wait(self, failure: Failure, call: Call) -> float | None:
        wait = self._policy.decide(
            failure,
            call.tally,
            is_idempotent=call.is_idempotent,
            remaining=call.remaining(),
            chance=random.random(),  # noqa: S311  jitter needs no secrecy
        )
        if wait is None or failure.is_throttle:
            return wait
        return wait if self._budget.spend() else None
