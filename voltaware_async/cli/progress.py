"""Progress: a live line on a terminal, a plain line every 30 s elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from voltaware_async.cli.follower import Follower
from voltaware_async.cli.progress_words import below, left, line, position
from voltaware_async.cli.recent import Recent
from voltaware_async.cli.talk import is_heard_live, say

if TYPE_CHECKING:
    from types import TracebackType

    from voltaware_async.fleet.summary import Progress, Summary

__all__ = ["Display", "display"]

_PLAIN_EVERY_S: Final = 30.0
# Of a line of 60 columns: 1234567/7000000, 47 h 59 min left, and a word before.
_BESIDE_BAR: Final = 44
_SHORTEST_BAR: Final = 8
_LONGEST_BAR: Final = 40


class Display(Follower, Protocol):
    """Show a run while it goes on, and keep its account; use it as a context manager."""

    summary: Summary | None

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display(*, quiet: bool) -> Display:
    """Choose how to show a run: live only where stderr is a terminal that can."""
    if quiet:
        return _Silent()
    if not is_heard_live():
        return _Plain()
    console = Console(stderr=True)
    return _Live(console) if console.is_terminal and not console.is_dumb_terminal else _Plain()


class _Silent:
    """Show nothing."""

    def __init__(self) -> None:
        self.summary: Summary | None = None

    def progressed(self, progress: Progress) -> None:
        """Show nothing."""

    def finished(self, summary: Summary) -> None:
        """Keep the account."""
        self.summary = summary

    def ticked(self) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Plain(_Silent):
    """Print at most a line in 30 s, without control characters: it may end in a mail or a log."""

    def __init__(self) -> None:
        super().__init__()
        self._printed = time.monotonic()
        self._recent = Recent(self._printed)

    def progressed(self, progress: Progress) -> None:
        """Take note, and print a line if the last one is old enough."""
        self._recent.hear(progress, time.monotonic())
        self.ticked()

    def ticked(self) -> None:
        """Print a line, if the last one is old enough: also when nothing arrives."""
        now = time.monotonic()
        if now - self._printed >= _PLAIN_EVERY_S:
            self._printed = now
            recent = self._recent
            say(f"voltaware: {line(recent.progress, recent.silent_s(now), recent.cells_per_s(now))}")


class _Live(_Silent):
    """Draw a bar on the terminal, and below it how cells end and how fast; 60 columns hold it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._recent = Recent(time.monotonic())
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(max(_SHORTEST_BAR, min(_LONGEST_BAR, console.width - _BESIDE_BAR))),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("pulling", total=None, left="")
        self._below = Text()
        self._live = Live(Group(self._bar, self._below), console=console, transient=True)

    def progressed(self, progress: Progress) -> None:
        """Take note, and move the bar."""
        self._recent.hear(progress, time.monotonic())
        self.ticked()

    def ticked(self) -> None:
        """Move what depends on the clock: what is left, or for how long nothing has arrived."""
        now = time.monotonic()
        progress, silent_s = self._recent.progress, self._recent.silent_s(now)
        self._below.plain = below(progress, silent_s)
        if progress is not None:
            done, total, things = position(progress)
            self._bar.update(
                self._task,
                description="pulling" if things == "cells" else things,
                completed=done,
                total=total or None,
                left=left(progress, silent_s, self._recent.cells_per_s(now)),
            )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
