"""The two turns of a run: what was never asked first, then what did not land, and each cell once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from accounts import check_account
from anyio.lowlevel import checkpoint
from fleets import fleet_of

from voltaware_async import Absent, Dataset, ErrorContext, Failed, Month, ServerError, open_store
from voltaware_async.fleet import landing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voltaware_async import Cell, Outcome
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

JULY = Month(2024, 7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def test_a_cell_that_fails_in_its_first_turn_is_not_asked_again_in_the_second_of_the_same_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 1)
    asked: list[str] = []

    async def failing(cell: Cell) -> Outcome:
        asked.append(cell.device_id)
        await checkpoint()
        return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))

    await fleet_of(2, failing, concurrency=1).land(store, [Dataset.MONTH], [JULY])
    summary = await fleet_of(5, failing, concurrency=1).land(store, [Dataset.MONTH], [JULY])

    assert asked == ["0000", "0001", "0002", "0003", "0004", "0000", "0001"]
    assert (summary.planned, summary.failed, summary.unasked) == (5, 5, 0)
    check_account(summary, store, "incomplete")


async def test_what_was_never_asked_is_asked_first_in_every_period_and_then_what_did_not_land(
    store: Store,
) -> None:
    asked: list[tuple[str, str]] = []

    async def absent(cell: Cell) -> Outcome:
        asked.append((str(cell.period), cell.device_id))
        await checkpoint()
        return Absent(cell)

    june = JULY.previous()
    await fleet_of(1, absent, concurrency=1).land(store, [Dataset.MONTH], [june, JULY])
    asked.clear()
    summary = await fleet_of(2, absent, concurrency=1).land(store, [Dataset.MONTH], [JULY, june])

    assert asked == [("2024-06", "0001"), ("2024-07", "0001"), ("2024-06", "0000"), ("2024-07", "0000")]
    assert summary.planned == summary.absent == 4
    check_account(summary, store, "complete")


async def test_a_cell_that_is_absent_in_its_first_turn_is_not_asked_again_although_others_like_it_are_due(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 1)
    asked: list[str] = []

    async def absent(cell: Cell) -> Outcome:
        asked.append(cell.device_id)
        await checkpoint()
        return Absent(cell)

    await fleet_of(1, absent, concurrency=1).land(store, [Dataset.MONTH], [JULY])
    summary = await fleet_of(4, absent, concurrency=1).land(store, [Dataset.MONTH], [JULY])

    assert asked == ["0000", "0001", "0002", "0003", "0000"]
    assert (summary.planned, summary.absent, summary.unasked) == (4, 4, 0)
    check_account(summary, store, "complete")


async def test_a_plan_after_a_run_counts_what_that_run_left_failed(store: Store) -> None:
    async def failing(cell: Cell) -> Outcome:
        return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))

    fleet = fleet_of(3, failing)
    await fleet.land(store, [Dataset.MONTH], [JULY])
    plan = await fleet.plan_land(store, [Dataset.MONTH], [JULY])

    assert (plan.requests, plan.skipped) == (3, 0)


async def test_only_failed_cells_are_asked_by_a_retry_of_any_period(store: Store) -> None:
    asked: list[tuple[str, str]] = []

    async def failing_at_first(cell: Cell) -> Outcome:
        asked.append((str(cell.period), cell.device_id))
        await checkpoint()
        number = int(cell.device_id)
        if number == 0 and len(asked) <= 6:
            return Failed(cell, ServerError("the API failed to answer", ErrorContext("GET", "/")))
        return Absent(cell)

    fleet = fleet_of(3, failing_at_first, concurrency=1)
    await fleet.land(store, [Dataset.MONTH], [JULY, JULY.previous()])
    assert len(asked) == 6
    summary = await fleet.retry_failed(store)

    assert asked[6:] == [("2024-06", "0000"), ("2024-07", "0000")]
    assert (summary.planned, summary.absent, summary.skipped) == (2, 2, 0)
    check_account(summary, store, "complete")
