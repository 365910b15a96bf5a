"""Credentials: refused at once and for good, and never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from side_by_side import side_by_side

from voltaware_async.sandbox.server import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Api, Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--rate", "none")
COMMANDS = [("devices",), ("get", "month", "0001", "2024-07"), (*PULL, "--json")]
TALKATIVE = {"PYTHONWARNINGS": "always", "PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}


def test_refused_credentials_end_every_command_with_one_sentence_and_few_calls(
    serve: Callable[..., Api], voltaware: Callable[..., Ended]
) -> None:
    api = serve("--devices", "50")
    wrong = {"VOLTAWARE_BASE_URL": api.base_url, "VOLTAWARE_CLIENT_SECRET": "planted-secret"}

    ended = side_by_side(voltaware, COMMANDS, **wrong, PYTHONWARNINGS="always")

    for line, it in ended.items():
        assert (it.code, it.out) == (4, ""), line
        assert it.talk.count("\n") == 1, line
        assert "refused the client id or secret" in it.talk
        assert "VOLTAWARE_CLIENT_ID and VOLTAWARE_CLIENT_SECRET" in it.talk
        assert "planted" not in it.talk
    assert api.count("auth/token") == len(COMMANDS)
    assert api.count("sensors") == 0


def test_the_secret_is_not_shown_whatever_the_interpreter_is_told_to_say(
    voltaware: Callable[..., Ended],
) -> None:
    # `voltaware` itself looks for the secret in all that is printed.
    for ended in side_by_side(voltaware, COMMANDS[1:], **TALKATIVE).values():
        assert ended.code == 0
        assert "Bearer" not in ended.all
        assert "access_token" not in ended.all


def test_a_secret_that_was_given_for_something_else_is_not_shown(
    voltaware: Callable[..., Ended], tmp_path: Path
) -> None:
    secret = CREDENTIALS.client_secret
    (tmp_path / "two.txt").write_text(f"{secret}\n{secret}\n")
    (tmp_path / "two.txt").chmod(0o600)

    url = voltaware("devices", "--base-url", f"https://user:{secret}@127.0.0.1")
    lines = voltaware("devices", "--client-secret-file", "two.txt")

    assert [ended.code for ended in (url, lines)] == [2, 2]
    assert "check how it was copied" in lines.talk


def test_a_secret_file_that_cannot_be_read_is_named(voltaware: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "empty").touch(mode=0o600)

    missing = voltaware("devices", "--client-secret-file", "missing", VOLTAWARE_CLIENT_SECRET="")
    empty = voltaware("devices", "--client-secret-file", "empty", VOLTAWARE_CLIENT_SECRET="")

    assert (missing.code, empty.code) == (2, 2)
    assert "names missing, which cannot be read: No such file or directory" in missing.talk
    assert empty.talk.startswith("voltaware: no client_secret: ")
