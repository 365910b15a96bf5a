"""A hard limit on accepted requests per sliding second."""

import math
from collections import deque


class RateLimit:
    """Accept at most `per_second` requests in any sliding second; None accepts all.

    `per_second` may be set at any time. Refused requests do not count, otherwise a client that knocks too
    often would be shut out for good.
    """

    def __init__(self, per_second: float | None) -> None:
        self.per_second = per_second
        self._accepted: deque[float] = deque()

    def wait_s(self, at: float) -> int:
        """Accept a request that arrives at `at` and return 0, or return the whole seconds to wait."""
        if self.per_second is None:
            return 0
        while self._accepted and self._accepted[0] <= at - 1:
            self._accepted.popleft()
        if len(self._accepted) < self.per_second:
            self._accepted.append(at)
            return 0
        return max(1, math.ceil(self._accepted[0] + 1 - at))
