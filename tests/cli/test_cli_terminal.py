"""On a terminal a run is shown live, and the terminal is left as it was; elsewhere there are only lines."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from clocks import Clock
from conftest import CLI
from rich.console import Console
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


def test_a_run_outlives_the_terminal_that_it_was_started_on(
    serve: Callable[..., Api], environment: dict[str, str], tmp_path: Path
) -> None:
    environment["VOLTAWARE_BASE_URL"] = serve("--devices", "300").base_url
    with (tmp_path / "summary.json").open("wb") as file:
        terminal = Terminal.run(
            *PULL, "--json", "--rate", "200", cwd=tmp_path, environment=environment, stdout=file.fileno()
        )
        terminal.read_until(b"landed")

        assert terminal.go_away() == 0

    assert json.loads((tmp_path / "summary.json").read_bytes())["unasked"] == 0


def test_what_is_said_during_a_live_display_stands_on_a_line_of_its_own(
    slow: dict[str, str], tmp_path: Path
) -> None:
    terminal = Terminal.run(*PULL, "--rate", "20", cwd=tmp_path, environment=slow)
    terminal.read_until(b"at once")
    terminal.process.send_signal(signal.SIGTERM)
    terminal.end()

    assert "voltaware: stopping; what has arrived is landed. Once more ends it at once." in terminal.lines


def test_a_terminal_that_cannot_gets_lines(environment: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal.run(
        *PULL, "--rate", "none", cwd=tmp_path, environment={**environment, "TERM": "dumb"}
    )

    assert terminal.end() == 0
    assert b"\x1b" not in terminal.seen
    assert terminal.seen.startswith(b"40 cells: ")


def test_a_log_gets_no_control_characters_whatever_its_colours_are_said_to_be(
    voltaware: Callable[..., Ended],
) -> None:
    ended = voltaware(*PULL, "--rate", "none", FORCE_COLOR="1", TTY_COMPATIBLE="1")

    assert ended.talk.startswith("40 cells: ")


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


@pytest.mark.parametrize("columns", [60, 80])
def test_a_live_display_shows_all_facts_and_fits(
    serve: Callable[..., Api], environment: dict[str, str], tmp_path: Path, columns: int
) -> None:
    api = serve("--devices", "300", "--rate-limit", "100", "--faults", "500@sm/disag/month:0.05")
    environment |= {"VOLTAWARE_BASE_URL": api.base_url, "COLUMNS": str(columns)}
    terminal = Terminal.run(*PULL, "--rate", "150", cwd=tmp_path, environment=environment)
    terminal.read_until(b"throttled")
    terminal.process.send_signal(signal.SIGTERM)

    assert terminal.end() == 143
    live = terminal.lines[: terminal.lines.index(next(it for it in terminal.lines if "stopping" in it))]
    assert max(map(len, live)) <= columns
    assert any(re.match(r"pulling [━╸╺ ]+ +\d+/300", line) for line in live)
    said = " ".join(live)
    assert re.search(r"\d+ landed, \d+ absent, \d+ failed, [0-9.]+/s, \d+ at once, \d+ retr", said)
    assert re.search(r"\d+ throttled", said)


# --- by the clock -------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


STILL = Progress(
    planned=900, skipped=0, landed=0, absent=1, failed=0, requests=0, retries=0, throttled=0, elapsed_s=0.0
)


def test_without_a_terminal_there_is_a_line_in_30_seconds_and_no_more(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.display(quiet=False) as shown:
        for second in range(91):
            clock.now = 1000.0 + second
            shown.progressed(
                evolve(STILL, landed=9 * second, retries=second // 90, rate_per_s=9.04, concurrency=32)
            )
            shown.ticked()

    assert capsys.readouterr().err.splitlines() == [
        "voltaware: 271/900 cells, 270 landed, 1 absent, 0 failed, 9.0/s, 32 at once, 70 s left",
        "voltaware: 541/900 cells, 540 landed, 1 absent, 0 failed, 9.0/s, 32 at once, 40 s left",
        "voltaware: 811/900 cells, 810 landed, 1 absent, 0 failed, 9.0/s, 32 at once, 1 retry, 10 s left",
    ]


def test_an_api_that_says_nothing_gets_its_line_too(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.display(quiet=False) as shown:
        for second in range(241):
            clock.now = 1000.0 + second
            shown.ticked()
            if second == 40:
                shown.progressed(evolve(STILL, landed=7, rate_per_s=2.0))

    assert capsys.readouterr().err.splitlines() == [
        "voltaware: nothing has arrived for 30 s",
        "voltaware: 8/900 cells, 7 landed, 1 absent, 0 failed, nothing has arrived for 20 s",
        "voltaware: 8/900 cells, 7 landed, 1 absent, 0 failed, nothing has arrived for 50 s",
        "voltaware: 8/900 cells, 7 landed, 1 absent, 0 failed, nothing has arrived for 80 s",
        "voltaware: 8/900 cells, 7 landed, 1 absent, 0 failed, nothing has arrived for 110 s",
        "voltaware: 8/900 cells, 7 landed, 1 absent, 0 failed, nothing has arrived for 2 min",
        "voltaware: 8/900 cells, 7 landed, 1 absent, 0 failed, nothing has arrived for 3 min",
        "voltaware: 8/900 cells, 7 landed, 1 absent, 0 failed, nothing has arrived for 3 min",
    ]


@pytest.fixture
def live(clock: Clock) -> Callable[[int], tuple[progress.Display, Callable[[], list[str]]]]:
    """Make a live display of so many columns, and what returns the lines that it draws."""

    def made(columns: int) -> tuple[progress.Display, Callable[[], list[str]]]:
        console = Console(file=io.StringIO(), force_terminal=True, width=columns, color_system=None)
        shown = progress._Live(console)

        def drawn() -> list[str]:
            with console.capture() as capture:
                console.print(shown._live.get_renderable())
            return [line.rstrip() for line in capture.get().splitlines() if line.strip()]

        return shown, drawn

    assert clock.now
    return made


@pytest.mark.parametrize("columns", [60, 80])
def test_the_longest_run_of_a_large_fleet_is_drawn_whole(
    clock: Clock, live: Callable[[int], tuple[progress.Display, Callable[[], list[str]]]], columns: int
) -> None:
    shown, drawn = live(columns)
    large = evolve(STILL, planned=7_000_000, landed=1_200_000, absent=300_000, failed=1234, retries=12_345)
    large = evolve(large, throttled=1234, rate_per_s=34.8, concurrency=32)
    for second in range(12):
        clock.now = 1000.0 + second
        shown.progressed(evolve(large, landed=large.landed + 32 * second))

    lines = drawn()

    assert max(map(len, lines)) <= columns
    assert len(lines) <= 3
    assert lines[0].startswith("pulling ")
    assert lines[0].endswith(" 1501586/7000000 47 h 44 min left")
    assert " ".join(lines[1:]) == (
        "1200352 landed, 300000 absent, 1234 failed, 35/s, 32 at once, 12345 retries, 1234 throttled"
    )


def test_a_live_display_says_for_how_long_nothing_has_arrived(
    clock: Clock, live: Callable[[int], tuple[progress.Display, Callable[[], list[str]]]]
) -> None:
    shown, drawn = live(80)
    shown.ticked()
    first = drawn()
    clock.now += 15
    shown.ticked()
    silent = drawn()
    shown.progressed(evolve(STILL, planned=0, absent=0, devices=1000, devices_done=120, rate_per_s=50.0))
    looking_up = drawn()
    shown.progressed(evolve(STILL, rate_per_s=50.0))
    clock.now += 60
    shown.ticked()

    assert [len(first), first[0][:8]] == [1, "pulling "]
    assert silent[1:] == ["nothing has arrived for 15 s"]
    assert re.fullmatch(r"devices [━╸╺ ]+ +120/1000", looking_up[0])
    assert looking_up[1:] == ["50/s"]
    assert re.fullmatch(r"pulling [━╸╺ ]+ +1/900", drawn()[0])
    assert drawn()[1:] == ["0 landed, 1 absent, 0 failed, nothing has arrived for 60 s"]


# --- streams ------------------------------------------------------------------------------------------


def test_a_full_disk_under_stdout_is_one_sentence(environment: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        ended = subprocess.run(
            [*CLI, "devices"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert ended.returncode == 1
    assert ended.stderr == "voltaware: the system refused: [Errno 28] No space left on device\n"


def test_a_full_disk_under_stderr_ends_nothing_and_changes_no_exit_code(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        codes = [
            subprocess.run(
                [*CLI, *arguments],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=full,
                check=False,
            ).returncode
            for arguments in (PULL, ("devices", "no-such-device"), (*PULL, "--heartbeat", "gone/beat.json"))
        ]

    assert codes == [0, 0, 2]


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
