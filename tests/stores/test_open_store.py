from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from voltaware_async.errors import ConfigurationError, StoreError
from voltaware_async.stores import open_store
from voltaware_async.stores.targets import open_to_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from voltaware_async.stores import Store


@pytest.mark.parametrize("target", ["fleet.duckdb", "duckdb:fleet.db", "duckdb:no-suffix", "temp.duckdb"])
def test_a_file_is_opened_and_keeps_the_name_it_was_given(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store(target) as store:
        assert store.target == target
    assert Path(tmp_path, target.removeprefix("duckdb:")).is_file()


def test_a_path_is_taken_as_well_as_a_text(tmp_path: Path) -> None:
    with open_store(tmp_path / "fleet.duckdb") as store:
        assert store.target == str(tmp_path / "fleet.duckdb")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "fleet.sqlite",
        "duckdb:",
        "mysql://u:hunter2@h/fleet.duckdb",
        "md:fleet",
        "a\0.duckdb",
        "duckdb:a\0",
    ],
)
def test_an_unknown_target_is_refused_with_what_is_accepted(target: str) -> None:
    accepted = r"fleet\.duckdb, duckdb:PATH, parquet:DIR or postgresql://"
    with pytest.raises(ConfigurationError, match=accepted) as caught:
        open_store(target)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("missing", ["duckdb", "pyarrow"])
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("duckdb.file", "duckdb.database", "duckdb.errors", "sql.sql_store", "sql.dating"):
        monkeypatch.delitem(sys.modules, f"voltaware_async.stores.{module}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ConfigurationError, match=rf"needs {missing}.*pip install 'voltaware-async\[duckdb\]'"
    ):
        open_store(tmp_path / "fleet.duckdb")


def test_another_missing_module_is_not_blamed_on_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "voltaware_async.stores.sql.sql_store", None)
    with pytest.raises(ModuleNotFoundError, match="sql_store"):
        open_store(tmp_path / "fleet.duckdb")


def test_importing_the_package_loads_neither_pyarrow_nor_duckdb() -> None:
    code = """
        import sys
        import voltaware_async.stores
        assert not {"duckdb", "pyarrow", "_duckdb"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", dedent(code)], check=True)


def test_batches_are_made_without_duckdb() -> None:
    code = "import sys, voltaware_async.stores.batches; assert '_duckdb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("opens", [open_store, open_to_plan])
@pytest.mark.parametrize(
    "target", ["postgresql://meter:hunter2@127.0.0.1:1/fleet", "postgresql://meter:hunter2@@/fleet"]
)
def test_a_report_that_shows_the_variables_of_every_frame_shows_no_password(
    opens: Callable[[str], Store], target: str
) -> None:
    with pytest.raises((ConfigurationError, StoreError)) as caught:
        opens(target)

    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    ours = [frame for frame in frames if "voltaware_async" in frame.f_code.co_filename]
    shown = [repr(value) for frame in ours for value in frame.f_locals.values()]
    assert len(ours) > 2
    assert not [text for text in (*shown, str(caught.value)) if "hunter2" in text]
