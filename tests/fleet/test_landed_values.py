"""The values: what the sandbox computes is what stands in the store, to the last digit."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import processes
import pytest
from landed import expected, found

from voltaware_async import Dataset, Month, VoltawareClient, Week, open_store
from voltaware_async.sandbox import Fleet, Sandbox
from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

TODAY = date(2024, 9, 15)
JULY = Month(2024, 7)
WEEK = Week.of(date(2024, 7, 8))


async def test_all_seven_datasets_land_as_the_sandbox_computes_them(
    client: VoltawareClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    parts = [(dataset, JULY if dataset.period_type is Month else WEEK) for dataset in Dataset]

    with open_store(tmp_path / "fleet.duckdb") as store:
        summary = await client.fleet.land(store, list(Dataset), [JULY, WEEK])
        landed = found(store)

    assert summary.planned == 7 * 30
    assert not summary.failed
    assert landed == expected(sandbox.fleet, sandbox.fleet.device_ids(), parts)
    assert landed["cycles"]


async def test_two_thousand_devices_over_a_slow_line_land_every_cell_exactly(tmp_path: Path) -> None:
    fleet = Fleet(devices=2000, seed=7, today=TODAY)
    elsewhere = processes.sandbox("--devices", "2000", "--latency-ms", "20")

    with elsewhere as api, open_store(tmp_path / "fleet.duckdb") as store:
        async with VoltawareClient(
            CREDENTIALS.client_id, CREDENTIALS.client_secret, base_url=api.base_url, rate=None, concurrency=64
        ) as client:
            summary = await client.fleet.land(store, [Dataset.MONTH, Dataset.MONTH_CYCLES], [JULY])
        landed = found(store)

    parts = [(Dataset.MONTH, JULY), (Dataset.MONTH_CYCLES, JULY)]
    assert summary.planned == 4000
    assert summary.is_complete
    assert landed == expected(fleet, fleet.device_ids(), parts)
