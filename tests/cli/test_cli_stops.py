"""Stops at every moment: while ids are read, in one call, in the demo, and of the API itself."""

from __future__ import annotations

import array
import fcntl
import json
import os
import signal
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pytest
from conftest import Api, start

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")


@pytest.fixture(scope="module")
def silent_api(serve: Callable[..., Api]) -> Api:
    """An API that gives tokens, and never answers anything else."""
    return serve("--devices", "30", "--faults", "stall:1")


def test_an_interrupt_while_ids_are_read_from_a_terminal_is_no_bug(
    environment: dict[str, str], tmp_path: Path
) -> None:
    ours, theirs = os.openpty()
    with start(*PULL, "--devices-from", "-", cwd=tmp_path, env=environment, stdin=theirs) as process:
        # The command reads once it has taken the first line out of the terminal.
        os.write(ours, b"0001\n")
        while not _unread(theirs):
            time.sleep(0.001)
        while _unread(theirs):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, talk = process.communicate(timeout=5)
    os.close(ours)
    os.close(theirs)

    assert (process.returncode, out, talk) == (130, "", "voltaware: interrupted\n")
    assert not (tmp_path / "f.duckdb").exists()


def _unread(terminal: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(terminal, termios.FIONREAD, waiting)
    return waiting[0]


@pytest.mark.parametrize(
    ("arguments", "route"),
    [(("devices",), "sensors"), (("get", "month", "0001", "2024-07"), "sm/disag/month")],
)
def test_an_interrupt_of_one_call_is_one_sentence(
    silent_api: Api,
    environment: dict[str, str],
    arguments: tuple[str, ...],
    route: str,
) -> None:
    environment["VOLTAWARE_BASE_URL"] = silent_api.base_url
    before = silent_api.count(route)
    with start(*arguments, env=environment) as process:
        while silent_api.count(route) == before:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, talk = process.communicate(timeout=5)

    assert (process.returncode, out, talk) == (130, "", "voltaware: interrupted\n")


def test_an_interrupt_of_the_demo_takes_its_sandbox_with_it(
    environment: dict[str, str], tmp_path: Path, voltaware: Callable[..., Ended]
) -> None:
    with start("demo", cwd=tmp_path, env=environment) as process:
        while not (sandbox := _child_of(process.pid)):
            time.sleep(0.02)
        while not (tmp_path / "voltaware-demo.duckdb").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=10)

    assert process.returncode == 130
    assert "Traceback" not in talk
    with pytest.raises(ProcessLookupError):
        os.kill(sandbox, 0)
    assert voltaware("status", "--store", "voltaware-demo.duckdb").code == 0


def _child_of(pid: int) -> int:
    children = subprocess.run(
        ["/usr/bin/env", "ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return int(children.stdout or 0)


def test_an_api_that_dies_during_a_pull_ends_it_with_an_account_and_a_store_that_goes_on(
    environment: dict[str, str], tmp_path: Path, voltaware: Callable[..., Ended], api: Api
) -> None:
    with start("sandbox", "--today", "2024-09-15", "--devices", "40", "--latency-ms", "20") as serving:
        assert serving.stdout is not None
        dying = Api(serving.stdout.readline().removeprefix("ready ").strip())
        environment["VOLTAWARE_BASE_URL"] = dying.base_url
        with start(*PULL, "--json", "--rate", "50", cwd=tmp_path, env=environment) as process:
            while dying.count("sm/disag/month") < 10:
                time.sleep(0.02)
            serving.kill()
            out, talk = process.communicate(timeout=50)
        serving.communicate()

    summary = json.loads(out)
    assert process.returncode in {3, 6}
    assert "Traceback" not in talk
    assert summary["planned"] == 40
    assert summary["failed"] + summary["unasked"] > 0
    with open_store(tmp_path / "f.duckdb") as store:
        assert store.table("ledger").num_rows == 40 - summary["unasked"]

    rest = json.loads(voltaware(*PULL, "--rate", "none", "--json", VOLTAWARE_BASE_URL=api.base_url).out)

    assert rest["skipped"] == summary["landed"]
    assert rest["failed"] == rest["unasked"] == 0
