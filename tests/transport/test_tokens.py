"""Renewals, by themselves: grants on paper, hours on a virtual clock."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint
from virtual_time import in_virtual_time

from voltaware_async.errors import (
    AuthUnavailableError,
    ClientClosedError,
    CredentialsRefusedError,
    ErrorContext,
)
from voltaware_async.protocol.secret import Secret
from voltaware_async.protocol.token import Token
from voltaware_async.transport.tokens import TokenSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.anyio, in_virtual_time]

CONTEXT = ErrorContext("POST", "/auth/token")
REFUSED = CredentialsRefusedError("refused", CONTEXT)
UNAVAILABLE = AuthUnavailableError("no token", CONTEXT)
LIFE_S = 43_200.0
CALLERS = 1_000


class PaperGrants:
    """Grant tokens on paper: `asked` tells by which way, and the end of each is the next of `ends`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.times: list[float] = []
        self.ends: list[Exception | Token] = []
        self.open = asyncio.Event()
        self.open.set()
        self.life_s: float | None = LIFE_S
        self.contexts: list[contextvars.Context] = []
        self.logins = 0

    async def renew(self, token: Token | None) -> Token:
        return await self._grant("renew" if token is not None else "first")

    async def refresh(self, token: Token, refresh_token: Secret) -> Token:
        assert token.refresh == refresh_token
        return await self._grant("refresh")

    async def login(self) -> Token:
        self.logins += 1
        return await self._grant("login")

    def token(self, name: str) -> Token:
        now = asyncio.get_running_loop().time()
        return Token(Secret(name), Secret("refresh"), now, self.life_s, self.logins)

    async def _grant(self, way: str) -> Token:
        self.asked.append(way)
        self.times.append(asyncio.get_running_loop().time())
        self.contexts.append(contextvars.copy_context())
        number = len(self.asked)
        await self.open.wait()
        end = self.ends.pop(0) if self.ends else self.token(f"token-{number}")
        if isinstance(end, Exception):
            raise end
        return end


@pytest.fixture
async def grants() -> PaperGrants:
    return PaperGrants()


@pytest.fixture
async def source(grants: PaperGrants) -> AsyncIterator[TokenSource]:
    """A source; in the end nothing must be left that asyncio complains of."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    source = TokenSource(grants)
    yield source
    grants.open.set()
    await source.aclose()
    del source
    gc.collect()
    assert complaints == []
    assert len(asyncio.all_tasks()) <= 2  # the test's own


async def usable(source: TokenSource) -> Token:
    """Do what every call does."""
    while (token := source.peek()) is None:
        await source.renewed()
    return token


async def settled() -> None:
    for _ in range(10):
        await checkpoint()


async def waiting(source: TokenSource, number: int = CALLERS) -> list[asyncio.Task[Token]]:
    """Let callers wait for a token, and return them once all do."""
    callers = [asyncio.create_task(usable(source)) for _ in range(number)]
    await settled()
    assert not any(caller.done() for caller in callers)
    return callers


async def hold_a_token(source: TokenSource) -> Token:
    return await usable(source)


async def test_a_thousand_callers_without_a_token_make_one(source: TokenSource, grants: PaperGrants) -> None:
    grants.open.clear()
    callers = await waiting(source)
    grants.open.set()
    assert {token.access.reveal() for token in await asyncio.gather(*callers)} == {"token-1"}
    assert grants.asked == ["first"]


async def test_a_token_at_hand_is_given_out_without_waiting(source: TokenSource, grants: PaperGrants) -> None:
    token = await hold_a_token(source)
    assert all(source.peek() is token for _ in range(CALLERS))
    assert grants.asked == ["first"]


async def test_cancelling_whoever_started_a_renewal_disturbs_nobody(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F03."""
    grants.open.clear()
    starter, *others = await waiting(source)
    starter.cancel()
    await settled()
    assert starter.cancelled()
    grants.open.set()
    assert len({id(token) for token in await asyncio.gather(*others)}) == 1
    assert grants.asked == ["first"]


async def test_cancelling_half_of_the_callers_disturbs_nobody(
    source: TokenSource, grants: PaperGrants
) -> None:
    grants.open.clear()
    callers = await waiting(source)
    for caller in callers[::2]:
        caller.cancel()
    await settled()
    grants.open.set()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(end) for end in ended[::2]} == {asyncio.CancelledError}
    assert {type(end) for end in ended[1::2]} == {Token}
    assert grants.asked == ["first"]


async def test_a_caller_that_gives_up_by_a_time_out_disturbs_nobody(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F04: by anyio, whose cancellation repeats, by asyncio, and by the failure of a sibling."""

    async def gives_up_by_anyio() -> None:
        with anyio.move_on_after(1):
            await usable(source)

    async def gives_up_by_asyncio() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await usable(source)

    async def fails_beside_it() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(usable(source))
            await settled()
            raise LookupError

    grants.open.clear()
    impatient = asyncio.create_task(gives_up_by_anyio())
    patient = await waiting(source, 10)
    await gives_up_by_asyncio()
    with pytest.raises(ExceptionGroup):
        await fails_beside_it()
    await impatient
    grants.open.set()
    assert len(await asyncio.gather(*patient)) == 10
    assert grants.asked == ["first"]


async def test_a_renewal_that_everybody_left_is_kept_for_the_next_call(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F06."""
    grants.open.clear()
    for caller in await waiting(source):
        caller.cancel()
    await settled()
    grants.open.set()
    await settled()
    token = source.peek()
    assert token is not None
    assert token.access.reveal() == "token-1"
    assert grants.asked == ["first"]


async def test_a_renewal_that_everybody_left_may_fail_in_silence(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F05: the fixture sees what asyncio would say of an exception that nobody retrieved."""
    grants.open.clear()
    grants.ends = [UNAVAILABLE]
    for caller in await waiting(source):
        caller.cancel()
    await settled()
    grants.open.set()
    await settled()
    gc.collect()
    assert source.peek() is None
    assert (await usable(source)).access.reveal() == "token-2"


async def test_a_renewal_that_everybody_left_survives_the_garbage_collector(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F97: asyncio itself holds tasks weakly."""
    grants.open.clear()
    callers = await waiting(source, 3)
    for caller in callers:
        caller.cancel()
    callers.clear()
    await settled()
    gc.collect()
    grants.open.set()
    await settled()
    assert source.peek() is not None


async def test_each_caller_gets_an_error_of_its_own(source: TokenSource, grants: PaperGrants) -> None:
    """F09: one exception that a thousand callers raise would gather all their tracebacks."""
    grants.open.clear()
    grants.ends = [REFUSED]
    callers = await waiting(source)
    grants.open.set()
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(error) for error in errors} == {CredentialsRefusedError}
    assert len({id(error) for error in (REFUSED, *errors)}) == CALLERS + 1
    assert {(error.message, error.context) for error in errors} == {("refused", CONTEXT)}
    assert grants.asked == ["first"]


async def test_an_error_of_another_kind_reaches_every_caller_as_it_is(
    source: TokenSource, grants: PaperGrants
) -> None:
    bug = KeyError("a bug in a token store")
    grants.open.clear()
    grants.ends = [bug]
    callers = await waiting(source, 3)
    grants.open.set()
    assert await asyncio.gather(*callers, return_exceptions=True) == [bug] * 3


async def test_refused_credentials_are_not_tried_again_for_5_seconds_then_10_up_to_60(
    source: TokenSource, grants: PaperGrants
) -> None:
    grants.ends = [REFUSED] * 7
    while len(grants.asked) < 7:
        with pytest.raises(CredentialsRefusedError):
            await source.renewed()
        await asyncio.sleep(0.5)
    gaps = [later - earlier for earlier, later in pairwise(grants.times)]
    assert gaps == pytest.approx([5, 10, 20, 40, 60, 60], abs=0.6)


async def test_a_success_forgives_what_was_refused_before(source: TokenSource, grants: PaperGrants) -> None:
    grants.ends = [REFUSED, REFUSED, grants.token("good"), REFUSED]
    for hold_s in (5.1, 10.1):
        with pytest.raises(CredentialsRefusedError):
            await source.renewed()
        await asyncio.sleep(hold_s)
    token = await usable(source)
    source.refuse(token)
    with pytest.raises(CredentialsRefusedError):
        await source.renewed()
    await asyncio.sleep(5.1)
    await source.renewed()
    assert len(grants.asked) == 5


async def test_a_login_that_succeeds_ends_the_hold_after_a_refusal(
    source: TokenSource, grants: PaperGrants
) -> None:
    grants.ends = [REFUSED]
    with pytest.raises(CredentialsRefusedError):
        await source.renewed()
    await source.login()
    token = source.peek()
    assert token is not None
    source.refuse(token)
    assert await usable(source) is not token
    assert grants.asked == ["first", "login", "renew"]


async def test_a_token_that_was_not_to_be_had_is_asked_for_again_at_once(
    source: TokenSource, grants: PaperGrants
) -> None:
    grants.ends = [UNAVAILABLE]
    with pytest.raises(AuthUnavailableError):
        await source.renewed()
    assert (await usable(source)).access.reveal() == "token-2"


# --- ahead of time ---------------------------------------------------------------------------------


async def test_a_token_late_in_its_life_is_used_on_while_it_is_renewed_once(
    source: TokenSource, grants: PaperGrants
) -> None:
    old = await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 900)
    grants.open.clear()
    assert all(source.peek() is old for _ in range(CALLERS))
    await settled()
    assert grants.asked == ["first", "refresh"]
    assert source.peek() is old
    grants.open.set()
    await settled()
    new = source.peek()
    assert new is not None
    assert new.access.reveal() == "token-2"


