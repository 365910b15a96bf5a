"""Hints: the commands that people are told to type next, and how a store is named to them."""

from __future__ import annotations

import shlex

from voltaware_async.errors import ConfigurationError
from voltaware_async.stores.postgres.url import read_url

__all__ = ["hint", "shown_store"]


def hint(command: str, target: str) -> str:
    """Word a command about a store, such as `voltaware check --store fleet.duckdb`, for a shell.

    A password of the store's URL is left out: whoever types the command gives it again.
    """
    return f"voltaware {command} --store {shlex.quote(shown_store(target))}"


def shown_store(target: str) -> str:
    """Name a store without what may be a secret."""
    scheme, separator, _ = target.partition("://")
    if not separator:
        return target
    try:
        return read_url(target).shown
    except ConfigurationError:
        # Which part of it is the password cannot be told.
        return f"{scheme}://…"
