"""Interrupts: the first ends a pull in order, the second at once; the rest is done by the same command."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from conftest import CLI, start

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")


@pytest.fixture
def slow_api(serve: Callable[..., Api]) -> Api:
    """An API that answers after a while, so that requests are under way when the signal comes."""
    return serve("--devices", "300", "--latency-ms", "30")


def wait_until_asked(api: Api, requests: int, process: subprocess.Popen[str]) -> None:
    while api.count("sm/disag/month") < requests:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lands_what_has_arrived_and_the_same_command_finishes_the_rest(
    slow_api: Api,
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    tmp_path: Path,
    signum: int,
    code: int,
) -> None:
    environment["VOLTAWARE_BASE_URL"] = slow_api.base_url
    with start(*PULL, "--rate", "100", "--json", cwd=tmp_path, env=environment) as process:
        wait_until_asked(slow_api, 40, process)
        process.send_signal(signum)
        signalled = time.monotonic()
        out, talk = process.communicate(timeout=20)

    asked = slow_api.count("sm/disag/month")
    summary = json.loads(out)
    assert process.returncode == code
    assert time.monotonic() - signalled < 5
    assert "stopping" in talk
    assert summary["landed"] > 0
    assert summary["unasked"] > 0
    with open_store(tmp_path / "f.duckdb") as store:
        assert store.table("ledger").num_rows == summary["landed"] + summary["absent"]

    rest = json.loads(voltaware(*PULL, "--rate", "none", "--json").out)

    assert rest["skipped"] == summary["landed"]
    assert rest["landed"] + summary["landed"] + rest["absent"] == 300
    assert slow_api.count("sm/disag/month") - asked == rest["planned"]


def test_a_second_signal_ends_at_once_and_leaves_a_store_that_works(
    serve: Callable[..., Api], environment: dict[str, str], tmp_path: Path
) -> None:
    api = serve("--devices", "300", "--faults", "stall@sensors:1")
    environment["VOLTAWARE_BASE_URL"] = api.base_url
    with start(*PULL, cwd=tmp_path, env=environment) as process:
        while not api.count("sensors"):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "Once more ends it at once" in process.stderr.readline()
        signalled = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert process.returncode == -signal.SIGINT
    assert time.monotonic() - signalled < 2
    with open_store(tmp_path / "f.duckdb") as store:
        assert store.table("ledger").num_rows == 0


def test_an_interrupt_before_anything_is_asked_ends_within_the_grace(
    serve: Callable[..., Api], environment: dict[str, str], tmp_path: Path
) -> None:
    api = serve("--devices", "300", "--faults", "stall@sensors:1")
    environment["VOLTAWARE_BASE_URL"] = api.base_url
    with start(*PULL, cwd=tmp_path, env=environment) as process:
        while not api.count("sensors"):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        signalled = time.monotonic()
        process.communicate(timeout=20)

    assert process.returncode == 143
    assert time.monotonic() - signalled < 5


def test_a_terminal_gets_a_live_line_and_is_left_clean(
    slow_api: Api, environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"VOLTAWARE_BASE_URL": slow_api.base_url, "TERM": "xterm", "COLUMNS": "120"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*CLI, *PULL, "--rate", "200"], cwd=tmp_path, env=environment, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = read_all(ours)

    assert process.returncode == 0
    assert b"pulling" in seen
    assert b"/300" in seen
    assert seen.count(b"\x1b[?25l") == seen.count(b"\x1b[?25h") == 1
    assert b"300 cells" in seen.split(b"\x1b[?25h")[-1]


def read_all(terminal: int) -> bytes:
    """Read what was written to a terminal, until the other end is closed."""
    seen = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            seen += chunk
    os.close(terminal)
    return seen
