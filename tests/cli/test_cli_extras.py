"""Extras: what is not installed is named with the command that installs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Ended

PULL = ("pull", "--store", "f.duckdb", "--month", "2024-07", "--dataset", "month", "--device", "0001")


@pytest.fixture
def without(voltaware: Callable[..., Ended], tmp_path: Path) -> Callable[..., Ended]:
    """Run the command as if a library was not installed."""

    def run(library: str, *arguments: str) -> Ended:
        stubs = tmp_path / "stubs"
        stubs.mkdir(exist_ok=True)
        words = f"No module named {library!r}"
        (stubs / f"{library}.py").write_text(f"raise ModuleNotFoundError({words!r}, name={library!r})")
        return voltaware(*arguments, PYTHONPATH=str(stubs))

    return run


@pytest.mark.parametrize("library", ["click", "rich"])
def test_without_the_extra_of_the_command_one_sentence_says_what_to_install(
    without: Callable[..., Ended], library: str
) -> None:
    ended = without(library, "devices")

    assert (ended.code, ended.out) == (1, "")
    assert ended.talk == (
        f"voltaware: the command needs {library}: run  pip install 'voltaware-async[cli]'\n"
    )


@pytest.mark.parametrize("library", ["duckdb", "pyarrow"])
def test_without_the_extra_of_the_store_the_rest_works_and_one_sentence_says_what_to_install(
    without: Callable[..., Ended], library: str
) -> None:
    pulled = without(library, *PULL)
    asked = without(library, "status", "--store", "f.duckdb")
    listed = without(library, "devices")

    for ended in (pulled, asked):
        assert ended.code == 2
        assert ended.talk.count("\n") == 1
        assert "voltaware-async[duckdb]" in ended.talk
    assert (listed.code, listed.talk) == (0, "")


def test_without_the_fast_loop_the_command_works(without: Callable[..., Ended]) -> None:
    ended = without("uvloop", *PULL)

    assert ended.code == 0
    assert ended.talk.startswith("1 cells: 1 landed")
