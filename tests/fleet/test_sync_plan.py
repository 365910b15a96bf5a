"""What a night or a pull would ask, worked out beforehand; and the retry of what failed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest
import virtual_time
from accounts import check_account, last_run
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async import ConfigurationError, Dataset, Month, StoreError, Week, open_store
from voltaware_async.fleet.cut_off import CutOff
from voltaware_async.fleet.due import due_slices, today
from voltaware_async.fleet.plan import Plan
from voltaware_async.stores.agenda import Count
from voltaware_async.stores.tables import TABLES
from voltaware_async.stores.targets import open_to_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voltaware_async import VoltawareClient
    from voltaware_async.sandbox import Sandbox
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

NIGHT = timedelta(days=1)
AS_OF = date(2024, 9, 15)
JULY = Month(2024, 7)
UNREADABLE = '{"total_consumption": "a lot"}'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


def contents(store: Store) -> dict[str, list[str]]:
    return {name: [repr(row) for row in store.table(name).to_pylist()] for name in TABLES}


def asked(plan: Plan) -> dict[tuple[str, str], int]:
    return {(str(count.dataset), str(count.period)): count.planned for count in plan.counts if count.planned}


# --- the plan of a night ----------------------------------------------------------------------------


async def test_the_plan_of_a_first_night_is_a_look_up_for_each_device_and_all_that_is_due(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    planned = await client.fleet.plan_sync(store, as_of=AS_OF)

    assert planned.look_ups == 30
    assert asked(planned) == {
        (str(part.dataset), str(part.period)): 30 for part in due_slices(Dataset, AS_OF, 3)
    }
    assert planned.requests == 30 + 30 * len(planned.counts)
    assert [it.route for it in sandbox.requests] == ["auth/token", "sensors"]


async def test_a_night_asks_what_its_plan_said_once_its_devices_are_known(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    """Each of these nights has something new, something absent, and something that failed before."""
    options = {"datasets": [Dataset.MONTH, Dataset.WEEK], "horizon_months": 1}
    broken = sandbox.script(status=200, body=UNREADABLE, times=None, device_id="0001", route="sm/disag/week")
    sandbox.script(status=404, body="{}", times=30, route="sm/disag/month")
    for as_of in (date(2024, 9, 3), date(2024, 9, 5), date(2024, 9, 9), date(2024, 9, 10)):
        planned = await client.fleet.plan_sync(store, as_of=as_of, **options)
        night = await client.fleet.sync(store, as_of=as_of, **options)

        assert night.planned == sum(count.planned for count in planned.counts)
        assert night.skipped == planned.skipped
        assert night.requests - night.token_calls == 1 + planned.requests
        assert night.failed
    broken.cancel()


async def test_a_plan_writes_nothing(client: VoltawareClient, sandbox: Sandbox, store: Store) -> None:
    await client.fleet.sync(store, as_of=AS_OF, datasets=[Dataset.MONTH])
    sandbox.register_device()
    before = contents(store)

    await client.fleet.plan_sync(store, as_of=AS_OF + NIGHT)
    await client.fleet.plan_land(store, [Dataset.WEEK], [Week.parse("2024-W28")])

    assert contents(store) == before


async def test_a_plan_can_be_made_for_a_store_that_is_not_there(
    client: VoltawareClient, tmp_path: Path
) -> None:
    missing = tmp_path / "none.duckdb"
    for target in (None, str(missing)):
        with open_to_plan(target) as nothing:
            planned = await client.fleet.plan_sync(nothing, as_of=AS_OF, datasets=[Dataset.MONTH])

        assert planned.requests == 30 + 3 * 30
    with pytest.raises(StoreError, match="there is no store"):
        open_store(missing, read_only=True)


async def test_a_plan_of_named_devices_sends_nothing(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    night = await client.fleet.plan_sync(store, ["0001", "0002"], as_of=AS_OF, datasets=[Dataset.MONTH])
    pull = await client.fleet.plan_land(store, [Dataset.MONTH], [JULY], ["0001", "0002"])

    assert (night.requests, pull.requests) == (2 + 2 * 3, 2)
    assert not sandbox.requests


async def test_a_plan_is_refused_for_a_day_to_come(client: VoltawareClient, store: Store) -> None:
    with pytest.raises(ConfigurationError, match="lies in the future"):
        await client.fleet.plan_sync(store, as_of=today() + 3 * NIGHT)


async def test_the_plan_of_a_pull_counts_what_has_not_landed_and_no_look_ups(
    client: VoltawareClient, store: Store
) -> None:
    first = await client.fleet.plan_land(store, [Dataset.MONTH], [JULY])
    pulled = await client.fleet.land(store, [Dataset.MONTH], [JULY])

    second = await client.fleet.plan_land(store, [Dataset.MONTH, Dataset.MONTH_REPORT], [JULY])

    assert (first.look_ups, first.requests) == (0, 30)
    assert [(count.never_asked, count.again) for count in second.counts] == [(0, pulled.absent), (30, 0)]
    assert second.skipped == pulled.landed


# --- the figures ------------------------------------------------------------------------------------

COUNT = Count(Dataset.MONTH, JULY, never_asked=900, again=90, known=7)


def test_a_plan_adds_up_its_requests_and_divides_them_by_the_rate() -> None:
    planned = Plan((COUNT, evolve(COUNT, again=0)), look_ups=10)

    assert planned.requests == 10 + 990 + 900
    assert planned.skipped == 14
    assert planned.seconds_at(50) == 38


def test_an_empty_plan_takes_no_time() -> None:
    planned = Plan((), look_ups=0)

    assert (planned.requests, planned.seconds_at(50), planned.rate_for(3600)) == (0, 0, 0)
    assert planned.nights_for(3600, 50) == 0


@given(st.integers(0, 10**9), st.floats(0.1, 1e4), st.floats(1, 1e6))
def test_the_rate_and_the_nights_that_a_plan_names_are_enough_and_not_more(
    requests: int, rate: float, window_s: float
) -> None:
    planned = Plan((evolve(COUNT, never_asked=requests, again=0),), look_ups=0)

    nights = planned.nights_for(window_s, rate)
    in_a_night = asked_in(window_s, rate)

    assert planned.rate_for(window_s) == pytest.approx(requests / asked_in(window_s, 1))
    assert nights * in_a_night >= requests * (1 - 1e-9)
    assert (nights - 1) * in_a_night < requests * (1 + 1e-9) or not requests


def asked_in(window_s: float, rate: float) -> float:
    """Return how many requests a run sends in a window: it leaves of its rate and of its time some unused."""
    return rate * 0.985 * (window_s - min(1, 0.02 * window_s) - min(10, 0.1 * window_s))


@given(st.integers(1, 10**9), st.floats(0.1, 1e4), st.floats(1, 1e6))
def test_a_plan_fits_where_it_takes_one_night_and_at_the_rate_that_it_names(
    requests: int, rate: float, window_s: float
) -> None:
    planned = Plan((evolve(COUNT, never_asked=requests, again=0),), look_ups=0)
    needed = planned.rate_for(window_s)

    assert planned.fits(window_s, rate) is (planned.nights_for(window_s, rate) == 1)
    assert planned.fits(window_s, needed * (1 + 1e-9))
    assert not planned.fits(window_s, needed * (1 - 1e-9))


@pytest.mark.parametrize(
    ("window_s", "requests"),
    [(28_800, 1_417_858), (100, 4_383), (91, 3_984), (60, 2_610), (1, 43)],
)
def test_a_window_holds_what_is_left_of_the_rate_without_its_last_seconds(
    window_s: float, requests: int
) -> None:
    """Eight hours at 50/s are 1.44 million requests on paper."""
    most, more = (
        Plan((evolve(COUNT, never_asked=it, again=0),), look_ups=0) for it in (requests, requests + 1)
    )

    assert most.fits(window_s, 50)
    assert not more.fits(window_s, 50)
    assert (most.nights_for(window_s, 50), more.nights_for(window_s, 50)) == (1, 2)
    assert most.seconds_at(50) == requests / 50, "what it takes is another matter"


@given(st.floats(0.1, 1e6))
def test_a_plan_counts_on_no_more_time_than_a_run_uses(window_s: float) -> None:
    """What has not been asked by a run's last call is not asked in that window."""

    async def last_call() -> float:
        began, called = anyio.current_time(), anyio.Event()
        with CutOff(window_s).closing(called.set):
            await called.wait()
        return anyio.current_time() - began

    uses = virtual_time.run(last_call())

    assert asked_in(window_s, 1) / 0.985 <= uses + 1e-3


