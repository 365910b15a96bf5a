"""`voltaware demo` and `sandbox`: the first minute of a newcomer."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from conftest import CLI, start

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Ended


def test_the_demo_lands_a_fleet_and_is_safe_to_run_twice(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    first = voltaware("demo")
    second = voltaware("demo")

    assert first.code == second.code == 0
    assert "electric_vehicle" in first.out
    assert re.search(r"^2[14]00 cells: \d+ landed", first.talk, re.MULTILINE)
    assert first.out == second.out
    assert " 0 landed, " in second.talk
    assert first.talk.count("\n  voltaware ") == 5
    with open_store(tmp_path / "voltaware-demo.duckdb") as store:
        devices = set(store.table("ledger").column("device_id").to_pylist())
        datasets = set(store.table("ledger").column("dataset").to_pylist())
    assert len(devices) >= 300
    assert datasets == {"month", "month_weeks", "month_cycles", "week"}


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_sandbox_says_where_it_listens_in_one_line_and_ends_at_a_signal(signum: int, code: int) -> None:
    with start("sandbox", "--devices", "3") as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.send_signal(signum)
        out, talk = process.communicate(timeout=5)

    assert re.fullmatch(r"ready http://127\.0\.0\.1:\d+\n", ready)
    assert out == ""
    assert "client id sandbox-client" in talk
    assert process.returncode == code


@pytest.mark.parametrize("command", ["", "demo", "sandbox", "devices", "get", "pull", "status", "check"])
def test_every_command_has_help_and_stands_in_the_readme(
    command: str, voltaware: Callable[..., Ended], pytestconfig: pytest.Config
) -> None:
    ended = voltaware(*filter(None, [command]), "--help")

    assert ended.code == 0
    assert len(ended.out.splitlines()) > 3
    assert f"`voltaware {command}" in (pytestconfig.rootpath / "README.md").read_text()


def test_the_version_is_printed() -> None:
    ended = subprocess.run([*CLI, "--version"], capture_output=True, text=True, check=True)

    assert re.fullmatch(r"voltaware, version \d+\.\d+\.\d+\n", ended.stdout)
