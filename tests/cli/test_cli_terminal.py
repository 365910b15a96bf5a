"""On a terminal a run is shown live, and the terminal is left as it was; elsewhere there are only lines."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from conftest import CLI
from terminal import HIDE, Terminal

from voltaware_async.cli import progress
from voltaware_async.fleet.summary import Progress
from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")


@pytest.fixture
def slow(serve: Callable[..., Api], environment: dict[str, str]) -> dict[str, str]:
    """What the command sees of the world where the API never answers for a device."""
    api = serve("--devices", "30", "--faults", "stall@sm/disag/month:0.7")
    return {**environment, "VOLTAWARE_BASE_URL": api.base_url}


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_a_live_display_leaves_the_cursor(
    slow: dict[str, str], tmp_path: Path, signum: int, code: int
) -> None:
    terminal = Terminal.run(*PULL, "--rate", "20", cwd=tmp_path, environment=slow)
    terminal.read_until(b"/30")
    terminal.process.send_signal(signum)
    terminal.read_until(b"Once more ends it at once")

    assert terminal.end() == code
    assert HIDE in terminal.seen
    assert terminal.cursor_is_shown
    assert b"unasked" in terminal.seen
    assert b"Traceback" not in terminal.seen


def test_a_second_signal_during_a_live_display_leaves_the_cursor(
    slow: dict[str, str], tmp_path: Path
) -> None:
    terminal = Terminal.run(*PULL, cwd=tmp_path, environment=slow)
    terminal.read_until(b"/30")
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until(b"Once more ends it at once")
    terminal.process.send_signal(signal.SIGINT)

    assert terminal.end() == -signal.SIGINT
    assert HIDE in terminal.seen
    assert terminal.cursor_is_shown


def test_a_summary_in_a_file_is_json_alone_although_stderr_is_a_terminal(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "summary.json").open("wb") as file:
        terminal = Terminal.run(
            *PULL, "--json", "--rate", "none", cwd=tmp_path, environment=environment, stdout=file.fileno()
        )
        assert terminal.end() == 0

    assert json.loads((tmp_path / "summary.json").read_bytes())["planned"] == 40
    assert b"run_id" not in terminal.seen
    assert b"pulling" in terminal.seen


def test_a_terminal_that_cannot_gets_lines(environment: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal.run(
        *PULL, "--rate", "none", cwd=tmp_path, environment={**environment, "TERM": "dumb"}
    )

    assert terminal.end() == 0
    assert b"\x1b" not in terminal.seen
    assert terminal.seen.startswith(b"40 cells: ")


def test_quiet_is_quiet_on_a_terminal_too(environment: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal.run(*PULL, "--quiet", "--rate", "none", cwd=tmp_path, environment=environment)

    assert (terminal.end(), terminal.seen) == (0, b"")


def test_a_terminal_without_colour_gets_none(environment: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal.run(
        *PULL, "--rate", "none", cwd=tmp_path, environment={**environment, "NO_COLOR": "1"}
    )

    assert terminal.end() == 0
    assert terminal.cursor_is_shown
    assert not re.search(rb"\x1b\[([0-9]+;)*[349][0-7][;m]", terminal.seen)


def test_the_secret_is_on_no_terminal_whatever_the_interpreter_is_told_to_say(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"PYTHONWARNINGS": "always", "PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}
    running = [
        Terminal.run(*arguments, cwd=tmp_path, environment=environment)
        for arguments in ((*PULL, "--rate", "none"), ("devices", "0001"), ("get", "month", "0001", "2024-07"))
    ]

    for terminal in running:
        assert terminal.end() == 0, terminal.seen
        assert CREDENTIALS.client_secret.encode() not in terminal.seen
        assert b"Bearer" not in terminal.seen


def test_without_a_terminal_there_is_a_line_in_30_seconds_and_no_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = progress.display(quiet=False)
    with shown:
        for second in range(0, 91, 3):
            now[0] = 1000.0 + second
            shown.progressed(
                Progress(
                    planned=900,
                    skipped=0,
                    landed=10 * second,
                    absent=1,
                    failed=0,
                    requests=10 * second,
                    retries=second // 90,
                    throttled=0,
                    elapsed_s=float(second),
                )
            )

    assert capsys.readouterr().err.splitlines() == [
        "voltaware: 301/900 cells, 300 landed, 1 absent, 0 failed, 10/s",
        "voltaware: 601/900 cells, 600 landed, 1 absent, 0 failed, 10/s",
        "voltaware: 901/900 cells, 900 landed, 1 absent, 0 failed, 1 retries, 10/s",
    ]


def test_a_full_disk_under_stdout_is_one_sentence(environment: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        ended = subprocess.run(
            [*CLI, "devices"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert ended.returncode == 1
    assert ended.stderr == "voltaware: the system refused: [Errno 28] No space left on device\n"


def test_a_reader_that_goes_away_ends_the_command_silently(environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [*CLI, "devices"], env=environment, stdout=writing, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writing)
        _, talk = process.communicate(timeout=10)

    assert talk == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_a_scheduler_has_closed_are_not_missed(
    environment: dict[str, str], tmp_path: Path, closed: str
) -> None:
    # The shell closes them: subprocess cannot.
    command = shlex.join([*CLI, *PULL, "--device", "0001", "--json"])

    ended = subprocess.run(
        ["/bin/sh", "-c", f"{command} {closed}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert bool(ended.stdout) == (">&-" not in closed.split())


def test_a_table_without_a_terminal_has_a_line_per_row(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    api = serve("--devices", "2", "--faults", "garbage@sm/disag/month:1")
    voltaware(*PULL, "--quiet", VOLTAWARE_BASE_URL=api.base_url)

    ended = voltaware("status", "--store", "f.duckdb", "--failed", COLUMNS="40")

    assert len(ended.out.splitlines()) == 2
    assert "GET /sensors/{device_id}/sm/disag/month" in ended.out
