"""The fixtures for users' own tests work where only the package is installed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

THEIR_TEST = """
import pytest
from voltaware_async import Month, ServerError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_july_is_there(voltaware_client):
    ids = await voltaware_client.devices.list()
    assert await voltaware_client.disaggregation.month(ids[0], Month(2024, 7)) is not None


async def test_a_broken_api_is_survived(voltaware_sandbox, voltaware_client):
    voltaware_sandbox.script("500", times=None, route="sm/disag/month")
    with pytest.raises(ServerError):
        await voltaware_client.disaggregation.month("0001", Month(2024, 7))
"""


def test_users_tests_get_a_sandbox_and_a_client(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(THEIR_TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]

    ended = subprocess.run([*command, "."], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout
