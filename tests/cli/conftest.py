"""The command as its user types it: a real process, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from attrs import frozen
from processes import CLI, Api, sandbox, start, surroundings

from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["CLI", "Api", "Ended", "start"]


@frozen
class Ended:
    """Hold what a command left: its exit code, and what it printed."""

    code: int
    out: str
    talk: str

    @property
    def all(self) -> str:
        return self.out + self.talk


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., Api]]:
    """Start sandboxes, and end them with the session."""
    with ExitStack() as running:
        yield lambda *arguments: running.enter_context(sandbox(*arguments))


@pytest.fixture(scope="session")
def api(serve: Callable[..., Api]) -> Api:
    """An API with 40 devices."""
    return serve("--devices", "40")


@pytest.fixture
def environment(api: Api, tmp_path: Path) -> dict[str, str]:
    """What the command sees of the world."""
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return {**measured, **surroundings(api), "HOME": str(tmp_path)}


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
