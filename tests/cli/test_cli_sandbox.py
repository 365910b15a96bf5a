"""`voltaware sandbox`: it listens where it says, or says why it cannot."""

from __future__ import annotations

import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from conftest import Api, start
from side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ended


def test_a_port_in_use_is_one_sentence(voltaware: Callable[..., Ended]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = voltaware("sandbox", "--port", str(port))

    assert (ended.code, ended.out) == (2, "")
    assert ended.talk.startswith(
        f"voltaware: cannot listen on 127.0.0.1, port {port}: Address already in use"
    )
    assert ended.talk.count("\n") == 1


def test_a_host_that_is_none_of_this_machine_is_one_sentence(voltaware: Callable[..., Ended]) -> None:
    for host in ("nowhere.invalid", "192.0.2.1"):
        ended = voltaware("sandbox", "--host", host)
        assert (ended.code, ended.out) == (2, "")
        assert ended.talk.startswith(f"voltaware: cannot listen on {host}, port 0: ")
        assert ended.talk.count("\n") == 1


def test_what_the_sandbox_cannot_do_is_wrong_usage(voltaware: Callable[..., Ended]) -> None:
    expected = {
        ("sandbox", "--port", "65536"): "0<=x<=65535",
        ("sandbox", "--devices", "-1"): "x>=0",
        ("sandbox", "--rate-limit", "0.5"): "must be 1 or more requests per second",
        ("sandbox", "--today", "tomorrow"): "'tomorrow' does not match the format '%Y-%m-%d'",
        (
            "sandbox",
            "--faults",
            "teapot:1",
        ): "is none of 500, 502, 503, 429, reset, cut, garbage, stall, slow",
        ("sandbox", "--faults", "500@month:1"): "is none of auth/token, auth/token/refresh, sensors",
    }

    for line, ended in side_by_side(voltaware, list(expected)).items():
        assert (ended.code, ended.out) == (2, ""), line
        assert expected[line] in ended.talk, line


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_sandbox_with_stalled_callers_ends_at_a_signal_and_talks_of_no_landing(
    environment: dict[str, str], signum: int
) -> None:
    with start("sandbox", "--devices", "3", "--faults", "stall:1") as serving:
        assert serving.stdout is not None
        api = Api(serving.stdout.readline().removeprefix("ready ").strip())
        environment["VOLTAWARE_BASE_URL"] = api.base_url
        with start("devices", env=environment) as caller:
            while not api.count("sensors"):
                time.sleep(0.02)
            serving.send_signal(signum)
            out, talk = serving.communicate(timeout=3)
            caller.kill()
            caller.communicate()

    assert out == ""
    assert talk.splitlines() == [
        "client id sandbox-client, client secret sandbox-secret",
        "voltaware: stopping. Once more ends it at once.",
    ]
