"""The cut-off: the last call comes in time for what is under way, and the end in time for the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from virtual_time import in_virtual_time

from voltaware_async.fleet.cut_off import CutOff

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.anyio, in_virtual_time]

DAY_S = 86_400.0
A_MOMENT_S = 0.001


class Clock:
    """Tell the seconds since it was made, and note when something is called."""

    def __init__(self) -> None:
        self._begun = anyio.current_time()
        self.calls: list[float] = []

    @property
    def now(self) -> float:
        return anyio.current_time() - self._begun

    def call(self) -> None:
        self.calls.append(self.now)


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=A_MOMENT_S)


@pytest.mark.parametrize(
    ("seconds", "last_call", "end"),
    [(36_000, 35_989, 35_999), (100, 89, 99), (50, 44, 49), (10, 8.8, 9.8), (1, 0.88, 0.98)],
)
async def test_the_handing_out_ends_before_the_end_and_the_end_leaves_time_to_commit(
    seconds: float, last_call: float, end: float
) -> None:
    clock, cut_off = Clock(), CutOff(seconds)

    with cut_off.closing(clock.call) as late:
        assert not cut_off.has_struck
        await anyio.sleep(last_call - A_MOMENT_S)
        assert (clock.calls, cut_off.has_struck) == ([], False)
        await anyio.sleep(2 * A_MOMENT_S)
        assert (clock.calls, cut_off.has_struck) == ([about(last_call)], True)
        assert not late.is_set()
        await late.wait()

    assert clock.now == about(end)
    assert clock.calls == [about(last_call)]


async def test_without_seconds_there_is_no_bound() -> None:
    clock, cut_off = Clock(), CutOff(None)

    with cut_off.closing(clock.call) as late:
        await anyio.sleep(365 * DAY_S)

    assert not late.is_set()
    assert not clock.calls
    assert not cut_off.has_struck


async def test_the_time_counts_from_when_it_was_made_and_not_from_the_block() -> None:
    clock, cut_off = Clock(), CutOff(100)
    await anyio.sleep(60)

    with cut_off.closing(clock.call) as late:
        await late.wait()

    assert clock.calls == [about(89)]
    assert clock.now == about(99)


@pytest.mark.parametrize(("after", "is_late"), [(95.0, False), (99.5, True), (500.0, True)])
async def test_a_block_that_begins_after_the_last_call_is_closed_before_it_does_anything(
    after: float,
    is_late: bool,  # noqa: FBT001
) -> None:
    clock, cut_off = Clock(), CutOff(100)
    await anyio.sleep(after)

    with cut_off.closing(clock.call) as late:
        assert (clock.calls, cut_off.has_struck) == ([about(after)], True)
        await anyio.sleep(A_MOMENT_S)

    assert clock.calls == [about(after)], "once"
    assert late.is_set() is is_late


async def test_every_block_of_a_run_is_closed_by_the_same_cut_off() -> None:
    first, second, cut_off = Clock(), Clock(), CutOff(100)

    with cut_off.closing(first.call) as late:
        await late.wait()
    with cut_off.closing(second.call) as late:
        await late.wait()

    assert len(first.calls) == len(second.calls) == 1
    assert second.calls == [about(99)]


def ends() -> None:
    """End a block as it should."""


def fails() -> None:
    raise LookupError


@pytest.mark.parametrize("ending", [ends, fails])
@pytest.mark.parametrize(("after", "calls"), [(10, 0), (90, 1)])
async def test_a_block_that_is_over_leaves_no_timer_behind(
    ending: Callable[[], None], after: float, calls: int
) -> None:
    clock, cut_off = Clock(), CutOff(100)

    try:
        with cut_off.closing(clock.call) as late:
            await anyio.sleep(after)
            ending()
    except LookupError:
        assert ending is fails
    await anyio.sleep(DAY_S)

    assert not late.is_set()
    assert len(clock.calls) == calls
    assert cut_off.has_struck is bool(calls)
