"""The fixtures for users' own tests, as their docstring promises them, in a folder with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from voltaware_async import testing

if TYPE_CHECKING:
    from pathlib import Path

MARKED = (
    "import pytest\nfrom voltaware_async import Dataset, Month, open_store\npytestmark = pytest.mark.anyio\n"
)


def run(folder: Path, theirs: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_theirs.py").write_text(MARKED + theirs)
    without = ("-p", "no:cacheprovider", "-p", "no:randomly")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *without, *options, "."]
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=50
    )


def test_the_example_of_the_docstring_passes_as_it_stands(tmp_path: Path) -> None:
    said = testing.__doc__ or ""
    example = dedent(said[said.index("    async def") : said.index("They are async")])

    ended = run(tmp_path, example)

    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout
    assert "skipped" not in ended.stdout


def test_a_fleet_lands_from_the_fixtures_and_each_test_gets_an_api_of_its_own(tmp_path: Path) -> None:
    theirs = dedent("""
        @pytest.mark.parametrize("again", range(2))
        async def test_a_job(voltaware_sandbox, voltaware_client, tmp_path, again):
            with open_store(tmp_path / "fleet.duckdb") as store:
                summary = await voltaware_client.fleet.land(store, [Dataset.MONTH], [Month(2024, 7)])
            assert summary.planned == 20 == voltaware_sandbox.count("sm/disag/month")
            assert voltaware_sandbox.today.isoformat() == "2024-09-15"
    """)

    ended = run(tmp_path, theirs)

    assert ended.returncode == 0, ended.stdout


def test_a_pytest_that_uses_none_of_them_loads_neither_client_nor_sandbox(tmp_path: Path) -> None:
    theirs = "import sys\ndef test_it():\n    assert 'voltaware_async.sandbox' not in sys.modules\n"
    (tmp_path / "test_theirs.py").write_text(theirs)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50)

    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("name", ["voltaware_sandbox", "voltaware_client"])
def test_pytest_lists_the_fixture_with_its_sentence(name: str, tmp_path: Path) -> None:
    ended = run(tmp_path, "", "--fixtures")

    [line] = [number for number, it in enumerate(ended.stdout.splitlines()) if it.startswith(name)]
    assert ended.stdout.splitlines()[line + 1].startswith("    ")
