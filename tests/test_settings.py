"""Settings: the argument, else the environment, else a file, else the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voltaware_async import ConfigurationError, VoltawareClient, settings

if TYPE_CHECKING:
    from pathlib import Path

SET = {
    "VOLTAWARE_BASE_URL": "https://gateway.example",
    "VOLTAWARE_CLIENT_ID": "me",
    "VOLTAWARE_CLIENT_SECRET": "hunter2\n",
}


def test_the_environment_is_enough_and_line_ends_are_no_part_of_a_secret() -> None:
    chosen = settings.credentials(SET)

    assert (chosen.base_url, chosen.client_id) == ("https://gateway.example", "me")
    assert chosen.client_secret.reveal() == "hunter2"
    assert "hunter2" not in repr(chosen)


def test_an_argument_wins_over_the_environment() -> None:
    chosen = settings.credentials(SET, base_url="https://other.example", client_id="you", client_secret="s")

    assert (chosen.base_url, chosen.client_id) == ("https://other.example", "you")
    assert chosen.client_secret.reveal() == "s"


def test_the_vendors_url_is_the_default() -> None:
    chosen = settings.credentials({}, client_id="me", client_secret="s")

    assert chosen.base_url == "https://smart-meter-reseller-api.voltaware.com"


def test_a_secret_can_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)

    chosen = settings.credentials(
        {"VOLTAWARE_CLIENT_SECRET_FILE": str(secret), "VOLTAWARE_CLIENT_SECRET": ""}, client_id="me"
    )

    assert chosen.client_secret.reveal() == "hunter2"


def test_a_secret_file_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    secret.chmod(0o644)

    with pytest.warns(UserWarning, match="can be read by everybody: chmod 600"):
        settings.credentials({"VOLTAWARE_CLIENT_SECRET_FILE": str(secret)}, client_id="me")


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "no client_id: pass it, or set VOLTAWARE_CLIENT_ID or VOLTAWARE_CLIENT_ID_FILE"),
        ({"VOLTAWARE_CLIENT_ID": " "}, "no client_id"),
        ({"VOLTAWARE_CLIENT_ID": "me"}, "no client_secret"),
        ({"VOLTAWARE_CLIENT_ID": "m\x00e"}, "characters that cannot be part of it"),
        ({"VOLTAWARE_CLIENT_ID_FILE": "/nowhere"}, "names /nowhere, which cannot be read: No such file"),
        ({**SET, "VOLTAWARE_BASE_URL": "http://example.com"}, "plain http to example.com is refused"),
    ],
)
def test_what_is_missing_or_not_accepted_is_named(environ: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        settings.credentials(environ)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xff\xfe")
    secret.chmod(0o600)

    with pytest.raises(ConfigurationError, match="cannot be read: it is not text"):
        settings.credentials({"VOLTAWARE_CLIENT_SECRET_FILE": str(secret)}, client_id="me")


def test_a_client_can_be_made_of_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SET.items():
        monkeypatch.setenv(name, value)

    assert repr(VoltawareClient.from_env()) == "<VoltawareClient https://gateway.example>"
