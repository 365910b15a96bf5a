"""Settings: from arguments, the environment and files to credentials."""

from __future__ import annotations

import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from voltaware_async.errors import ConfigurationError
from voltaware_async.protocol.base_url import DEFAULT_BASE_URL, checked_base_url
from voltaware_async.protocol.secret import Secret
from voltaware_async.transport.grants import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["credentials"]


def credentials(
    environ: Mapping[str, str],
    *,
    base_url: str | None = None,
    client_id: str | None = None,
    client_secret: str | None = None,
) -> Credentials:
    """Choose each setting: the argument, else the environment, else the default.

    Raises ConfigurationError for one that is missing, cannot be read or is not accepted.
    """
    return Credentials(
        base_url=checked_base_url(
            _given("base_url", base_url) or environ.get("VOLTAWARE_BASE_URL") or DEFAULT_BASE_URL
        ),
        client_id=_text("client_id", client_id, environ),
        client_secret=Secret(_text("client_secret", client_secret, environ)),
    )


def _given(name: str, argument: object) -> str | None:
    """Return an argument that is a text; the wrappers of other libraries hide theirs."""
    if argument is None or isinstance(argument, str):
        return argument
    raise ConfigurationError(f"{name} must be a text, not {type(argument).__name__}")


def _text(name: str, argument: str | None, environ: Mapping[str, str]) -> str:
    variable = f"VOLTAWARE_{name.upper()}"
    text = _given(name, argument) or environ.get(variable) or _from_file(variable, environ) or ""
    text = text.strip()
    if not text:
        raise ConfigurationError(
            f"no {name}: pass it, or set {variable} or {variable}_FILE, or put it in a profile"
        )
    if not text.isprintable():
        raise ConfigurationError(
            f"{name} holds characters that cannot be part of it: check how it was copied"
        )
    return text


def _from_file(variable: str, environ: Mapping[str, str]) -> str | None:
    name = environ.get(f"{variable}_FILE")
    if not name:
        return None
    path = Path(name)
    try:
        if path.stat().st_mode & stat.S_IROTH:
            warnings.warn(f"{path} ({variable}_FILE) can be read by everybody: chmod 600", stacklevel=2)
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{variable}_FILE names {path}, which cannot be read: {reason}") from None
