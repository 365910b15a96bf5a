"""Arguments: what is not accepted is answered with what is, before anything is sent."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING

from conftest import CLI
from side_by_side import side_by_side

from voltaware_async import Dataset, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")
NOWHERE = "http://127.0.0.1:9"
A_MONTH = "a month is written YYYY-MM, as 2024-07, with MM from 01 to 12"
A_WEEK = "a week is written 2024-W28, or as its Monday, 2024-07-08"


def the_error(ended: Ended) -> str:
    """Return what stands on the one line that says what is wrong."""
    assert ended.code == 2
    assert not ended.out
    [error] = [line for line in ended.talk.splitlines() if line.startswith("Error: ")]
    return error.removeprefix("Error: ")


def test_a_period_that_is_none_is_answered_with_how_it_is_written_once(
    voltaware: Callable[..., Ended],
) -> None:
    expected = {
        ("get", "month", "0001", "2024-13"): f"{A_MONTH}; not '2024-13'; a week is written 2024-W28",
        ("get", "week", "0001", "2024-W5"): "a week is written YYYY-Www, as 2024-W28, or as its Monday,"
        " 2024-07-08, not '2024-W5'",
        ("get", "week", "0001", "2024-W60"): f"Invalid week: 60; {A_WEEK}",
        ("get", "week", "0001", "2024-02-30"): f"day is out of range for month; {A_WEEK}",
        ("get", "week", "0001", "2024-07-09"): "a week starts on a Monday: 2024-07-09 is a Tuesday; its week"
        " starts 2024-07-08",
        ("pull", "--store", "f.duckdb", "--week", "2025-W53"): f"Invalid week: 53; {A_WEEK}",
        ("pull", "--store", "f.duckdb", "--month", "1969-12"): "year must be 1970 to 2999, not 1969",
    }

    ended = side_by_side(voltaware, list(expected), VOLTAWARE_BASE_URL=NOWHERE)

    said = {line: the_error(it).partition(": ")[2] for line, it in ended.items()}
    assert said == expected


def test_a_dataset_that_is_none_is_answered_with_all_seven(voltaware: Callable[..., Ended]) -> None:
    lines = [("get", "year", "0001", "2024-07"), (*PULL, "--dataset", "Month")]

    for ended in side_by_side(voltaware, lines).values():
        assert the_error(ended).endswith(f"is no dataset; there are {', '.join(Dataset)}")


def test_a_dataset_and_a_period_that_do_not_fit_are_refused_both_ways(
    voltaware: Callable[..., Ended],
) -> None:
    expected = {
        ("get", "week", "0001", "2024-07"): "week is asked for a week, and 2024-07 is none",
        (
            "get",
            "month_report",
            "0001",
            "2024-W28",
        ): "month_report is asked for a month, and 2024-W28 is none",
        (*PULL, "--week", "2024-W28"): "2024-W28 is a week, and no dataset is asked for one",
        (*PULL, "--with-weeks"): "2024-W27 is a week, and no dataset is asked for one",
    }

    ended = side_by_side(voltaware, list(expected), VOLTAWARE_BASE_URL=NOWHERE)

    assert {line: the_error(it) for line, it in ended.items()} == expected


def test_what_is_misspelt_is_answered_with_what_was_meant(voltaware: Callable[..., Ended]) -> None:
    expected = {
        ("pul",): "No such command 'pul'. Did you mean 'pull'?",
        ("pull", "--mnoth", "2024-07"): "No such option '--mnoth'. Did you mean '--month'?",
        ("pull", "--month", "2024-07"): "Missing option '--store'.",
        ("get", "month", "0001"): "Missing argument 'PERIOD'.",
        ("devices", "0001", "0002"): "Got unexpected extra argument (0002)",
    }

    ended = side_by_side(voltaware, list(expected))

    assert {line: the_error(it) for line, it in ended.items()} == expected


def test_a_rate_that_is_none_is_answered_with_what_is(voltaware: Callable[..., Ended]) -> None:
    lines = [(*PULL, "--rate", rate) for rate in ("0", "nan", "fast")]

    for line, ended in side_by_side(voltaware, lines).items():
        assert the_error(ended).endswith(
            f"{line[-1]!r} is no rate: give requests per second, over 0, or `none` for no limit"
        )


def test_what_is_no_device_id_is_refused_before_anything_is_sent(voltaware: Callable[..., Ended]) -> None:
    lines = [
        *(("devices", device_id) for device_id in ("..", "a\x1b[31mb")),
        *(("get", "month", device_id, "2024-07") for device_id in ("", "a\x7f")),
    ]

    for line, ended in side_by_side(voltaware, lines, VOLTAWARE_BASE_URL=NOWHERE).items():
        assert (ended.code, ended.out) == (2, ""), line
        assert ended.talk.startswith("voltaware: a device id is 1 to 512 characters"), line
        assert ended.talk.count("\n") == 1, line


def test_any_other_text_is_sent_as_one_path_segment(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    api = serve("--devices", "3")
    ids = ["a/b", "../0001?x=1#y", "%2e%2e Zähler"]

    devices = side_by_side(voltaware, [("devices", it) for it in ids], VOLTAWARE_BASE_URL=api.base_url)
    records = side_by_side(
        voltaware, [("get", "month", it, "2024-07") for it in ids], VOLTAWARE_BASE_URL=api.base_url
    )

    for device_id, ended in zip(ids, devices.values(), strict=True):
        assert (ended.code, ended.all) == (0, f"voltaware: the API knows no device {device_id!r}\n")
    for device_id, ended in zip(ids, records.values(), strict=True):
        assert (ended.code, ended.all) == (0, f"voltaware: no month of device {device_id} for 2024-07\n")
    assert api.count("sensor") == api.count("sm/disag/month") == len(ids)
    assert api.count("unknown") == api.count("sensors") == 0


def test_devices_from_a_file_and_from_flags_are_asked_once_each(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbf0001\r\n0002\r\n\r\n0002")

    ended = voltaware(*PULL, "--device", "0003", "--device", "0001", "--devices-from", "ids.txt", "--quiet")

    with open_store(tmp_path / "f.duckdb") as store:
        asked = store.table("ledger").column("device_id").to_pylist()
    assert ended.code == 0
    assert sorted(asked) == ["0001", "0002", "0003"]


def test_a_list_of_devices_that_cannot_be_read_is_wrong_usage(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\xff\xfe")
    (tmp_path / "empty.txt").write_text(" \n\n")
    (tmp_path / "odd.txt").write_text("0001\n..\n")
    expected = {
        (*PULL, "--devices-from", "picture.png"): "picture.png is not UTF-8 text: give one id a line",
        (*PULL, "--devices-from", "empty.txt"): (
            "empty.txt names no device; without --devices-from all devices are asked"
        ),
        (*PULL, "--devices-from", "."): "Invalid value for '--devices-from': File '.' is a directory.",
        (*PULL, "--devices-from", "odd.txt"): (
            "a device id is 1 to 512 characters without control characters, and not '.' or '..'; got '..'"
        ),
        (*PULL, "--devices-from", "-"): "- names no device; without --devices-from all devices are asked",
    }

    ended = side_by_side(voltaware, list(expected), VOLTAWARE_BASE_URL=NOWHERE)

    assert {line: the_error(it) for line, it in ended.items()} == expected
    assert not (tmp_path / "f.duckdb").exists()


def test_a_closed_stdin_is_no_list_of_devices(environment: dict[str, str], tmp_path: Path) -> None:
    # The shell closes it: subprocess cannot.
    command = f"{shlex.join([*CLI, *PULL])} --devices-from - <&-"

    ended = subprocess.run(
        ["/bin/sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert "- reads the ids from stdin, and stdin is closed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_json_wins_over_quiet_and_a_repeated_flag_counts_once(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware(
        *(*PULL, "--month", "2024-07", "--dataset", "month", "--dataset", "month_report"),
        *(
            "--device",
            "0001",
            "--device",
            "0001",
            "--json",
            "--quiet",
            "--rate",
            "none",
            "--concurrency",
            "1",
        ),
    )

    assert json.loads(ended.out)["planned"] == 2
    assert ended.out.count("\n") == 1
    assert ended.talk == ""
