"""Progress in words: plain functions from what is known of a run to what is said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voltaware_async.cli.recent import SILENCE_S

if TYPE_CHECKING:
    from voltaware_async.fleet.summary import Progress

__all__ = ["below", "counts", "duration", "left", "line", "position", "traffic"]

# Where a rounded number changes its unit or its form.
_SECONDS_BELOW_S: Final = 119.5
_MINUTES_BELOW: Final = 60
_HOURS_BELOW: Final = 48
_DECIMAL_BELOW: Final = 9.95


def line(progress: Progress | None, silent_s: float, cells_per_s: float | None) -> str:
    """Say all in one line; `progress` is None until the first report."""
    words = [below(progress, silent_s)]
    if progress is not None:
        done, total, things = position(progress)
        words = [f"{done}/{total} {things}", *words, left(progress, silent_s, cells_per_s)]
    return _joined(words)


def below(progress: Progress | None, silent_s: float) -> str:
    """Say what a bar does not show: how cells have ended, and what is under way."""
    if progress is None:
        return _silence(silent_s) if silent_s >= SILENCE_S else ""
    return _joined([counts(progress), traffic(progress, silent_s)])


def position(progress: Progress) -> tuple[int, int, str]:
    """Return how many of how many are done, and of what: cells, or before them the new devices."""
    if progress.devices and not progress.planned:
        return progress.devices_done, progress.devices, "devices"
    return progress.done, progress.planned, "cells"


def counts(progress: Progress) -> str:
    """Say how cells have ended; nothing before there are any."""
    if not progress.planned:
        return ""
    return f"{progress.landed} landed, {progress.absent} absent, {progress.failed} failed"


def traffic(progress: Progress, silent_s: float) -> str:
    """Say how fast it goes now, or for how long it has not, and what goes wrong on the way."""
    words = [_silence(silent_s) if silent_s >= SILENCE_S else _rate(progress.rate_per_s)]
    if progress.concurrency:
        words.append(f"{progress.concurrency} at once")
    if progress.retries:
        words.append(f"{progress.retries} {'retry' if progress.retries == 1 else 'retries'}")
    if progress.throttled:
        words.append(f"{progress.throttled} throttled")
    return _joined(words)


def left(progress: Progress, silent_s: float, cells_per_s: float | None) -> str:
    """Say how long the rest takes at the current pace; nothing while there is no pace, or nothing arrives."""
    rest = progress.planned - progress.done
    if not rest or not cells_per_s or silent_s >= SILENCE_S:
        return ""
    return f"{duration(rest / cells_per_s)} left"


def duration(seconds: float) -> str:
    """Say a duration in one unit, or two where the second matters: 45 s, 12 min, 3 h 12 min, 4 d 6 h."""
    if seconds < _SECONDS_BELOW_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < _MINUTES_BELOW:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < _HOURS_BELOW:
        return f"{hours} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def _silence(silent_s: float) -> str:
    return f"nothing has arrived for {duration(silent_s)}"


def _rate(rate_per_s: float) -> str:
    """Say requests per second; a slow pace shows its first decimal."""
    return f"{rate_per_s:.1f}/s" if rate_per_s < _DECIMAL_BELOW else f"{rate_per_s:.0f}/s"


def _joined(words: list[str]) -> str:
    return ", ".join(word for word in words if word)
