"""The profile: settings from a TOML file, below flags and environment."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from voltaware_async.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["environment"]

_VARIABLES: Final = {
    "base_url": "VOLTAWARE_BASE_URL",
    "client_id": "VOLTAWARE_CLIENT_ID",
    "client_secret": "VOLTAWARE_CLIENT_SECRET",
    "client_secret_file": "VOLTAWARE_CLIENT_SECRET_FILE",
}


def environment(profile: str | None) -> Mapping[str, str]:
    """Return the environment, completed by a profile of the configuration file.

    The file is `$VOLTAWARE_CONFIG`, or `voltaware/config.toml` in the user's configuration folder; each of
    its tables is a profile. Without a name the profile is `default`, which need not be there.
    """
    named = os.environ.get("VOLTAWARE_CONFIG")
    path = Path(named or Path(click.get_app_dir("voltaware")) / "config.toml")
    if named and not path.exists():
        raise ConfigurationError(f"VOLTAWARE_CONFIG names {path}, which is not there")
    tables = _tables(path)
    if profile is not None and profile not in tables:
        known = ", ".join(tables) or "none"
        raise ConfigurationError(f"no profile {profile!r} in {path}; there are: {known}")
    environ = _set(os.environ)
    return {**_without(environ, _settings(tables.get(profile or "default", {}), path)), **environ}


def _tables(path: Path) -> Mapping[str, object]:
    try:
        tables = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    alone = [name for name, value in tables.items() if name in _VARIABLES and not isinstance(value, dict)]
    if alone:
        raise ConfigurationError(f"{path}: {alone[0]} stands in no table: put [default] above it")
    return tables


def _settings(table: object, path: Path) -> dict[str, str]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: a profile is a table, such as [default]")
    unknown = [name for name in table if name not in _VARIABLES]
    if unknown:
        raise ConfigurationError(f"{path}: unknown setting {unknown[0]!r}; there are {', '.join(_VARIABLES)}")
    if not all(isinstance(value, str) for value in table.values()):
        raise ConfigurationError(f"{path}: settings are texts, in quotes")
    return {_VARIABLES[name]: value for name, value in table.items()}


def _without(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out what the environment sets, in whichever of its two forms, the text or the file."""
    given = {name.removesuffix("_FILE") for name in environ}
    return {name: value for name, value in settings.items() if name.removesuffix("_FILE") not in given}


def _set(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is empty: an empty variable is how many schedulers say "not set"."""
    return {name: value for name, value in environ.items() if value}
