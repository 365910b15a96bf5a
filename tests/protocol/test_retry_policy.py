"""What the retry policy decides: laws on plain numbers, nothing waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.errors import ErrorContext, ServerError, ThrottledError
from voltaware_async.protocol.retry import Failure, Resend, RetryBudget, RetryPolicy, Tally, retry_after_s

CONTEXT = ErrorContext("GET", "/sensors")
NOON = datetime(2024, 9, 15, 12, 0, 0, tzinfo=UTC)


def failure(
    resend: Resend = Resend.SAFE, *, retry_after: float | None = None, is_throttle: bool = False
) -> Failure:
    error = ThrottledError("slow", CONTEXT, retry_after) if is_throttle else ServerError("down", CONTEXT)
    return Failure(error, resend, retry_after, is_throttle)


def decide(
    policy: RetryPolicy,
    failed: Failure,
    tally: Tally | None = None,
    *,
    is_idempotent: bool = True,
    remaining: float = 60.0,
    chance: float = 0.5,
) -> float | None:
    return policy.decide(
        failed,
        tally or Tally(failures=1),
        is_idempotent=is_idempotent,
        remaining=remaining,
        chance=chance,
    )


policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 10),
    wait_initial=st.floats(1e-3, 10),
    wait_max=st.floats(1e-3, 100),
    retry_after_max=st.floats(0, 1_000),
)
pauses = st.none() | st.floats(0, 10_000)
failures = st.builds(failure, st.sampled_from(Resend), retry_after=pauses, is_throttle=st.booleans())
chances = st.floats(0, 1, exclude_max=True)


@st.composite
def tallies(draw: st.DrawFn, failed: Failure) -> Tally:
    """What a call has met, the failure at hand included."""
    tally = Tally(draw(st.integers(0, 12)), draw(st.integers(0, 5_000)))
    tally.add(failed)
    return tally


@st.composite
def situations(draw: st.DrawFn) -> tuple[RetryPolicy, Failure, Tally, bool, float, float]:
    failed = draw(failures)
    return (
        draw(policies),
        failed,
        draw(tallies(failed)),
        draw(st.booleans()),
        draw(st.floats(-10, 200)),
        draw(chances),
    )


@given(situations())
def test_no_wait_ends_after_the_deadline(
    situation: tuple[RetryPolicy, Failure, Tally, bool, float, float],
) -> None:
    policy, failed, tally, is_idempotent, remaining, chance = situation
    wait = policy.decide(failed, tally, is_idempotent=is_idempotent, remaining=remaining, chance=chance)
    assert wait is None or 0 <= wait < remaining


@given(situations())
def test_what_may_have_been_acted_on_is_sent_again_only_if_it_is_idempotent(
    situation: tuple[RetryPolicy, Failure, Tally, bool, float, float],
) -> None:
    policy, failed, tally, is_idempotent, remaining, chance = situation
    wait = policy.decide(failed, tally, is_idempotent=is_idempotent, remaining=remaining, chance=chance)
    if failed.resend is Resend.NEVER or (failed.resend is Resend.IF_IDEMPOTENT and not is_idempotent):
        assert wait is None


@given(situations())
def test_a_call_that_failed_as_often_as_it_may_is_given_up(
    situation: tuple[RetryPolicy, Failure, Tally, bool, float, float],
) -> None:
    policy, failed, tally, is_idempotent, remaining, chance = situation
    wait = policy.decide(failed, tally, is_idempotent=is_idempotent, remaining=remaining, chance=chance)
    if tally.failures >= policy.attempts:
        assert wait is None


@given(situations())
def test_a_wait_is_the_pause_that_was_asked_for_and_a_little_more_or_a_full_jitter(
    situation: tuple[RetryPolicy, Failure, Tally, bool, float, float],
) -> None:
    policy, failed, tally, is_idempotent, remaining, chance = situation
    wait = policy.decide(failed, tally, is_idempotent=is_idempotent, remaining=remaining, chance=chance)
    if wait is None:
        return
    if failed.retry_after is None:
        assert wait <= policy.wait_max
        assert wait <= policy.wait_initial * 2.0 ** min(1_000, tally.failures + tally.throttles - 1)
    else:
        assert failed.retry_after <= policy.retry_after_max
        assert failed.retry_after <= wait <= failed.retry_after + policy.wait_initial


def test_a_back_off_doubles_up_to_its_bound_and_is_spread_from_nothing_on() -> None:
    policy = RetryPolicy(attempts=100, wait_initial=0.2, wait_max=1.0)
    almost = 1 - 2**-53
    longest = [decide(policy, failure(), Tally(failures=n), chance=almost) for n in (1, 2, 3, 4, 50)]
    assert longest == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0])
    assert decide(policy, failure(), Tally(failures=3), chance=0.0) == 0.0
    assert decide(policy, failure(), Tally(failures=3), chance=0.25) == pytest.approx(0.2)


def test_being_throttled_a_thousand_times_uses_up_no_attempt() -> None:
    throttled = failure(retry_after=1.0, is_throttle=True)
    assert decide(RetryPolicy(attempts=1), throttled, Tally(throttles=1_000)) == pytest.approx(1.1)
    assert decide(RetryPolicy(attempts=1), failure(), Tally(failures=1, throttles=1_000)) is None


def test_ten_thousand_throttles_do_not_overflow_the_back_off() -> None:
    bare = failure(is_throttle=True)
    assert decide(RetryPolicy(), bare, Tally(throttles=10_000), chance=0.5) == 5.0


def test_a_pause_over_the_limit_is_not_waited_for() -> None:
    policy = RetryPolicy(retry_after_max=7.0)
    assert decide(policy, failure(retry_after=7.0), chance=0.0) == 7.0
    assert decide(policy, failure(retry_after=7.1), chance=0.0) is None


def test_a_pause_over_the_deadline_is_not_waited_for() -> None:
    """F51."""
    assert decide(RetryPolicy(), failure(retry_after=30.0), remaining=30.0, chance=0.0) is None
    assert decide(RetryPolicy(), failure(retry_after=30.0), remaining=30.1, chance=0.0) == 30.0


def test_a_tally_tells_throttles_from_failures() -> None:
    tally = Tally()
    for failed in (failure(), failure(is_throttle=True), failure(is_throttle=True)):
        tally.add(failed)
    assert (tally.failures, tally.throttles) == (1, 2)


@pytest.mark.parametrize(
    "setting",
    [
        {"attempts": 0},
        {"wait_initial": 0},
        {"wait_max": 0},
        {"retry_after_max": -1},
        {"budget": -1},
        {"budget_refill": -0.1},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        RetryPolicy(**setting)


def test_a_policy_has_the_promised_bounds_unless_told_otherwise() -> None:
    """F52, F56."""
    assert RetryPolicy() == RetryPolicy(
        attempts=3, wait_initial=0.2, wait_max=10.0, retry_after_max=60.0, budget=100.0, budget_refill=0.1
    )


def test_a_policy_cannot_be_changed_under_way() -> None:
    with pytest.raises(FrozenInstanceError):
        RetryPolicy().attempts = 5


# --- the budget ------------------------------------------------------------------------------------


@given(
    st.floats(0, 50),
    st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 2.0]),
    st.lists(st.booleans(), max_size=300),
)
def test_retries_never_outnumber_the_bucket_and_its_share_of_the_successes(
    bucket: float, refill: float, events: list[bool]
) -> None:
    budget = RetryBudget(RetryPolicy(budget=bucket, budget_refill=refill))
    retries = successes = 0
    for is_success in events:
        if is_success:
            budget.refund()
            successes += 1
        else:
            retries += budget.spend()
        assert retries <= bucket + refill * successes + 1e-9


def test_a_bucket_that_was_emptied_is_full_again_after_enough_successes() -> None:
    """F57."""
    budget = RetryBudget(RetryPolicy(budget=10, budget_refill=0.125))
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2
    for _ in range(80):
        budget.refund()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2


def test_successes_do_not_fill_the_bucket_over_its_brim() -> None:
    budget = RetryBudget(RetryPolicy(budget=2, budget_refill=5))
    budget.refund()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


def test_a_budget_of_nothing_allows_no_retry() -> None:
    assert not RetryBudget(RetryPolicy(budget=0)).spend()


# --- Retry-After -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("007", 7.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("9" * 32, 1e32),
        ("9" * 33, None),
        ("9" * 35, None),
        ("9" * 5_000, None),
        ("-10", None),
        ("+7", None),
        ("1e3", None),
        ("1_000", None),
        ("1,5", None),
        ("1.2.3", None),
        (".", None),
        ("inf", None),
        ("Infinity", None),
        ("nan", None),
        ("", None),
        ("   ", None),
        ("soon", None),
        ("\u0667", None),
        ("\u00b2", None),
    ],
)
def test_a_pause_in_seconds_is_a_plain_number_or_says_nothing(text: str, seconds: float | None) -> None:
    """F50."""
    assert retry_after_s({"Retry-After": text}) == seconds


def test_a_reply_without_the_header_asks_for_no_pause() -> None:
    assert retry_after_s({}) is None
    assert retry_after_s({"Retry-After-Ms": "1500"}) is None


@pytest.mark.parametrize("wait_s", [1, 30, 86_400])
def test_a_pause_up_to_a_date_is_counted_from_the_replys_own_date(wait_s: int) -> None:
    """F49: our clock, which may be years off, does not matter."""
    headers = {
        "Date": format_datetime(NOON, usegmt=True),
        "Retry-After": format_datetime(NOON + timedelta(seconds=wait_s), usegmt=True),
    }
    assert retry_after_s(headers) == wait_s


@pytest.mark.parametrize("wait_s", [0, -1, -86_400])
def test_a_date_that_has_passed_asks_for_no_pause(wait_s: int) -> None:
    headers = {
        "Date": format_datetime(NOON, usegmt=True),
        "Retry-After": format_datetime(NOON + timedelta(seconds=wait_s), usegmt=True),
    }
    assert retry_after_s(headers) is None


@pytest.mark.parametrize("own_date", [None, "", "yesterday"])
def test_without_a_usable_date_of_the_reply_our_own_clock_counts(own_date: str | None) -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    headers = {"Retry-After": format_datetime(later, usegmt=True)}
    if own_date is not None:
        headers["Date"] = own_date
    assert retry_after_s(headers) == pytest.approx(99, abs=1.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 15 Sep 2024 12:01:00 -0000", 60),
        ("Sun, 15 Sep 2024 14:01:00 +0200", 60),
        ("15 Sep 2024 12:01:00 GMT", 60),
        ("Mon, 15 Sep 2024 12:01:00 GMT", 60),
    ],
)
def test_a_date_in_another_of_its_forms_is_read(text: str, seconds: float) -> None:
    """Whatever weekday it claims: the date counts."""
    assert retry_after_s({"Date": format_datetime(NOON, usegmt=True), "Retry-After": text}) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 31 Feb 2024 12:00:00 GMT",
        "Sun, 15 Sep 100000 12:00:00 GMT",
        "1 Jan 99999999999 00:00 GMT",
        "9999999999 Jan 2024 00:00 GMT",
        "1 Jan 2024 00:00:00 +999999999",
        "2024-09-15T12:01:00Z",
        "Sun, 15 Sep",
        ", , ,",
    ],
)
def test_a_date_that_is_none_says_nothing(text: str) -> None:
    assert retry_after_s({"Retry-After": text}) is None
    assert retry_after_s({"Retry-After": format_datetime(NOON, usegmt=True), "Date": text}) is None


words = st.sampled_from(
    ["Sun", ",", "15", "Sep", "2024", "12:01:00", "12:01", "GMT", "+", "-", "9" * 10, ":", "."]
)


@given(
    st.text(max_size=40) | st.lists(words, max_size=10).map(" ".join),
    st.text(max_size=40) | st.lists(words, max_size=10).map(" ".join),
)
def test_no_text_in_either_header_is_an_error(text: str, date: str) -> None:
    wait = retry_after_s({"Retry-After": text, "Date": date})
    assert wait is None or 0 <= wait < 1e40
