"""A terminal, as the command sees one, and what it shows in the end."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

from attrs import define, field
from conftest import CLI

if TYPE_CHECKING:
    from pathlib import Path

_MOVES = re.compile(r"\x1b\[[0-9]*[AJK]|[\r\n]")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


@define
class Terminal:
    """Run one command on a terminal of its own; only stdout may be a file instead."""

    process: subprocess.Popen[bytes]
    seen: bytes = b""
    _ours: int = field(kw_only=True)

    @classmethod
    def run(
        cls, *arguments: str, cwd: Path, environment: dict[str, str], stdout: int | None = None
    ) -> Terminal:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*CLI, *arguments],
            cwd=cwd,
            env={"TERM": "xterm", "COLUMNS": "120", **environment},
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
        )
        os.close(theirs)
        return cls(process, ours=ours)

    def read_until(self, words: bytes) -> None:
        while words not in self.seen:
            self.seen += os.read(self._ours, 65536)

    def end(self) -> int:
        """Read to the end; return the exit code."""
        with contextlib.suppress(OSError):
            while chunk := os.read(self._ours, 65536):
                self.seen += chunk
        os.close(self._ours)
        return self.process.wait(timeout=10)

    def go_away(self) -> int:
        """Close the window on it; return the exit code."""
        os.close(self._ours)
        return self.process.wait(timeout=20)

    @property
    def cursor_is_shown(self) -> bool:
        return self.seen.rfind(SHOW) >= self.seen.rfind(HIDE)

    @property
    def lines(self) -> list[str]:
        """Every line that was drawn, in its order, without what moves and paints."""
        drawn = (_ESCAPES.sub("", line).rstrip() for line in _MOVES.split(self.seen.decode()))
        return [line for line in drawn if line]
