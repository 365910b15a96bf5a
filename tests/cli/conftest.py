"""The command as its user types it: a real process, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What the command leaves behind or does wrong is an error; what it warns its user of is not.
_STRICT = ("ResourceWarning", "RuntimeWarning", "DeprecationWarning")
CLI = [sys.executable, *(f"-Werror::{kind}" for kind in _STRICT), "-m", "voltaware_async.cli"]


@frozen
class Ended:
    """Hold what a command left: its exit code, and what it printed."""

    code: int
    out: str
    talk: str

    @property
    def all(self) -> str:
        return self.out + self.talk


@frozen
class Api:
    """Name a sandbox in another process."""

    base_url: str

    def count(self, route: str) -> int:
        with urllib.request.urlopen(f"{self.base_url}/sandbox/stats") as reply:  # noqa: S310  our own
            stats: dict[str, Any] = json.load(reply)
        return int(stats["routes"].get(route, 0))


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CLI, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., Api]]:
    """Start sandboxes, and end them with the session."""
    running = []

    def started(*arguments: str) -> Api:
        process = start("sandbox", "--today", "2024-09-15", *arguments)
        running.append(process)
        assert process.stdout is not None
        return Api(process.stdout.readline().removeprefix("ready ").strip())

    yield started
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def api(serve: Callable[..., Api]) -> Api:
    """An API with 40 devices."""
    return serve("--devices", "40")


@pytest.fixture
def environment(api: Api, tmp_path: Path) -> dict[str, str]:
    """What the command sees of the world."""
    return {
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "VOLTAWARE_BASE_URL": api.base_url,
        "VOLTAWARE_CLIENT_ID": CREDENTIALS.client_id,
        "VOLTAWARE_CLIENT_SECRET": CREDENTIALS.client_secret,
    }


@pytest.fixture
def voltaware(environment: dict[str, str], tmp_path: Path) -> Callable[..., Ended]:
    """Run the command to its end in an empty folder; keyword arguments are environment variables."""

    def run(*arguments: str, stdin: str | None = None, **variables: str) -> Ended:
        environ = {name: value for name, value in {**environment, **variables}.items() if value}
        with start(*arguments, cwd=tmp_path, env=environ, stdin=subprocess.PIPE) as process:
            out, talk = process.communicate(stdin, timeout=50)
        ended = Ended(process.returncode, out, talk)
        assert "Traceback" not in ended.all
        assert CREDENTIALS.client_secret not in ended.all or arguments[0] == "sandbox"
        assert all(mark.isprintable() or mark == "\n" for mark in ended.all)
        return ended

    return run
