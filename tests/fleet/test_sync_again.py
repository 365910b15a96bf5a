"""Nights that end early, in whatever order, and then whole: as if nothing had happened."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from landed import expected, found

from voltaware_async import Dataset, Month, VoltawareClient, Week, open_store
from voltaware_async.sandbox import Sandbox
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voltaware_async.stores import Store

DATASETS = (Dataset.MONTH, Dataset.MONTH_CYCLES, Dataset.WEEK, Dataset.WEEK_CYCLES)
# Monday, the third, two nights later, and the next Monday: something is new, absent or late on each.
NIGHTS = (date(2024, 9, 2), date(2024, 9, 3), date(2024, 9, 5), date(2024, 9, 9))
DEVICES = 10
# What tells one run from another; `runs` has a row for each.
VARYING = {"run_id", "updated_at", "attempts", "seen_at"}
COMPARED = [name for name in TABLES if name != "runs"]

# A run that ends early: after so many requests for devices or cells, stopped in order or cancelled.
Early: TypeAlias = tuple[int, bool]
EARLY_RUNS = st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=3)


def tables(store: Store) -> dict[str, list[str]]:
    return {
        name: sorted(
            repr({column: value for column, value in row.items() if column not in VARYING})
            for row in store.table(name).to_pylist()
        )
        for name in COMPARED
    }


async def end_early(client: VoltawareClient, sandbox: Sandbox, store: Store, early: Early) -> None:
    """Run a night until the sandbox has seen so many more requests, if it takes that many."""
    requests, in_order = early
    stop = anyio.Event()
    enough = len(sandbox.requests) + requests

    async def end_it(scope: anyio.CancelScope) -> None:
        while len(sandbox.requests) < enough:
            await anyio.sleep(0.001)
        if in_order:
            stop.set()
        else:
            scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(end_it, group.cancel_scope)
        await sync(client, sandbox, store, stop)
        group.cancel_scope.cancel()


async def sync(
    client: VoltawareClient, sandbox: Sandbox, store: Store, stop: anyio.Event | None = None
) -> None:
    await client.fleet.sync(
        store, as_of=sandbox.today, datasets=DATASETS, horizon_months=1, stop=stop, command="sync"
    )


async def run_nights(
    nights: Sequence[tuple[date, Sequence[Early], bool]],
) -> tuple[dict[str, list[str]], Counter[str]]:
    """Run the nights, each after its early ends, whole where it says so; return what stands in the store.

    And check that no cell has landed that the sandbox does not have, nor twice.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Sandbox(devices=DEVICES, today=NIGHTS[0], late_share=0.3) as sandbox,
            VoltawareClient(
                *(sandbox.client_id, sandbox.client_secret),
                base_url=sandbox.base_url,
                rate=None,
                concurrency=4,
            ) as client,
        ):
            with open_store(Path(folder) / "fleet.duckdb") as store:
                for night, early_runs, is_whole in nights:
                    sandbox.today = night
                    for early in early_runs:
                        await end_early(client, sandbox, store, early)
                    if is_whole:
                        await sync(client, sandbox, store)
                check_landed(store, sandbox)
                return tables(store), Counter(row["status"] for row in store.table("ledger").to_pylist())


def check_landed(store: Store, sandbox: Sandbox) -> None:
    rows = store.table("ledger").to_pylist()
    cells = [(row["device_id"], row["dataset"], row["period_start"]) for row in rows]
    assert len(set(cells)) == len(cells)
    values: dict[str, list[object]] = {"consumption": [], "totals": [], "cycles": []}
    for row in rows:
        if row["status"] == "landed":
            kind = Dataset(row["dataset"])
            start = row["period_start"]
            period = Month.of(start) if kind.period_type is Month else Week(start)
            for name, its in expected(sandbox.fleet, [row["device_id"]], [(kind, period)]).items():
                values[name] += its
    assert found(store) == {name: sorted(its, key=repr) for name, its in values.items()}


@functools.cache
def uninterrupted() -> dict[str, list[str]]:
    undisturbed, statuses = anyio.run(run_nights, [(night, (), True) for night in NIGHTS])
    assert statuses["landed"] > 100
    assert statuses["absent"] > 5
    return undisturbed


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(*[EARLY_RUNS] * len(NIGHTS)))
@example([[(0, True)], [(0, False)], [(1, True), (1, False)], [(15, True), (15, False), (40, False)]])
def test_nights_that_end_early_and_then_whole_leave_the_store_of_undisturbed_ones(
    early_runs: Sequence[Sequence[Early]],
) -> None:
    nights = [(night, early, True) for night, early in zip(NIGHTS, early_runs, strict=True)]

    disturbed, _ = anyio.run(run_nights, nights)

    assert disturbed == uninterrupted()


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(*[EARLY_RUNS] * len(NIGHTS)))
def test_whole_nights_that_never_came_are_made_good_by_one_that_does(
    early_runs: Sequence[Sequence[Early]],
) -> None:
    """However the nights before it ended, one whole night leaves no due cell that was never asked."""
    last = NIGHTS[-1] + timedelta(days=1)
    nights = [(night, early, False) for night, early in zip(NIGHTS, early_runs, strict=True)]

    _, disturbed = anyio.run(run_nights, [*nights, (last, (), True)])
    _, alone = anyio.run(run_nights, [(last, (), True)])

    # What is absent may wait for a later night; nothing else may differ.
    assert disturbed.total() == alone.total()
    assert not disturbed["failed"]
    assert disturbed["landed"] + disturbed["absent"] == disturbed.total()
