"""Who holds a store: a process in words, with the time since when it has been running."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["describe_process", "is_only_read"]

# Its place in /proc/PID/stat after the name, which may itself hold blanks and brackets.
_START_TICKS: Final = 19


def describe_process(pid: int) -> str:
    """Word a process: `process 4711, running since 2024-09-15 02:00:05 UTC`.

    Without the time where there is no /proc, or no such process any more. Never raises.
    """
    started_at = _started_at(pid)
    since = f", running since {started_at:%Y-%m-%d %H:%M:%S} UTC" if started_at is not None else ""
    return f"process {pid}{since}"


def is_only_read(path: Path) -> bool:
    """Tell whether a file has no locks but those of readers; False where the system does not tell.

    Hazard: only looks at /proc. To open the file would cost a process its own lock on it.
    """
    try:
        status = path.stat()
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return False
    return {words[-5] for words in locks if device in words} <= {"READ"}


def _started_at(pid: int) -> datetime | None:
    try:
        after_boot_s = _start_ticks(pid) / os.sysconf("SC_CLK_TCK")
        return datetime.fromtimestamp(_booted_at_s() + after_boot_s, UTC)
    except (OSError, LookupError, ValueError, ArithmeticError):
        return None


def _start_ticks(pid: int) -> int:
    _, _, after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
    return int(after_name.split()[_START_TICKS])


def _booted_at_s() -> int:
    facts = dict(line.split(maxsplit=1) for line in Path("/proc/stat").read_bytes().splitlines())
    return int(facts[b"btime"])
