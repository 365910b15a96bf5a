"""The base URL: which ones may carry secrets."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from voltaware_async.errors import ConfigurationError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["DEFAULT_BASE_URL", "checked_base_url"]

# Source: Base API URL.
DEFAULT_BASE_URL: Final = "https://smart-meter-reseller-api.voltaware.com"

_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(?:%25[a-z0-9._-]+)?")
_PATH: Final = re.compile(r"(?:[A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")


def checked_base_url(text: str) -> str:
    """Return a base URL without its trailing slash, or raise ConfigurationError.

    Accepted is https, with a path prefix if a gateway needs one; plain http only to this machine, for the
    token would be readable on the way.
    """
    try:
        parts = urlsplit(text.strip())
        port = f":{parts.port}" if parts.port is not None else ""
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise ConfigurationError(f"the base URL is not a URL: {error}") from None
    _check(parts)
    if not _HOST.fullmatch(host):
        raise ConfigurationError(f"the base URL is not a URL: {host!r} is no name of a host")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _check(parts: SplitResult) -> None:
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ConfigurationError(f"the base URL must be like {DEFAULT_BASE_URL}, with a scheme and a host")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the base URL must not hold a user name or password")
    if not _PATH.fullmatch(parts.path):
        raise ConfigurationError("the path of the base URL must be percent-encoded")
    if parts.query or parts.fragment:
        raise ConfigurationError("the base URL must not hold a query or a fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError(
            f"plain http to {parts.hostname} is refused, for the credentials could be read on the way: "
            "use https"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
