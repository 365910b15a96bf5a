"""Progress: a live line on a terminal, a plain line every 30 s elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from voltaware_async.cli.talk import say

if TYPE_CHECKING:
    from types import TracebackType

    from voltaware_async.fleet.summary import Progress, Summary

__all__ = ["Display", "display"]

_PLAIN_EVERY_S: Final = 30.0


class Display(Protocol):
    """Show a run while it goes on, and keep its account; use it as a context manager."""

    summary: Summary | None

    def progressed(self, progress: Progress) -> None:
        """Show where the run stands."""

    def finished(self, summary: Summary) -> None:
        """Keep the account."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display(*, quiet: bool) -> Display:
    """Choose how to show a run: live only where stderr is a terminal that can."""
    if quiet:
        return _Silent()
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

    def progressed(self, progress: Progress) -> None:
        """Print a line, if the last one is old enough."""
        now = time.monotonic()
        if now - self._printed < _PLAIN_EVERY_S:
            return
        self._printed = now
        say(f"voltaware: {progress.done}/{progress.planned} cells, {_counts(progress)}")


class _Live(_Silent):
    """Draw a bar on the terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("pulling", total=None, counts="")

    def progressed(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task, total=progress.planned, completed=progress.done, counts=_counts(progress)
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def _counts(progress: Progress) -> str:
    rate = progress.requests / progress.elapsed_s if progress.elapsed_s > 0 else 0.0
    words = [f"{progress.landed} landed", f"{progress.absent} absent", f"{progress.failed} failed"]
    if progress.retries:
        words.append(f"{progress.retries} retries")
    return f"{', '.join(words)}, {rate:.0f}/s"
