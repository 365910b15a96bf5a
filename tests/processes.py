"""The command as its user runs it, and a sandbox: real processes; and what they leave in a store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import frozen

from voltaware_async import open_store
from voltaware_async.sandbox.server import CREDENTIALS
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What the command leaves behind or does wrong is an error; what it warns its user of is not.
_STRICT = ("ResourceWarning", "RuntimeWarning", "DeprecationWarning")
CLI = [sys.executable, *(f"-Werror::{kind}" for kind in _STRICT), "-m", "voltaware_async.cli"]

# What tells one run from another; and `runs` has a row for each attempt.
_VARYING = {"run_id", "updated_at", "attempts", "seen_at"}

Tables = dict[str, list[str]]


@frozen
class Api:
    """Name a sandbox in another process."""

    base_url: str

    def count(self, route: str) -> int:
        return self._counts().get(route, 0)

    def cells(self) -> int:
        """Count the cells that it was asked for since it began."""
        return sum(count for route, count in self._counts().items() if route.startswith("sm/"))

    def _counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.base_url}/sandbox/stats") as reply:  # noqa: S310  our own
            return dict(json.load(reply)["routes"])


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the command."""
    return subprocess.Popen(
        [*CLI, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@contextmanager
def sandbox(*arguments: str) -> Iterator[Api]:
    """Serve from another process, on 2024-09-15: July and August 2024 are there."""
    command = [*CLI, "sandbox", "--today", "2024-09-15", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        ready, base_url = process.stdout.readline().split()
        assert ready == "ready"
        try:
            yield Api(base_url)
        finally:
            process.kill()


def surroundings(api: Api) -> dict[str, str]:
    """What the command sees of the world, to use an API."""
    return {
        "PATH": os.environ["PATH"],
        "VOLTAWARE_BASE_URL": api.base_url,
        "VOLTAWARE_CLIENT_ID": CREDENTIALS.client_id,
        "VOLTAWARE_CLIENT_SECRET": CREDENTIALS.client_secret,
    }


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Wait until a condition holds, and tell whether it did before the process came to its end."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.001)
    return False


def whole_tables(store_path: Path) -> Tables:
    """Return all rows in words and in order, without what varies from run to run."""
    with open_store(store_path, read_only=True) as store:
        tables = {name: store.table(name) for name in TABLES if name != "runs"}
    return {
        name: sorted(map(repr, table.drop_columns(sorted(_VARYING & {*table.column_names})).to_pylist()))
        for name, table in tables.items()
    }
