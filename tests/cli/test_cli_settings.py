"""Settings: flags over environment over profile over default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

NOTHING = {"VOLTAWARE_BASE_URL": "", "VOLTAWARE_CLIENT_ID": "", "VOLTAWARE_CLIENT_SECRET": ""}


@pytest.fixture
def config(tmp_path: Path, api: Api) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        [default]
        base_url = "{api.base_url}"
        client_id = "{CREDENTIALS.client_id}"
        client_secret = "{CREDENTIALS.client_secret}"

        [wrong]
        base_url = "{api.base_url}"
        client_id = "{CREDENTIALS.client_id}"
        client_secret = "nonsense"

        [odd]
        secret = "x"

        [number]
        client_id = 7
        """
    )
    return path


def test_a_profile_is_enough(voltaware: Callable[..., Ended], config: Path) -> None:
    assert voltaware("devices", **NOTHING, VOLTAWARE_CONFIG=str(config)).code == 0


def test_the_configuration_folder_is_where_the_profile_is_looked_for(
    voltaware: Callable[..., Ended], config: Path, tmp_path: Path
) -> None:
    home = tmp_path / ".config" / "voltaware"
    home.mkdir(parents=True)
    config.rename(home / "config.toml")

    assert voltaware("devices", **NOTHING).code == 0


def test_the_environment_wins_over_the_profile(voltaware: Callable[..., Ended], config: Path) -> None:
    assert voltaware("devices", "--profile", "wrong", VOLTAWARE_CONFIG=str(config)).code == 0
    assert voltaware("devices", "--profile", "wrong", **NOTHING, VOLTAWARE_CONFIG=str(config)).code == 4


def test_a_flag_wins_over_the_environment(voltaware: Callable[..., Ended], tmp_path: Path, api: Api) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{CREDENTIALS.client_secret}\n")
    secret.chmod(0o600)
    flags = ("--base-url", api.base_url, "--client-id", CREDENTIALS.client_id)
    wrong = dict.fromkeys(NOTHING, "http://127.0.0.1:9")

    assert voltaware("devices", *flags, "--client-secret-file", str(secret), **wrong).code == 0


def test_a_secret_file_that_everybody_can_read_is_used_with_a_warning(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CREDENTIALS.client_secret)
    secret.chmod(0o644)

    ended = voltaware("devices", VOLTAWARE_CLIENT_SECRET="", VOLTAWARE_CLIENT_SECRET_FILE=str(secret))

    assert "can be read by everybody: chmod 600" in ended.talk


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ("nobody", "no profile 'nobody'"),
        ("odd", "unknown setting 'secret'; there are base_url, client_id, client_secret"),
        ("number", "settings are texts, in quotes"),
    ],
)
def test_a_profile_that_cannot_be_used_says_why(
    voltaware: Callable[..., Ended], config: Path, profile: str, why: str
) -> None:
    ended = voltaware("devices", "--profile", profile, VOLTAWARE_CONFIG=str(config))

    assert ended.code == 2
    assert why in ended.talk


@pytest.mark.parametrize("content", ["[default", "default = 1"])
def test_a_broken_configuration_file_is_named(
    voltaware: Callable[..., Ended], tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.toml").write_text(content)

    ended = voltaware("devices", VOLTAWARE_CONFIG=str(tmp_path / "config.toml"))

    assert ended.code == 2
    assert "config.toml" in ended.talk


@pytest.mark.parametrize("missing", ["VOLTAWARE_CLIENT_ID", "VOLTAWARE_CLIENT_SECRET"])
def test_a_missing_setting_is_named(voltaware: Callable[..., Ended], missing: str) -> None:
    ended = voltaware("devices", **{missing: ""})

    assert ended.code == 2
    assert f"set {missing} or {missing}_FILE" in ended.talk
