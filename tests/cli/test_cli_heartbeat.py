"""`--heartbeat`: a file that says where a run stands, is whole whenever it is read, and ends no run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from attrs import define, evolve, field
from clocks import Clock
from conftest import start
from processes import wait_until
from side_by_side import side_by_side

from voltaware_async import VoltawareClient
from voltaware_async.cli import heartbeat as module
from voltaware_async.cli.exits import Exit
from voltaware_async.cli.heartbeat import Heartbeat
from voltaware_async.cli.landing import land_followed
from voltaware_async.cli.progress import display
from voltaware_async.errors import ConfigurationError, StoreError, StoreLockedError, VoltawareError
from voltaware_async.fleet.summary import Progress, Summary, Tally
from voltaware_async.sandbox.server import CREDENTIALS
from voltaware_async.transport.traffic import Traffic

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from conftest import Api, Ended

    from voltaware_async.fleet.landing import Watcher
    from voltaware_async.stores import Store

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month")
BEATING = (*PULL, "--heartbeat", "beat.json")
KEYS = [
    *("pid", "command", "store", "state", "error", "exit_code", "run_id", "started_at", "updated_at"),
    *("planned", "done", "landed", "absent", "failed", "unasked"),
    *("requests", "retries", "throttled", "rate_per_s", "concurrency", "last_outcome_at"),
]
BEGUN = Progress(
    planned=90, skipped=0, landed=0, absent=0, failed=0, requests=1, retries=0, throttled=0, elapsed_s=0.0
)

Content = dict[str, str | int | float | None]


def read(file: Path) -> Content:
    content: Content = json.loads(file.read_text())
    return content


@pytest.fixture
def stalled(serve: Callable[..., Api], environment: dict[str, str]) -> Api:
    """An API that answers for some devices, and for the others never."""
    api = serve("--devices", "30", "--faults", "stall@sm/disag/month:0.7")
    environment["VOLTAWARE_BASE_URL"] = api.base_url
    return api


def wait_until_asked(api: Api, process: subprocess.Popen[str], beat: Path) -> None:
    """Wait until a run is among its cells, and its file is there."""
    assert wait_until(lambda: beat.exists() and api.count("sm/disag/month") >= 5, process)


def test_a_complete_run_leaves_the_figures_of_its_summary_and_nothing_else(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with start(*BEATING, "--json", cwd=tmp_path, env=environment, umask=0o077) as process:
        out, talk = process.communicate(timeout=20)

    beat, summary = read(tmp_path / "beat.json"), json.loads(out)
    assert (process.returncode, talk) == (0, "")
    assert list(beat) == KEYS
    assert {name: beat[name] for name in summary.keys() & beat} == {
        name: summary[name] for name in summary.keys() & beat
    }
    assert (beat["command"], beat["store"], beat["state"]) == ("pull", "f.duckdb", "complete")
    assert (beat["exit_code"], beat["error"]) == (0, None)
    assert (beat["done"], beat["unasked"], beat["run_id"]) == (40, 0, summary["run_id"])
    for name in ("started_at", "updated_at", "last_outcome_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(beat[name])), name
    assert (tmp_path / "beat.json").stat().st_mode & 0o777 == 0o644
    assert sorted(it.name for it in tmp_path.iterdir()) == ["beat.json", "f.duckdb"]
    assert CREDENTIALS.client_secret not in (tmp_path / "beat.json").read_text()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_says_that_it_runs_and_then_that_it_was_interrupted(
    stalled: Api, environment: dict[str, str], tmp_path: Path, signum: int, code: int
) -> None:
    with start(*BEATING, cwd=tmp_path, env=environment) as process:
        wait_until_asked(stalled, process, tmp_path / "beat.json")
        running = read(tmp_path / "beat.json")
        process.send_signal(signum)
        process.communicate(timeout=20)

    beat = read(tmp_path / "beat.json")
    assert (running["pid"], running["state"], running["exit_code"]) == (process.pid, "running", None)
    assert process.returncode == code
    assert (beat["state"], beat["exit_code"], beat["error"]) == ("interrupted", code, None)
    assert beat["planned"] == 30
    assert beat["unasked"]


def test_a_killed_run_goes_on_saying_that_it_runs(
    stalled: Api, environment: dict[str, str], tmp_path: Path
) -> None:
    with start(*BEATING, cwd=tmp_path, env=environment) as process:
        wait_until_asked(stalled, process, tmp_path / "beat.json")
        process.kill()
        process.communicate(timeout=20)

    assert (read(tmp_path / "beat.json")["state"], process.returncode) == ("running", -signal.SIGKILL)


def test_the_file_of_a_run_survives_another_that_finds_the_store_held(
    stalled: Api, environment: dict[str, str], voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    beat = ("--heartbeat", "beat.json")
    others = [
        ("sync", "--store", "f.duckdb", "--as-of", "2024-09-15", *beat),
        ("retry-failed", "--store", "f.duckdb", *beat),
        BEATING,
    ]
    with start(*BEATING, cwd=tmp_path, env=environment) as first:
        wait_until_asked(stalled, first, tmp_path / "beat.json")
        refused = side_by_side(voltaware, others)
        after = read(tmp_path / "beat.json")
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=20)

    assert [it.code for it in refused.values()] == [5] * 3
    assert all(f"in use by process {first.pid}" in it.talk for it in refused.values())
    assert (after["pid"], after["state"], after["error"]) == (first.pid, "running", None)
    ended = read(tmp_path / "beat.json")
    assert (ended["pid"], ended["state"]) == (first.pid, "interrupted")
    assert sorted(it.name for it in tmp_path.iterdir()) == ["beat.json", "f.duckdb"]


def test_a_run_that_waits_for_the_list_of_devices_says_that_it_runs(
    serve: Callable[..., Api], environment: dict[str, str], tmp_path: Path
) -> None:
    environment["VOLTAWARE_BASE_URL"] = serve("--devices", "3", "--faults", "stall@sensors:1").base_url
    file = tmp_path / "beat.json"
    with start(*BEATING, cwd=tmp_path, env=environment) as process:
        assert wait_until(file.exists, process)
        running = read(file)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    beat = read(file)
    assert (running["state"], running["planned"], running["last_outcome_at"]) == ("running", 0, None)
    assert (process.returncode, beat["state"], beat["exit_code"]) == (143, "interrupted", 143)
    assert (beat["planned"], beat["done"], beat["unasked"]) == (0, 0, 0)
    assert beat["run_id"] is not None


def test_a_run_that_is_not_given_the_list_in_time_failed(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    api = serve("--devices", "3", "--faults", "stall@sensors:1")

    ended = voltaware(*BEATING, "--max-duration", "1s", VOLTAWARE_BASE_URL=api.base_url)

    beat = read(tmp_path / "beat.json")
    assert (ended.code, beat["state"], beat["exit_code"]) == (6, "failed", 6)
    assert beat["error"] == "the API did not list the devices within the time of the run"


def test_cells_that_failed_leave_a_run_incomplete(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    api = serve("--devices", "3", "--faults", "garbage@sm/disag/month:1")

    ended = voltaware(*BEATING, VOLTAWARE_BASE_URL=api.base_url)

    beat = read(tmp_path / "beat.json")
    assert (ended.code, beat["state"], beat["exit_code"]) == (3, "incomplete", 3)
    assert (beat["failed"], beat["done"]) == (3, 3)


def test_a_run_that_could_not_begin_says_why(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "no.duckdb").write_text("no store, but a text of some length\n" * 500)
    runs = {
        "no secret": voltaware(*BEATING, VOLTAWARE_CLIENT_SECRET=""),
        "refused": voltaware(*PULL, "--heartbeat", "beat2.json", VOLTAWARE_CLIENT_SECRET="wrong-secret"),
        "no store": voltaware(*BEATING[:2], "no.duckdb", *PULL[3:], "--heartbeat", "beat3.json"),
    }

    beats = [read(tmp_path / name) for name in ("beat.json", "beat2.json", "beat3.json")]
    assert [it.code for it in runs.values()] == [2, 4, 5] == [it["exit_code"] for it in beats]
    for beat, ended in zip(beats, runs.values(), strict=True):
        assert (beat["state"], beat["done"], beat["last_outcome_at"]) == ("failed", 0, None)
        assert f"voltaware: {beat['error']}\n" in ended.talk
        assert "wrong-secret" not in str(beat)


def test_a_heartbeat_that_cannot_be_written_is_wrong_usage_before_anything_is_sent(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    expected = {
        "gone/beat.json": "--heartbeat gone/beat.json cannot be written: No such file or directory",
        "notes.txt/beat.json": "--heartbeat notes.txt/beat.json cannot be written: Not a directory",
        "notes.txt": "--heartbeat notes.txt is there already, and is no heartbeat",
        "/dev/null": "--heartbeat /dev/null is no file",
    }

    for name, reason in expected.items():
        ended = voltaware(*PULL, "--heartbeat", name, VOLTAWARE_BASE_URL="http://127.0.0.1:9")
        assert (ended.code, ended.all) == (2, f"voltaware: {reason}\n"), name
    folder = voltaware(*PULL, "--heartbeat", ".")

    assert folder.code == 2
    assert "'--heartbeat': File '.' is a directory." in folder.talk
    assert (tmp_path / "notes.txt").read_text() == "keep me"
    assert [it.name for it in tmp_path.iterdir()] == ["notes.txt"]


def test_a_store_is_not_overwritten_by_a_slip(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    voltaware(*PULL, "--quiet")
    before = (tmp_path / "f.duckdb").read_bytes()

    ended = voltaware(*PULL, "--heartbeat", "f.duckdb")

    assert (ended.code, (tmp_path / "f.duckdb").read_bytes()) == (2, before)


@pytest.mark.parametrize("place", ["fleet", "fleet/beat.json", "fleet/ledger.duckdb"])
def test_a_heartbeat_in_the_folder_of_a_store_is_refused_before_there_is_one(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep the next pull out of a folder that is not a store yet."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match="is the store itself, or lies within it: name another file"):
        Heartbeat(Path(place), "pull", "parquet:fleet").__enter__()
    assert not list(tmp_path.iterdir())


def test_a_heartbeat_whose_folder_goes_away_costs_a_warning_and_no_run(
    stalled: Api, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "var").mkdir()
    with start(*PULL, "--heartbeat", "var/beat.json", cwd=tmp_path, env=environment) as process:
        wait_until_asked(stalled, process, tmp_path / "var" / "beat.json")
        shutil.rmtree(tmp_path / "var")
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=20)

    assert process.returncode == 143
    assert talk.count("voltaware: the heartbeat ") == 1
    assert talk.count("beat.json cannot be written: No such file or directory; the run goes on") == 1
    assert "30 cells: " in talk


# --- by its own clock ---------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def seconds(beat: Heartbeat, clock: Clock, count: int) -> None:
    for _ in range(count):
        clock.now += 1.0
        beat.ticked()


def test_a_file_is_written_every_five_seconds_and_no_more_also_when_nothing_arrives(
    clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "beat.json"
    with Heartbeat(file, "pull", "f.duckdb") as beat:
        written = set()
        for _ in range(14):
            seconds(beat, clock, 1)
            beat.progressed(BEGUN)
            written.add(file.stat().st_ino)
            os.link(file, tmp_path / f"kept-{clock.now}")  # no number is given out twice

    assert len(written) == 3, "after one second, six and eleven"


def test_a_file_is_there_from_the_first_second_on_and_not_sooner(clock: Clock, tmp_path: Path) -> None:
    """By then the store is open, and the run is the only one."""
    file = tmp_path / "beat.json"
    with Heartbeat(file, "pull", "f.duckdb") as beat:
        at_once = file.exists()
        seconds(beat, clock, 1)
        assert read(file)["state"] == "running"

    assert not at_once


def test_a_rate_is_none_once_nothing_has_been_reported_for_ten_seconds(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "beat.json"
    with Heartbeat(file, "pull", "f.duckdb") as beat:
        beat.progressed(evolve(BEGUN, landed=60, absent=3, rate_per_s=12.3456, concurrency=32))
        seconds(beat, clock, 6)
        lively = read(file)
        seconds(beat, clock, 5)
        still = read(file)

    assert (lively["rate_per_s"], lively["concurrency"]) == (12.346, 32)
    assert (lively["done"], lively["unasked"]) == (63, 27)
    assert still == {**lively, "rate_per_s": 0.0, "updated_at": still["updated_at"]}


def test_what_is_reported_without_an_outcome_is_none(clock: Clock, tmp_path: Path) -> None:
    with Heartbeat(tmp_path / "beat.json", "sync", "f.duckdb") as beat:
        beat.progressed(BEGUN)
        seconds(beat, clock, 5)
        before = read(tmp_path / "beat.json")
        beat.progressed(evolve(BEGUN, devices=9, devices_done=1))
        seconds(beat, clock, 5)

    assert before["last_outcome_at"] is None
    assert read(tmp_path / "beat.json")["last_outcome_at"] is not None


def test_a_disk_that_is_full_for_a_while_is_warned_of_once(
    clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    with Heartbeat(folder / "beat.json", "pull", "f.duckdb") as beat:
        shutil.rmtree(folder)
        seconds(beat, clock, 20)
        folder.mkdir()
        seconds(beat, clock, 5)
        assert read(folder / "beat.json")["state"] == "running"

    assert capsys.readouterr().err == (
        f"voltaware: the heartbeat {folder}/beat.json cannot be written: No such file or directory;"
        " the run goes on\n"
    )


def test_a_file_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with Heartbeat(tmp_path / "beat.json", "pull", "f.duckdb"):
        (tmp_path / "beat.json").mkdir()

    assert [it.name for it in tmp_path.iterdir()] == ["beat.json"]


def test_without_a_file_nothing_is_written(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Heartbeat(None, "pull", "f.duckdb") as beat:
        seconds(beat, clock, 20)

    assert not list(tmp_path.iterdir())


def test_a_link_is_followed_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "beat.json").symlink_to("run/beat.json")
    with Heartbeat(tmp_path / "beat.json", "pull", "f.duckdb") as beat:
        beat.ended(Exit.COMPLETE)

    assert (tmp_path / "beat.json").is_symlink()
    assert read(tmp_path / "run" / "beat.json")["state"] == "complete"


def test_an_old_heartbeat_and_an_empty_file_are_written_over(tmp_path: Path) -> None:
    (tmp_path / "empty.json").touch()
    for name in ("empty.json", "beat.json", "beat.json"):
        with Heartbeat(tmp_path / name, "pull", "f.duckdb") as beat:
            beat.ticked()
            assert read(tmp_path / name)["state"] == "running"


@pytest.mark.parametrize(
    ("error", "state", "code", "words"),
    [
        (StoreError("f.duckdb is broken"), "failed", 5, "f.duckdb is broken"),
        (VoltawareError("it went wrong"), "failed", 3, "it went wrong"),
        (ZeroDivisionError("division by zero"), "failed", 1, "ZeroDivisionError: division by zero"),
        (KeyboardInterrupt(), "interrupted", 130, None),
    ],
)
def test_an_error_is_the_end_whatever_was_said_before(
    error: BaseException, state: str, code: int, words: str | None, tmp_path: Path
) -> None:
    def fail() -> None:
        with Heartbeat(tmp_path / "beat.json", "pull", "f.duckdb") as beat:
            beat.ended(Exit.COMPLETE)
            raise error

    with pytest.raises(type(error)):
        fail()

    beat = read(tmp_path / "beat.json")
    assert (beat["state"], beat["exit_code"], beat["error"]) == (state, code, words)


@pytest.mark.parametrize("there", [None, '{"state": "running", "pid": 1}'])
def test_a_run_that_finds_the_store_locked_leaves_the_file_as_it_was(
    there: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "beat.json"
    if there is not None:
        file.write_text(there)

    with pytest.raises(StoreLockedError), Heartbeat(file, "pull", "f.duckdb"):
        raise StoreLockedError("f.duckdb is locked")

    assert {it.name: it.read_text() for it in tmp_path.iterdir()} == ({"beat.json": there} if there else {})


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("duckdb:fleet.duckdb", "duckdb:fleet.duckdb"),
        ("a@b?c.duckdb", "a@b?c.duckdb"),
        ("parquet:fleet", "parquet:fleet"),
        ("postgresql://host/db", "postgresql://host/db"),
        (
            "postgresql://me:word@host:5432/db?password=x&sslmode=require",
            "postgresql://me@host:5432/db?sslmode=require",
        ),
        # Not percent-encoded, it is a riddle which part is the password.
        ("postgresql://me:pass@word@host:5432/db?password=x", "postgresql://…"),
        ("postgresql://me:word@host/db?password=pass@word", "postgresql://…"),
    ],
)
def test_a_store_is_named_without_a_password(store: str, shown: str, tmp_path: Path) -> None:
    with Heartbeat(tmp_path / "beat.json", "pull", store) as beat:
        beat.ticked()
        assert read(tmp_path / "beat.json")["store"] == shown


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written: File name too long"):
        Heartbeat(tmp_path / ("n" * 256), "pull", "f.duckdb").__enter__()


# --- by the run's clock -------------------------------------------------------------------------------


@define
class Listener:
    ticks: int = 0
    enough: anyio.Event = field(factory=anyio.Event)

    def progressed(self, progress: Progress) -> None:
        """Not here."""

    def finished(self, summary: Summary) -> None:
        """Not here."""

    def ticked(self) -> None:
        self.ticks += 1
        if self.ticks == 3:
            self.enough.set()


def test_followers_are_told_that_time_passes_while_the_work_stands_still(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("voltaware_async.cli.landing._TICK_S", 0.001)

    async def main() -> Exit:
        listener = Listener()

        async def stand_still(_: VoltawareClient, __: Store, watcher: Watcher, ___: anyio.Event) -> Summary:
            await listener.enough.wait()
            summary = Tally().summary("run", Traffic(), 1.0)
            watcher.finished(summary)
            return summary

        client = VoltawareClient("id", "secret")
        return await land_followed(
            client, str(tmp_path / "f.duckdb"), stand_still, display(quiet=True), listener
        )

    assert anyio.run(main) is Exit.COMPLETE