async def test_a_token_is_not_renewed_before_its_last_quarter_of_an_hour(
    source: TokenSource, grants: PaperGrants
) -> None:
    old = await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 901)
    assert source.peek() is old
    await settled()
    assert grants.asked == ["first"]


async def test_an_early_renewal_that_fails_is_warned_of_and_tried_again_after_30_seconds(
    source: TokenSource, grants: PaperGrants, caplog: pytest.LogCaptureFixture
) -> None:
    """F10."""
    old = await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 900)
    grants.ends = [UNAVAILABLE] * 1_000
    with caplog.at_level(logging.WARNING, "voltaware_async"):
        for _ in range(100):
            assert source.peek() is old
            await asyncio.sleep(1)
    gaps = [later - earlier for earlier, later in pairwise(grants.times[1:])]
    assert len(gaps) == 3
    assert all(30 <= gap < 32 for gap in gaps)
    assert len(caplog.records) == 4
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "used on" in caplog.text


async def test_a_failed_early_renewal_does_not_hold_up_the_one_that_must_be(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F12: a well-known client let its back-off block the mandatory refresh."""
    old = await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 61)
    grants.ends = [UNAVAILABLE]
    assert source.peek() is old
    await asyncio.sleep(1.5)
    assert source.peek() is None
    assert (await usable(source)).access.reveal() == "token-3"
    assert grants.asked == ["first", "refresh", "renew"]


async def test_a_caller_at_a_tokens_end_joins_the_early_renewal_under_way(
    source: TokenSource, grants: PaperGrants
) -> None:
    await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 61)
    grants.open.clear()
    source.peek()
    await asyncio.sleep(2)
    callers = await waiting(source)
    grants.open.set()
    assert {token.access.reveal() for token in await asyncio.gather(*callers)} == {"token-2"}
    assert grants.asked == ["first", "refresh"]


async def test_callers_whose_early_renewal_fails_at_a_tokens_end_make_one_more_together(
    source: TokenSource, grants: PaperGrants
) -> None:
    await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 61)
    grants.open.clear()
    grants.ends = [UNAVAILABLE]
    source.peek()
    await asyncio.sleep(2)
    callers = await waiting(source)
    grants.open.set()
    assert {token.access.reveal() for token in await asyncio.gather(*callers)} == {"token-3"}
    assert grants.asked == ["first", "refresh", "renew"]


async def test_an_early_renewal_that_returns_the_same_token_does_not_go_round_in_circles(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F13, T05: google-auth spun here; every answer leaves what is left of the token's one life."""
    old = await hold_a_token(source)
    ends_at = asyncio.get_running_loop().time() + LIFE_S
    await asyncio.sleep(LIFE_S - 900)
    while asyncio.get_running_loop().time() < ends_at - 60:
        left = ends_at - asyncio.get_running_loop().time()
        grants.ends = [Token(old.access, old.refresh, ends_at - left, left, old.login)]
        assert source.peek() is not None
        await asyncio.sleep(1)
    gaps = [later - earlier for earlier, later in pairwise(grants.times[1:])]
    assert min(gaps) >= 30
    assert len(grants.asked) < 8


@pytest.mark.parametrize("life_s", [1.0, 2.0, 10.0, 60.0])
async def test_a_short_life_is_lived_without_a_caller_failing(
    source: TokenSource, grants: PaperGrants, life_s: float
) -> None:
    grants.life_s = life_s
    began = asyncio.get_running_loop().time()
    for _ in range(400):
        token = await usable(source)
        assert asyncio.get_running_loop().time() < token.issued_at + life_s
        await asyncio.sleep(life_s / 20)
    lives = (asyncio.get_running_loop().time() - began) / life_s
    assert lives <= len(grants.asked) <= 2.5 * lives + 1


async def test_a_token_of_unknown_life_is_never_renewed_ahead_of_time(
    source: TokenSource, grants: PaperGrants
) -> None:
    grants.life_s = None
    token = await hold_a_token(source)
    await asyncio.sleep(1_000 * LIFE_S)
    assert source.peek() is token
    await settled()
    assert grants.asked == ["first"]


async def test_waking_up_13_hours_later_costs_one_renewal_and_no_error(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F95."""
    await hold_a_token(source)
    await asyncio.sleep(13 * 3_600)
    tokens = await asyncio.gather(*(usable(source) for _ in range(CALLERS)))
    assert {token.access.reveal() for token in tokens} == {"token-2"}
    assert grants.asked == ["first", "renew"]


# --- refused tokens --------------------------------------------------------------------------------


async def test_a_refused_token_is_not_given_out_again(source: TokenSource, grants: PaperGrants) -> None:
    token = await hold_a_token(source)
    source.refuse(token)
    assert source.peek() is None
    assert await usable(source) is not token
    assert grants.asked == ["first", "renew"]


async def test_the_token_after_a_refused_one_is_renewed_ahead_of_time_as_any_other(
    source: TokenSource, grants: PaperGrants
) -> None:
    source.refuse(await hold_a_token(source))
    new = await usable(source)
    await asyncio.sleep(LIFE_S - 900)
    assert source.peek() is new
    await settled()
    assert grants.asked == ["first", "renew", "refresh"]


async def test_a_refusal_that_arrives_after_the_renewal_counts_for_the_old_token_alone(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F02: without the comparison each late 401 would throw a good token away."""
    old = await hold_a_token(source)
    source.refuse(old)
    new = await usable(source)
    for _ in range(CALLERS):
        source.refuse(old)
    assert source.peek() is new
    assert grants.asked == ["first", "renew"]


async def test_a_token_refused_during_an_early_renewal_waits_for_that_one(
    source: TokenSource, grants: PaperGrants
) -> None:
    old = await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 900)
    grants.open.clear()
    source.peek()
    source.refuse(old)
    callers = await waiting(source, 20)
    grants.open.set()
    assert {token.access.reveal() for token in await asyncio.gather(*callers)} == {"token-2"}


# --- logins ----------------------------------------------------------------------------------------


async def test_logins_asked_for_at_once_are_one(source: TokenSource, grants: PaperGrants) -> None:
    await hold_a_token(source)
    grants.open.clear()
    callers = [asyncio.create_task(source.login()) for _ in range(CALLERS)]
    await settled()
    grants.open.set()
    await asyncio.gather(*callers)
    assert grants.asked == ["first", "login"]


async def test_a_login_waits_for_the_renewal_under_way_and_is_made_all_the_same(
    source: TokenSource, grants: PaperGrants
) -> None:
    grants.open.clear()
    callers = await waiting(source, 3)
    logins = [asyncio.create_task(source.login()) for _ in range(3)]
    await settled()
    assert grants.asked == ["first"]
    grants.open.set()
    await asyncio.gather(*callers, *logins)
    assert grants.asked == ["first", "login"]


async def test_a_caller_without_a_token_joins_a_login_under_way(
    source: TokenSource, grants: PaperGrants
) -> None:
    grants.open.clear()
    login = asyncio.create_task(source.login())
    await settled()
    callers = await waiting(source, 3)
    grants.open.set()
    await asyncio.gather(login, *callers)
    assert grants.asked == ["login"]


async def test_a_login_that_fails_leaves_the_token_in_use(source: TokenSource, grants: PaperGrants) -> None:
    token = await hold_a_token(source)
    grants.ends = [UNAVAILABLE]
    with pytest.raises(AuthUnavailableError):
        await source.login()
    assert source.peek() is token


async def test_many_403s_are_answered_by_one_login_a_minute(source: TokenSource, grants: PaperGrants) -> None:
    old = await hold_a_token(source)
    assert all(await asyncio.gather(*(source.is_newer_login_at_hand(old) for _ in range(CALLERS))))
    new = source.peek()
    assert new is not None
    assert await source.is_newer_login_at_hand(old)
    assert not await source.is_newer_login_at_hand(new)
    await asyncio.sleep(59)
    assert not await source.is_newer_login_at_hand(new)
    await asyncio.sleep(2)
    assert await source.is_newer_login_at_hand(new)
    assert grants.asked == ["first", "login", "login"]


async def test_many_403s_during_a_renewal_are_all_answered_by_the_login_after_it(
    source: TokenSource, grants: PaperGrants
) -> None:
    old = await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 900)
    grants.open.clear()
    source.peek()
    await settled()
    callers = [asyncio.create_task(source.is_newer_login_at_hand(old)) for _ in range(CALLERS)]
    await settled()
    grants.open.set()
    assert all(await asyncio.gather(*callers))
    assert grants.asked == ["first", "refresh", "login"]