# --- the retry of what failed -----------------------------------------------------------------------


async def test_a_retry_asks_only_what_failed_and_not_what_is_absent_or_was_never_asked(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    ids = list(sandbox.fleet.device_ids())
    sandbox.script(status=404, body="{}", route="sm/disag/month", device_id=ids[0])
    sandbox.script(status=200, body=UNREADABLE, route="sm/disag/month", device_id=ids[1])
    sandbox.script(status=200, body=UNREADABLE, route="sm/disag/week", device_id=ids[2])
    parts = [Dataset.MONTH, Dataset.WEEK], [JULY, Week.parse("2024-W28")]
    pulled = await client.fleet.land(store, *parts, ids[:10])
    before = len(sandbox.requests)

    summary = await client.fleet.retry_failed(store)

    again = [(it.route, it.device_id) for it in sandbox.requests[before:]]
    assert pulled.failed == 2
    assert sorted(again) == [("sm/disag/month", ids[1]), ("sm/disag/week", ids[2])]
    assert (summary.planned, summary.landed) == (2, 2)
    check_account(summary, store, "complete")
    assert last_run(store)["command"] == "retry-failed"


async def test_a_retry_asks_what_failed_however_long_ago_and_a_night_does_not(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    march = Month(2024, 3)
    sandbox.script(status=200, body=UNREADABLE, route="sm/disag/month", device_id="0001")
    await client.fleet.land(store, [Dataset.MONTH], [march], ["0001"])

    night = await client.fleet.sync(store, ["0001"], as_of=AS_OF, datasets=[Dataset.MONTH])
    summary = await client.fleet.retry_failed(store)

    assert (night.planned, night.failed) == (3, 0)
    assert (summary.planned, summary.landed) == (1, 1)


async def test_a_retry_with_nothing_to_retry_sends_nothing(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    summary = await client.fleet.retry_failed(store)

    assert (summary.planned, summary.requests) == (0, 0)
    assert not sandbox.requests
    check_account(summary, store, "complete")


async def test_what_fails_again_is_asked_once_a_retry_and_adds_up_its_attempts(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script(status=200, body=UNREADABLE, times=None, route="sm/disag/month")
    await client.fleet.land(store, [Dataset.MONTH], [JULY], ["0001"])

    summaries = [await client.fleet.retry_failed(store) for _ in range(3)]

    assert [(it.planned, it.failed) for it in summaries] == [(1, 1)] * 3
    [row] = store.table("ledger").to_pylist()
    assert (row["status"], row["attempts"]) == ("failed", 4)


async def test_what_is_absent_when_it_is_retried_waits_for_a_night_of_its_own(
    client: VoltawareClient, sandbox: Sandbox, store: Store
) -> None:
    sandbox.script(status=200, body=UNREADABLE, route="sm/disag/month", device_id="0001")
    options = {"devices": ["0001"], "datasets": [Dataset.MONTH], "horizon_months": 1}
    await client.fleet.sync(store, as_of=AS_OF, **options)
    sandbox.script(status=404, body="{}", route="sm/disag/month", device_id="0001")

    summary = await client.fleet.retry_failed(store)
    again = await client.fleet.retry_failed(store)

    assert (summary.planned, summary.absent, again.planned) == (1, 1, 0)
    [row] = store.table("ledger").to_pylist()
    assert today() - NIGHT <= row["asked_on"] <= today()
