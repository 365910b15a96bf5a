"""`voltaware retry-failed`: asks only what failed, and makes no store of a mistyped name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from voltaware_async import open_store
from voltaware_async.sandbox.route_names import RESULT_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

STORE = ("--store", "f.duckdb")
RETRY = ("retry-failed", *STORE, "--rate", "none")
# Those of the first two that the API has a July for.
DEVICES = 2
IDS = [word for n in range(1, DEVICES + 1) for word in ("--device", f"000{n}")]


@pytest.fixture(scope="module")
def broken_api(serve: Callable[..., Api]) -> Api:
    """An API that answers every question for a month with an error, and all others."""
    return serve("--devices", str(DEVICES), "--faults", "500@sm/disag/month:1.0")


@pytest.fixture
def failed(broken_api: Api, voltaware: Callable[..., Ended]) -> dict[str, Any]:
    """A store in which the months of all devices failed, and all else of July was answered."""
    pull = ("pull", *STORE, "--month", "2024-07", *IDS, "--rate", "none", "--json")
    ended = voltaware(*pull, VOLTAWARE_BASE_URL=broken_api.base_url)
    assert ended.code == 3
    summary: dict[str, Any] = json.loads(ended.out)
    assert (summary["planned"], summary["failed"]) == (4 * DEVICES, DEVICES)
    return summary


def asked(api: Api) -> dict[str, int]:
    return {route: api.count(route) for route in (*RESULT_ROUTES, "sensors", "sensor")}


@pytest.mark.usefixtures("failed")
def test_only_what_failed_is_asked_and_nothing_is_looked_up(
    voltaware: Callable[..., Ended], api: Api
) -> None:
    before = asked(api)

    ended = voltaware(*RETRY, "--json")

    summary = json.loads(ended.out)
    assert (ended.code, ended.talk) == (0, "")
    assert (summary["planned"], summary["landed"], summary["requests"]) == (DEVICES, DEVICES, DEVICES + 1)
    assert asked(api) == {**before, "sm/disag/month": before["sm/disag/month"] + DEVICES}


@pytest.mark.usefixtures("failed")
def test_a_retry_leaves_no_failure_and_a_row_in_the_store(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    voltaware(*RETRY, "--quiet")

    assert voltaware("status", *STORE, "--failed", "--json").out == "[]\n"
    with open_store(tmp_path / "f.duckdb") as store:
        runs = store.table("runs").to_pylist()
        totals = [row for row in store.table("totals").to_pylist() if row["dataset"] == "month"]
    assert [(run["command"], run["outcome"]) for run in runs] == [
        ("pull", "incomplete"),
        ("retry-failed", "complete"),
    ]
    assert len(totals) == DEVICES


@pytest.mark.usefixtures("failed")
def test_what_fails_again_ends_with_three_and_is_asked_by_the_next_retry(
    broken_api: Api, voltaware: Callable[..., Ended]
) -> None:
    ended = [voltaware(*RETRY, "--json", VOLTAWARE_BASE_URL=broken_api.base_url) for _ in range(2)]

    summaries = [json.loads(it.out) for it in ended]
    assert [it.code for it in ended] == [3, 3]
    assert [(it["planned"], it["failed"], it["unasked"]) for it in summaries] == [(DEVICES, DEVICES, 0)] * 2


@pytest.mark.usefixtures("failed")
def test_people_see_how_a_retry_ended(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware(*RETRY)

    assert (ended.code, ended.out) == (0, "")
    assert ended.talk.startswith(f"{DEVICES} cells: {DEVICES} landed, ")


def test_with_nothing_failed_there_is_nothing_to_ask(
    voltaware: Callable[..., Ended], api: Api, tmp_path: Path
) -> None:
    with open_store(tmp_path / "f.duckdb"):
        pass
    before = asked(api), api.count("auth/token")

    ended = voltaware(*RETRY)

    assert (ended.code, ended.out) == (0, "")
    assert ended.talk.startswith("nothing to ask: no cell failed last time\n")
    assert (asked(api), api.count("auth/token")) == before


def test_a_mistyped_store_is_refused_and_none_is_made(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    ended = voltaware(*RETRY)

    assert (ended.code, ended.out) == (5, "")
    assert ended.talk.startswith("voltaware: there is no store f.duckdb yet")
    assert not list(tmp_path.iterdir())


def test_a_retry_takes_no_periods_for_it_knows_what_failed(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware(*RETRY, "--month", "2024-07")

    assert (ended.code, ended.out) == (2, "")
    assert "No such option" in ended.talk
