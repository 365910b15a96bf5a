"""`client.fleet`: what a user of it sees, against the emulator."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio
import pytest

from voltaware_async import (
    Absent,
    Cell,
    ClientClosedError,
    CredentialsRefusedError,
    Dataset,
    DecodeError,
    DeviceId,
    DeviceIdError,
    Failed,
    Fetched,
    Month,
    ServerError,
    Week,
    open_store,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from voltaware_async import VoltawareClient
    from voltaware_async.sandbox import Sandbox
    from voltaware_async.stores import Store

pytestmark = pytest.mark.anyio

JULY, WEEK = Month(2024, 7), Week.parse("2024-W28")
MONTH_PATH = "/sensors/{device_id}/sm/disag/month"
WITHOUT_PARTNER = r"none is named|no dataset is asked|name at least one"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "fleet.duckdb") as store:
        yield store


# --- pull -------------------------------------------------------------------------------------------


async def test_a_pull_without_devices_asks_all_that_the_api_lists_and_yields_its_values(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    outcomes = {it.cell.device_id: it async for it in client.fleet.pull([Dataset.MONTH], [JULY])}

    assert sorted(outcomes) == sorted(sandbox.fleet.device_ids())
    for device_id, outcome in outcomes.items():
        expected = sandbox.fleet.month(device_id, 2024, 7)
        if expected is None:
            assert outcome == Absent(Cell(device_id, Dataset.MONTH, JULY), http_status=404)
        else:
            assert isinstance(outcome, Fetched)
            assert outcome.record.total_consumption == expected["total_consumption"]
            assert [(it.appliance_key, it.consumption) for it in outcome.record.appliances] == [
                (it["appliance_key"], it["consumption"]) for it in expected["appliances"]
            ]


async def test_a_pull_of_named_devices_asks_each_once_and_lists_nothing(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    named = [DeviceId(it) for it in ("0002", "0001", "0002")]

    outcomes = [it async for it in client.fleet.pull([Dataset.WEEK, Dataset.WEEK_CYCLES], [WEEK], named)]

    assert sorted((it.cell.device_id, it.cell.dataset.value) for it in outcomes) == [
        *(("0001", "week"), ("0001", "week_cycles")),
        *(("0002", "week"), ("0002", "week_cycles")),
    ]
    assert sandbox.count("sensors") == 0


async def test_one_bad_device_does_not_stop_a_pull(client: VoltawareClient, sandbox: Sandbox) -> None:
    sandbox.script("500", times=None, route="sm/disag/month", device_id="0003")

    outcomes = [it async for it in client.fleet.pull([Dataset.MONTH], [JULY])]

    [failed] = [it for it in outcomes if isinstance(it, Failed)]
    assert len(outcomes) == 30
    assert isinstance(failed.error, ServerError)
    assert (failed.cell.device_id, failed.http_status, failed.attempts) == ("0003", 500, 3)
    assert failed.error.__traceback__ is None


async def test_no_more_requests_are_under_way_than_the_client_allows(
    make_client: Callable[..., VoltawareClient], sandbox: Sandbox
) -> None:
    stalled = sandbox.script("stall", times=None, route="sm/disag/month")

    async with make_client(concurrency=3) as client, anyio.create_task_group() as group:

        async def consume() -> None:
            async with contextlib.aclosing(client.fleet.pull([Dataset.MONTH], [JULY])) as outcomes:
                await anext(outcomes)

        group.start_soon(consume)
        while stalled.hit < 3:
            await anyio.sleep(0.001)
        await anyio.sleep(0.03)
        under_way = stalled.hit
        group.cancel_scope.cancel()

    assert under_way == 3


@pytest.mark.parametrize(
    ("datasets", "periods"), [([Dataset.WEEK], [JULY]), ([Dataset.MONTH], [WEEK]), ([], [JULY])], ids=str
)
async def test_what_finds_no_partner_is_refused_before_anything_is_sent_or_opened(
    client: VoltawareClient,
    sandbox: Sandbox,
    store: Store,
    datasets: list[Dataset],
    periods: list[Month | Week],
) -> None:
    with pytest.raises(ValueError, match=WITHOUT_PARTNER):
        await anext(client.fleet.pull(datasets, periods))
    with pytest.raises(ValueError, match=WITHOUT_PARTNER):
        await client.fleet.land(store, datasets, periods)

    assert not sandbox.requests
    assert not store.table("runs").num_rows


async def test_a_text_that_is_no_device_id_is_refused_before_a_pull_sends_anything(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    with pytest.raises(DeviceIdError):
        await anext(client.fleet.pull([Dataset.MONTH], [JULY], [DeviceId("0001"), DeviceId("..")]))

    assert not sandbox.requests


async def test_credentials_that_are_refused_end_a_pull(sandbox: Sandbox, client: VoltawareClient) -> None:
    sandbox.revoke_credentials()

    with pytest.raises(CredentialsRefusedError):
        await anext(client.fleet.pull([Dataset.MONTH], [JULY], [DeviceId("0001")]))


async def test_a_client_that_is_closed_in_mid_pull_ends_it(
    make_client: Callable[..., VoltawareClient],
) -> None:
    client = make_client(concurrency=1)

    async with contextlib.aclosing(
        client.fleet.pull([Dataset.MONTH, Dataset.MONTH_WEEKS], [Month(2024, 6), JULY], None)
    ) as outcomes:
        await anext(outcomes)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await _drain(outcomes)


async def _drain(outcomes: AsyncIterator[object]) -> None:
    async for _ in outcomes:
        pass


# --- fetch ------------------------------------------------------------------------------------------


async def test_one_cell_is_fetched_by_one_request(client: VoltawareClient, sandbox: Sandbox) -> None:
    device = next(DeviceId(it) for it in sandbox.fleet.device_ids() if sandbox.fleet.month(it, 2024, 7))

    outcome = await client.fleet.fetch(Cell(device, Dataset.MONTH, JULY))

    assert isinstance(outcome, Fetched)
    assert outcome.attempts == sandbox.count("sm/disag/month") == 1


async def test_a_cell_of_a_text_that_is_no_device_id_fails_by_itself(
    client: VoltawareClient, sandbox: Sandbox
) -> None:
    outcome = await client.fleet.fetch(Cell(DeviceId(".."), Dataset.MONTH, JULY))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeviceIdError)
    assert outcome.attempts == 0
    assert not sandbox.requests


def test_a_cell_cannot_be_made_of_a_dataset_and_a_period_of_the_other_kind() -> None:
    with pytest.raises(TypeError, match="week is asked for a Week, not for Month"):
        Cell(DeviceId("0001"), Dataset.WEEK, JULY)


# --- replies that are not as documented -------------------------------------------------------------

MALFORMED = {
    "empty": (b"", "$"),
    "cut off": (b'{"total_consumption": 41', "$"),
    "text": (b"It works!", "$"),
    "null": (b"null", "$"),
    "a list": (b"[]", "$"),
    "another object": (b"{}", "$"),
    "text for a number": (
        b'{"total_consumption": "1", "disconnection_percentage": 0, "appliances": []}',
        "$.total_consumption",
    ),
    "a yes for a number": (
        b'{"total_consumption": true, "disconnection_percentage": 0, "appliances": []}',
        "$.total_consumption",
    ),
    "not a number": (
        b'{"total_consumption": NaN, "disconnection_percentage": 0, "appliances": []}',
        "$",
    ),
    "null in a list": (
        b'{"total_consumption": 1, "disconnection_percentage": 0, "appliances": [null]}',
        "$.appliances[0]",
    ),
    "a field short": (
        b'{"total_consumption": 1, "disconnection_percentage": 0, "appliances": [{"consumption": 1}]}',
        "$.appliances[0]",
    ),
    "deep": (b"[" * 50_000, "$"),
    "binary": (b"\x00\xff\xfe\x80", "$"),
}


@pytest.mark.parametrize(("body", "json_path"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_reply_fails_its_cell_alone_and_the_ledger_says_where(
    client: VoltawareClient, sandbox: Sandbox, store: Store, body: bytes, json_path: str
) -> None:
    sandbox.script(status=200, body=body, times=None, route="sm/disag/month", device_id="0004")
    devices = [DeviceId(f"{n:04d}") for n in range(1, 9)]

    summary = await client.fleet.land(store, [Dataset.MONTH], [JULY], devices)

    [failed] = [row for row in store.table("ledger").to_pylist() if row["status"] == "failed"]
    assert failed["device_id"] == "0004"
    assert f"GET {MONTH_PATH}, device 0004" in failed["error"]
    assert f"@ {json_path}" in failed["error"]
    assert "\n" not in failed["error"]
    assert (summary.planned, summary.failed, summary.unasked) == (8, 1, 0)
    for table in ("consumption", "totals", "cycles"):
        assert "0004" not in store.table(table).column("device_id").to_pylist()


@pytest.mark.parametrize("dataset", Dataset)
async def test_garbage_fails_the_cells_of_every_dataset_and_stores_nothing(
    client: VoltawareClient, sandbox: Sandbox, store: Store, dataset: Dataset
) -> None:
    sandbox.script("garbage", times=None)
    period = JULY if dataset.period_type is Month else WEEK

    outcomes = [it async for it in client.fleet.pull([dataset], [period], [DeviceId("0001")])]
    summary = await client.fleet.land(store, [dataset], [period], [DeviceId("0001"), DeviceId("0002")])

    [failed] = outcomes
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, DecodeError)
    assert summary.failed == summary.planned == 2
    assert not any(store.table(name).num_rows for name in ("consumption", "totals", "cycles"))
