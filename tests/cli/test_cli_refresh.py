"""`pull --refresh`, `sync --refresh-months`, `status --restated`: what the API says now replaces the rest.

Two sandboxes with the same ids and other seeds are one API before and after it has restated everything.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from processes import whole_tables
from side_by_side import side_by_side

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

DEVICES = 40
STORE = ("--store", "f.duckdb")
JULY = ("pull", *STORE, "--month", "2024-07", "--rate", "none")
REFRESH = (*JULY, "--refresh")
RESTATED = ("status", *STORE, "--restated")
NIGHT = ("--as-of", "2024-09-15", "--dataset", "month")
NOTHING = "voltaware: nothing was restated; a pull --refresh or a sync --refresh-months would find it\n"
KEYS = ["revised_at", "device_id", "dataset", "period", "old_total_wh", "new_total_wh", "run_id"]

Totals = dict[tuple[str, str, str], float]


@pytest.fixture(scope="module")
def later(serve: Callable[..., Api]) -> str:
    """The API after it has restated everything; one device has no July any more."""
    return serve("--devices", str(DEVICES), "--seed", "9").base_url


def totals_of(path: Path) -> Totals:
    """Return the total of each cell; of a month by weeks that of the month."""
    with open_store(path, read_only=True) as store:
        rows = store.table("totals").to_pylist()
    return {
        (row["device_id"], row["dataset"], str(row["period_start"])): row["total_consumption_wh"]
        for row in rows
        if row["disconnection_percentage"] is not None
    }


def summary_of(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended
    summary: dict[str, Any] = json.loads(ended.out)
    return summary


# --- pull --refresh -----------------------------------------------------------------------------------


def test_a_refresh_of_what_says_the_same_writes_nothing(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    first = summary_of(voltaware(*JULY, "--json"))
    before = whole_tables(tmp_path / "f.duckdb")

    again = summary_of(voltaware(*REFRESH, "--json"))
    people, programs = side_by_side(voltaware, [RESTATED, (*RESTATED, "--json")]).values()

    assert (again["planned"], again["landed"], again["restated"]) == (4 * DEVICES, first["landed"], 0)
    assert whole_tables(tmp_path / "f.duckdb") == before
    assert (people.code, people.out, people.talk) == (0, "", NOTHING)
    assert programs.all == "[]\n"


def test_what_the_api_restated_replaces_the_rows_and_is_shown_to_people_and_programs(
    voltaware: Callable[..., Ended], later: str, tmp_path: Path
) -> None:
    voltaware(*JULY, "--quiet")
    before = totals_of(tmp_path / "f.duckdb")

    refreshed = voltaware(*REFRESH, VOLTAWARE_BASE_URL=later)
    hint = re.findall(r"^(\d+) cells were restated:  voltaware (.*)$", refreshed.talk, re.MULTILINE)
    [(restated, command)] = hint
    shown = side_by_side(voltaware, [tuple(shlex.split(command)), (*RESTATED, "--json")])
    fresh = ("pull", "--store", "fresh.duckdb", *JULY[3:], "--quiet")
    voltaware(*fresh, VOLTAWARE_BASE_URL=later)
    people, programs = shown.values()

    after, anew = totals_of(tmp_path / "f.duckdb"), totals_of(tmp_path / "fresh.duckdb")
    assert (refreshed.code, people.code, programs.code) == (0, 0, 0)
    # Where there is no result any more, what had landed stays.
    assert after == {**before, **anew}
    assert {device_id for device_id, _, _ in before.keys() - anew.keys()} == {"0007"}
    objects = json.loads(programs.out)
    assert all(list(it) == KEYS for it in objects)
    with open_store(tmp_path / "f.duckdb", read_only=True) as store:
        assert [run["restated"] for run in store.table("runs").to_pylist()] == [0, int(restated)]
        revisions = store.table("revisions").num_rows
    # A hundred are shown, and where there are more it is said how to see them.
    assert revisions == int(restated) > len(objects) == 100
    assert people.talk == (
        "all of them:  voltaware export --table revisions --to revisions.csv --store f.duckdb\n"
    )
    head, *lines = people.out.splitlines()
    assert " ".join(head.split()) == "revised at device dataset period old kwh new kwh change"
    assert [line.split()[:4] for line in lines] == [
        [it["revised_at"], it["device_id"], it["dataset"], it["period"]] for it in objects
    ]
    for line, it in zip(lines, objects, strict=True):
        if it["dataset"] == "month":
            key = (it["device_id"], "month", "2024-07-01")
            old, new = it["old_total_wh"], it["new_total_wh"]
            assert (old, new) == (before[key], after[key])
            assert line.split()[4:] == [
                f"{old / 1000:,.2f}",
                f"{new / 1000:,.2f}",
                f"{new / old - 1:+.2%}",
            ]


def test_a_refresh_without_an_answer_keeps_what_had_landed_and_says_so(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    broken = serve("--devices", "5", "--faults", "garbage@sm/disag/month:1").base_url
    month = ("--dataset", "month", "--device", "0001", "--device", "0002")
    first = summary_of(voltaware(*JULY, *month, "--json"))
    before = whole_tables(tmp_path / "f.duckdb")

    ended = voltaware(*REFRESH, *month, VOLTAWARE_BASE_URL=broken)
    why = voltaware("status", *STORE, "--failed")

    assert first["landed"] == 2
    assert ended.code == 3
    warning, account, *_ = ended.talk.splitlines()
    assert warning.startswith(
        "voltaware: of the cells that had landed, 0 have no result any more and 2 failed: "
        "what had landed stays; one failed for: "
    )
    assert account.startswith("2 cells: 0 landed, 0 absent (the API has no result), 2 failed, ")
    assert whole_tables(tmp_path / "f.duckdb") == before
    assert (why.code, why.out) == (0, "")
    assert why.talk == (
        "voltaware: in the last run cells failed that had landed before: what had landed stays\n"
    )


# --- sync --refresh-months ------------------------------------------------------------------------------


def test_a_night_refreshes_as_many_months_as_it_is_told_and_no_more(
    voltaware: Callable[..., Ended], later: str
) -> None:
    voltaware("sync", *STORE, *NIGHT, "--horizon-months", "2", "--rate", "none", "--quiet")

    night = ("sync", *STORE, *NIGHT, "--horizon-months", "2", "--rate", "none", "--json")
    plain = summary_of(voltaware(*night, VOLTAWARE_BASE_URL=later))
    refreshed = summary_of(voltaware(*night, "--refresh-months", "1", VOLTAWARE_BASE_URL=later))
    revisions = json.loads(voltaware(*RESTATED, "--json").out)

    assert (plain["planned"], plain["restated"]) == (0, 0)
    assert DEVICES >= refreshed["planned"] >= refreshed["restated"] == len(revisions) > 0
    assert {it["period"] for it in revisions} == {"2024-08"}
    assert {it["run_id"] for it in revisions} == {refreshed["run_id"]}


# --- plan -----------------------------------------------------------------------------------------------


def test_a_plan_counts_what_is_asked_once_more(voltaware: Callable[..., Ended]) -> None:
    landed = summary_of(
        voltaware("sync", *STORE, *NIGHT, "--horizon-months", "2", "--rate", "none", "--json")
    )
    pull = ("plan", "pull", *STORE, "--month", "2024-07", "--dataset", "month", "--refresh")
    sync = ("plan", "sync", *STORE, *NIGHT, "--horizon-months", "2", "--refresh-months", "1")

    lines = [(*pull, "--json"), (*sync, "--json"), pull]
    of_pull, of_sync, people = side_by_side(voltaware, lines).values()

    [july] = summary_of(of_pull)["parts"]
    [first, august] = summary_of(of_sync)["parts"]
    assert july["never_asked"] + july["again"] + july["refresh"] == july["requests"] == DEVICES
    assert (first["period"], first["refresh"], first["requests"]) == ("2024-07", 0, 0)
    assert (august["period"], august["refresh"]) == ("2024-08", august["requests"])
    assert july["refresh"] + august["refresh"] == landed["landed"]
    [head, row, *_] = people.out.splitlines()
    assert head.split() == ["dataset", "period", "never", "asked", "again", "refresh", "requests"]
    assert row.split()[2:] == [str(july[name]) for name in ("never_asked", "again", "refresh", "requests")]


# --- what is refused --------------------------------------------------------------------------------------


def test_a_refresh_in_the_wrong_place_is_wrong_usage_and_says_what_is_right(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    of_pull = "--refresh is a pull's: name a period of it; a sync takes --refresh-months"
    period = "name at least one period: --month 2024-07 or --week 2024-W28"
    reasons = {
        ("pull", *STORE, "--refresh"): period,
        ("plan", "pull", "--refresh"): period,
        ("plan", "--refresh"): of_pull,
        ("plan", "sync", "--refresh"): of_pull,
        ("plan", "--month", "2024-07", "--refresh-months", "1"): (
            "--refresh-months is a sync's; a pull takes --refresh"
        ),
        ("sync", *STORE, "--refresh"): "No such option '--refresh'. Did you mean '--refresh-months'?",
        ("sync", *STORE, "--refresh-months", "4"): "--refresh-months goes no further back than",
        (*RESTATED, "--failed"): "--failed and --restated are two questions: ask one at a time",
    }

    ended = side_by_side(voltaware, list(reasons))

    for line, it in ended.items():
        assert (it.code, it.out) == (2, ""), it
        assert reasons[line] in it.talk, line
    assert not list(tmp_path.iterdir())
