"""Replies that are not as documented: one sentence, a failed cell, and no control character of theirs."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread
from side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conftest import Ended

    from voltaware_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month", "--rate", "none")
FAILED = ("status", "--store", "f.duckdb", "--failed")
GET = ("get", "month", "0001", "2024-07")
MONTH = "sm/disag/month"


@pytest.fixture
def command(voltaware: Callable[..., Ended], sandbox: Sandbox) -> Callable[..., Awaitable[Ended]]:
    """Run the command against the test's own sandbox, which says what the test scripts."""

    async def run(*arguments: str, **variables: str) -> Ended:
        variables = {"VOLTAWARE_BASE_URL": sandbox.base_url, **variables}
        with anyio.fail_after(30):
            return await to_thread.run_sync(partial(voltaware, *arguments, **variables))

    return run


def with_a_text_for_a_number(sandbox: Sandbox, device_id: str) -> str:
    record: dict[str, Any] = json.loads(json.dumps(sandbox.fleet.month(device_id, 2024, 7)))
    record["appliances"][1]["consumption"] = "much"
    return json.dumps(record)


async def test_a_malformed_record_fails_its_cell_and_the_run_goes_on(
    sandbox: Sandbox, command: Callable[..., Awaitable[Ended]]
) -> None:
    sandbox.script(status=200, body=with_a_text_for_a_number(sandbox, "0002"), route=MONTH, device_id="0002")

    first = await command(*PULL, "--json")
    shown = await command(*FAILED)
    reasons = json.loads((await command(*FAILED, "--json")).out)
    second = await command(*PULL, "--json")
    healed = await command(*FAILED)

    summary = json.loads(first.out)
    assert first.code == 3
    assert summary["failed"] == 1
    assert summary["landed"] + summary["absent"] == 29
    assert "GET /sensors/{device_id}/sm/disag/month" in shown.out
    assert "$.appliances[1].consumption" in shown.out
    assert "0002" in shown.out
    assert [reason["cells"] for reason in reasons] == [1]
    assert reasons[0]["example"] == "0002"
    assert reasons[0]["reason"] in shown.out
    assert (second.code, json.loads(second.out)["landed"]) == (0, 1)
    assert healed.talk == "voltaware: no cell failed\n"


async def test_one_malformed_record_is_one_sentence_with_device_endpoint_and_path(
    sandbox: Sandbox, command: Callable[..., Awaitable[Ended]]
) -> None:
    sandbox.script(status=200, body=with_a_text_for_a_number(sandbox, "0001"), route=MONTH)

    ended = await command(*GET)

    assert (ended.code, ended.out) == (3, "")
    assert ended.talk.count("\n") == 1
    for part in ("$.appliances[1].consumption", "GET /sensors/{device_id}/sm/disag/month", "device 0001"):
        assert part in ended.talk


async def test_every_refusal_of_the_api_is_one_sentence_with_the_promised_code(
    sandbox: Sandbox, voltaware: Callable[..., Ended]
) -> None:
    expected: dict[str, tuple[dict[str, Any], int, str]] = {
        "0001": (
            {"status": 200, "body": "<p>Welcome", "headers": {"Content-Type": "text/html"}},
            3,
            "web page",
        ),
        "0002": ({"status": 302, "headers": {"Location": "https://elsewhere.invalid/"}}, 3, "redirects"),
        "0003": ({"status": 400, "body": '{"error": "month is not allowed"}'}, 3, "month is not allowed"),
        "0004": ({"status": 403, "times": None}, 3, "first event"),
        "0005": ({"raw": b"SSH-2.0-OpenSSH_9.6\r\n"}, 3, "not valid HTTP"),
        "0006": ({"status": 503, "retry_after": 3600}, 6, "status 503"),
        "0007": ({"status": 429, "retry_after": 3600}, 6, "a pause of 3600 s"),
        "0008": ({"status": 401, "times": None}, 4, "refuses even a new token"),
    }
    for device_id, (reply, _, _) in expected.items():
        sandbox.script(route=MONTH, device_id=device_id, **reply)
    lines = [("get", "month", device_id, "2024-07") for device_id in expected]

    ended = await to_thread.run_sync(
        partial(side_by_side, voltaware, lines, VOLTAWARE_BASE_URL=sandbox.base_url)
    )

    for (_, _, device_id, _), it in ended.items():
        _, code, why = expected[device_id]
        assert (it.code, it.out) == (code, ""), it
        assert it.talk.startswith("voltaware: ")
        assert it.talk.count("\n") == 1
        assert why in it.talk
        assert f"GET /sensors/{{device_id}}/sm/disag/month, device {device_id}" in it.talk


