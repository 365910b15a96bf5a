"""Crashes: a pull that is killed at any moment and run again ends as if nothing had happened."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from voltaware_async import open_store
from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLI = [sys.executable, "-m", "voltaware_async.cli"]
VARYING = {"run_id", "updated_at", "attempts"}


@pytest.fixture
def base_url() -> Iterator[str]:
    command = [*CLI, "sandbox", "--devices", "400", "--today", "2024-09-15", "--latency-ms", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("ready ").strip()
        process.terminate()


def pull(base_url: str, store: Path) -> subprocess.Popen[str]:
    arguments = ["--store", f"duckdb:{store}", "--month", "2024-07", "--rate", "none", "--base-url", base_url]
    environment = {
        "VOLTAWARE_CLIENT_ID": CREDENTIALS.client_id,
        "VOLTAWARE_CLIENT_SECRET": CREDENTIALS.client_secret,
    }
    return subprocess.Popen(
        [*CLI, "pull", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def tables(path: Path) -> dict[str, list[str]]:
    with open_store(f"duckdb:{path}", read_only=True) as store:
        return {
            name: sorted(
                repr([value for column, value in row.items() if column not in VARYING])
                for row in store.table(name).to_pylist()
            )
            for name in ("consumption", "totals", "cycles", "ledger")
        }


def test_a_killed_pull_that_is_run_again_equals_one_that_was_never_killed(
    base_url: str, tmp_path: Path
) -> None:
    chance = random.Random(20240907)
    whole, killed = tmp_path / "whole.duckdb", tmp_path / "killed.duckdb"
    with pull(base_url, whole) as process:
        assert process.wait() == 0
    landed_when_killed = []

    for _ in range(4):
        with pull(base_url, killed) as process:
            time.sleep(chance.uniform(0.6, 1.6))  # a moment at random is the point
            process.kill()
        if killed.exists():
            landed_when_killed.append(len(tables(killed)["ledger"]))
    with pull(base_url, killed) as process:
        talk = process.communicate()[1]

    assert process.returncode == 0, talk
    assert tables(killed) == tables(whole)
    assert landed_when_killed == sorted(landed_when_killed)
