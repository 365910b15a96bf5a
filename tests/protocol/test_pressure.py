"""What the API bears: judged by how attempts ended, on times that are made up."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from itertools import cycle

import pytest
from attrs import define, field
from hypothesis import example, given
from hypothesis import strategies as st

from voltaware_async.errors import ErrorContext, ServerError, UnreachableError
from voltaware_async.protocol.pressure import Pressure, TimedOut, is_overload
from voltaware_async.protocol.retry import Failure, Resend

QUICK_S = 0.02


@define
class Story:
    """Tell a Pressure what happens, one after another."""

    pressure: Pressure
    now: float = 1_000.0

    @property
    def limits(self) -> tuple[int, float | None]:
        return self.pressure.concurrency, self.pressure.rate

    def answered(
        self, times: int, per_s: float = 50.0, latency_s: float = QUICK_S, endpoint: str = "/sensors"
    ) -> None:
        for _ in range(times):
            self.now += 1 / per_s
            self.pressure.answered(self.now, latency_s, endpoint)

    def throttled(self, times: int = 1, pause_s: float = 0.0, sent_ago_s: float = 0.0) -> None:
        for _ in range(times):
            self.pressure.throttled(self.now, sent_at=self.now - sent_ago_s, resumes_at=self.now + pause_s)

    def overloaded(self, times: int, per_s: float = 50.0) -> None:
        for _ in range(times):
            self.now += 1 / per_s
            self.pressure.overloaded(self.now)

    def timed_out(self, times: int, per_s: float = 50.0) -> None:
        for _ in range(times):
            self.now += 1 / per_s
            self.pressure.timed_out(self.now)


def story(concurrency: int = 32, cap: float | None = 50.0) -> Story:
    return Story(Pressure(concurrency, cap))


# --- laws ------------------------------------------------------------------------------------------

events = st.tuples(
    st.floats(0, 3) | st.sampled_from([0.0, 0.001, 60.0]),
    st.sampled_from(["answered", "throttled", "overloaded", "timed out"]),
    st.floats(QUICK_S, 30),
    st.floats(0, 60),
)
histories = st.lists(st.tuples(events, st.integers(1, 60)), max_size=20)
concurrencies = st.integers(1, 300)
caps = st.none() | st.sampled_from([0.2, 1.0, 50.0]) | st.floats(0.1, 5_000)


def lived(concurrency: int, cap: float | None, history: object) -> list[Story]:
    """Return the story after each event of a history."""
    told = story(concurrency, cap)
    stages = []
    for (gap_s, kind, latency_s, pause_s), times in history:
        for _ in range(times):
            told.now += gap_s / times
            if kind == "answered":
                told.pressure.answered(told.now, latency_s, "/sensors")
            elif kind == "throttled":
                told.throttled(1, pause_s, latency_s)
            elif kind == "overloaded":
                told.pressure.overloaded(told.now)
            else:
                told.pressure.timed_out(told.now)
            stages.append(told.limits)
    return [told, *stages]


@given(concurrencies, caps, histories)
@example(1, None, [((3.0, "throttled", 1.0, 0.0), 60)])
@example(300, 5_000.0, [((60.0, "overloaded", 1.0, 0.0), 60)])
def test_whatever_happens_the_limits_stay_within_their_bounds(
    concurrency: int, cap: float | None, history: object
) -> None:
    _, *stages = lived(concurrency, cap, history)
    for limit, rate in stages:
        assert 1 <= limit <= concurrency
        assert rate is None or 1 <= rate < (cap or float("inf"))


@given(concurrencies, caps, histories)
def test_whatever_happened_nothing_is_left_of_it_after_two_quiet_minutes(
    concurrency: int, cap: float | None, history: object
) -> None:
    """A minute of them for a pause of that length."""
    told, *_ = lived(concurrency, cap, history)
    told.answered(120 * 20, per_s=20)
    assert told.limits == (concurrency, None)


@given(st.lists(st.floats(QUICK_S, 2 * QUICK_S), max_size=300), st.floats(1, 500))
def test_answers_alone_change_nothing(latencies_s: list[float], per_s: float) -> None:
    told = story()
    for latency_s in latencies_s:
        told.answered(1, per_s, latency_s)
        assert told.limits == (32, None)


@given(histories, histories)
def test_only_429s_limit_the_rate(before: list[object], after: list[object]) -> None:
    history = [it for it in before + after if it[0][1] != "throttled"]
    _, *stages = lived(32, 50.0, history)
    assert {rate for _, rate in stages} <= {None}


# --- concurrency -----------------------------------------------------------------------------------


def test_it_starts_at_the_maximum() -> None:
    assert story(7).limits == (7, None)


@pytest.mark.parametrize("answers", [0, 1, 5, 40, 400])
def test_a_lone_failure_takes_no_slot_away(answers: int) -> None:
    told = story()
    told.answered(answers)
    told.overloaded(1)
    told.answered(500)
    told.timed_out(1)
    told.answered(500)
    assert told.pressure.concurrency == 32


@pytest.mark.parametrize("per_s", [20.0, 50.0, 1_000.0])
def test_one_503_in_a_hundred_leaves_nearly_all_slots(per_s: float) -> None:
    told, chance = story(), random.Random(7)
    limits = []
    for _ in range(int(60 * per_s)):
        (told.overloaded if chance.random() < 0.01 else told.answered)(1, per_s)
        limits.append(told.pressure.concurrency)
    assert sum(limits) / len(limits) > 0.95 * 32


@pytest.mark.parametrize("kind", ["throttled", "overloaded", "timed_out"])
def test_a_round_with_many_failures_costs_three_tenths_once(kind: str) -> None:
    told = story()
    told.answered(20)
    for _ in range(20):
        getattr(told, kind)(1)
    told.answered(60)
    assert told.pressure.concurrency in {22, 24}
    told.answered(16 * 50)
    assert told.pressure.concurrency == 32


def test_overload_that_lasts_takes_all_slots_but_one() -> None:
    told = story()
    told.overloaded(50 * 15)
    assert told.pressure.concurrency == 1


def test_one_slot_that_is_never_answered_well_stays_one() -> None:
    told = story()
    told.overloaded(50 * 15)
    told.overloaded(100, per_s=0.5)
    assert told.pressure.concurrency == 1


def test_slots_come_back_within_sixteen_quiet_rounds() -> None:
    told = story(100)
    told.overloaded(50 * 20)
    assert told.pressure.concurrency == 1
    told.answered(18 * 50)
    assert told.pressure.concurrency == 100


def test_where_nobody_answers_a_quarter_of_the_slots_go_on_asking() -> None:
    """An outage should not take longer to be noticed for fear of pressing on it."""
    told = story()
    told.timed_out(50 * 15)
    assert told.pressure.concurrency == 8


def test_where_some_are_answered_time_outs_take_all_slots_but_one() -> None:
    told = story()
    for _ in range(30):
        told.timed_out(10)
        told.answered(30)
    assert told.pressure.concurrency == 1


# --- latency ---------------------------------------------------------------------------------------


def test_answers_that_take_much_longer_than_lately_cost_slots_down_to_a_quarter() -> None:
    told = story()
    told.answered(10 * 50)
    limits = []
    for _ in range(7):
        told.answered(30, per_s=30, latency_s=1.0)
        limits.append(told.pressure.concurrency)
    assert limits == sorted(limits, reverse=True)
    assert (limits[1], limits[-1]) == (25, 8)


def test_a_server_that_stays_slow_gets_its_slots_back() -> None:
    told = story()
    told.answered(10 * 50)
    told.answered(9 * 30, per_s=30, latency_s=1.0)
    assert told.pressure.concurrency == 8
    told.answered(20 * 30, per_s=30, latency_s=1.0)
    assert told.pressure.concurrency == 32


@pytest.mark.parametrize(("before_s", "after_s"), [(0.1, 0.24), (0.001, 0.05), (2.0, 4.0)])
def test_answers_that_take_a_little_longer_cost_nothing(before_s: float, after_s: float) -> None:
    told = story()
    told.answered(500, per_s=300, latency_s=before_s)
    told.answered(500, per_s=300, latency_s=after_s)
    assert told.pressure.concurrency == 32


def test_slow_answers_cost_nothing_while_most_slots_are_free() -> None:
    """Then they are none of our doing."""
    told = story()
    told.answered(500, latency_s=0.1)
    told.answered(300, latency_s=0.3)
    assert told.pressure.concurrency == 32


# --- latency of several endpoints ------------------------------------------------------------------


@define
class ClosedLoop:
    """Keep all slots in use up to the cap, at a server that answers `capacity` requests/s at most."""

    pressure: Pressure
    cap: float
    capacity: float = 10_000.0
    now: float = 1_000.0
    _turn_at: float = 0.0
    _server_free_at: float = 0.0
    _under_way: list[tuple[float, float, str]] = field(factory=list)
    _chance: random.Random = field(factory=lambda: random.Random(7))
    limits: list[int] = field(factory=list)

    def ask(self, seconds: float, **latencies_s: float) -> float:
        """Ask these endpoints in turn; return how many requests/s were answered."""
        until, begun_at, served = self.now + seconds, self.now, len(self.limits)
        endpoints = cycle(latencies_s)
        while self.now < until:
            has_slot = len(self._under_way) < self.pressure.concurrency
            if has_slot and (not self._under_way or self._turn_at <= self._under_way[0][0]):
                endpoint = next(endpoints)
                self._send(endpoint, latencies_s[endpoint])
            else:
                self._receive()
        return (len(self.limits) - served) / (self.now - begun_at)

    def _send(self, endpoint: str, latency_s: float) -> None:
        self.now = max(self.now, self._turn_at)
        self._turn_at = self.now + 1 / (0.985 * self.cap)
        self._server_free_at = max(self.now, self._server_free_at + 1 / self.capacity)
        ends_at = max(self.now + latency_s * self._chance.uniform(0.3, 1.7), self._server_free_at)
        heappush(self._under_way, (ends_at, self.now, endpoint))

    def _receive(self) -> None:
        self.now, sent_at, endpoint = heappop(self._under_way)
        self.pressure.answered(self.now, self.now - sent_at, endpoint)
        self.limits.append(self.pressure.concurrency)


def closed_loop(concurrency: int = 128, cap: float = 500.0) -> ClosedLoop:
    return ClosedLoop(Pressure(concurrency, cap), cap)


@pytest.mark.parametrize("slower_s", [0.22, 0.4, 2.0])
def test_an_endpoint_never_seen_before_may_be_slower_than_the_one_before(slower_s: float) -> None:
    """At 0.22 s the cap holds all the same, at 0.4 and 2 s the slots are too few for it."""
    loop = closed_loop()
    loop.ask(8, quick=0.04)
    goodput = loop.ask(30, slow=slower_s)
    assert set(loop.limits) == {128}
    assert goodput > 0.95 * min(0.985 * 500, 128 / slower_s)


@pytest.mark.parametrize("seconds", [0.3, 1.7, 5, 15])
def test_switching_to_and_fro_between_a_quick_and_a_slow_endpoint_costs_nothing(seconds: float) -> None:
    loop = closed_loop()
    for _ in range(8):
        loop.ask(seconds, quick=0.04)
        loop.ask(seconds, slow=0.4)
    assert set(loop.limits) == {128}


def test_a_mix_whose_shares_change_costs_nothing() -> None:
    loop = closed_loop()
    for _ in range(3):
        loop.ask(4, quick=0.04)
        loop.ask(4, quick=0.04, slow=0.8)
        loop.ask(4, quick=0.04, slow=0.8, slower=1.6)
        loop.ask(4, slower=1.6)
    assert set(loop.limits) == {128}


@pytest.mark.parametrize("latencies_s", [{"quick": 0.04}, {"slow": 0.4}, {"quick": 0.04, "slow": 0.2}])
def test_a_capacity_that_falls_costs_slots_whichever_endpoints_are_asked(
    latencies_s: dict[str, float],
) -> None:
    loop = closed_loop()
    loop.ask(5, **latencies_s)
    loop.capacity = 60.0
    goodput = loop.ask(10, **latencies_s)
    assert goodput > 0.95 * 60
    assert min(loop.limits) <= 50
    loop.capacity = 10_000.0
    loop.ask(20, **latencies_s)
    assert loop.pressure.concurrency == 128


def test_an_overload_after_a_switch_is_measured_by_what_that_endpoint_was() -> None:
    loop = closed_loop()
    loop.ask(5, quick=0.04)
    loop.ask(5, slow=0.4)
    loop.ask(5, quick=0.04)
    assert set(loop.limits) == {128}
    loop.capacity = 100.0
    loop.ask(8, slow=0.4)
    assert loop.pressure.concurrency <= 90


@pytest.mark.parametrize("capacity", [470.0, 485.0])
def test_slower_answers_cost_nothing_where_as_many_come_as_may_be_sent(capacity: float) -> None:
    loop = closed_loop()
    loop.ask(5, quick=0.04)
    loop.capacity = capacity
    assert loop.ask(30, quick=0.04) > 0.98 * capacity
    assert set(loop.limits) == {128}


def test_slower_answers_cost_nothing_where_as_many_come_as_before() -> None:
    """At first few were under way: more of them take longer, but fewer would be answered no better."""
    told = story(cap=None)
    told.answered(500, per_s=100, latency_s=0.05)
    told.answered(500, per_s=100, latency_s=0.3)
    assert told.pressure.concurrency == 32


def test_slower_answers_cost_nothing_where_a_429_holds_the_rate_and_the_rate_is_reached() -> None:
    told = story(cap=200.0)
    told.answered(750, per_s=150)
    told.answered(100, per_s=90)
    told.throttled()
    told.answered(400, per_s=88, latency_s=0.3)
    assert told.limits == (32, pytest.approx(0.985 * 90, rel=0.02))


@pytest.mark.parametrize("quickest", [10, 20, 30, 40])
def test_the_quickest_answers_of_an_endpoint_which_come_first_are_not_its_measure(quickest: int) -> None:
    told = story(cap=None)
    told.answered(500, per_s=100)
    told.answered(quickest, per_s=100, endpoint="/weeks")
    told.answered(600, per_s=60, latency_s=0.4, endpoint="/weeks")
    assert told.pressure.concurrency == 32


def test_endpoints_with_few_answers_each_are_measured_by_several_rounds() -> None:
    loop = closed_loop(32, 40.0)
    latencies_s = {f"endpoint_{number}": 0.1 for number in range(8)}
    loop.ask(10, **latencies_s)
    loop.capacity = 10.0
    loop.ask(15, **latencies_s)
    assert min(loop.limits) <= 16


def test_in_an_overload_that_lasts_slots_come_back_only_as_fast_as_it_is_forgotten() -> None:
    loop = closed_loop()
    loop.ask(5, quick=0.04)
    loop.capacity = 60.0
    loop.ask(20, quick=0.04)
    assert loop.pressure.concurrency <= 80
    loop.ask(20, quick=0.04)
    assert loop.pressure.concurrency == 128


# --- rate ------------------------------------------------------------------------------------------


def test_a_429_brings_the_rate_down_to_what_was_served() -> None:
    told = story(cap=200.0)
    told.answered(300, per_s=150)
    told.throttled()
    assert told.pressure.rate == pytest.approx(0.985 * 150, rel=0.02)


def test_a_burst_counts_as_what_a_second_bears() -> None:
    told = story(cap=None)
    told.answered(100, per_s=5_000)
    told.throttled()
    assert told.pressure.rate == pytest.approx(98.5, rel=0.02)


def test_one_pause_is_one_decrease() -> None:
    told = story(cap=200.0)
    told.answered(300, per_s=150)
    told.throttled(30, pause_s=1.0)
    rate = told.pressure.rate
    told.now += 1.5
    told.throttled(5, sent_ago_s=1.6)
    assert told.pressure.rate == rate
    told.throttled()
    assert told.pressure.rate == pytest.approx(rate / 2)


def test_without_a_pause_there_is_one_decrease_a_second() -> None:
    told = story(cap=200.0)
    told.answered(300, per_s=150)
    told.throttled()
    rate = told.pressure.rate
    told.now += 0.9
    told.throttled(5)
    assert told.pressure.rate == rate


def test_nothing_served_halves_the_rate_and_never_stops_it() -> None:
    told = story(cap=64.0)
    rates = []
    for _ in range(8):
        told.throttled()
        rates.append(told.pressure.rate)
        told.now += 1.01
    # Half of what the 32 slots may send in a second, and so on.
    assert rates == [16, 8, 4, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("cap", [0.2, 1.0])
def test_a_cap_of_one_a_second_or_less_is_low_enough(cap: float) -> None:
    told = story(cap=cap)
    told.throttled()
    assert told.pressure.rate is None


def test_the_rate_is_held_from_the_end_of_the_pause_and_then_rises_faster_and_faster_to_the_cap() -> None:
    told = story(cap=200.0)
    told.answered(200, per_s=100)
    told.throttled(pause_s=30.0)
    held = told.pressure.rate
    told.now += 30
    told.answered(14 * 50)
    assert told.pressure.rate == held
    rates = []
    for _ in range(8):
        told.answered(50)
        rates.append(told.pressure.rate)
    expected = [held * rise for rise in (1, 1.01, 1.01 * 1.02, 1.01 * 1.02 * 1.04)]
    assert rates[:4] == pytest.approx(expected)
    assert rates[-1] is None


def test_a_429_while_the_rate_rises_holds_it_anew() -> None:
    told = story(cap=200.0)
    told.answered(200, per_s=100)
    told.throttled()
    told.answered(1_750, per_s=100)
    told.throttled()
    rate = told.pressure.rate
    told.answered(1_400, per_s=100)
    assert told.pressure.rate == rate


def test_without_a_cap_the_limit_disappears_too() -> None:
    told = story(cap=None)
    told.throttled()
    assert told.pressure.rate == 16
    told.answered(50 * 23)
    assert told.pressure.rate is not None
    told.answered(50 * 2)
    assert told.pressure.rate is None


def test_five_times_the_capacity_is_found_within_half_a_minute() -> None:
    told = story(cap=None)
    told.answered(40, per_s=20)
    told.throttled(pause_s=1.0)
    assert told.pressure.rate < 20
    told.now += 1
    told.answered(23 * 20, per_s=20)
    assert told.pressure.rate > 85


# --- kinds of failures -----------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "expected"), [(503, True), (504, True), (500, False), (None, False)])
def test_only_503_and_504_say_that_there_is_too_much_to_do(status: int | None, *, expected: bool) -> None:
    context = ErrorContext("GET", "/sensors", status=status)
    error = UnreachableError("lost", context) if status is None else ServerError("failed", context)
    assert is_overload(Failure(error, Resend.SAFE)) is expected


def test_a_time_out_is_a_failure_like_any_other_to_whoever_retries() -> None:
    error = UnreachableError("silent", ErrorContext("GET", "/sensors"))
    timed_out = TimedOut(error, Resend.SAFE)
    assert isinstance(timed_out, Failure)
    assert not timed_out.is_throttle
