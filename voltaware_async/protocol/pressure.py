"""Pressure: how attempts ended -> how many may be under way, and how fast they may go. Nothing here waits.

Two limits, for they do different things. *Concurrency* protects a server that is overloaded: it sees to it
that no more is asked at once than is answered well. *Rate* protects a quota: one request after another is
still 200/s where an answer takes 5 ms.

That answers take longer is a sign of overload only by the measure of the same endpoint, and only where fewer
of them come: endpoints differ, and a fleet goes from one to the next.

All times are seconds on one monotonic clock.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
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
# Fewer answers a second than this share of what there were, or may be, are fewer for a reason.
_UNHURT_SHARE: Final = 0.9
# If answers are slow for a reason of their own, fewer at once only make it worse.
_FLOOR_SHARE: Final = 0.25
_REMEMBERED: Final = 10

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


@define
class _Tally:
    """Count answers of one endpoint, and add up how long they took."""

    served: int = 0
    latency_s: float = 0.0


@frozen
class _Round:
    """Hold how the attempts of about a second ended; `cap` is how many a second might have been sent.

    `refused` counts those answered with 429, 503 or 504, `silent` those not answered in time.
    """

    tallies: Mapping[Hashable, _Tally]
    refused: int
    silent: int
    lasted_s: float
    cap: float

    @property
    def served(self) -> int:
        """How many were answered well."""
        return sum(tally.served for tally in self.tallies.values())

    @property
    def latency_s(self) -> float:
        """How long these took, all together."""
        return sum(tally.latency_s for tally in self.tallies.values())

    @property
    def is_at_cap(self) -> bool:
        """Whether as many were answered as might have been sent."""
        return self.served >= _UNHURT_SHARE * self.cap * self.lasted_s


@define
class _Baseline:
    """Remember one endpoint's last rounds: how long its answers took, and how many there were a second."""

    _means_s: deque[float] = field(factory=lambda: deque(maxlen=_REMEMBERED))
    _rates: deque[float] = field(factory=lambda: deque(maxlen=_REMEMBERED))
    _gathered: _Tally = field(factory=_Tally)

    def learn(self, tally: _Tally, per_s: float, enough: int) -> None:
        """Take note of a round, or of several if they are small; `per_s` is that of all endpoints."""
        gathered = self._gathered
        gathered.served += tally.served
        gathered.latency_s += tally.latency_s
        if gathered.served >= enough:
            self._means_s.append(gathered.latency_s / gathered.served)
            self._rates.append(per_s)
            self._gathered = _Tally()

    def bears_s(self, tally: _Tally) -> float:
        """Return how long these answers may take, all together; of what is new, nothing is expected."""
        least_s = min(self._means_s, default=tally.latency_s / tally.served)
        return (_SLOW_FACTOR * least_s + _SLOW_MORE_S) * tally.served

    def lasts_s(self, tally: _Tally, per_s: float) -> float:
        """Return how long it took lately for as many to come; at `per_s`, if that is new."""
        return tally.served / max(self._rates, default=per_s)


@define
class _Latency:
    """Measure a round by what its endpoints were lately, each for its share of the answers."""

    _baselines: defaultdict[Hashable, _Baseline] = field(factory=lambda: defaultdict(_Baseline))
    _previous: AbstractSet[Hashable] = frozenset()

    def is_slow(self, ended: _Round) -> bool:
        """Tell whether answers take much longer than lately."""
        return ended.latency_s > sum(self._baselines[at].bears_s(it) for at, it in ended.tallies.items())

    def is_hurt(self, ended: _Round) -> bool:
        """Tell whether fewer answers come than lately, and than might be sent."""
        if ended.is_at_cap:
            return False
        per_s = ended.served / ended.lasted_s
        lasts_s = sum(self._baselines[at].lasts_s(it, per_s) for at, it in ended.tallies.items())
        return lasts_s < _UNHURT_SHARE * ended.lasted_s

    def learn(self, ended: _Round, enough: int) -> None:
        """Take note of a round. An endpoint's first does not count: its quickest answers come first."""
        per_s = ended.served / ended.lasted_s
        for endpoint in ended.tallies.keys() & self._previous:
            self._baselines[endpoint].learn(ended.tallies[endpoint], per_s, enough)
        self._previous = ended.tallies.keys()


