"""Settings: where each may come from, which source wins, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from voltaware_async import ConfigurationError, VoltawareClient, settings
from voltaware_async.protocol.base_url import DEFAULT_BASE_URL, checked_base_url
from voltaware_async.protocol.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["client_id", "client_secret"]


def chosen_of(name: str, environ: dict[str, str], argument: str | None = None) -> str:
    """Return what is chosen for one setting, the other being given."""
    arguments = {**dict.fromkeys(NAMES, "given"), name: argument}
    chosen = settings.credentials(environ, **arguments)
    return chosen.client_id if name == "client_id" else chosen.client_secret.reveal()


def private(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("name", NAMES)
def test_the_argument_wins_over_the_environment_and_that_over_a_file(name: str, tmp_path: Path) -> None:
    variable = f"VOLTAWARE_{name.upper()}"
    file = {f"{variable}_FILE": private(tmp_path / "file", "from-file")}
    both = {variable: "from-environment", **file}

    assert chosen_of(name, both, "from-argument") == "from-argument"
    assert chosen_of(name, both) == "from-environment"
    assert chosen_of(name, file) == "from-file"
    assert chosen_of(name, both, "") == "from-environment"
    assert chosen_of(name, {**both, variable: ""}) == "from-file"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_needed_is_not_read(name: str) -> None:
    variable = f"VOLTAWARE_{name.upper()}"

    assert chosen_of(name, {variable: "here", f"{variable}_FILE": "/nowhere"}) == "here"
    assert chosen_of(name, {f"{variable}_FILE": "/nowhere"}, "argument") == "argument"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", ["it", "it\n", "it\r\n", " it \n\n", "\tit"])
def test_blanks_and_line_ends_around_it_are_no_part_of_it(name: str, content: str, tmp_path: Path) -> None:
    variable = f"VOLTAWARE_{name.upper()}"

    assert chosen_of(name, {variable: content}) == "it"
    assert chosen_of(name, {}, content) == "it"
    assert chosen_of(name, {f"{variable}_FILE": private(tmp_path / "file", content)}) == "it"


UNREADABLE = {
    "missing": (None, "cannot be read: No such file"),
    "a directory": ("directory", "cannot be read: Is a directory"),
    "binary": (b"\xff\xfes\x00", "cannot be read: it is not text"),
    "empty": (b"", "no client_secret: pass it"),
    "blank": (b" \n", "no client_secret: pass it"),
    "of two lines": (b"one\ntwo", "characters that cannot be part of it"),
    "with a byte order mark": (b"\xef\xbb\xbfplanted", "characters that cannot be part of it"),
    "with a zero byte": (b"pla\x00nted", "characters that cannot be part of it"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_gives_no_secret_says_why_and_quotes_nothing(case: str, tmp_path: Path) -> None:
    content, why = UNREADABLE[case]
    path = tmp_path / "secret"
    if content == "directory":
        path.mkdir(mode=0o700)
    elif content is not None:
        private(path, content)

    with pytest.raises(ConfigurationError, match=why) as raised:
        settings.credentials({"VOLTAWARE_CLIENT_SECRET_FILE": str(path)}, client_id="me")

    assert "planted" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("it")
    path.chmod(0)

    with pytest.raises(ConfigurationError, match="cannot be read: Permission denied"):
        settings.credentials({"VOLTAWARE_CLIENT_SECRET_FILE": str(path)}, client_id="me")


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o640, 0), (0o604, 1), (0o666, 1)])
def test_a_file_is_warned_of_where_everybody_can_read_it(
    mode: int, warnings: int, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "secret"
    path.write_text("it")
    path.chmod(mode)

    settings.credentials({"VOLTAWARE_CLIENT_SECRET_FILE": str(path)}, client_id="me")

    said = f"{path} (VOLTAWARE_CLIENT_SECRET_FILE) can be read by everybody: chmod 600"
    assert [str(it.message) for it in recwarn] == [said] * warnings


def test_the_base_url_is_the_argument_else_the_environment_else_the_vendors() -> None:
    environ = {"VOLTAWARE_BASE_URL": "https://environment.example/"}
    given = {"client_id": "me", "client_secret": "s"}

    for source, base_url, expected in (
        (environ, "https://argument.example", "https://argument.example"),
        (environ, None, "https://environment.example"),
        (environ, "", "https://environment.example"),
        ({"VOLTAWARE_BASE_URL": ""}, None, DEFAULT_BASE_URL),
        ({}, None, DEFAULT_BASE_URL),
    ):
        assert settings.credentials(source, base_url=base_url, **given).base_url == expected


def test_a_client_of_an_empty_environment_names_the_first_thing_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name.startswith("VOLTAWARE_"):
            monkeypatch.delenv(name)

    with pytest.raises(ConfigurationError, match="set VOLTAWARE_CLIENT_ID or VOLTAWARE_CLIENT_ID_FILE"):
        VoltawareClient.from_env()


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        ("HTTPS://API.Example", "https://api.example"),
        ("https://my_gateway:8443", "https://my_gateway:8443"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2001:DB8::1]:8443/v1", "https://[2001:db8::1]:8443/v1"),
        ("https://api.example:", "https://api.example"),
        ("https://api.example//", "https://api.example"),
        ("https://api.example/a%20b/~c;d=e,f@g", "https://api.example/a%20b/~c;d=e,f@g"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://LOCALHOST:8080/", "http://localhost:8080"),
    ],
)
def test_a_base_url_is_accepted_and_brought_into_one_form(text: str, base_url: str) -> None:
    assert checked_base_url(text) == base_url
    assert checked_base_url(base_url) == base_url


@pytest.mark.parametrize(
    "text",
    [
        "https://exa mple.com",
        "https://a\\b.example",
        "https://%65xample.com",
        "https://ex<>ample.com",
        "https://a,b.example",
        "https://a..example",
        "https://api.example/%zz",
        "https://api.example/%",
        'https://api.example/<">',
        "https://api.example/a\\b",
        "https://user@api.example",
        "https://:password@api.example",
        "https://@api.example",
        "javascript://api.example",
        "file:///etc/passwd",
        "//api.example",
        "https:api.example",
        "https:///path",
        "https://api.example:port",
        "https://api.example:-1",
        "http://0.0.0.0",
        "http://localhost.example",
        "http://127.0.0.1.nip.io",
        "http://[2001:db8::1]",
        "http://2130706433",
    ],
)
def test_what_is_no_base_url_for_secrets_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"base URL|plain http"):
        checked_base_url(text)


@pytest.mark.parametrize("name", [*NAMES, "base_url"])
@pytest.mark.parametrize("wrong", [7, b"planted", ["planted"], Secret("planted")])
def test_a_setting_that_is_no_text_is_refused_by_its_kind(name: str, wrong: object) -> None:
    kind = type(wrong).__name__
    with pytest.raises(ConfigurationError, match=f"{name} must be a text, not {kind}") as raised:
        VoltawareClient(**{**dict.fromkeys(NAMES, "given"), name: wrong})

    assert "planted" not in str(raised.value)
