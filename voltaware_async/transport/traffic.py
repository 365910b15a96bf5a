"""Traffic: how many requests were sent, and why."""

from __future__ import annotations

from attrs import define, evolve

__all__ = ["Traffic"]


@define
class Traffic:
    """Count requests as they are sent, token calls and retries included.

    `concurrency` is no count: how many requests may be under way at once, now.
    """

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    token_calls: int = 0
    concurrency: int = 0

    def snapshot(self) -> Traffic:
        """Return a copy that stands still."""
        return evolve(self)

    def since(self, earlier: Traffic) -> Traffic:
        """Return what came after a snapshot."""
        return Traffic(
            self.requests - earlier.requests,
            self.retries - earlier.retries,
            self.throttled - earlier.throttled,
            self.token_calls - earlier.token_calls,
            self.concurrency,
        )