@define
class _Concurrency:
    """Move the limit: up by steps, down by shares, once a round."""

    maximum: int
    limit: int = field(init=False)
    _latency: _Latency = field(factory=_Latency)

    def __attrs_post_init__(self) -> None:
        """Start at the maximum: nothing has objected yet."""
        self.limit = self.maximum

    def judge(self, ended: _Round) -> None:
        """Set the limit by the round that has ended."""
        bad = ended.refused + ended.silent
        tolerated = _TOLERATED_SHARE * (ended.served + bad)
        is_slow = self._is_slow(ended)
        is_hurt = is_slow and self._latency.is_hurt(ended)
        self._latency.learn(ended, self.enough)
        if bad > max(_TOLERATED, tolerated):
            # Where nobody answers, asking less helps nobody: the outage would only take longer to show.
            self._cut(_CUT, self._floor if bad == ended.silent and not ended.served else 1)
        elif is_hurt:
            self._cut(_SLOW_CUT, self._floor)
        elif bad <= tolerated and not is_slow:
            self.limit = min(self.maximum, self.limit + max(1, self.maximum // _ROUNDS_UP))

    @property
    def enough(self) -> int:
        """How many attempts make a round."""
        return min(_ROUND_ANSWERS, self.limit)

    @property
    def _floor(self) -> int:
        return max(1, int(self.maximum * _FLOOR_SHARE))

    def _cut(self, share: float, floor: int) -> None:
        self.limit = min(self.limit, max(floor, int(self.limit * share)))

    def _is_slow(self, ended: _Round) -> bool:
        """Tell whether answers are slow with the slots mostly in use: otherwise it is none of our doing.

        A server that stays slow is forgiven once the quicker rounds are forgotten.
        """
        under_way = ended.latency_s / ended.lasted_s
        return under_way > self.limit / 2 and self._latency.is_slow(ended)


@define
class _Rate:
    """Hold a rate below the cap after a 429, then let it rise ever faster until it limits nothing."""

    cap: float
    _start: float
    limit: float | None = None
    _decreased_at: float = -inf
    _rises_at: float = inf
    _rise: float = _RISE_FIRST

    @property
    def highest(self) -> float:
        """How many requests/s may be sent now."""
        return self.cap if self.limit is None else self.limit

    def objected(self, now: float, sent_at: float, served_per_s: float, resumes_at: float) -> None:
        """Fall to what was served lately, once a second or pause; what was sent before counts no more."""
        if sent_at >= self._decreased_at and now >= self._decreased_at + _DECREASE_EVERY_S:
            self._decreased_at = now
            least = _LARGEST_CUT * min(self.cap, self._start if self.limit is None else self.limit)
            decreased = max(_SERVED_SHARE * min(served_per_s, self.highest), least, _RATE_LEAST)
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

    `cap` is None for none. Report the end of every attempt in the order of time. Endpoints are told apart by
    whatever stands for them; each is remembered for good, so there should be few.
    """

    def __init__(self, concurrency: int, cap: float | None) -> None:
        self._concurrency = _Concurrency(concurrency)
        # The first 429 may come before anything was served: then only the slots tell how fast we go.
        self._rate = _Rate(inf if cap is None else cap, start=float(concurrency))
        self._last_second = _LastSecond()
        self._tick_at = -inf
        self._served = 0
        self._begun_at = inf
        self._tallies: defaultdict[Hashable, _Tally] = defaultdict(_Tally)
        self._refused = 0
        self._silent = 0

    @property
    def concurrency(self) -> int:
        """How many requests may be under way now."""
        return self._concurrency.limit

    @property
    def rate(self) -> float | None:
        """How many requests/s may be sent now, from 1 to less than the cap; None: the cap alone counts."""
        return self._rate.limit

    def answered(self, now: float, latency_s: float, endpoint: Hashable) -> bool:
        """Take note of an answer that does not object; tell whether the limits may have changed."""
        is_due = now >= self._tick_at
        if is_due:
            self._tick(now)
        self._served += 1
        tally = self._tallies[endpoint]
        tally.served += 1
        tally.latency_s += latency_s
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
        self._served = 0
        self._rate.rise(now)
        if now >= self._begun_at + _ROUND_S:
            self._end_round(now)

    def _end_round(self, now: float) -> None:
        lasted_s = now - self._begun_at
        ended = _Round(self._tallies, self._refused, self._silent, lasted_s, self._rate.highest)
        if ended.served + ended.refused + ended.silent < self._concurrency.enough:
            return
        self._concurrency.judge(ended)
        self._begun_at = now
        self._tallies = defaultdict(_Tally)
        self._refused = self._silent = 0
