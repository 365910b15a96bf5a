"""Pressure: how attempts ended -> how many may be under way, and how fast they may go. Nothing here waits.

Two limits, for they do different things. *Concurrency* protects a server that is overloaded: it sees to it
that no more is asked at once than is answered well. *Rate* protects a quota: one request after another is
still 200/s where an answer takes 5 ms.

All times are seconds on one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from attrs import define, field, frozen

from voltaware_async.protocol.retry import Failure

__all__ = ["Pressure", "TimedOut", "is_overload"]

_OVERLOAD: Final = frozenset({503, 504})

_TICK_S: Final = 0.025
_TICKS_A_SECOND: Final = 40

_ROUND_S: Final = 1.0
_ROUND_ANSWERS: Final = 10

# A lone failure is none of our doing, and neither are a few in a hundred.
_TOLERATED: Final = 1
_TOLERATED_SHARE: Final = 0.05
_CUT: Final = 0.7
# From nothing to all in this many quiet rounds.
_ROUNDS_UP: Final = 16

_SLOW_FACTOR: Final = 2.0
_SLOW_MORE_S: Final = 0.05
_SLOW_CUT: Final = 0.8
# If answers are slow for a reason of their own, fewer at once only make it worse.
_FLOOR_SHARE: Final = 0.25
_SLOW_REMEMBERED: Final = 10

_SERVED_SHARE: Final = 0.985
_LARGEST_CUT: Final = 0.5
_RATE_LEAST: Final = 1.0
_DECREASE_EVERY_S: Final = 1.0
_HOLD_S: Final = 15.0
_RISE_EVERY_S: Final = 1.0
_RISE_FIRST: Final = 0.01
# By then the rate has risen 140-fold: it limits nothing any more, even where there is no cap to reach.
_RISE_LAST: Final = 5.12


@frozen
class TimedOut(Failure):
    """Tell that an attempt was not answered in time."""


def is_overload(failure: Failure) -> bool:
    """Tell whether the API answered that it has too much to do: 503, or 504 for what is behind it."""
    return failure.error.context.status in _OVERLOAD


@define
class _LastSecond:
    """Count the last second by ticks: to keep thousands of exact times would cost too much."""

    _ticks: deque[int] = field(factory=lambda: deque([0] * _TICKS_A_SECOND, maxlen=_TICKS_A_SECOND))

    def add(self, count: int, ticks: int) -> None:
        """Take note of a tick that is over, and of the empty ones since."""
        self._ticks.append(count)
        self._ticks.extend([0] * min(ticks - 1, _TICKS_A_SECOND))

    def count(self, current: int, left_share: float) -> float:
        """Return the count up to now; `left_share` is what is left of the current tick, from 0 to 1."""
        return current + sum(self._ticks) - self._ticks[0] * (1.0 - left_share)


@frozen
class _Round:
    """Hold how the attempts of about a second ended; `latency_s` is that of all `served` ones together.

    `refused` counts those answered with 429, 503 or 504, `silent` those not answered in time.
    """

    served: int
    refused: int
    silent: int
    latency_s: float
    lasted_s: float


@define
class _Concurrency:
    """Move the limit: up by steps, down by shares, once a round."""

    maximum: int
    limit: int = field(init=False)
    _recent_s: deque[float] = field(factory=lambda: deque(maxlen=_SLOW_REMEMBERED))

    def __attrs_post_init__(self) -> None:
        """Start at the maximum: nothing has objected yet."""
        self.limit = self.maximum

    def judge(self, ended: _Round) -> None:
        """Set the limit by the round that has ended."""
        bad = ended.refused + ended.silent
        tolerated = _TOLERATED_SHARE * (ended.served + bad)
        is_slow = self._is_slow(ended)
        if bad > max(_TOLERATED, tolerated):
            # Where nobody answers, asking less helps nobody: the outage would only take longer to show.
            self._cut(_CUT, self._floor if bad == ended.silent and not ended.served else 1)
        elif is_slow:
            self._cut(_SLOW_CUT, self._floor)
        elif bad <= tolerated:
            self.limit = min(self.maximum, self.limit + max(1, self.maximum // _ROUNDS_UP))

    @property
    def _floor(self) -> int:
        return max(1, int(self.maximum * _FLOOR_SHARE))

    def _cut(self, share: float, floor: int) -> None:
        self.limit = min(self.limit, max(floor, int(self.limit * share)))

    def _is_slow(self, ended: _Round) -> bool:
        """Tell whether answers take much longer than lately, with the slots mostly in use.

        A server that stays slow is forgiven once the quicker rounds are forgotten.
        """
        if not ended.served:
            return False
        mean_s = ended.latency_s / ended.served
        least_s = min(self._recent_s, default=mean_s)
        self._recent_s.append(mean_s)
        under_way = ended.latency_s / ended.lasted_s
        return mean_s > _SLOW_FACTOR * least_s + _SLOW_MORE_S and under_way > self.limit / 2


@define
class _Rate:
    """Hold a rate below the cap after a 429, then let it rise ever faster until it limits nothing."""

    cap: float
    _start: float
    limit: float | None = None
    _decreased_at: float = -inf
    _rises_at: float = inf
    _rise: float = _RISE_FIRST

    def objected(self, now: float, sent_at: float, served_per_s: float, resumes_at: float) -> None:
        """Fall to what was served lately, once a second or pause; what was sent before counts no more."""
        if sent_at >= self._decreased_at and now >= self._decreased_at + _DECREASE_EVERY_S:
            self._decreased_at = now
            highest = self.cap if self.limit is None else self.limit
            least = _LARGEST_CUT * min(self.cap, self._start if self.limit is None else self.limit)
            decreased = max(_SERVED_SHARE * min(served_per_s, highest), least, _RATE_LEAST)
            self.limit = decreased if decreased < self.cap else None
        self._rise = _RISE_FIRST
        self._rises_at = max(now, resumes_at) + _HOLD_S

    def rise(self, now: float) -> None:
        """Rise by as many steps as are due."""
        while self.limit is not None and now >= self._rises_at:
            self.limit *= 1.0 + self._rise
            if self.limit >= self.cap or self._rise >= _RISE_LAST:
                self.limit = None
            self._rise *= 2
            self._rises_at += _RISE_EVERY_S


class Pressure:
    """Decide how much the API bears, from 1 to `concurrency` requests under way and below `cap` requests/s.

    `cap` is None for none. Report the end of every attempt in the order of time.
    """

    def __init__(self, concurrency: int, cap: float | None) -> None:
        self._concurrency = _Concurrency(concurrency)
        # The first 429 may come before anything was served: then only the slots tell how fast we go.
        self._rate = _Rate(inf if cap is None else cap, start=float(concurrency))
        self._last_second = _LastSecond()
        self._tick_at = -inf
        self._served = 0
        self._begun_at = inf
        self._round_served = 0
        self._refused = 0
        self._silent = 0
        self._latency_s = 0.0

    @property
    def concurrency(self) -> int:
        """How many requests may be under way now."""
        return self._concurrency.limit

    @property
    def rate(self) -> float | None:
        """How many requests/s may be sent now, from 1 to less than the cap; None: the cap alone counts."""
        return self._rate.limit

    def answered(self, now: float, latency_s: float) -> bool:
        """Take note of an answer that does not object; tell whether the limits may have changed."""
        is_due = now >= self._tick_at
        if is_due:
            self._tick(now)
        self._served += 1
        self._latency_s += latency_s
        return is_due

    def throttled(self, now: float, *, sent_at: float, resumes_at: float) -> None:
        """Take note of a 429; `resumes_at` is when the pause ends that it asks for, or now."""
        self.overloaded(now)
        self._rate.objected(now, sent_at, self._served_per_s(now), resumes_at)

    def overloaded(self, now: float) -> None:
        """Take note of an answer that says that the API has too much to do."""
        self._refused += 1
        self._keep_time(now)

    def timed_out(self, now: float) -> None:
        """Take note of an attempt that was not answered in time."""
        self._silent += 1
        self._keep_time(now)

    def _served_per_s(self, now: float) -> float:
        left_share = min(1.0, max(0.0, (self._tick_at - now) / _TICK_S))
        return self._last_second.count(self._served, left_share)

    def _keep_time(self, now: float) -> None:
        if now >= self._tick_at:
            self._tick(now)

    def _tick(self, now: float) -> None:
        """Do what is due; only forty times a second, so that an answer costs next to nothing."""
        if self._tick_at == -inf:
            self._tick_at = self._begun_at = now
        ticks = int((now - self._tick_at) / _TICK_S) + 1
        self._last_second.add(self._served, ticks)
        self._tick_at += ticks * _TICK_S
        self._round_served += self._served
        self._served = 0
        self._rate.rise(now)
        if now >= self._begun_at + _ROUND_S:
            self._end_round(now)

    def _end_round(self, now: float) -> None:
        ended = _Round(self._round_served, self._refused, self._silent, self._latency_s, now - self._begun_at)
        if ended.served + ended.refused + ended.silent < min(_ROUND_ANSWERS, self._concurrency.limit):
            return
        self._concurrency.judge(ended)
        self._begun_at = now
        self._round_served = self._refused = self._silent = 0
        self._latency_s = 0.0
