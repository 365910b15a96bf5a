"""`voltaware pull` and `status`: periods land, and the account of it can be read by programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

SUMMARY_KEYS = [
    "run_id",
    "planned",
    "landed",
    "absent",
    "failed",
    "unasked",
    "skipped",
    "requests",
    "retries",
    "throttled",
    "token_calls",
    "elapsed_s",
    "rate_per_s",
    "restated",
    "kept",
    "zone_unknown",
    "reports_wh",
    "reports_kwh",
    "reports_unknown",
]


def summary_of(ended: Ended) -> dict[str, int]:
    summary: dict[str, int] = json.loads(ended.out)
    return summary


def test_the_summary_is_one_json_object_with_the_promised_keys(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month", "--json")

    summary = summary_of(ended)
    assert ended.code == 0
    assert list(summary) == SUMMARY_KEYS
    assert summary["planned"] == 40 == summary["landed"] + summary["absent"]
    assert summary["requests"] == 42
    assert ended.talk == ""


def test_a_month_is_its_four_datasets_and_a_week_its_three(voltaware: Callable[..., Ended]) -> None:
    ids = ("--device", "0001", "--device", "0002")

    month = voltaware("pull", "--store", "m.duckdb", "--month", "2024-07", *ids, "--json")
    week = voltaware("pull", "--store", "w.duckdb", "--week", "2024-W28", *ids, "--json")
    both = voltaware("pull", "--store", "b.duckdb", "--month", "2024-07", "--with-weeks", *ids, "--json")

    assert [summary_of(ended)["planned"] for ended in (month, week, both)] == [8, 6, 8 + 4 * 6]


@pytest.mark.parametrize("source", ["ids.txt", "-"])
def test_devices_can_come_from_a_file_or_from_stdin(
    voltaware: Callable[..., Ended], tmp_path: Path, source: str
) -> None:
    ids = "0001\n\n 0002 \n0001\n"
    (tmp_path / "ids.txt").write_text(ids)

    ended = voltaware(
        *("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month", "--json"),
        *("--devices-from", source, "--rate", "none", "--concurrency", "1"),
        stdin=ids,
    )

    assert summary_of(ended)["planned"] == 2


def test_a_second_pull_asks_only_what_has_not_landed(voltaware: Callable[..., Ended]) -> None:
    arguments = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--json", "--rate", "none")
    first = summary_of(voltaware(*arguments))

    second = summary_of(voltaware(*arguments))

    assert second["skipped"] == first["landed"]
    assert second["planned"] == second["absent"] == first["absent"]


def test_people_get_the_account_on_stderr_and_nothing_on_stdout(voltaware: Callable[..., Ended]) -> None:
    arguments = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")

    ended = voltaware(*arguments)
    quiet = voltaware(*arguments, "--quiet")

    assert ended.out == ""
    assert ended.talk.startswith("40 cells: ")
    assert quiet.all == ""


def test_status_counts_what_landed_per_dataset_and_period(voltaware: Callable[..., Ended]) -> None:
    voltaware("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month", "--quiet")
    voltaware("pull", "--store", "f.duckdb", "--week", "2024-W28", "--device", "0001", "--quiet")

    table = voltaware("status", "--store", "f.duckdb")
    rows = json.loads(voltaware("status", "--store", "f.duckdb", "--json").out)

    assert table.out.splitlines()[0].split() == [
        "dataset",
        "period",
        "landed",
        "absent",
        "failed",
        "never",
        "asked",
    ]
    assert [(row["dataset"], row["period"]) for row in rows] == [
        ("month", "2024-07"),
        ("week", "2024-W28"),
        ("week_cycles", "2024-W28"),
        ("week_report", "2024-W28"),
    ]
    assert sum(rows[0][name] for name in ("landed", "absent", "failed", "never_asked")) == 40
    assert rows[1]["never_asked"] == 39


def test_malformed_replies_fail_their_cells_and_status_says_where_and_why(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    broken = serve("--devices", "5", "--faults", "garbage@sm/disag/month:1")
    arguments = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--base-url", broken.base_url)

    ended = voltaware(*arguments)
    why = voltaware("status", "--store", "f.duckdb", "--failed")

    assert ended.code == 3
    assert "5 failed" in ended.talk
    assert "voltaware status --failed --store f.duckdb" in ended.talk
    assert "GET /sensors/{device_id}/sm/disag/month" in why.out
    assert "@ $" in why.out


def test_status_of_a_store_that_was_never_asked_says_so(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    with open_store(tmp_path / "f.duckdb"):
        pass

    ended = voltaware("status", "--store", "f.duckdb")

    assert (ended.code, ended.out) == (0, "")
    assert "nothing has been asked yet" in ended.talk