async def test_a_renewal_that_had_to_log_in_answers_a_403_too(
    source: TokenSource, grants: PaperGrants
) -> None:
    old = await hold_a_token(source)
    source.refuse(old)
    grants.open.clear()
    callers = await waiting(source, 3)
    at_hand = asyncio.create_task(source.is_newer_login_at_hand(old))
    await settled()
    grants.logins += 1  # the refresh token was refused, and the renewal logged in
    grants.open.set()
    await asyncio.gather(*callers)
    assert await at_hand
    assert grants.asked == ["first", "renew"]


async def test_a_refreshed_token_belongs_to_the_login_of_its_refresh_token(
    source: TokenSource, grants: PaperGrants
) -> None:
    old = await hold_a_token(source)
    source.refuse(old)
    await source.renewed()
    assert await source.is_newer_login_at_hand(old)
    assert grants.asked == ["first", "renew", "login"]


# --- the end ---------------------------------------------------------------------------------------


async def test_closing_during_a_renewal_ends_it_and_tells_every_caller(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F07: never by a CancelledError, which would look like the caller's own."""
    grants.open.clear()
    callers = await waiting(source)
    await source.aclose()
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(error) for error in errors} == {ClientClosedError}
    assert len({id(error) for error in errors}) == CALLERS


async def test_closing_before_a_renewals_first_step_tells_its_caller_too(source: TokenSource) -> None:
    """A task that is cancelled before its first step runs none of its own code."""
    caller = asyncio.create_task(source.renewed())
    closing = asyncio.create_task(source.aclose())
    with pytest.raises(ClientClosedError):
        await caller
    await closing


async def test_closing_during_an_early_renewal_leaves_no_task(
    source: TokenSource, grants: PaperGrants
) -> None:
    await hold_a_token(source)
    await asyncio.sleep(LIFE_S - 61)
    grants.open.clear()
    source.peek()
    await asyncio.sleep(2)
    callers = await waiting(source, 5)
    await source.aclose()
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(error) for error in errors} == {ClientClosedError}


async def test_nothing_is_renewed_after_the_end(source: TokenSource, grants: PaperGrants) -> None:
    await source.aclose()
    await source.aclose()
    with pytest.raises(ClientClosedError):
        await source.renewed()
    with pytest.raises(ClientClosedError):
        await source.login()
    assert grants.asked == []


async def test_the_first_callers_variables_do_not_leak_into_the_renewal(
    source: TokenSource, grants: PaperGrants
) -> None:
    """F98: a trace id of one call would be everybody's."""
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace")
    trace.set("the first caller's")
    await usable(source)
    await source.login()
    await asyncio.sleep(LIFE_S - 900)
    source.peek()
    await settled()
    assert grants.asked == ["first", "login", "refresh"]
    assert [context.get(trace) for context in grants.contexts] == [None] * 3
    assert trace.get() == "the first caller's"
