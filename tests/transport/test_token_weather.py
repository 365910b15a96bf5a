"""Weather: tokens expire, are revoked and cannot be had, calls are cancelled, hours pass; it clears up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

import virtual_time
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voltaware_async import VoltawareClient
from voltaware_async.errors import ApiError, CredentialsRefusedError
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

AUTH: Final = ("auth/token", "auth/token/refresh")
DEADLINE_S: Final = 20.0
# A renewal takes 90 s at most, a refusal is held for 60 s, a pause lasts 60 s.
CLEARED_UP_S: Final = 240.0

Event: TypeAlias = tuple[str, object, object]

happenings: Final = st.one_of(
    st.tuples(st.just("calls"), st.integers(1, 12), st.none()),
    st.tuples(st.just("metadata"), st.integers(1, 4), st.none()),
    st.tuples(st.just("cancel"), st.sampled_from([1, 2, 3]), st.none()),
    st.tuples(st.just("expire"), st.none(), st.none()),
    st.tuples(st.just("revoke"), st.none(), st.none()),
    st.tuples(st.just("new meter"), st.none(), st.none()),
    st.tuples(st.just("fault"), st.sampled_from(["500", "503", "429", "reset", "cut"]), st.just(None)),
    st.tuples(
        st.just("fault"),
        st.sampled_from(["500", "503", "429", "reset", "stall", "cut"]),
        st.sampled_from(AUTH),
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.3, 3.0, 40.0, 1_000.0, 50_000.0]), st.none()),
)


class Day:
    """One client's day with one API: what happens, and how its calls end."""

    def __init__(self, sandbox: Sandbox, client: VoltawareClient) -> None:
        self.sandbox, self.client = sandbox, client
        self.calls: list[asyncio.Task[object]] = []
        self.devices = ["0001", "0002", "0003"]

    async def happens(self, event: Event) -> None:
        match event:
            case "calls", int(number), _:
                self._start(self.client.devices.get, number)
            case "metadata", int(number), _:
                self._start(self.client.metadata.get_property, number)
            case "cancel", int(each), _:
                for task in self.calls[::each]:
                    task.cancel()
            case "expire", _, _:
                self.sandbox.expire_tokens()
            case "revoke", _, _:
                self.sandbox.revoke_refresh_tokens()
            case "new meter", _, _:
                self.devices.append(self.sandbox.register_device())
            case "fault", kind, route:
                self.sandbox.script(kind, route=route, times=2)
            case "wait", seconds, _:
                await asyncio.sleep(seconds)

    def _start(self, call: Callable[[str], Awaitable[object]], number: int) -> None:
        for n in range(number):
            self.calls.append(asyncio.ensure_future(call(self.devices[-1 - n % len(self.devices)])))


def story(*words: str) -> list[Event]:
    """Tell what happens in words; every call of it is made by six callers."""
    amounts: dict[str, object] = {"calls": 6, "metadata": 3, "cancel": 2, "wait": 0.001}
    return [(word, amounts.get(word), None) for word in words]


@settings(max_examples=8)
@given(
    life_s=st.sampled_from([5.0, 1_900.0, 43_200.0]),
    rotates=st.booleans(),
    events=st.lists(happenings, min_size=3, max_size=14),
)
@example(
    life_s=43_200.0,
    rotates=False,
    events=story("calls", "wait", "expire", "revoke", "calls", "metadata", "cancel"),
)
@example(
    life_s=43_200.0,
    rotates=True,
    events=story("calls", "wait", "expire", "calls", "expire", "revoke", "metadata", "wait"),
)
@example(
    life_s=1_900.0,
    rotates=True,
    events=story("new meter", "metadata", "calls", "expire", "cancel", "metadata"),
)
def test_every_call_ends_in_time_and_once_it_clears_up_all_of_them_succeed(
    *, life_s: float, rotates: bool, events: list[Event]
) -> None:
    """F99: nothing is left behind, and nothing ever blames the credentials, which are right."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        complaints: list[object] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        sandbox = Sandbox(devices=3, clock=loop.time, token_ttl=life_s, rotate_refresh_tokens=rotates)
        async with sandbox:
            client = VoltawareClient(
                sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, deadline=DEADLINE_S
            )
            async with client:
                day = Day(sandbox, client)
                for event in events:
                    await day.happens(event)
                began = loop.time()
                ends = await asyncio.gather(*day.calls, return_exceptions=True)
                assert loop.time() - began < CLEARED_UP_S
                failed = [end for end in ends if isinstance(end, Exception)]
                assert all(isinstance(end, ApiError) for end in failed), failed
                assert not any(isinstance(end, CredentialsRefusedError) for end in failed), failed
                await clears_up(day)
            assert {task for task in asyncio.all_tasks() if "renewal" in task.get_name()} == set()
        assert complaints == []

    virtual_time.run(main())


async def clears_up(day: Day) -> None:
    """See that no fault outlasts its cause, and that not even a last gust costs anybody a call."""
    await asyncio.sleep(CLEARED_UP_S)
    for script in day.sandbox._scripts:
        script.cancel()
    for gust in (day.sandbox.expire_tokens, day.sandbox.revoke_refresh_tokens, lambda: None):
        gust()
        before = sum(day.sandbox.count(route) for route in AUTH)
        await asyncio.gather(*(day.client.devices.get(device) for device in day.devices * 3))
        await asyncio.gather(*(day.client.metadata.get_property(device) for device in day.devices))
        assert sum(day.sandbox.count(route) for route in AUTH) - before <= 3
        day.sandbox.expire_tokens()
