"""Token stores that fail or were spoilt: survived, warned of, and quoted nowhere."""

from __future__ import annotations

import asyncio
import errno
import time
from math import inf, nan
from typing import TYPE_CHECKING

import pytest
from attrs import define, evolve, field
from virtual_time import in_virtual_time

from voltaware_async.protocol.secret import Secret
from voltaware_async.protocol.token import StoredToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from voltaware_async import VoltawareClient
    from voltaware_async.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, in_virtual_time]

PLANTED = "planted-token-in-the-words-of-an-error"


@define
class Shelf:
    """Return what lies on it, or raise the error; `takes` seconds either way."""

    kept: StoredToken | None = None
    error: Exception | None = None
    takes: float = 0.0
    saved: list[StoredToken] = field(factory=list)

    async def load(self) -> StoredToken | None:
        await self._work()
        return self.kept

    async def save(self, token: StoredToken) -> None:
        await self._work()
        self.saved.append(token)

    async def _work(self) -> None:
        await asyncio.sleep(self.takes)
        if self.error is not None:
            raise self.error


def kept(sandbox: Sandbox, access: str = "access", refresh: str | None = None) -> StoredToken:
    secret = None if refresh is None else Secret(refresh)
    return StoredToken(sandbox.base_url, sandbox.client_id, Secret(access), secret, None)


async def a_kept_grant(make_client: Callable[..., VoltawareClient]) -> StoredToken:
    shelf = Shelf()
    async with make_client(token_store=shelf) as client:
        await client.connect()
    return shelf.saved[0]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"access": ""},
        {"access": f"{PLANTED}\r\nX-Injected: 1"},
        {"access": f"{PLANTED}\x00"},
        {"access": f"{PLANTED} cut"},
        {"access": f"{PLANTED}é"},
        {"access": f"{PLANTED}\ud800"},
        {"refresh": ""},
        {"refresh": f"{PLANTED}\ud800"},
        {"refresh": f"{PLANTED}\n"},
    ],
)
async def test_a_kept_token_that_was_spoilt_is_not_sent_and_a_new_one_is_made(
    sandbox: Sandbox,
    make_client: Callable[..., VoltawareClient],
    caplog: pytest.LogCaptureFixture,
    spoilt: dict[str, str],
) -> None:
    """F21, F69."""
    shelf = Shelf(kept(sandbox, **spoilt))
    async with make_client(token_store=shelf) as client:
        assert len(await client.devices.list()) == 30
    assert [(it.route, it.status) for it in sandbox.requests] == [("auth/token", 200), ("sensors", 200)]
    assert [record.getMessage() for record in caplog.records] == [
        "the token store holds what is no token, and a new one is made"
    ]
    assert len(shelf.saved) == 1


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ValueError(f"input_value={PLANTED!r}"), "ValueError"),
        (UnicodeDecodeError("utf-8", PLANTED.encode(), 0, 1, "bad"), "UnicodeDecodeError"),
        (OSError(errno.ENOSPC, PLANTED, PLANTED), "No space left on device"),
        (PermissionError(PLANTED), "PermissionError"),
        (TimeoutError(), "TimeoutError"),
    ],
)
async def test_a_store_that_fails_is_named_without_its_own_words(
    make_client: Callable[..., VoltawareClient],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    named: str,
) -> None:
    """F72: parsers quote what they could not read, and that is the token."""
    async with make_client(token_store=Shelf(error=error)) as client:
        await client.devices.list()
    assert [record.getMessage() for record in caplog.records] == [
        f"the token store could not be read, and a new token is made: {named}",
        f"the token store could not be written; this run has its token all the same: {named}",
    ]
    for record in caplog.records:
        assert PLANTED not in repr(vars(record))


async def test_a_store_that_takes_for_ever_costs_five_seconds_a_side(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], caplog: pytest.LogCaptureFixture
) -> None:
    began = asyncio.get_running_loop().time()
    async with make_client(token_store=Shelf(takes=1e9)) as client:
        await client.devices.list()
    assert asyncio.get_running_loop().time() - began == pytest.approx(10.0, abs=0.1)
    assert sandbox.count("auth/token") == 1
    assert caplog.text.count("TimeoutError") == 2


@pytest.mark.parametrize(("jump_s", "refreshes"), [(-86_400.0, 0), (86_400.0, 1)])
async def test_a_wall_clock_that_jumps_between_two_runs_costs_a_refresh_at_most(
    sandbox: Sandbox,
    make_client: Callable[..., VoltawareClient],
    monkeypatch: pytest.MonkeyPatch,
    jump_s: float,
    refreshes: int,
) -> None:
    """F17."""
    shelf = Shelf(await a_kept_grant(make_client))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump_s)
    async with make_client(token_store=shelf) as client:
        for _ in range(3):
            await client.devices.list()
    assert (sandbox.count("auth/token"), sandbox.count("auth/token/refresh")) == (1, refreshes)


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
async def test_a_wall_clock_that_jumps_during_a_run_is_not_noticed(
    sandbox: Sandbox,
    client: VoltawareClient,
    monkeypatch: pytest.MonkeyPatch,
    jump_s: float,
) -> None:
    """F17."""
    await client.devices.list()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump_s)
    await client.devices.list()
    assert (sandbox.count("auth/token"), sandbox.count("auth/token/refresh")) == (1, 0)


@pytest.mark.parametrize(("expires_at", "refreshes"), [(inf, 0), (nan, 1), (-inf, 1), (0.0, 1)])
async def test_an_end_that_makes_no_sense_costs_a_refresh_at_most(
    sandbox: Sandbox, make_client: Callable[..., VoltawareClient], expires_at: float, refreshes: int
) -> None:
    shelf = Shelf(evolve(await a_kept_grant(make_client), expires_at=expires_at))
    async with make_client(token_store=shelf) as client:
        for _ in range(3):
            await client.devices.list()
    assert (sandbox.count("auth/token"), sandbox.count("auth/token/refresh")) == (1, refreshes)
