"""What cannot be done ends with one sentence and the promised exit code."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from conftest import CLI
from side_by_side import side_by_side

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07")


def the_sentence(ended: Ended) -> str:
    """Return the only line that was printed."""
    [line] = ended.all.splitlines()
    assert line.startswith("voltaware: ")
    return line


def test_refused_credentials_say_what_was_refused_and_where_to_set_it(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    api = serve("--devices", "3")

    ended = voltaware(*PULL, VOLTAWARE_BASE_URL=api.base_url, VOLTAWARE_CLIENT_SECRET="wrong")

    assert ended.code == 4
    assert "refused the client id or secret" in the_sentence(ended)
    assert "VOLTAWARE_CLIENT_SECRET" in ended.talk
    assert api.count("auth/token") <= 3


@pytest.mark.parametrize(
    ("base_url", "code", "why"),
    [
        ("http://127.0.0.1:9", 6, "cannot connect to 127.0.0.1:9: connection refused"),
        ("https://nowhere.invalid", 6, "the name of nowhere.invalid:443 cannot be resolved"),
        ("http://192.0.2.1", 2, "plain http to 192.0.2.1 is refused"),
        ("ftp://127.0.0.1", 2, "must be like https://"),
        ("https://user:pass@127.0.0.1", 2, "must not hold a user name or password"),
    ],
)
def test_an_api_that_cannot_be_used_is_one_sentence(
    voltaware: Callable[..., Ended], base_url: str, code: int, why: str
) -> None:
    ended = voltaware(*PULL, VOLTAWARE_BASE_URL=base_url)

    assert ended.code == code
    assert why in the_sentence(ended)


def test_an_unreachable_api_is_unreachable_for_named_devices_too(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware("get", "month", "0001", "2024-07", VOLTAWARE_BASE_URL="http://127.0.0.1:9")

    assert ended.code == 6
    assert "connection refused" in the_sentence(ended)


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        (("--month", "2024-13"), "YYYY-MM, as 2024-07, with MM from 01 to 12"),
        (("--month", "July"), "YYYY-MM, as 2024-07"),
        (("--week", "2024-07-09"), "a week starts on a Monday"),
        (("--week", "2024-W60"), "Invalid week: 60"),
        (("--month", "2024-07", "--dataset", "year"), "there are month, month_weeks, week, month_cycles"),
        (("--month", "2024-07", "--dataset", "week"), "week is asked for a week, and none is named"),
        (("--month", "2024-07", "--rate", "0"), "give requests per second, over 0, or `none`"),
        (("--month", "2024-07", "--concurrency", "0"), "x>=1"),
        (("--month", "2024-07", "--devices-from", "missing.txt"), "does not exist"),
        (("--mnoth", "2024-07"), "--month"),
        ((), "name at least one period: --month 2024-07 or --week 2024-W28"),
    ],
)
def test_wrong_usage_says_what_is_accepted(
    voltaware: Callable[..., Ended], arguments: tuple[str, ...], accepted: str
) -> None:
    ended = voltaware("pull", "--store", "f.duckdb", *arguments)

    assert ended.code == 2
    assert accepted in ended.talk


@pytest.mark.parametrize("device_id", ["..", ".", "", "a\x01b", "x" * 600])
def test_what_is_no_device_id_is_refused_before_anything_is_sent(
    voltaware: Callable[..., Ended], device_id: str
) -> None:
    ended = voltaware(*PULL, "--device", device_id, VOLTAWARE_BASE_URL="http://127.0.0.1:9")

    assert ended.code == 2
    assert "a device id is 1 to 512 characters" in ended.talk


@pytest.mark.parametrize("device_id", ["a/b", "../0001", "0001?x=1", "%2e%2e", "a b", "0001#x", "Zähler"])
def test_any_other_text_is_one_path_segment(voltaware: Callable[..., Ended], device_id: str) -> None:
    ended = voltaware(*PULL, "--device", device_id, "--dataset", "month")

    assert ended.code == 0
    assert "1 absent" in ended.talk


def test_a_store_that_another_process_writes_to_names_the_holder(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    with open_store(tmp_path / "f.duckdb"):
        ended = voltaware(*PULL)

    assert ended.code == 5
    assert f"f.duckdb is in use by process {os.getpid()}" in the_sentence(ended)


def test_a_file_that_is_no_store_is_refused_and_left_alone(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "f.duckdb").write_text("someone's notes")

    pulled, asked = voltaware(*PULL), voltaware("status", "--store", "f.duckdb")

    assert (pulled.code, asked.code) == (5, 5)
    assert the_sentence(pulled)
    assert (tmp_path / "f.duckdb").read_text() == "someone's notes"


def test_a_store_that_is_not_there_has_no_status(voltaware: Callable[..., Ended]) -> None:
    ended = voltaware("status", "--store", "missing.duckdb")

    assert ended.code == 5
    assert "missing.duckdb" in the_sentence(ended)


def test_a_target_that_is_no_store_says_what_is_accepted(voltaware: Callable[..., Ended]) -> None:
    accepted = "voltaware: a store is named fleet.duckdb, duckdb:PATH, parquet:DIR or postgresql://…, not "
    targets = {
        **{name: name for name in ("fleet.db", "parquet:", "postgres")},
        "mysql://user:password@host/db": "mysql://…",
        "postgresql+psycopg://user:password@host/db": "postgresql+psycopg://…",
    }
    lines = [("status", "--store", target) for target in targets]

    for (_, _, target), ended in side_by_side(voltaware, lines).items():
        assert (ended.code, the_sentence(ended)) == (2, f"{accepted}{targets[target]!r}")


@pytest.mark.parametrize(
    "wrong", [["pul"], ["get", "month"], ["sandbox", "--faults", "500"], ["sandbox", "--faults", "no:1"]]
)
def test_a_misspelt_command_is_wrong_usage(voltaware: Callable[..., Ended], wrong: list[str]) -> None:
    assert voltaware(*wrong).code == 2


def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('No module named click', name='click')")

    ended = subprocess.run(
        CLI, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr == "voltaware: the command needs click: run  pip install 'voltaware-async[cli]'\n"
