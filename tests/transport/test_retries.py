"""Retries over real HTTP: which answers are asked for again, how often, how long, and who pays."""

from __future__ import annotations

import asyncio
import logging
from datetime import date
from typing import TYPE_CHECKING

import pytest
from virtual_time import in_virtual_time

from voltaware_async import RetryPolicy
from voltaware_async.errors import (
    ApiError,
    BadRequestError,
    ClientClosedError,
    DeadlineError,
    ErrorContext,
    ServerError,
    ThrottledError,
    UnreachableError,
)
from voltaware_async.protocol.retry import Failure, Resend
from voltaware_async.records.metadata import Geolocation
from voltaware_async.sandbox import Sandbox
from voltaware_async.transport.retrier import Call, Retrier
from voltaware_async.transport.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voltaware_async import VoltawareClient

pytestmark = [pytest.mark.anyio, in_virtual_time]

LONDON = Geolocation(latitude=51.5, longitude=-0.12)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    clock = asyncio.get_running_loop().time
    async with Sandbox(devices=30, today=date(2024, 9, 15), clock=clock) as sandbox:
        yield sandbox


def now() -> float:
    return asyncio.get_running_loop().time()


async def error_of(call: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value


# --- which -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_a_passing_failure_is_asked_for_again(
    sandbox: Sandbox, client: VoltawareClient, status: int
) -> None:
    """F53, F55."""
    failing = sandbox.script(status=status, body="{}", times=2)
    assert await client.devices.get("0001") is not None
    assert failing.hit == 2
    assert sandbox.count("sensor") == 3


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_connection_that_breaks_is_asked_for_again(
    sandbox: Sandbox, client: VoltawareClient, kind: str
) -> None:
    breaking = sandbox.script(kind, times=2)
    assert await client.devices.get("0001") is not None
    assert breaking.hit == 2


@pytest.mark.parametrize("status", [500, 503])
async def test_an_update_that_failed_in_passing_is_sent_again_as_it_was(
    sandbox: Sandbox, client: VoltawareClient, status: int
) -> None:
    sandbox.script(status=status, body="{}")
    await client.metadata.set_geolocation("0001", LONDON)
    first, second = (request for request in sandbox.requests if request.method == "PUT")
    assert first.body == second.body != b""


@pytest.mark.parametrize("status", [400, 409, 410, 422])
async def test_a_request_that_is_refused_is_not_sent_again(
    sandbox: Sandbox, client: VoltawareClient, status: int
) -> None:
    """F54."""
    refusing = sandbox.script(status=status, body="{}", times=None)
    error = await error_of(client.devices.get("0001"))
    assert type(error) is BadRequestError
    assert (error.context.status, error.context.attempts, refusing.hit) == (status, 1, 1)


@pytest.mark.parametrize("status", [501, 505])
async def test_a_failure_that_does_not_pass_is_not_asked_for_again(
    sandbox: Sandbox, client: VoltawareClient, status: int
) -> None:
    failing = sandbox.script(status=status, body="{}", times=None)
    error = await error_of(client.devices.get("0001"))
    assert type(error) is ServerError
    assert (error.context.status, error.context.attempts, failing.hit) == (status, 1, 1)


async def test_what_may_have_been_acted_on_is_not_sent_again_unless_that_is_harmless() -> None:
    retrier = Retrier(RetryPolicy(), Traffic())
    lost = Failure(UnreachableError("lost", ErrorContext("POST", "/auth/token")), Resend.IF_IDEMPOTENT)
    assert not await retrier.backed_off(lost, Call(is_idempotent=False, deadline_s=60))
    assert await retrier.backed_off(lost, Call(is_idempotent=True, deadline_s=60))


# --- how often -------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_a_failure_that_stays_is_asked_for_as_often_as_the_policy_says(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], attempts: int
) -> None:
    """F52."""
    failing = sandbox.script("503", times=None)
    async with make_client(retry=RetryPolicy(attempts=attempts)) as client:
        error = await error_of(client.devices.get("0001"))
    assert type(error) is ServerError
    assert (error.context.attempts, failing.hit) == (attempts, attempts)
    assert error.context.status == 503


