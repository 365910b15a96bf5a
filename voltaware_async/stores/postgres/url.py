"""The URL of a PostgreSQL database: what of it may be shown, and what libpq is given.

libpq's errors name the host and the database, and a password whose `@` or `/` is not percent-encoded spills
into these. So only URLs whose every part stands apart are accepted.

Source: PostgreSQL documentation, 32.1.1.2 Connection URIs and 32.1.2 Parameter Key Words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from attrs import frozen

from voltaware_async.errors import ConfigurationError
from voltaware_async.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["DatabaseUrl", "read_url"]

_ENCODED: Final = r"%(?!00)[0-9A-Fa-f]{2}"
_TEXT: Final = rf"(?:[^\s%:/?#\[\]@]|{_ENCODED})*"
_PASSWORD: Final = rf"(?:[^\s%/?#@]|{_ENCODED})*"
_HOST: Final = rf"(?:\[[^\s/?#\[\]@]+\]|(?:[^\s%:/?#\[\]@,]|{_ENCODED})*)(?::[0-9]*)?"
_OPTION: Final = rf"[A-Za-z_]+=(?:[^\s%&=?#@]|{_ENCODED})*"
_URL: Final = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://"
    rf"(?:(?P<user>{_TEXT})(?::(?P<password>{_PASSWORD}))?(?P<at>@))?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)"
    rf"(?P<database>/{_TEXT})?"
    rf"(?:\?(?P<options>(?:{_OPTION}(?:&{_OPTION})*)?))?"
)

# What tells one database from another. Anything else stays hidden, also what no release knew of yet.
_SHOWN: Final = frozenset({"dbname", "host", "hostaddr", "options", "port", "service", "sslmode", "user"})
_SECRET: Final = frozenset({"password", "sslpassword"})
_HIDDEN: Final = "…"


@frozen
class DatabaseUrl:
    """Name a database. `shown` is the URL without what may be a secret."""

    shown: str
    _whole: Secret
    _passwords: tuple[Secret, ...]

    def scrub(self, text: str) -> str:
        """Hide the passwords in a text of libpq or of the server."""
        for password in self._passwords:
            text = text.replace(password.reveal(), _HIDDEN)
        return text

    def with_options(self, options: Mapping[str, str], defaults: Mapping[str, str]) -> Secret:
        """Return the URL for libpq. `defaults` are added where the URL itself says nothing of them."""
        whole = self._whole.reveal()
        _, separator, query = whole.partition("?")
        named = {name for name, _ in _options(query)}
        added = {**{name: value for name, value in defaults.items() if name not in named}, **options}
        # Of an option that is named twice libpq takes the last.
        words = "&".join(f"{name}={quote(value, safe='')}" for name, value in added.items())
        return Secret(f"{whole}{'&' if separator else '?'}{words}")


def read_url(url: str) -> DatabaseUrl:
    """Take a URL apart.

    Raises ConfigurationError, without a word of the URL, where it is not clear which part is which.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        del url  # from reports of errors that print variables
        raise ConfigurationError(
            "a PostgreSQL store is named postgresql://USER@HOST:PORT/DATABASE, and this is no such URL:"
            " special characters are written as %XX, in a password too (@ is %40, / is %2F, % is %25)"
        )
    options = list(_options(parts["options"] or ""))
    secrets = {parts["password"] or "", *(value for name, value in options if name in _SECRET)}
    written = {text for secret in secrets for text in (secret, unquote(secret)) if text}
    # The longest first: one may be a part of another.
    passwords = tuple(Secret(text) for text in sorted(written, key=len, reverse=True))
    return DatabaseUrl(_without_secrets(parts, options), Secret(url), passwords)


def _without_secrets(parts: re.Match[str], options: Sequence[tuple[str, str]]) -> str:
    user = f"{parts['user']}@" if parts["at"] else ""
    shown = "&".join(f"{name}={value}" for name, value in options if name in _SHOWN)
    query = f"?{shown}" if shown else ""
    return f"{parts['scheme']}://{user}{parts['hosts']}{parts['database'] or ''}{query}"


def _options(query: str) -> Iterator[tuple[str, str]]:
    for option in query.split("&"):
        name, separator, value = option.partition("=")
        if separator:
            yield name, value
