"""Talk: what goes to stderr, and must never end what it talks about."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

import click

__all__ = ["Log", "is_heard_live", "let_go", "say"]


def say(text: str) -> None:
    """Print a line on stderr, if anybody is still there to read it: a full or closed log ends no pull."""
    with suppress(OSError):
        # Named here, because a live display takes its place and prints the line above itself.
        click.echo(text, file=sys.stderr, err=True)


def let_go() -> None:
    """Drop what could not be printed: Python would try again at its end, and make the exit code 120."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Log(logging.Handler):
    """Say what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say the record."""
        say(self.format(record))


def is_heard_live() -> bool:
    """Return whether stderr is a terminal, whatever the environment wants to be taken for one."""
    return sys.stderr is not None and sys.stderr.isatty()
