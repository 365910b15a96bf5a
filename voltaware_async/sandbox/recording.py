"""What the server saw: every request, how many of each route, and how fast they came."""

from collections import Counter, deque

from attrs import frozen


@frozen
class RecordedRequest:
    """One request as it arrived.

    `at` is the monotonic second of arrival. `path` is raw and without the query, `query` is raw. `route` is
    the name of the route, or "unknown". `status` is None where the sandbox sent no reply of its own: stall,
    reset, raw.
    """

    at: float
    method: str
    path: str
    query: str
    status: int | None
    route: str
    device_id: str | None
    has_authorization: bool
    content_type: str | None
    body: bytes


class Recording:
    """Count all requests and keep the last `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[RecordedRequest] = deque(maxlen=limit)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last_second: deque[float] = deque()
        self._worst_second = 0
        self._first: float | None = None
        self._last = 0.0

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The kept requests in the order of their arrival: a copy, which does not grow."""
        return tuple(self._kept)

    @property
    def counts(self) -> dict[str, int]:
        """How many requests each route had."""
        totals: Counter[str] = Counter()
        for (route, _), number in self._counts.items():
            totals[route] += number
        return dict(totals)

    def arrived(self, at: float, route: str, method: str) -> None:
        """Count a request at the moment of its arrival."""
        self._counts[route, method] += 1
        self._first = at if self._first is None else self._first
        self._last = at
        self._last_second.append(at)
        while self._last_second[0] <= at - 1:
            self._last_second.popleft()
        self._worst_second = max(self._worst_second, len(self._last_second))

    def keep(self, request: RecordedRequest) -> None:
        """Keep a request whose reply has been decided."""
        self._kept.append(request)

    def count(self, route: str, method: str | None = None) -> int:
        """Return how many requests the route had, of one method or of all."""
        return sum(
            number
            for (name, verb), number in self._counts.items()
            if name == route and method in {None, verb}
        )

    def total(self) -> int:
        """Return how many requests there were."""
        return self._counts.total()

    def worst_second(self) -> int:
        """Return the largest number of requests in any sliding second."""
        return self._worst_second

    def delivered_rate(self) -> float:
        """Return requests per second between the first and the last arrival; 0 before the second one."""
        if self._first is None or self._last <= self._first:
            return 0.0
        return (self.total() - 1) / (self._last - self._first)
