"""A simulated month of nights: how many requests a result costs, and that none is forgotten."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from attrs import frozen
from landed import Row, expected, found

from voltaware_async import Dataset, Month, VoltawareClient, Week, open_store
from voltaware_async.fleet.due import due_slices, is_due_again
from voltaware_async.sandbox import Sandbox
from voltaware_async.stores.agenda import Absence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voltaware_async import Period
    from voltaware_async.sandbox import Fleet
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

NIGHTS = 30
LATE_SHARE = 0.05
# The third of September, on which four datasets become due for the whole fleet, lies in the middle.
FIRST_NIGHT = date(2024, 8, 20)
LAST_NIGHT = FIRST_NIGHT + timedelta(days=NIGHTS - 1)


@frozen
class Account:
    """Hold what the sandbox counted, and what the ledger says in the end."""

    requests: int
    ledger: dict[tuple[str, str, date], dict[str, object]]

    @property
    def landed(self) -> int:
        return sum(row["status"] == "landed" for row in self.ledger.values())

    @property
    def requests_per_result(self) -> float:
        return self.requests / self.landed


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


async def a_month_of_nights(sandbox: Sandbox, store: Store) -> Account:
    """Run the nights of a month with a new client each, as from cron; every request counts, tokens too."""
    for n in range(NIGHTS):
        sandbox.today = FIRST_NIGHT + timedelta(days=n)
        async with VoltawareClient(
            sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, rate=None
        ) as client:
            summary = await client.fleet.sync(store, as_of=sandbox.today)
        assert summary.is_complete
        assert not summary.failed
    rows = store.table("ledger").to_pylist()
    return Account(
        sandbox._recording.total(),
        {(row["device_id"], row["dataset"], row["period_start"]): row for row in rows},
    )


def results(fleet: Fleet) -> Iterator[tuple[str, Dataset, Period]]:
    """Produce the cells within the horizon that the sandbox has a result for on the last night."""
    for part in due_slices(Dataset, LAST_NIGHT, 3):
        for device in fleet.device_ids():
            if _answer(fleet, device, part.dataset, part.period) is not None:
                yield device, part.dataset, part.period


def _answer(fleet: Fleet, device: str, dataset: Dataset, period: Period) -> object:
    ask = getattr(fleet, dataset.value)
    return ask(
        device, *((period.start,) if dataset.value.startswith("week") else (period.year, period.month))
    )


def landed_values(fleet: Fleet, account: Account) -> dict[str, list[Row]]:
    """Return the sandbox's own figures for the cells that the ledger calls landed."""
    tables: dict[str, list[Row]] = {"consumption": [], "totals": [], "cycles": []}
    for (device, dataset, start), entry in account.ledger.items():
        if entry["status"] == "landed":
            kind = Dataset(dataset)
            period = Month.of(start) if kind.period_type is Month else Week(start)
            for name, rows in expected(fleet, [device], [(kind, period)]).items():
                tables[name] += rows
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


def check_that_none_is_forgotten(fleet: Fleet, account: Account) -> None:
    """Find each result landed or, where it came lately, waiting for a night on which it is asked again."""
    waiting = 0
    for device, dataset, period in results(fleet):
        entry = account.ledger[device, str(dataset), period.start]
        if entry["status"] != "landed":
            facts = entry["http_status"], entry["absent_since"], entry["asked_on"]
            known = Absence(dataset, period, *facts)
            nights = (LAST_NIGHT + timedelta(days=n) for n in range(1, 5))
            assert not is_due_again(known, LAST_NIGHT), entry
            assert any(is_due_again(known, night) for night in nights), entry
            waiting += 1
    assert waiting <= account.landed / 1000


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_month_of_nights_over_a_thousand_devices_takes_at_most_1_1_requests_per_result(
    store: Store,
) -> None:
    async with Sandbox(devices=1000, today=FIRST_NIGHT, late_share=LATE_SHARE, record=0) as sandbox:
        account = await a_month_of_nights(sandbox, store)

        assert account.landed > 70_000
        assert account.requests_per_result <= 1.1
        check_that_none_is_forgotten(sandbox.fleet, account)


async def test_a_month_of_nights_over_sixty_devices_costs_few_requests_and_forgets_no_result(
    store: Store,
) -> None:
    """1.15, not 1.1: what a night costs whatever the fleet, a token and /sensors, is shared by only sixty."""
    async with Sandbox(devices=60, today=FIRST_NIGHT, late_share=LATE_SHARE, record=0) as sandbox:
        account = await a_month_of_nights(sandbox, store)

        assert account.landed > 4000
        assert account.requests_per_result <= 1.15
        check_that_none_is_forgotten(sandbox.fleet, account)
        assert found(store) == landed_values(sandbox.fleet, account)
