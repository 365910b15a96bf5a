"""Base URLs: which ones may be sent secrets."""

from __future__ import annotations

import pytest

from voltaware_async import ConfigurationError
from voltaware_async.protocol.base_url import DEFAULT_BASE_URL, checked_base_url


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        (DEFAULT_BASE_URL, "https://smart-meter-reseller-api.voltaware.com"),
        ("https://gateway.example/", "https://gateway.example"),
        ("https://gateway.example/voltaware/v1/", "https://gateway.example/voltaware/v1"),
        ("  https://Gateway.Example:8443\n", "https://gateway.example:8443"),
        ("https://zähler.example", "https://xn--zhler-gra.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_https_anywhere_and_http_on_this_machine_are_accepted(text: str, base_url: str) -> None:
    assert checked_base_url(text) == base_url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://gateway.example", "could be read on the way"),
        ("http://127.0.0.1.example", "could be read on the way"),
        ("ftp://gateway.example", "with a scheme and a host"),
        ("gateway.example", "with a scheme and a host"),
        ("https://", "with a scheme and a host"),
        ("", "with a scheme and a host"),
        ("https://user:password@gateway.example", "must not hold a user name or password"),
        ("https://gateway.example?key=1", "must not hold a query or a fragment"),
        ("https://gateway.example#x", "must not hold a query or a fragment"),
        ("https://gateway.example:99999", "is not a URL"),
        ("https://gateway.example/a b", "must be percent-encoded"),
        ("https://gateway.example/ü", "must be percent-encoded"),
        ("https://[::1", "is not a URL"),
        ("https://" + "x" * 70 + ".example", "is not a URL"),
    ],
)
def test_what_would_leak_or_lead_astray_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as raised:
        checked_base_url(text)

    assert "password@" not in str(raised.value)
