"""`voltaware plan`: what a sync or a pull would ask and whether it fits, at the price of GET /sensors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

STORE = ("--store", "f.duckdb")
NIGHT = ("--as-of", "2024-09-15")
# 40 look-ups, and 40 devices for June, July and August.
MONTHS = ("plan", "sync", *NIGHT, "--dataset", "month")
PULL = ("plan", "--month", "2024-07", "--dataset", "month")
ROUTES_OF_A_PLAN = {"auth/token", "sensors"}


def plan_of(ended: Ended) -> dict[str, Any]:
    """Read a plan, and check that it adds up."""
    assert (ended.code, ended.talk) == (0, ""), ended
    plan: dict[str, Any] = json.loads(ended.out)
    assert plan["requests"] == plan["devices"] + sum(part["requests"] for part in plan["parts"])
    assert all(part["requests"] == part["never_asked"] + part["again"] for part in plan["parts"])
    return plan


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- what it costs ----------------------------------------------------------------------------------


def test_a_plan_asks_for_the_devices_only_and_makes_no_store(
    voltaware: Callable[..., Ended], api: Api, tmp_path: Path
) -> None:
    lists, others = api.count("sensors"), (api.count("sensor"), api.cells())
    plans = [("plan", *NIGHT), ("plan", "sync", *NIGHT, *STORE), ("plan", "pull", *PULL[1:], *STORE)]

    ended = side_by_side(voltaware, plans)

    assert [it.code for it in ended.values()] == [0, 0, 0]
    assert api.count("sensors") - lists == 3
    assert (api.count("sensor"), api.cells()) == others
    assert not list(tmp_path.iterdir())


def test_a_plan_leaves_a_store_as_it_is_to_the_byte(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    voltaware("sync", *NIGHT, "--dataset", "month", *STORE, "--rate", "none", "--quiet")
    before = files(tmp_path)

    ended = [voltaware(*MONTHS, *STORE, "--json"), voltaware(*PULL, *STORE)]

    assert [it.code for it in ended] == [0, 0]
    assert files(tmp_path) == before


def test_named_devices_are_planned_without_asking_anything(voltaware: Callable[..., Ended], api: Api) -> None:
    lists, tokens = api.count("sensors"), api.count("auth/token")

    plan = plan_of(voltaware(*MONTHS, "--device", "0001", "--device", "0002", "--json"))

    assert plan["requests"] == 2 + 2 * 3
    assert (api.count("sensors"), api.count("auth/token")) == (lists, tokens)


# --- what it says -----------------------------------------------------------------------------------


def test_the_plan_of_a_night_is_one_json_object(voltaware: Callable[..., Ended]) -> None:
    began = datetime.now(UTC).replace(microsecond=0)

    plan = plan_of(voltaware(*MONTHS, "--json"))

    assert list(plan) == ["requests", "devices", "skipped", "rate_per_s", "hours", "finish_at", "parts"]
    assert (plan["requests"], plan["devices"], plan["skipped"], plan["rate_per_s"]) == (160, 40, 0, 50.0)
    assert plan["hours"] == round(160 / 50 / 3600, 3)
    finish_at = datetime.fromisoformat(plan["finish_at"])
    assert began + timedelta(seconds=3) <= finish_at <= datetime.now(UTC) + timedelta(seconds=4)
    assert plan["parts"] == [
        {"dataset": "month", "period": period, "never_asked": 40, "again": 0, "refresh": 0, "requests": 40}
        for period in ("2024-06", "2024-07", "2024-08")
    ]


def test_people_get_a_table_and_the_time_on_stdout(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware(*MONTHS)

    head, *rows = [line.split() for line in ended.out.splitlines()]
    assert (ended.code, ended.talk) == (0, "")
    assert head == ["dataset", "period", "never", "asked", "again", "refresh", "requests"]
    assert rows[:2] == [["devices", "40", "0", "0", "40"], ["month", "2024-06", "40", "0", "0", "40"]]
    assert "160 requests" in ended.out
    assert "3 s at 50/s; begun now, done 2" in ended.out


def test_a_plan_of_what_has_landed_counts_only_the_rest(voltaware: Callable[..., Ended]) -> None:
    month = ("--dataset", "month", "--horizon-months", "1", *STORE)
    landed = json.loads(voltaware("sync", *NIGHT, *month, "--rate", "none", "--json").out)

    same_night = voltaware("plan", "sync", *NIGHT, *month)
    rest = plan_of(voltaware(*MONTHS, *STORE, "--json"))
    pull = plan_of(voltaware("plan", "--month", "2024-08", "--dataset", "month", *STORE, "--json"))

    assert same_night.out == f"nothing to ask; {landed['planned']} cells need no asking\n"
    # One of the forty began in August.
    assert (rest["requests"], rest["devices"], rest["skipped"]) == (2 * 39, 0, landed["planned"])
    assert (pull["requests"], pull["skipped"]) == (
        landed["absent"] + 40 - landed["planned"],
        landed["landed"],
    )


def test_a_plan_is_of_a_pull_where_periods_are_named_and_of_a_sync_where_none_are(
    voltaware: Callable[..., Ended],
) -> None:
    both = ("plan", "pull", "--month", "2024-07", "--week", "2024-W28", "--json")
    lines = [(*PULL, "--json"), ("plan", "pull", *PULL[1:], "--json"), both, ("plan", *NIGHT, "--json")]

    by_month, pull, with_week, night = (plan_of(it) for it in side_by_side(voltaware, lines).values())

    assert by_month["parts"] == pull["parts"]
    assert (pull["requests"], pull["devices"]) == (40, 0)
    assert [part["dataset"] for part in with_week["parts"]].count("month_report") == 1
    assert with_week["requests"] == 40 * (4 + 3)
    assert night["devices"] == 40


def test_a_fleet_without_devices_has_an_empty_plan(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    empty = serve("--devices", "0")

    ended = voltaware(*MONTHS, "--window", "8h", VOLTAWARE_BASE_URL=empty.base_url)

    assert (ended.code, ended.out) == (0, "nothing to ask\n")


# --- the window -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        (("--window", "8h"), "fits: 3 s of 8.0 h"),
        (("--window", "8h", "--rate", "none"), "8.0 h need 1/s"),
        (("--window", "1s"), "does not fit: 3 s for a window of 1 s; it needs 185/s, or 4 nights"),
        (
            ("--window", "8h", "--rate", "0.001"),
            "does not fit: 44.4 h for a window of 8.0 h; it needs 1/s, or 6 nights",
        ),
    ],
)
def test_a_window_fits_or_the_rate_and_the_nights_that_it_takes_are_named(
    voltaware: Callable[..., Ended], limits: tuple[str, ...], verdict: str
) -> None:
    ended = voltaware(*MONTHS, *limits)

    assert ended.code == 0
    assert ended.out.splitlines()[-1] == verdict


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [
        ("1.81", "does not fit: 1.5 min for a window of 1.7 min; it needs 2/s, or 2 nights"),
        ("1.84", "fits: 1.4 min of 1.7 min"),
    ],
)
def test_a_window_must_hold_the_end_of_a_run_too_in_which_nothing_new_is_asked(
    voltaware: Callable[..., Ended], rate: str, verdict: str
) -> None:
    """It uses 89 s of 100: 160 requests, a little faster than these divide to, for no rate is sustained."""
    ended = voltaware(*MONTHS, "--window", "100s", "--rate", rate)

    assert ended.out.splitlines()[-1] == verdict


def test_a_window_is_judged_in_json_too(voltaware: Callable[..., Ended]) -> None:
    lines = [
        (*MONTHS, "--json", "--window", window, "--rate", rate)
        for window, rate in (("8h", "50"), ("1s", "50"), ("8h", "none"))
    ]

    fits, does_not, unknown = (plan_of(it) for it in side_by_side(voltaware, lines).values())

    keys = ("window_hours", "fits", "rate_needed_per_s", "nights_needed")
    assert [fits[key] for key in keys] == [8.0, True, 1, 1]
    assert [does_not[key] for key in keys[1:]] == [False, 185, 4]
    assert [unknown[key] for key in keys] == [8.0, None, 1, None]
    assert (unknown["rate_per_s"], unknown["hours"], unknown["finish_at"]) == (None, None, None)


def test_without_a_rate_there_is_no_telling_the_time(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware(*MONTHS, "--rate", "none")

    assert ended.code == 0
    assert "no telling how long it takes" in ended.out


def test_a_plan_that_would_take_thousands_of_years_says_so_in_hours(
    voltaware: Callable[..., Ended],
) -> None:
    plan = plan_of(voltaware(*MONTHS, "--rate", "1e-12", "--json"))

    assert plan["finish_at"] is None
    assert plan["hours"] > 1e9


# --- what is refused --------------------------------------------------------------------------------


def test_wrong_usage_ends_with_two_and_what_is_accepted(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    reasons = {
        ("plan", "pull"): "name at least one period",
        ("plan", "--with-weeks"): "--with-weeks adds the weeks of a month",
        ("plan", "pull", "--week", "2024-W28", "--with-weeks"): "--with-weeks adds the weeks of a month",
        ("plan", "sync", "--month", "2024-07"): "sync works its periods out by itself",
        ("plan", "sync", "--week", "2024-W28"): "sync works its periods out by itself",
        ("plan", "--month", "2024-07", "--as-of", "2024-09-15"): "a pull asks for its periods on any day",
        ("plan", "pull", "--week", "2024-W28", "--as-of", "2024-09-15"): "leave --as-of out",
        ("plan", "push"): "'push' is not one of 'pull', 'sync'",
        ("plan", "--month", "2024-07", "--dataset", "week"): "week is asked for a week, and none is named",
        ("plan", "--as-of", "9999-12-31"): "lies in the future",
        ("plan", "--horizon-months", "0"): "0 is not in the range",
        ("plan", "--window", "8"): "'8' is no duration",
        ("plan", "--rate", "0"): "'0' is no rate",
        (
            "plan",
            "--store",
            "fleet.txt",
        ): "a store is named fleet.duckdb, duckdb:PATH, parquet:DIR or postgresql://…",
    }

    ended = side_by_side(voltaware, list(reasons))

    for line, it in ended.items():
        assert (it.code, it.out) == (2, ""), (line, it)
        assert reasons[line] in it.talk
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_store_is_refused_and_left_alone(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "f.duckdb").write_bytes(b"someone's notes\n" * 500)
    before = files(tmp_path)

    ended = voltaware(*MONTHS, *STORE)

    assert (ended.code, ended.out) == (5, "")
    assert files(tmp_path) == before


def test_an_api_that_is_not_there_ends_a_plan_with_six(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware(*MONTHS, VOLTAWARE_BASE_URL="http://127.0.0.1:9")

    assert (ended.code, ended.out) == (6, "")
    assert ended.talk.startswith("voltaware: ")


def test_an_empty_list_is_no_plan_where_the_store_knows_devices(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    week = ("--week", "2024-W30", "--dataset", "week")
    nobody = serve("--devices", "0").base_url
    voltaware("pull", *week, *STORE, "--rate", "none", "--quiet")

    ended = voltaware("plan", *week, *STORE, VOLTAWARE_BASE_URL=nobody)
    fresh = voltaware("plan", *week, VOLTAWARE_BASE_URL=nobody)

    assert (ended.code, ended.out) == (6, "")
    assert "the API lists no devices, and f.duckdb knows some" in ended.talk
    assert (fresh.code, fresh.out) == (0, "nothing to ask\n")