async def test_a_reply_that_paints_the_terminal_does_not_reach_it(
    sandbox: Sandbox, command: Callable[..., Awaitable[Ended]]
) -> None:
    paint = "\\u001b[2J\\u0007\\u202e\\u0000"
    record = with_a_text_for_a_number(sandbox, "0001").replace('"much"', f'"{paint}"')
    sandbox.script(status=200, body=record, route=MONTH, device_id="0001")
    sandbox.script(status=400, body=f'{{"error": "{paint}"}}', route=MONTH, device_id="0002")
    sandbox.script(status=400, body=b"\x1b[31m\x00\xff\r\n\x9b2J", route=MONTH, device_id="0003", times=2)

    # That nothing unprintable comes out is what `voltaware` asserts of every run.
    pulled = await command(*PULL, "--device", "0001", "--device", "0002", "--device", "0003")
    shown = await command(*FAILED)
    asked = await command("get", "month", "0003", "2024-07")

    assert "3 failed" in pulled.talk
    assert len(shown.out.splitlines()) == 4
    assert asked.code == 3


async def test_ids_that_look_like_markup_are_shown_as_they_are(
    sandbox: Sandbox, command: Callable[..., Awaitable[Ended]]
) -> None:
    sandbox.script(status=200, body='["[/red]", "[bold]0002[/bold]", ":smile:"]', route="sensors", times=2)
    sandbox.script(status=400, body='{"error": "[/odd] [link=x]"}', route=MONTH)
    sandbox.script(status=418, route=MONTH)
    sandbox.script(status=409, route=MONTH)

    listed = await command("devices")
    pulled = await command(*PULL, "--concurrency", "1")
    shown = await command(*FAILED)

    assert listed.out.splitlines() == ["[/red]", "[bold]0002[/bold]", ":smile:"]
    assert pulled.code == 3
    for device_id in listed.out.splitlines():
        assert f" {device_id} " in shown.out
    assert "[/odd] [link=x]" in shown.out


async def test_listed_ids_that_are_none_fail_unasked_and_do_not_paint_the_terminal(
    sandbox: Sandbox, command: Callable[..., Awaitable[Ended]]
) -> None:
    sandbox.script(status=200, body='["0001", "a\\u001b[31mb", ".."]', route="sensors", times=2)

    listed = await command("devices")
    pulled = await command(*PULL)
    shown = await command(*FAILED)

    assert (listed.code, listed.out.splitlines()) == (0, ["0001", r"a\x1b[31mb", ".."])
    assert pulled.code == 3
    assert "1 landed, 0 absent (the API has no result), 2 failed" in pulled.talk
    assert r" a\x1b[31mb " in shown.out
    assert shown.out.count("a device id is 1 to 512 characters without control characters") == 2
    assert sandbox.count(MONTH) == 1


async def test_a_list_of_devices_that_is_none_is_one_sentence(
    sandbox: Sandbox, command: Callable[..., Awaitable[Ended]]
) -> None:
    sandbox.script(status=200, body='["0001", {"id": 2}]', route="sensors", times=2)

    for arguments in (("devices",), PULL):
        ended = await command(*arguments)
        assert ended.code == 3
        assert "$[1]" in ended.talk
        assert "GET /sensors" in ended.talk


async def test_a_token_reply_that_is_none_shows_nothing_of_it(
    sandbox: Sandbox, command: Callable[..., Awaitable[Ended]]
) -> None:
    sandbox.script(
        status=200, body='{"access_token": ["sandbox-secret"]}', route="auth/token", method="POST", times=None
    )

    ended = await command("devices")

    assert ended.code in {3, 6}
    assert ended.talk.count("\n") == 1
    assert "POST /auth/token" in ended.talk
