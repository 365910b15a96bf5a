"""The URL of a PostgreSQL store: a password is neither shown nor taken for something else."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltaware_async.errors import ConfigurationError
from voltaware_async.stores.postgres.url import read_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h/fleet", "postgresql://u@h/fleet"),
        ("postgres://u:hunter2@h:5433/fleet", "postgres://u@h:5433/fleet"),
        ("postgresql://u:a:b:hunter2@h", "postgresql://u@h"),
        (
            "postgresql://h/fleet?user=u&password=hunter2&sslmode=require",
            "postgresql://h/fleet?user=u&sslmode=require",
        ),
        ("postgresql://h/f?sslpassword=hunter2&passfile=/hunter2&keepalives=1", "postgresql://h/f"),
        ("postgresql:///fleet?host=/run/postgresql", "postgresql:///fleet?host=/run/postgresql"),
        ("postgresql://u@%2Frun%2Fpg/fleet", "postgresql://u@%2Frun%2Fpg/fleet"),
        ("postgresql://a:1,b:2/fleet", "postgresql://a:1,b:2/fleet"),
        ("postgresql://u@[2001:db8::1]:5432/fleet", "postgresql://u@[2001:db8::1]:5432/fleet"),
        ("postgresql://me%40host:hunter2@h/fleet", "postgresql://me%40host@h/fleet"),
        (
            "postgresql://h/f?options=-csearch_path%3Dmeters",
            "postgresql://h/f?options=-csearch_path%3Dmeters",
        ),
        ("postgresql://?service=fleet", "postgresql://?service=fleet"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert read_url(url).shown == shown
    assert "hunter2" not in repr(read_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hun@ter2@h/fleet",
        "postgresql://u:hun/ter2@h/fleet",
        "postgresql://u:12/ter2@h/fleet",
        "postgresql://u:hun?ter2@h/fleet",
        "postgresql://u:12?a=ter2@h/fleet",
        "postgresql://u:hun#ter2@h/fleet",
        "postgresql://u:hun ter2@h/fleet",
        "postgresql://u:hun%ter2@h/fleet",
        "postgresql://u:hun%00ter2@h/fleet",
        "postgresql://u:ter2@h:port/fleet",
        "postgresql://u:ter2@[::1/fleet",
        "postgresql://u:ter2@h/fleet?password",
        "mysql://u:ter2@h/fleet",
    ],
)
def test_a_url_whose_parts_are_not_clear_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="special characters are written as %XX") as caught:
        read_url(url)
    assert "ter2" not in str(caught.value)


@given(st.text(min_size=1))
def test_a_password_that_is_percent_encoded_is_never_shown(password: str) -> None:
    encoded = quote(f"<{password}>", safe="", errors="replace")
    if "%00" in encoded:
        with pytest.raises(ConfigurationError):
            read_url(f"postgresql://u:{encoded}@h/fleet")
        return
    for url in (f"postgresql://u:{encoded}@h/fleet", f"postgresql://u@h/fleet?password={encoded}"):
        assert read_url(url).shown == "postgresql://u@h/fleet"


@given(st.text("ab:/?#@%&=[], 1", min_size=1))
def test_a_password_as_it_is_is_hidden_whole_or_refused(password: str) -> None:
    try:
        shown = read_url(f"postgresql://u:{password}@h/fleet").shown
    except ConfigurationError:
        return
    assert shown == "postgresql://u@h/fleet"


def test_what_libpq_says_is_scrubbed_of_the_password_in_both_its_forms() -> None:
    url = read_url("postgresql://u:hunter%202@h/fleet?sslpassword=sesame")

    assert url.scrub('near "hunter%202", "hunter 2" and "sesame"') == 'near "…", "…" and "…"'


def test_options_are_added_and_defaults_only_where_the_url_says_nothing() -> None:
    added = {"application_name": "voltaware 1@h"}
    defaults = {"connect_timeout": "10", "keepalives_idle": "30"}

    bare = read_url("postgresql://u@h/f").with_options(added, defaults).reveal()
    worded = read_url("postgresql://u@h/f?connect_timeout=5").with_options(added, defaults).reveal()

    name = "application_name=voltaware%201%40h"
    assert bare == f"postgresql://u@h/f?connect_timeout=10&keepalives_idle=30&{name}"
    assert worded == f"postgresql://u@h/f?connect_timeout=5&keepalives_idle=30&{name}"
