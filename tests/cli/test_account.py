"""The account of a run in words: what lands with a caveat is said, and no hint holds a password."""

from __future__ import annotations

import shlex

import pytest

from voltaware_async.cli.account import print_account
from voltaware_async.cli.hints import hint, shown_store
from voltaware_async.fleet.summary import Summary

RUN = {
    "run_id": "run",
    "planned": 9,
    "landed": 9,
    "absent": 0,
    "failed": 0,
    "unasked": 0,
    "skipped": 0,
    "requests": 11,
    "retries": 0,
    "throttled": 0,
    "token_calls": 1,
    "elapsed_s": 1.0,
    "rate_per_s": 11.0,
}


def account(capsys: pytest.CaptureFixture[str], target: str = "f.duckdb", **counts: int) -> list[str]:
    """Return the lines after the first two, which every account has."""
    print_account(Summary(**{**RUN, **counts}), "pull", target, as_json=False)
    captured = capsys.readouterr()
    assert not captured.out
    return captured.err.splitlines()[2:]


def test_a_run_of_which_there_is_nothing_to_know_has_no_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert account(capsys, reports_wh=2, reports_kwh=3) == []


def test_what_lands_with_a_caveat_is_counted_with_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    lines = account(capsys, restated=4, zone_unknown=2, reports_wh=1, reports_kwh=5, reports_unknown=3)

    assert lines == [
        "4 cells were restated:  voltaware status --restated --store f.duckdb",
        "2 cells have cycles of a device whose time zone is not known: their UTC columns are null",
        "3 of 9 reports have daily figures in a unit that cannot be told: their consumption_wh is null",
    ]


def test_failures_come_with_the_command_that_tells_why_and_what_the_next_run_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert account(capsys, landed=7, failed=2) == [
        "why cells failed:  voltaware status --failed --store f.duckdb",
        "the same command again asks only what has not landed",
    ]


@pytest.mark.parametrize("traces", [{"restated": 1}, {"kept": 1}])
def test_a_refresh_that_was_cut_off_is_not_said_to_leave_out_what_has_landed(
    capsys: pytest.CaptureFixture[str], traces: dict[str, int]
) -> None:
    *_, last = account(capsys, landed=7, unasked=2, **traces)

    assert last == "the same command again asks once more also for what has landed"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("fleet.duckdb", "fleet.duckdb"),
        ("duckdb:a b'c.db", "duckdb:a b'c.db"),
        ("parquet:fleet", "parquet:fleet"),
        ("postgresql://h/fleet", "postgresql://h/fleet"),
        ("postgresql://me:planted@h:5432/fleet", "postgresql://me@h:5432/fleet"),
        (
            "postgresql://h/fleet?password=planted&options=-csearch_path%3Da&sslpassword=planted",
            "postgresql://h/fleet?options=-csearch_path%3Da",
        ),
        ("postgresql://me:plan@ted@h/fleet", "postgresql://…"),
        ("postgresql://me:planted", "postgresql://…"),
    ],
)
def test_a_hint_is_one_word_for_the_shell_and_holds_no_password(target: str, shown: str) -> None:
    assert shown_store(target) == shown
    assert shlex.split(hint("check", target)) == ["voltaware", "check", "--store", shown]


def test_an_account_names_a_database_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    lines = account(capsys, "postgresql://me:planted@h/fleet", landed=7, failed=2, restated=3)

    assert [line.rpartition("--store ")[2] for line in lines[:2]] == ["postgresql://me@h/fleet"] * 2
    assert not [line for line in lines if "planted" in line]
