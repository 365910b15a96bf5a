"""End to end, over real HTTP: a night full of troubles leaves what a quiet one leaves."""

from __future__ import annotations

import random
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from voltaware_async import Dataset, DeviceId, Month, RetryPolicy, VoltawareClient, Week, open_store
from voltaware_async.fleet import landing
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voltaware_async import Progress, Summary
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

PERIODS = [Month(2024, 7), Week.parse("2024-W28")]
DEVICES = 30
VARYING = {"run_id", "updated_at", "attempts"}


def tables(store: Store) -> dict[str, list[str]]:
    """Return every table row by row, but for what tells one run from another."""
    return {
        name: sorted(
            repr([value for column, value in row.items() if column not in VARYING])
            for row in store.table(name).to_pylist()
        )
        for name in ("consumption", "totals", "cycles", "ledger")
    }


def client_of(sandbox: Sandbox, **options: object) -> VoltawareClient:
    quick = RetryPolicy(wait_initial=0.001)
    settings = {"base_url": sandbox.base_url, "rate": None, "retry": quick, **options}
    return VoltawareClient(sandbox.client_id, sandbox.client_secret, **settings)  # type: ignore[arg-type]


@pytest.fixture
async def quiet(client: VoltawareClient, tmp_path: Path) -> dict[str, list[str]]:
    """What stands in a store after a night in which nothing happened."""
    with open_store(tmp_path / "quiet.duckdb") as store:
        await client.fleet.land(store, list(Dataset), PERIODS)
        landed = tables(store)
    assert all(landed.values())
    return landed


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_BATCH_CELLS", 20)


@pytest.mark.usefixtures("small_batches")
async def test_a_night_of_every_kind_of_fault_ends_as_a_quiet_one_once_it_is_complete(
    quiet: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voltaware_async.fleet.outage._HOLDS_S", (0.0,))
    faults = ("500:0.05", "502:0.05", "503:0.05", "reset:0.05", "cut:0.05", "garbage:0.05")
    nights: list[Summary] = []

    async with Sandbox(devices=DEVICES, today=date(2024, 9, 15), faults=faults) as sandbox:
        # The list of devices can be hit too, and a night without it does not begin.
        devices = [DeviceId(it) for it in sandbox.fleet.device_ids()]
        with open_store(tmp_path / "fleet.duckdb") as store:
            async with client_of(sandbox) as client:
                while not nights or not nights[-1].is_complete:
                    nights.append(await client.fleet.land(store, list(Dataset), PERIODS, devices))
            landed = tables(store)

    assert landed == quiet
    assert nights[0].failed > 0
    assert nights[0].retries > 0
    for before, after in pairwise(nights):
        assert after.skipped == before.skipped + before.landed
        assert after.planned == before.absent + before.failed


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("concurrency", [1, 7, 64])
async def test_neither_the_order_of_the_devices_nor_the_number_of_workers_changes_what_lands(
    quiet: dict[str, list[str]], sandbox: Sandbox, tmp_path: Path, concurrency: int
) -> None:
    devices = [DeviceId(it) for it in sandbox.fleet.device_ids()]
    random.Random(concurrency).shuffle(devices)

    with open_store(tmp_path / "fleet.duckdb") as store:
        async with client_of(sandbox, concurrency=concurrency) as client:
            await client.fleet.land(store, list(reversed(Dataset)), PERIODS[::-1], devices)
        landed = tables(store)

    assert landed == quiet


class Expiring:
    """Let every token expire whenever so many more cells have ended."""

    def __init__(self, expire: Callable[[], None], every: int) -> None:
        self._expire = expire
        self._every = every
        self.times = 0

    def progressed(self, progress: Progress) -> None:
        if progress.done >= self._every * (self.times + 1):
            self.times += 1
            self._expire()

    def finished(self, summary: Summary) -> None:
        pass


async def test_tokens_that_expire_in_mid_run_cost_a_renewal_each_and_no_cell(
    quiet: dict[str, list[str]], sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "_PROGRESS_EVERY_S", 0.0)
    expiring = Expiring(sandbox.expire_tokens, every=50)

    with open_store(tmp_path / "fleet.duckdb") as store:
        async with client_of(sandbox) as client:
            summary = await client.fleet.land(store, list(Dataset), PERIODS, watcher=expiring)
        landed = tables(store)

    assert landed == quiet
    assert summary.is_complete
    assert expiring.times == 4
    assert summary.token_calls == 1 + expiring.times


async def test_an_api_that_throttles_is_heeded_and_loses_nothing(
    quiet: dict[str, list[str]], tmp_path: Path
) -> None:
    async with Sandbox(devices=DEVICES, today=date(2024, 9, 15), rate_limit=150) as sandbox:
        with open_store(tmp_path / "fleet.duckdb") as store:
            async with client_of(sandbox) as client:
                summary = await client.fleet.land(store, list(Dataset), PERIODS)
            landed = tables(store)

    assert landed == quiet
    assert summary.is_complete
    assert summary.throttled > 0


async def test_a_record_that_is_asked_for_by_itself_says_what_landed(
    client: VoltawareClient, tmp_path: Path
) -> None:
    ids = await client.devices.list()
    with open_store(tmp_path / "fleet.duckdb") as store:
        await client.fleet.land(store, [Dataset.MONTH], PERIODS[:1])
        totals = {row["device_id"]: row["total_consumption_wh"] for row in store.table("totals").to_pylist()}

    records = {it: await client.disaggregation.month(it, Month(2024, 7)) for it in ids}

    assert totals == {it: record.total_consumption for it, record in records.items() if record is not None}
