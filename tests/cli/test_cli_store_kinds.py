"""A file, a folder or a database: the command does the same over each, and says the same when it cannot."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import frozen
from conftest import CLI, Ended, start
from processes import surroundings, wait_until, whole_tables
from side_by_side import side_by_side

from voltaware_async import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Api
    from postgres_server import PostgresServer

DEVICES: Final = 8
PULL: Final = ("pull", "--month", "2024-07", "--rate", "none")
MONTHS: Final = (*PULL, "--dataset", "month")
WEEKS: Final = ("--as-of", "2024-09-15", "--dataset", "week", "--horizon-months", "1")
PLANTED: Final = "planted-password"
VARYING: Final = {"run_id", "elapsed_s", "rate_per_s", "hours", "finish_at", "revised_at", "revisions"}
# What only a run without privileges may not do, root may; but not where it has given this one up.
AS_ANYBODY: Final = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@frozen
class Place:
    """Name a store, as the command is told from its folder, and as it is opened from anywhere."""

    target: str
    opened: str

    @property
    def flag(self) -> tuple[str, str]:
        return "--store", self.target


def parquet_in(folder: Path) -> Place:
    return Place("parquet:fleet", f"parquet:{folder / 'fleet'}")


@pytest.fixture(params=["parquet", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder or a database that is no store yet; the other tests are about a file."""
    if request.param == "parquet":
        return parquet_in(tmp_path)
    url = request.getfixturevalue("postgres_url")
    return Place(url, url)


def the_sentence(ended: Ended) -> str:
    """Return the only line that was printed, on stderr."""
    assert not ended.out
    [line] = ended.talk.splitlines()
    return line.removeprefix("voltaware: ")


# --- a whole life ---------------------------------------------------------------------------------------


@frozen
class Life:
    """Lead a store through its life, and remember what was said of it."""

    place: Place
    folder: Path
    world: dict[str, str]

    def ask(self, *arguments: str, base_url: str | None = None) -> Any:
        """Return what a command answers as JSON, with its exit code and what it warns of."""
        world = {**self.world, "VOLTAWARE_BASE_URL": base_url or self.world["VOLTAWARE_BASE_URL"]}
        with start(*arguments, *self.place.flag, "--json", cwd=self.folder, env=world) as process:
            out, talk = process.communicate(timeout=50)
        return process.returncode, without_what_varies(json.loads(out)), talk

    def lead(self, broken: Api, later: Api) -> dict[str, Any]:
        july = (*PULL, "--with-weeks")
        return {
            "first plan": self.ask("plan", "--month", "2024-07"),
            "pull": self.ask(*july, base_url=broken.base_url),
            "failed": self.ask("status", "--failed"),
            "retry-failed": self.ask("retry-failed"),
            "sync": self.ask("sync", *WEEKS, "--rate", "none"),
            "refresh": self.ask(*july, "--refresh", base_url=later.base_url),
            **self.read(
                restated=("status", "--restated"),
                status=("status",),
                check=("check",),
                plan=("plan", "sync", *WEEKS, "--refresh-months", "1"),
            ),
            "tables": without_what_varies(whole_tables(self.place.opened)),
        }

    def read(self, **lines: tuple[str, ...]) -> dict[str, Any]:
        """Ask side by side: who only reads keeps nobody waiting."""
        with ThreadPoolExecutor(3) as pool:
            return dict(zip(lines, pool.map(lambda line: self.ask(*line), lines.values()), strict=True))


def without_what_varies(answer: Any) -> Any:
    """Leave out what tells one run from another; of the table `revisions` each row has it."""
    if isinstance(answer, list):
        return [without_what_varies(it) for it in answer]
    if isinstance(answer, dict):
        return {name: without_what_varies(it) for name, it in answer.items() if name not in VARYING}
    return answer


@pytest.fixture(scope="module")
def world(serve: Callable[..., Api]) -> dict[str, str]:
    return surroundings(serve("--devices", str(DEVICES)))


@pytest.fixture(scope="module")
def broken(serve: Callable[..., Api]) -> Api:
    """An API whose months cannot be read."""
    return serve("--devices", str(DEVICES), "--faults", "garbage@sm/disag/month:1")


@pytest.fixture(scope="module")
def later(serve: Callable[..., Api]) -> Api:
    """The API after it has restated everything."""
    return serve("--devices", str(DEVICES), "--seed", "9")


