"""`voltaware sync`: the command for every night, by its exit codes, its account and what it asks."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conftest import start
from side_by_side import side_by_side

from voltaware_async import open_store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

SUMMARY_KEYS = [
    *("run_id", "planned", "landed", "absent", "failed", "unasked", "skipped"),
    *("requests", "retries", "throttled", "token_calls", "elapsed_s", "rate_per_s"),
    *("restated", "kept", "zone_unknown", "reports_wh", "reports_kwh", "reports_unknown"),
]
STORE = ("--store", "f.duckdb")
SYNC = ("sync", *STORE, "--as-of", "2024-09-15", "--rate", "none")
# Two datasets and a month: 7 cells a device.
SMALL = (*SYNC, "--dataset", "month", "--dataset", "week", "--horizon-months", "1")


@pytest.fixture(scope="module")
def slow_api(serve: Callable[..., Api]) -> Api:
    """An API that answers after a while, so that a run can be met in its middle; its devices are all old."""
    return serve("--devices", "34", "--latency-ms", "40")


def summary_of(ended: Ended) -> dict[str, Any]:
    """Read the account, and check that it adds up."""
    summary: dict[str, Any] = json.loads(ended.out)
    assert list(summary) == SUMMARY_KEYS
    assert summary["planned"] == sum(summary[name] for name in ("landed", "absent", "failed", "unasked"))
    return summary


def wait_until_asked(api: Api, route: str, requests: int, process: subprocess.Popen[str]) -> None:
    while api.count(route) < requests:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


# --- nights -----------------------------------------------------------------------------------------


def test_a_night_lands_what_is_due_and_the_next_run_asks_only_for_the_devices(
    voltaware: Callable[..., Ended], api: Api
) -> None:
    cells, lists = api.cells(), api.count("sensors")
    first = voltaware(*SYNC, "--json")
    asked = api.cells() - cells
    second = voltaware(*SYNC, "--json")

    summary, again = summary_of(first), summary_of(second)
    assert (first.code, second.code) == (0, 0)
    assert first.talk == second.talk == ""
    assert summary["planned"] == asked == summary["landed"] + summary["absent"] > 2000
    assert summary["requests"] == asked + 40 + 2, "a look-up for each device, /sensors and the token"
    assert (again["planned"], again["skipped"], again["requests"]) == (0, asked, 2)
    assert api.cells() - cells == asked
    assert api.count("sensors") - lists == 2


def test_people_get_the_account_of_a_night_on_stderr(voltaware: Callable[..., Ended]) -> None:
    first = voltaware(*SMALL)
    second = voltaware(*SMALL, "--quiet")

    assert (first.code, first.out) == (0, "")
    assert " landed, " in first.talk
    assert "0 failed, 0 unasked" in first.talk
    assert second.all == ""


def test_datasets_devices_and_horizon_narrow_a_night(voltaware: Callable[..., Ended], api: Api) -> None:
    lists = api.count("sensors")

    ended = voltaware(*SMALL, "--device", "0001", "--device", "0002", "--json")

    assert summary_of(ended)["planned"] == 2 * (1 + 6)
    assert api.count("sensors") == lists


def test_a_fleet_without_devices_is_a_complete_night_that_says_so(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    ended = voltaware(*SYNC, VOLTAWARE_BASE_URL=serve("--devices", "0").base_url)

    assert ended.code == 0
    assert ended.talk.startswith(
        "nothing to ask: no device is listed, nothing is due, or the run ended before that was known\n"
    )


def test_an_api_that_lists_no_devices_any_more_ends_with_six_and_says_that_nothing_was_asked(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    empty = serve("--devices", "0").base_url
    first = voltaware(*SMALL, "--json")

    refused = voltaware(*SMALL, "--json", VOLTAWARE_BASE_URL=empty)
    status = voltaware("status", *STORE)
    again = voltaware(*SMALL, "--json")

    assert first.code == 0
    assert (refused.code, refused.out) == (6, "")
    assert refused.talk == (
        "voltaware: the API lists no devices, and f.duckdb knows some: nothing was asked\n"
    )
    assert "last run: sync, begun " in status.out
    assert status.out.rstrip().endswith(": unreachable")
    assert (again.code, summary_of(again)["planned"]) == (0, 0)


def test_a_night_on_which_all_has_landed_says_so(voltaware: Callable[..., Ended]) -> None:
    first = summary_of(voltaware(*SMALL, "--device", "0001", "--json"))

    second = voltaware(*SMALL, "--device", "0001")

    assert second.talk.startswith(
        f"nothing to ask: {first['planned']} cells landed before, or are absent and not yet due again\n"
    )


def test_cells_that_fail_end_with_three_and_are_asked_by_the_next_night(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], api: Api
) -> None:
    broken = serve("--devices", "5", "--faults", "garbage@sm/disag/month:1")
    ids = [word for n in range(1, 6) for word in ("--device", f"000{n}")]

    first = voltaware(*SMALL, "--json", VOLTAWARE_BASE_URL=broken.base_url)
    why = voltaware("status", *STORE, "--failed")
    second = voltaware(*SMALL, *ids, "--json", VOLTAWARE_BASE_URL=api.base_url)

    assert first.code == 3
    assert summary_of(first)["failed"] == 5
    assert why.out.splitlines()[1].split()[:2] == ["5", "0001"]
    assert second.code == 0
    assert (summary_of(second)["planned"], summary_of(second)["failed"]) == (5, 0)


# --- what is refused --------------------------------------------------------------------------------


def test_days_and_horizons_that_cannot_be_are_refused_with_a_reason_and_leave_no_store(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    tomorrow = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    reasons = {
        ("sync", *STORE, "--as-of", tomorrow): f"as of {tomorrow} lies in the future: today is 2",
        ("sync", *STORE, "--as-of", "9999-12-31"): "as of 9999-12-31 lies in the future: today is 2",
        ("sync", *STORE, "--as-of", "nonsense"): "a day is written YYYY-MM-DD, as 2024-09-15, not 'nonsense'",
        ("sync", *STORE, "--as-of", "2024-02-30"): "'2024-02-30' is no day",
        ("sync", *STORE, "--as-of", "20240915"): "a day is written YYYY-MM-DD",
        ("sync", *STORE, "--horizon-months", "0"): "0 is not in the range 1<=x<=120",
        ("sync", *STORE, "--max-duration", "8"): "'8' is no duration",
        ("sync", *STORE, "--month", "2024-07"): "No such option",
        ("sync",): "Missing option '--store'",
    }

    ended = side_by_side(voltaware, list(reasons))

    for line, it in ended.items():
        assert (it.code, it.out) == (2, ""), it
        assert reasons[line] in it.talk
    assert not list(tmp_path.iterdir())


def test_a_clock_that_was_never_set_is_a_night_on_which_nothing_is_due(
    voltaware: Callable[..., Ended],
) -> None:
    ended = side_by_side(
        voltaware,
        [
            ("sync", "--store", f"{day}.duckdb", "--as-of", day, "--json")
            for day in ("1970-01-01", "1969-07-20")
        ],
    )

    for it in ended.values():
        assert (it.code, summary_of(it)["planned"]) == (0, 0)


def test_a_store_whose_last_run_lies_in_the_future_needs_the_day_to_be_named(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    with open_store(tmp_path / "f.duckdb") as store:
        store.begin("ahead", "sync", datetime.now(UTC) + timedelta(days=400))

    refused = voltaware("sync", *STORE, "--device", "0001")
    named = voltaware(*SMALL, "--device", "0001", "--json")

    assert (refused.code, refused.out) == (2, "")
    assert refused.talk.startswith("voltaware: this machine's clock says ")
    assert "--as-of" in refused.talk
    assert (named.code, summary_of(named)["planned"]) == (0, 7)


# --- ends before the end ----------------------------------------------------------------------------


def test_a_night_that_runs_out_of_time_ends_with_three_and_the_next_one_goes_on(
    slow_api: Api, voltaware: Callable[..., Ended]
) -> None:
    first = voltaware(
        *SYNC, "--max-duration", "1s", "--concurrency", "8", "--json", VOLTAWARE_BASE_URL=slow_api.base_url
    )
    status = voltaware("status", *STORE)
    second = voltaware(*SMALL, "--json", VOLTAWARE_BASE_URL=slow_api.base_url)

    summary = summary_of(first)
    assert first.code == 3
    assert summary["unasked"] > 1500
    assert "last run: sync, begun " in status.out
    assert f"out of time (0 failed, {summary['unasked']} unasked)" in status.out
    assert second.code == 0
    assert summary_of(second)["skipped"] <= summary["landed"] + summary["absent"]


def test_a_night_that_is_not_given_the_list_of_devices_in_time_ends_with_six(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    stalled = serve("--devices", "3", "--faults", "stall@sensors:1")

    ended = voltaware(*SYNC, "--max-duration", "1s", VOLTAWARE_BASE_URL=stalled.base_url)

    assert (ended.code, ended.out) == (6, "")
    assert ended.talk == "voltaware: the API did not list the devices within the time of the run\n"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_devices_are_listed_ends_the_run_with_an_account_of_zeros(
    serve: Callable[..., Api], environment: dict[str, str], tmp_path: Path, signum: int, code: int
) -> None:
    stalled = serve("--devices", "3", "--faults", "stall@sensors:1")
    environment["VOLTAWARE_BASE_URL"] = stalled.base_url
    with start(*SYNC, "--json", cwd=tmp_path, env=environment) as process:
        wait_until_asked(stalled, "sensors", 1, process)
        process.send_signal(signum)
        out, _ = process.communicate(timeout=20)

    summary = json.loads(out)
    assert process.returncode == code
    assert [summary[name] for name in ("planned", "landed", "unasked", "skipped")] == [0] * 4
    with open_store(tmp_path / "f.duckdb", read_only=True) as store:
        assert [it["outcome"] for it in store.table("runs").to_pylist()] == ["interrupted"]


def test_people_are_told_what_to_do_about_a_night_that_ran_out_of_time(
    slow_api: Api, voltaware: Callable[..., Ended]
) -> None:
    ended = voltaware(*SYNC, "--max-duration", "1s", VOLTAWARE_BASE_URL=slow_api.base_url)

    assert ended.code == 3
    assert " unasked" in ended.talk
    assert "the same command again asks only what has not landed" in ended.talk


def test_a_second_night_on_the_same_store_ends_at_once_and_names_the_first(
    serve: Callable[..., Api], environment: dict[str, str], voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    stalled = serve("--devices", "3", "--faults", "stall@sensors:1")
    environment["VOLTAWARE_BASE_URL"] = stalled.base_url
    with start(*SYNC, cwd=tmp_path, env=environment) as holder:
        wait_until_asked(stalled, "sensors", 1, holder)
        others = side_by_side(
            voltaware,
            [(*SYNC, "--json"), ("retry-failed", *STORE), ("plan", "sync", *STORE, "--device", "0001")],
        )
        holder.kill()
        holder.communicate()

    for it in others.values():
        assert (it.code, it.out) == (5, ""), it
        assert f"f.duckdb is in use by process {holder.pid}, running since 2" in it.talk
    assert stalled.count("sensors") == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("route", ["sensor", "sm/disag/month"])
def test_a_signal_among_look_ups_or_cells_keeps_what_arrived_and_the_next_run_completes(
    slow_api: Api,
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    tmp_path: Path,
    route: str,
    signum: int,
    code: int,
) -> None:
    environment["VOLTAWARE_BASE_URL"] = slow_api.base_url
    looked_up, cells, before = slow_api.count("sensor"), slow_api.cells(), slow_api.count(route)
    with start(*SMALL, "--concurrency", "4", "--json", cwd=tmp_path, env=environment) as process:
        wait_until_asked(slow_api, route, before + 10, process)
        process.send_signal(signum)
        signalled = time.monotonic()
        out, talk = process.communicate(timeout=20)
        took = time.monotonic() - signalled
    rest = voltaware(*SMALL, "--json")

    summary = json.loads(out)
    assert process.returncode == code
    assert took < 5
    assert "stopping" in talk
    assert summary["planned"] == 34 * 7
    assert summary["unasked"] > 0
    assert rest.code == 0
    assert summary_of(rest)["planned"] == summary["unasked"]
    assert summary_of(rest)["skipped"] == summary["landed"] + summary["absent"]
    # What was under way is asked again, and nothing else.
    assert 34 <= slow_api.count("sensor") - looked_up <= 34 + 4
    assert 34 * 7 <= slow_api.cells() - cells <= 34 * 7 + 4
