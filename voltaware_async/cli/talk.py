"""Talk: what goes to stderr, and must never end what it talks about."""

from __future__ import annotations

from contextlib import suppress

import click

__all__ = ["say"]


def say(text: str) -> None:
    """Print a line on stderr, if anybody is still there to read it: a full or closed log ends no pull."""
    with suppress(OSError):
        click.echo(text, err=True)