async def test_back_offs_are_at_most_a_fifth_and_two_fifths_of_a_second(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    await client.connect()
    sandbox.script("503", times=None)
    for number in range(1, 11):
        await error_of(client.devices.get(f"{number:04}"))
    at = [request.at for request in sandbox.requests if request.route == "sensor"]
    first = [later - earlier for earlier, later in zip(at[0::3], at[1::3], strict=True)]
    second = [later - earlier for earlier, later in zip(at[1::3], at[2::3], strict=True)]
    assert 0 <= min(first) <= max(first) < 0.2
    assert 0 <= min(second) <= max(second) < 0.4
    assert max(first) != min(first)


async def test_a_call_is_throttled_more_often_than_it_may_fail(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    """Being too fast says nothing of the API: the deadline alone bounds it."""
    throttling = sandbox.script("429", retry_after=2, times=20)
    began = now()
    assert await client.devices.get("0001") is not None
    assert throttling.hit == 20
    assert 40 <= now() - began <= 45


async def test_a_throttled_call_of_a_bare_429_backs_off_by_itself(
    sandbox: Sandbox, client: VoltawareClient
) -> None:
    throttling = sandbox.script(status=429, body="{}", times=6)
    assert await client.devices.get("0001") is not None
    assert throttling.hit == 6


# --- how long --------------------------------------------------------------------------------------


@pytest.mark.parametrize("deadline", [0.2, 5.0, 100.0])
async def test_a_server_that_never_answers_costs_the_deadline_and_no_more(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], deadline: float
) -> None:
    """Over all its attempts: one of them lasts 30 s at most."""
    async with make_client(deadline=deadline, retry=RetryPolicy(attempts=50)) as client:
        await client.connect()
        stalling = sandbox.script("stall", times=None)
        began = now()
        error = await error_of(client.devices.get("0001"))
        assert now() - began == pytest.approx(deadline, abs=0.1)
    assert type(error) is DeadlineError
    assert error.message == f"no complete answer within {deadline:g} s"
    assert error.context.attempts == stalling.hit == (1 if deadline < 30 else 4)


@pytest.mark.parametrize("kind", ["cut", "503", "429"])
async def test_a_call_that_fails_again_and_again_ends_by_its_deadline(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], kind: str
) -> None:
    async with make_client(deadline=20.0, retry=RetryPolicy(attempts=10_000, budget=10_000)) as client:
        await client.connect()
        failing = sandbox.script(kind, times=None)
        began = now()
        error = await error_of(client.devices.get("0001"))
        assert now() - began <= 20.1
    assert error.context.attempts == failing.hit > 3
    assert isinstance(error, {"503": ServerError, "429": ThrottledError}.get(kind, UnreachableError))


async def test_a_reply_that_dribbles_past_the_deadline_is_not_waited_for(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    async with make_client(deadline=0.5) as client:
        await client.connect()
        sandbox.script("slow", times=None)
        began = now()
        assert type(await error_of(client.devices.get("0001"))) is DeadlineError
        assert now() - began == pytest.approx(0.5, abs=0.1)


async def test_the_wait_for_a_first_turn_does_not_count(make_client: Callable[..., VoltawareClient]) -> None:
    async with make_client(rate=1.0, deadline=5.0) as client:
        devices = await asyncio.gather(*(client.devices.get("0001") for _ in range(60)))
    assert all(device is not None for device in devices)


async def test_the_wait_for_a_later_turn_counts(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """F96."""
    async with make_client(rate=0.1, deadline=5.0) as client:
        await client.connect()
        sandbox.script("503")
        calls = [asyncio.create_task(client.devices.get("0001"))]
        await asyncio.sleep(11)
        began = now()
        assert type(await error_of(calls[0])) is DeadlineError
        assert now() - began <= 5
    assert sandbox.count("sensor") == 1


@pytest.mark.parametrize("retry_after", [61, 3_600])
async def test_a_pause_over_the_limit_ends_the_call_at_once_and_is_told(
    sandbox: Sandbox, client: VoltawareClient, retry_after: float
) -> None:
    """F51."""
    await client.connect()
    throttling = sandbox.script("429", retry_after=retry_after, times=None)
    began = now()
    error = await error_of(client.devices.get("0001"))
    assert isinstance(error, ThrottledError)
    assert error.retry_after == retry_after
    assert now() - began < 0.1
    assert throttling.hit == error.context.attempts == 1


async def test_a_pause_over_the_deadline_ends_the_call_at_once(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    async with make_client(deadline=5.0) as client:
        await client.connect()
        sandbox.script("429", retry_after=6)
        began = now()
        error = await error_of(client.devices.get("0001"))
        assert now() - began < 0.1
    assert isinstance(error, ThrottledError)
    assert error.retry_after == 6


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1.5", 1.5),
        ("7", 7),
        ("-10", 0),
        ("inf", 0),
        ("nan", 0),
        ("9" * 35, 0),
        ("", 0),
        ("soon", 0),
    ],
)
async def test_a_retry_after_is_waited_for_where_it_says_something(
    sandbox: Sandbox, client: VoltawareClient, text: str, seconds: float
) -> None:
    """F50."""
    await client.connect()
    sandbox.script(status=429, body="{}", headers={"Retry-After": text})
    began = now()
    assert await client.devices.get("0001") is not None
    assert seconds <= now() - began < seconds + 0.25


@pytest.mark.parametrize("text", ["9999999999 Jan 2024 00:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT"])
async def test_a_date_that_is_none_leaves_the_429_as_it_is(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], text: str
) -> None:
    """F49."""
    sandbox.script(status=429, body="{}", headers={"Retry-After": text}, times=None)
    async with make_client(deadline=3.0) as client:
        error = await error_of(client.devices.get("0001"))
    assert isinstance(error, ThrottledError)
    assert error.retry_after is None


# --- who pays --------------------------------------------------------------------------------------


