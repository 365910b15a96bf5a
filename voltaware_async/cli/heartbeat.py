"""Heartbeat: a small JSON file that tells monitoring where a run stands."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from voltaware_async.cli.exits import Exit, of_error
from voltaware_async.cli.hints import shown_store
from voltaware_async.cli.recent import Recent
from voltaware_async.cli.shown import instant
from voltaware_async.cli.talk import say
from voltaware_async.errors import ConfigurationError, StoreLockedError, VoltawareError
from voltaware_async.stores.targets import holds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from voltaware_async.fleet.summary import Progress, Summary

__all__ = ["Heartbeat"]

_EVERY_S: Final = 5.0
_STATES: Final = {
    Exit.COMPLETE: "complete",
    Exit.INCOMPLETE: "incomplete",
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "interrupted",
}
_FIGURES: Final = (
    *("planned", "done", "landed", "absent", "failed", "unasked"),
    *("requests", "retries", "throttled", "rate_per_s", "concurrency"),
)


class Heartbeat:
    """Keep a file current from the start of a run to its end; use it as a context manager.

    It is written a second after the start, at most every 5 s while the run goes on, also when nothing
    arrives, and at the end; but not by a run that finds the store held by another, whose file it may be.
    Readers see a whole file always: it is replaced, never rewritten. The keys are the same in each:
    `unasked` counts what has not ended yet, `rate_per_s` falls to 0 when nothing is reported for ten seconds,
    and the last file has the figures of the summary.

    A run that was killed cannot say so: its file goes on saying "running", and `updated_at` grows old. That
    is how monitoring sees a dead run: "running", and not updated for a minute.

    Without a path nothing is written.
    """

    def __init__(self, path: Path | None, command: str, store: str) -> None:
        self._path = path
        self._command = command
        self._store = shown_store(store)
        self._started_at = _instant()
        self._state = "running"
        self._error: str | None = None
        self._exit_code: int | None = None
        self._run_id: str | None = None
        self._figures: dict[str, int | float] = dict.fromkeys(_FIGURES, 0)
        self._last_outcome_at: str | None = None
        self._recent = Recent(time.monotonic())
        self._written = -inf
        self._has_warned = False

    def progressed(self, progress: Progress) -> None:
        """Take note of where the run stands; the next tick writes it."""
        if self._recent.hear(progress, time.monotonic()):
            self._last_outcome_at = _instant()
        self._figures = _of_progress(progress)

    def finished(self, summary: Summary) -> None:
        """Take note of the account."""
        self._run_id = summary.run_id
        self._figures |= _of_summary(summary)
        if self._last_outcome_at is None and self._figures["done"]:
            self._last_outcome_at = _instant()  # a short run ends before it reports any progress

    def ticked(self) -> None:
        """Write the file, if the last one is old enough."""
        now = time.monotonic()
        if now - self._written < _EVERY_S:
            return
        self._figures["rate_per_s"] = round(self._recent.rate_per_s(now), 3)
        self._try_to_write()

    def ended(self, code: Exit) -> None:
        """Take note of how the command ends; leaving the context writes it."""
        self._state = _STATES.get(code, "failed")
        self._exit_code = code

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path = self._begun(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._failed(error)
        # Another run holds the store: the file may be its own.
        if not isinstance(error, StoreLockedError):
            self._try_to_write()

    def _begun(self, path: Path) -> Path:
        """Make sure that the file can be written, and return which it is, behind all links."""
        try:
            file = _checked(path)
            if holds(self._store, file):
                raise ConfigurationError(
                    f"--heartbeat {path} is the store itself, or lies within it: name another file"
                )
            with self._written_aside(file):
                pass
        except OSError as error:
            reason = error.strerror or error
            raise ConfigurationError(f"--heartbeat {path} cannot be written: {reason}") from None
        return file

    def _failed(self, error: BaseException) -> None:
        """Say what `run` will exit with: an error is its end, whatever the account said before."""
        match error:
            case KeyboardInterrupt() | asyncio.CancelledError():
                self.ended(Exit.INTERRUPTED)
                return
            case VoltawareError():
                self._exit_code, self._error = of_error(error), str(error)
            case _:
                self._exit_code, self._error = Exit.BUG, f"{type(error).__name__}: {error}"
        self._state = "failed"

    def _try_to_write(self) -> None:
        """Write the file; where that fails, warn once and try again next time: it ends no run."""
        if self._path is None:
            return
        try:
            self._write(self._path)
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                reason = error.strerror or error
                say(f"voltaware: the heartbeat {self._path} cannot be written: {reason}; the run goes on")

    def _write(self, path: Path) -> None:
        """Replace the file; a disk that hangs holds the event loop, as it would hold the store."""
        self._written = time.monotonic()
        with self._written_aside(path) as aside:
            aside.replace(path)

    @contextmanager
    def _written_aside(self, path: Path) -> Iterator[Path]:
        """Write a file beside the path, which is gone afterwards, however that ends."""
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with aside.open("w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask: monitoring is somebody else
                file.write(json.dumps(self._content()) + "\n")
            yield aside
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _content(self) -> dict[str, str | int | float | None]:
        return {
            "pid": os.getpid(),
            "command": self._command,
            "store": self._store,
            "state": self._state,
            "error": self._error,
            "exit_code": self._exit_code,
            "run_id": self._run_id,
            "started_at": self._started_at,
            "updated_at": _instant(),
            **self._figures,
            "last_outcome_at": self._last_outcome_at,
        }


def _of_progress(progress: Progress) -> dict[str, int | float]:
    return {
        "planned": progress.planned,
        "done": progress.done,
        "landed": progress.landed,
        "absent": progress.absent,
        "failed": progress.failed,
        "unasked": progress.planned - progress.done,
        "requests": progress.requests,
        "retries": progress.retries,
        "throttled": progress.throttled,
        "rate_per_s": round(progress.rate_per_s, 3),
        "concurrency": progress.concurrency,
    }


def _of_summary(summary: Summary) -> dict[str, int | float]:
    """Return all but the concurrency, which is no figure of a whole run."""
    counts = summary.counts()
    figures: dict[str, int | float] = {name: counts[name] for name in counts if name in _FIGURES}
    return {**figures, "done": summary.planned - summary.unasked}


def _checked(path: Path) -> Path:
    """Return the file itself, behind all links; refuse what is there and was never a heartbeat.

    A slip, such as the name of the store, would cost what stands in it.
    """
    file = Path(os.path.realpath(path))
    if not file.exists():
        return file
    if not file.is_file():
        raise ConfigurationError(f"--heartbeat {path} is no file")
    with file.open("rb") as there:
        if there.read(1) not in {b"", b"{"}:
            raise ConfigurationError(f"--heartbeat {path} is there already, and is no heartbeat")
    return file


def _instant() -> str:
    return instant(datetime.now(UTC))