@pytest.fixture(scope="module")
def in_a_file(
    world: dict[str, str], broken: Api, later: Api, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The life of a store in a file."""
    folder = tmp_path_factory.mktemp("file")
    place = Place("f.duckdb", str(folder / "f.duckdb"))
    said = Life(place, folder, world).lead(broken, later)
    code, failures, _ = said["failed"]
    assert (code, [it["cells"] for it in failures]) == (0, [DEVICES])
    assert [name for name, it in said.items() if name != "tables" and it[2]] == ["refresh"]
    assert [said[name][0] for name in ("pull", "retry-failed", "sync", "refresh", "plan")] == [3, 0, 0, 0, 0]
    assert len(said["restated"][1]) == said["refresh"][1]["restated"] > 0
    assert said["sync"][1]["planned"] == DEVICES * 6
    assert said["plan"][1]["parts"][-1]["refresh"] > 0
    return said


def test_a_store_lives_the_same_life_wherever_it_is(
    place: Place, world: dict[str, str], broken: Api, later: Api, in_a_file: dict[str, Any], tmp_path: Path
) -> None:
    said = Life(place, tmp_path, world).lead(broken, later)

    for name, answer in in_a_file.items():
        assert said[name] == answer, name


# --- one writer -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stalled(serve: Callable[..., Api]) -> Api:
    """An API that never lists its devices."""
    return serve("--devices", "3", "--faults", "stall@sensors:1")


def test_a_run_that_finds_the_store_held_ends_with_five_and_names_the_holder(
    stalled: Api,
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    place: Place,
    tmp_path: Path,
) -> None:
    environment["VOLTAWARE_BASE_URL"] = stalled.base_url
    asked = stalled.count("sensors")
    with start(*MONTHS, *place.flag, cwd=tmp_path, env=environment) as holder:
        assert wait_until(lambda: stalled.count("sensors") > asked, holder)
        writing = [(*MONTHS, *place.flag, "--json"), ("sync", *place.flag), ("retry-failed", *place.flag)]
        ended = side_by_side(voltaware, [*writing, ("status", *place.flag)])
        holder.kill()
        holder.communicate()

    status = ended.pop(("status", *place.flag))
    if place.target.startswith("parquet"):
        who = rf"process {holder.pid}, running since .* UTC"
        assert status.code == 5
    else:
        who = rf"voltaware {holder.pid}@\S+ \(server process \d+, connected.* since .* UTC\)"
        # A server lets others read meanwhile.
        assert (status.code, status.talk) == (0, "voltaware: nothing has been asked yet\n")
    for it in ended.values():
        assert it.code == 5
        assert re.fullmatch(
            rf"{re.escape(place.target)} is in use by {who}: wait until it ends, or stop it",
            the_sentence(it),
        ), it.talk


@pytest.fixture(scope="module")
def slow(serve: Callable[..., Api]) -> Api:
    """An API that answers after a while, so that a run can be met in its middle."""
    return serve("--devices", "40", "--latency-ms", "40")


def test_a_terminated_run_lands_what_has_arrived_and_the_same_command_does_the_rest(
    slow: Api,
    environment: dict[str, str],
    voltaware: Callable[..., Ended],
    place: Place,
    tmp_path: Path,
) -> None:
    environment["VOLTAWARE_BASE_URL"] = slow.base_url
    asked = slow.count("sm/disag/month")
    pull = (*MONTHS, *place.flag, "--json")
    with start(*pull, "--concurrency", "4", cwd=tmp_path, env=environment) as process:
        assert wait_until(lambda: slow.count("sm/disag/month") >= asked + 8, process)
        process.send_signal(signal.SIGTERM)
        signalled = time.monotonic()
        out, talk = process.communicate(timeout=20)
        took = time.monotonic() - signalled
    summary = json.loads(out)
    with open_store(place.opened, read_only=True) as store:
        in_ledger = store.table("ledger").num_rows
    rest = json.loads(voltaware(*pull).out)

    assert process.returncode == 143
    assert took < 5
    assert "stopping; what has arrived is landed" in talk
    assert in_ledger == summary["landed"] + summary["absent"] > 0
    assert summary["unasked"] > 0
    assert rest["skipped"] == summary["landed"]
    assert rest["planned"] == summary["absent"] + summary["unasked"]


# --- a server ---------------------------------------------------------------------------------------------


@pytest.fixture
def secretive(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty schema, with a password in it."""
    from postgres_server import own_schema  # noqa: PLC0415  most runs need no server

    with own_schema(postgres_server.tcp_url()) as url:
        yield url.replace("postgres@", f"postgres:{PLANTED}@")


def test_a_password_in_the_url_is_printed_nowhere(
    serve: Callable[..., Api], voltaware: Callable[..., Ended], secretive: str, tmp_path: Path
) -> None:
    store = ("--store", secretive)
    beat = ("--heartbeat", "beat.json")
    later = serve("--devices", "40", "--seed", "9", "--faults", "garbage@sm/disag/month:0.5").base_url
    ended = [
        voltaware("status", *store),
        voltaware(*MONTHS, *store, *beat),
        voltaware(*MONTHS, "--refresh", *store, *beat, VOLTAWARE_BASE_URL=later),
    ]
    lines = [("status", *store), ("status", *store, "--restated"), ("check", *store)]
    lines += [("plan", "--month", "2024-07", *store, "--json")]
    ended += side_by_side(voltaware, lines).values()
    beaten = (tmp_path / "beat.json").read_text()
    wrong = secretive.replace("postgres:", "nobody:").replace(PLANTED, f"{PLANTED}-")
    refused = voltaware(*MONTHS, "--store", wrong.replace("nobody", "checked"), *beat, "--json")

    assert [it.code for it in ended] == [5, 0, 3, *[0] * len(lines)]
    assert refused.code == 5
    shown = secretive.replace(f":{PLANTED}", "")
    assert json.loads(beaten)["store"] == shown
    assert any(f"--store '{shown}'" in it.talk for it in ended), "it is named, without the password"
    assert "refuses this user: check the user and its password (" in the_sentence(refused)
    said = "".join(it.all for it in (*ended, refused)) + beaten + (tmp_path / "beat.json").read_text()
    assert PLANTED not in said


def test_a_url_of_which_the_password_cannot_be_told_is_not_repeated(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    url = f"postgresql://me:{PLANTED}@{PLANTED}@127.0.0.1/fleet"

    ended = voltaware(*MONTHS, "--store", url, "--heartbeat", "beat.json")

    assert ended.code == 2
    assert the_sentence(ended).startswith("a PostgreSQL store is named postgresql://USER@HOST:PORT/DATABASE")
    assert PLANTED not in ended.all + (tmp_path / "beat.json").read_text()


def test_a_server_that_is_not_there_is_one_sentence_that_says_what_to_start(
    voltaware: Callable[..., Ended],
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        shown = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/fleet"
        store = ("--store", shown.replace("me@", f"me:{PLANTED}@"))
        lines = [(*MONTHS, *store), ("status", *store, "--json"), ("plan", "--month", "2024-07", *store)]
        ended = side_by_side(voltaware, lines)

    for it in ended.values():
        assert it.code == 5
        assert the_sentence(it).startswith(
            f"{shown} does not answer: start its server, or check host and port ("
        )


# --- a folder ---------------------------------------------------------------------------------------------


def test_a_folder_that_is_none_or_that_is_another_s_is_refused_and_stays_as_it_is(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("someone's notes")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("a cat")
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    reasons = {
        "parquet:file": "is a file, and a Parquet store is a folder",
        "parquet:photos": (
            "is no store: it has no ledger.duckdb, but cat.png; name an empty folder, "
            "or restore a copy of the whole store"
        ),
        "parquet:missing/fleet": f"cannot be created: there is no directory {tmp_path / 'missing'}",
    }

    ended = side_by_side(voltaware, [(*MONTHS, "--store", target) for target in reasons])

    for (*_, target), it in ended.items():
        assert (it.code, the_sentence(it)) == (5, f"{target} {reasons[target]}")
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(bool(AS_ANYBODY) and not shutil.which("setpriv"), reason="root may write everywhere")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_store_that_may_not_be_written_is_read_all_the_same(
    voltaware: Callable[..., Ended], environment: dict[str, str], tmp_path: Path, kind: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    target = f"{home}/f.duckdb" if kind == "file" else parquet_in(home).opened
    voltaware(*MONTHS, "--store", target, "--quiet")

    with nothing_changing_in(home):
        status, pull = (
            subprocess.run(
                [*AS_ANYBODY, *CLI, *line, "--store", target],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            for line in (("status",), MONTHS)
        )

    assert (status.returncode, pull.returncode) == (0, 5)
    assert "no gap: every cell has landed" in status.stdout
    assert pull.stderr.startswith(f"voltaware: {target} cannot be used: ")
    assert "Permission denied" in pull.stderr
    assert pull.stderr.count("\n") == 1


@contextmanager
def nothing_changing_in(home: Path) -> Iterator[None]:
    """Let nobody make or remove a file in a folder or below it."""
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o755)
