"""Profiles: what is set where wins, whichever of its forms it has; a file that cannot be used is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

UNSET = {"VOLTAWARE_BASE_URL": "", "VOLTAWARE_CLIENT_ID": "", "VOLTAWARE_CLIENT_SECRET": ""}


@pytest.fixture
def configured(voltaware: Callable[..., Ended], tmp_path: Path) -> Callable[..., Ended]:
    """Run `devices` with a configuration file, and in the environment only what the test sets."""

    def run(content: str, *arguments: str, **variables: str) -> Ended:
        path = tmp_path / "config.toml"
        path.write_text(content)
        return voltaware("devices", *arguments, **{**UNSET, "VOLTAWARE_CONFIG": str(path), **variables})

    return run


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{CREDENTIALS.client_secret}\n")
    path.chmod(0o600)
    return path


def profile(api: Api, **settings: str) -> str:
    chosen = {"base_url": api.base_url, "client_id": CREDENTIALS.client_id, **settings}
    return "[default]\n" + "".join(f'{name} = "{value}"\n' for name, value in chosen.items())


def test_a_secret_file_of_the_environment_wins_over_a_secret_of_the_profile(
    configured: Callable[..., Ended], api: Api, secret_file: Path
) -> None:
    ended = configured(profile(api, client_secret="nonsense"), VOLTAWARE_CLIENT_SECRET_FILE=str(secret_file))

    assert (ended.code, ended.talk) == (0, "")


def test_an_id_file_of_the_environment_wins_over_an_id_of_the_profile(
    configured: Callable[..., Ended], api: Api, secret_file: Path, tmp_path: Path
) -> None:
    id_file = tmp_path / "id"
    id_file.write_text(CREDENTIALS.client_id)
    id_file.chmod(0o600)

    ended = configured(
        profile(api, client_id="nobody", client_secret_file=str(secret_file)),
        VOLTAWARE_CLIENT_ID_FILE=str(id_file),
    )

    assert (ended.code, ended.talk) == (0, "")


def test_a_secret_of_the_environment_wins_over_a_secret_file_of_the_profile(
    configured: Callable[..., Ended], api: Api
) -> None:
    ended = configured(
        profile(api, client_secret_file="missing"), VOLTAWARE_CLIENT_SECRET=CREDENTIALS.client_secret
    )

    assert (ended.code, ended.talk) == (0, "")


def test_a_flag_wins_over_a_profile_named_by_a_flag(
    configured: Callable[..., Ended], api: Api, secret_file: Path
) -> None:
    content = '[night]\nbase_url = "http://127.0.0.1:9"\nclient_id = "nobody"\nclient_secret = "nonsense"\n'
    flags = ("--base-url", api.base_url, "--client-id", CREDENTIALS.client_id)

    ended = configured(content, "--profile", "night", *flags, "--client-secret-file", str(secret_file))

    assert (ended.code, ended.talk) == (0, "")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('client_id = "x"\n', "client_id stands in no table: put [default] above it"),
        (
            "[default]\nclient_secret = planted-secret\n",
            "cannot be read: Invalid value (at line 2, column 17)",
        ),
        ("[default]\nclient_secret = 7\n", "settings are texts, in quotes"),
        ('[default]\nsecret = "planted-secret"\n', "unknown setting 'secret'; there are base_url, client_id"),
        (
            '[default]\nclient_secret = "planted\\u0007secret"\nclient_id = "x"\n',
            "client_secret holds characters",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used_says_where_and_never_the_secret(
    configured: Callable[..., Ended], content: str, why: str
) -> None:
    ended = configured(content)

    assert (ended.code, ended.out) == (2, "")
    assert ended.talk.count("\n") == 1
    assert why in ended.talk
    assert "planted" not in ended.talk
    assert "config.toml" in ended.talk or why.startswith("client_secret holds")


def test_an_unknown_profile_is_answered_with_those_there_are(configured: Callable[..., Ended]) -> None:
    ended = configured("[day]\n[night]\n", "--profile", "nihgt")

    assert ended.code == 2
    assert "no profile 'nihgt' in " in ended.talk
    assert ended.talk.endswith("there are: day, night\n")


def test_a_configuration_that_was_named_and_is_not_there_is_no_silence(
    voltaware: Callable[..., Ended],
) -> None:
    ended = voltaware("devices", VOLTAWARE_CONFIG="missing.toml")

    assert ended.code == 2
    assert ended.talk == "voltaware: VOLTAWARE_CONFIG names missing.toml, which is not there\n"


def test_bytes_that_are_no_text_are_no_configuration(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe\x00")

    ended = voltaware("devices", VOLTAWARE_CONFIG="config.toml")

    assert ended.code == 2
    assert ended.talk.startswith("voltaware: config.toml cannot be read: ")
    assert ended.talk.count("\n") == 1


def test_status_and_help_need_no_settings(voltaware: Callable[..., Ended]) -> None:
    variables = {**UNSET, "VOLTAWARE_CONFIG": "missing.toml"}

    assert voltaware("status", "--store", "missing.duckdb", **variables).code == 5
    assert voltaware("pull", "--help", **variables).code == 0
