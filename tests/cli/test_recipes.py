"""The README's scheduling recipes: what they name exists, and the script does what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import CLI

from voltaware_async.cli.command import voltaware

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Api

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


[SCRIPT] = blocks("sh")
UNITS = blocks("ini")
[CRON_JOB] = blocks("yaml")
SYSTEMD_ANALYZE = shutil.which("systemd-analyze") or ""


def command_lines() -> list[list[str]]:
    """Return every `voltaware …` that a recipe or an example of the README has."""
    lines = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    lines += [line.strip() for line in SCRIPT.splitlines()]
    lines += [
        line.partition("=")[2].rpartition("/")[2]
        for unit in UNITS
        for line in unit.splitlines()
        if "Exec" in line
    ]
    lines += [" ".join(re.findall(r"args: \[(.*)\]", CRON_JOB)).replace(",", "")]
    return [shlex.split(line.rstrip(";")) for line in lines if line.startswith("voltaware ")]


@pytest.fixture
def night(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the script of the cron recipe, in a folder that stands for /var/lib/voltaware."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    command = bin_folder / "voltaware"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(CLI)} "$@"\n')
    command.chmod(0o755)
    script = tmp_path / "voltaware-night"
    script.write_text(
        SCRIPT.replace("/var/lib/voltaware", str(tmp_path))
        .replace("/usr/local/bin", str(bin_folder))
        .replace("sync ", "sync --as-of 2024-09-15 --rate none ")
    )

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        environ = {**environment, **variables, "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            ["/bin/sh", str(script)], env=environ, capture_output=True, text=True, timeout=50, check=False
        )

    return run


def test_every_command_line_of_the_readme_names_commands_and_flags_that_exist() -> None:
    lines = command_lines()

    assert len(lines) >= 8
    for _, name, *words in lines:
        flags = {flag for parameter in voltaware.commands[name].params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= flags, name


def test_a_good_night_prints_nothing_and_ends_with_0(
    night: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = night()

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_night_with_failures_says_what_is_missing_and_why(
    night: Callable[..., subprocess.CompletedProcess[str]], serve: Callable[..., Api]
) -> None:
    broken = serve("--devices", "3", "--faults", "500@sm/disag/month:1")

    ended = night(VOLTAWARE_BASE_URL=broken.base_url)

    assert ended.returncode == 3
    assert "Some cells are missing tonight" in ended.stdout
    assert "oldest gap: month 2024-06: 3 failed" in ended.stdout
    assert "500" in ended.stdout


def test_a_night_with_wrong_credentials_says_so_and_ends_with_4(
    night: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = night(VOLTAWARE_CLIENT_SECRET="nonsense")

    assert ended.returncode == 4
    assert "Voltaware refused the credentials" in ended.stdout


@pytest.mark.skipif(not SYSTEMD_ANALYZE, reason="systemd is not installed here")
def test_systemd_finds_nothing_wrong_with_its_units(tmp_path: Path) -> None:
    units = [tmp_path / re.findall(r"# /etc/systemd/system/(.*)\n", unit)[0] for unit in UNITS]
    for path, unit in zip(units, UNITS, strict=True):
        path.write_text(unit.replace("/usr/local/bin/voltaware", sys.executable))

    told = subprocess.run(
        [SYSTEMD_ANALYZE, "verify", *map(str, units)], capture_output=True, text=True, check=False
    )

    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
