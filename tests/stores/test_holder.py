from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from voltaware_async.stores.holder import describe_process

# A name that would lead a reader astray who looks for blanks or for the first closing bracket.
NAMED = "open('/proc/self/comm', 'w').write('a) b (c d'); print(end='.', flush=True); input()"


def test_a_process_is_worded_with_the_second_when_it_began() -> None:
    earliest = datetime.now(UTC) - timedelta(seconds=2)
    command = [sys.executable, "-c", NAMED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == "."
        words = describe_process(process.pid)
        process.communicate("\n")

    number, since = re.fullmatch(r"process (\d+), running since (.*) UTC", words).groups()  # type: ignore[union-attr]
    assert int(number) == process.pid
    assert earliest <= datetime.fromisoformat(f"{since}+00:00") <= datetime.now(UTC) + timedelta(seconds=1)


def test_a_process_that_is_gone_is_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert describe_process(process.pid) == f"process {process.pid}"


@pytest.mark.parametrize(
    "content", [b"", b"no facts\n", b"1 (python) S 1\n", b"btime soon\n", b"btime 99999999999999999999\n"]
)
def test_a_proc_of_another_kind_is_no_error(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: content)
    assert describe_process(os.getpid()) == f"process {os.getpid()}"


def test_without_proc_a_process_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert describe_process(4711) == "process 4711"
