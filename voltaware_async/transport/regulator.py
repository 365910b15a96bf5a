"""Regulator: keeps slots and pace at what the API bears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voltaware_async.protocol.pressure import TimedOut, is_overload

if TYPE_CHECKING:
    from voltaware_async.protocol.pressure import Pressure
    from voltaware_async.protocol.retry import Failure
    from voltaware_async.transport.pace import Pace
    from voltaware_async.transport.slots import Slots
    from voltaware_async.transport.traffic import Traffic

__all__ = ["Regulator"]


class Regulator:
    """Hear how each attempt ended, and set the slots and the pace accordingly.

    `longest_pause_s` bounds, in seconds, the pause that one reply may impose on all requests.
    """

    def __init__(
        self, pressure: Pressure, pace: Pace, slots: Slots, traffic: Traffic, longest_pause_s: float
    ) -> None:
        self._pressure = pressure
        self._pace = pace
        self._slots = slots
        self._traffic = traffic
        self._longest_pause_s = longest_pause_s

    def answered(self, now: float, latency_s: float, path: str) -> None:
        """Hear of an answer, on the loop's clock; `path` is the endpoint's template, as errors carry it."""
        if self._pressure.answered(now, latency_s, path):
            self._set()

    def failed(self, failure: Failure, sent_at: float, now: float) -> None:
        """Hear of a failure; one that asks for a pause holds every other request too.

        An error that is the API's answer is an answer; a connection that breaks says nothing of pressure.
        """
        if failure.retry_after is not None:
            self._pace.pause(min(failure.retry_after, self._longest_pause_s))
        if failure.is_throttle:
            self._pressure.throttled(now, sent_at=sent_at, resumes_at=self._pace.held_until())
        elif isinstance(failure, TimedOut):
            self._pressure.timed_out(now)
        elif is_overload(failure):
            self._pressure.overloaded(now)
        elif failure.error.context.status is not None:
            self._pressure.answered(now, now - sent_at, failure.error.context.path)
        self._set()

    def _set(self) -> None:
        concurrency = self._pressure.concurrency
        if concurrency != self._traffic.concurrency:
            self._traffic.concurrency = concurrency
            self._slots.resize(concurrency)
        self._pace.slow_to(self._pressure.rate)