async def test_an_outage_does_not_multiply_the_load(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """F56: 1,000 calls, and no more retries than the bucket holds."""
    failing = sandbox.script("503", times=None)
    async with make_client() as client:
        ends = await asyncio.gather(
            *(client.devices.get("0001") for _ in range(1_000)), return_exceptions=True
        )
    assert {type(end) for end in ends} == {ServerError}
    assert failing.hit == 1_100


async def test_retries_are_earned_back_by_successes_alone(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    """F57."""
    policy = RetryPolicy(attempts=2, budget=2, budget_refill=0.25)
    async with make_client(retry=policy) as client:
        outage = sandbox.script("503", times=None)
        attempts = [(await error_of(client.devices.get("0001"))).context.attempts for _ in range(4)]
        assert attempts == [2, 2, 1, 1]
        outage.cancel()
        for _ in range(4):
            await client.devices.get("0001")
        sandbox.script("503", times=None)
        attempts = [(await error_of(client.devices.get("0001"))).context.attempts for _ in range(2)]
        assert attempts == [2, 1]


async def test_being_throttled_costs_nothing_of_the_budget(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    sandbox.script("429", retry_after=1, times=5)
    async with make_client(retry=RetryPolicy(budget=0)) as client:
        assert await client.devices.get("0001") is not None


async def test_a_call_that_backs_off_holds_no_slot(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient]
) -> None:
    policy = RetryPolicy(wait_initial=50.0, wait_max=50.0)
    async with make_client(concurrency=1, retry=policy) as client:
        await client.connect()
        sandbox.script("503", device_id="0001")
        failing = asyncio.create_task(client.devices.get("0001"))
        await asyncio.sleep(0.001)
        began = now()
        assert await client.devices.get("0002") is not None
        assert now() - began < 0.5
        failing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await failing


@pytest.mark.parametrize("moment_s", [0.0, 0.001, 1.0])
async def test_a_call_that_is_cancelled_ends_at_once_and_gives_its_slot_back(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], moment_s: float
) -> None:
    """F88: while it waits for a turn, for its answer, or for the end of its back-off."""
    async with make_client(concurrency=2, rate=50.0) as client:
        await client.connect()
        sandbox.script("503", retry_after=5, device_id="0001", times=None)
        sandbox.script("stall", device_id="0002", times=None)
        calls = [asyncio.create_task(client.devices.get(f"{n:04}")) for n in (1, 2, 1, 2, 3)]
        await asyncio.sleep(moment_s)
        began = now()
        for call in calls:
            call.cancel()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert now() - began < 0.001
        assert asyncio.CancelledError in {type(end) for end in ends}
        devices = await asyncio.gather(*(client.devices.get("0003") for _ in range(4)))
        assert all(device is not None for device in devices)


async def test_calls_that_are_under_way_when_the_client_is_closed_say_so(
    make_client: Callable[..., VoltawareClient],
) -> None:
    client = make_client(rate=1.0)
    await client.connect()
    calls = [asyncio.create_task(client.devices.get("0001")) for _ in range(4)]
    await asyncio.sleep(1.5)
    await client.aclose()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert not isinstance(ends[0], Exception)
    assert {type(end) for end in ends[1:]} == {ClientClosedError}


# --- the account -----------------------------------------------------------------------------------


async def test_every_request_is_counted_by_its_kind(sandbox: Sandbox, client: VoltawareClient) -> None:
    before = client._traffic.snapshot()
    sandbox.script("503")
    sandbox.script("429", retry_after=1)
    await client.devices.get("0001")
    after = client._traffic.snapshot()
    await client.devices.get("0001")
    assert after == Traffic(requests=4, retries=2, throttled=1, token_calls=1, concurrency=32)
    assert after.since(before) == after
    assert client._traffic.since(after) == Traffic(requests=1, concurrency=32)
    assert sandbox.count("sensor") + sandbox.count("auth/token") == client._traffic.requests


async def test_every_attempt_is_logged_by_its_template_without_what_was_sent_or_read(
    sandbox: Sandbox, client: VoltawareClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "voltaware_async"):
        sandbox.script("503")
        sandbox.script("cut")
        sandbox.script(status=401, body="{}")
        await client.devices.get("0001")
        with pytest.raises(ValueError, match="latitude"):
            await client.metadata.set_geolocation("0001", Geolocation(latitude=99.0, longitude=0.0))
        await client.metadata.set_geolocation("0001", LONDON)
    lines = [record.getMessage() for record in caplog.records if record.name == "voltaware_async"]
    ends = [line.partition(": ")[2].rpartition(" in ")[0] for line in lines]
    assert ends == [
        "200",
        "503",
        "the connection ended in the middle of the reply",
        "token refused",
        "200",
        "200",
        "204",
    ]
    assert lines[0].startswith("POST /auth/token device=None: 200 in ")
    assert lines[-1].startswith("PUT /sensors/{device_id}/metadata/geolocation device=0001: 204 in ")
    assert not any(secret in caplog.text for secret in (sandbox.client_secret, "Bearer", "51.5"))


async def test_a_call_that_was_never_sent_has_all_its_time_left() -> None:
    assert Call(is_idempotent=True, deadline_s=7.0).remaining() == 7.0
