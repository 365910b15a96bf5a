"""The architecture, as far as test_architecture.py leaves gaps: what stands apart, is public, or is read."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_architecture import DOORS, LAYERS, PACKAGE, ROOT, imports, modules

import voltaware_async

if TYPE_CHECKING:
    from collections.abc import Iterator

APART = {"sandbox", "testing", "__init__"}
# What a server of aiohttp needs, and no client: the sandbox is no second way to send a request.
CLIENT_NAMES = {"ClientSession", "ClientRequest", "ClientTimeout", "TCPConnector"}


def tree_of(module: Path) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text())


def top(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


def test_every_module_has_its_layer_or_stands_apart_on_purpose() -> None:
    """Without this a new module would be free of every law."""
    assert {top(module) for module in modules()} == set().union(*LAYERS) | APART


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_say_their_whole_name(module: Path) -> None:
    relative = [it for it in ast.walk(tree_of(module)) if isinstance(it, ast.ImportFrom) and it.level]
    starred = [
        it
        for it in ast.walk(tree_of(module))
        if isinstance(it, ast.ImportFrom) and any(alias.name == "*" for alias in it.names)
    ]

    assert not relative
    assert not starred


@pytest.mark.parametrize("module", [it for it in modules() if top(it) == "sandbox"], ids=str)
def test_the_sandbox_knows_nothing_of_the_client_and_sends_nothing(module: Path) -> None:
    ours = {name for name in imports(module) if name.startswith("voltaware_async.")}
    attributes = {it.attr for it in ast.walk(tree_of(module)) if isinstance(it, ast.Attribute)}
    names = {
        alias.name
        for it in ast.walk(tree_of(module))
        if isinstance(it, ast.ImportFrom) and (it.module or "").split(".")[0] == "aiohttp"
        for alias in it.names
    }

    assert {name.split(".")[1] for name in ours} <= {"sandbox", "records", "periods", "errors"}
    assert not CLIENT_NAMES & (attributes | names)


@pytest.mark.parametrize("module", [it for it in modules() if top(it) not in APART | {"cli"}], ids=str)
def test_nothing_of_the_library_needs_what_stands_apart_or_above_all(module: Path) -> None:
    used = {name.split(".")[1] for name in imports(module) if name.startswith("voltaware_async.")}

    assert not used & {"sandbox", "testing", "cli"}


@pytest.mark.parametrize("library", DOORS)
def test_each_door_is_there_to_be_gone_through(library: str) -> None:
    """A door that nobody uses would be a law about nothing."""
    behind = [
        module
        for module in modules()
        if library in {name.split(".")[0] for name in imports(module)}
        and any(str(module).startswith(door) for door in DOORS[library])
    ]

    assert behind


@pytest.mark.parametrize("module", ["stores/targets.py", "stores/__init__.py", "fleet/fleet.py"])
def test_what_the_core_installs_loads_no_extra_before_it_is_asked(module: str) -> None:
    """Look at the statements of the module itself, not into its functions."""
    parsed = tree_of(Path(module))
    typing_only = {
        id(it)
        for block in parsed.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for it in ast.walk(block)
    }
    at_once = {
        name
        for it in parsed.body
        if isinstance(it, ast.Import | ast.ImportFrom) and id(it) not in typing_only
        for name in ([it.module or ""] if isinstance(it, ast.ImportFrom) else [a.name for a in it.names])
    }

    assert not {name for name in at_once if name.split(".")[0] in {"duckdb", "pyarrow"}}
    assert not {name for name in at_once if "duckdb" in name or name.endswith((".batches", ".landing"))}


NAMING_ALL = """
import sys
import voltaware_async
for name in voltaware_async.__all__:
    getattr(voltaware_async, name)
client = voltaware_async.VoltawareClient("id", "secret")
print(*sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


def test_neither_naming_all_that_is_public_nor_making_a_client_loads_an_extra() -> None:
    command = [sys.executable, "-I", "-W", "error", "-c", NAMING_ALL]

    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    assert not {"pyarrow", "duckdb", "click", "rich", "uvloop", "pytest", "numpy", "pandas"} & set(loaded)


# --- what is public ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", modules(), ids=str)
def test_what_a_module_offers_is_there(module: Path) -> None:
    name = ".".join(("voltaware_async", *module.with_suffix("").parts)).removesuffix(".__init__")
    if name.endswith("__main__"):
        return
    loaded = importlib.import_module(name)
    offered = getattr(loaded, "__all__", [])

    assert len(set(offered)) == len(offered)
    for public in offered:
        assert hasattr(loaded, public), f"{name} lacks {public}"


def public_callables() -> Iterator[tuple[str, object]]:
    """Return every public class and function, and every public method of a class, by name."""
    for name in voltaware_async.__all__:
        public = getattr(voltaware_async, name)
        if isinstance(public, type):
            yield name, public
            for method, it in vars(public).items():
                if not method.startswith("_") and isinstance(
                    it, types.FunctionType | property | classmethod | staticmethod
                ):
                    yield f"{name}.{method}", it
        elif isinstance(public, types.FunctionType):
            yield name, public


@pytest.mark.parametrize(("name", "public"), [pytest.param(*both, id=both[0]) for both in public_callables()])
def test_every_public_name_is_explained_in_a_sentence(name: str, public: object) -> None:
    said = inspect.getdoc(public) or ""

    assert said.split("\n\n")[0].rstrip().endswith((".", "`")), f"{name}: {said!r}"


def calls_of_a_client() -> Iterator[tuple[str, object]]:
    client = voltaware_async.VoltawareClient("id", "secret")
    for part in ("devices", "metadata", "disaggregation", "reports", "fleet"):
        for name, it in inspect.getmembers(getattr(client, part), inspect.ismethod):
            if not name.startswith("_"):
                yield f"{part}.{name}", it


@pytest.mark.parametrize(("name", "call"), [pytest.param(*both, id=both[0]) for both in calls_of_a_client()])
def test_every_call_of_a_client_is_explained_and_names_its_cost_or_its_source(
    name: str, call: object
) -> None:
    said = inspect.getdoc(call) or ""

    assert said, name
    assert "Source: " in said or "request" in said, f"{name}: {said!r}"


def test_the_names_of_the_contract_are_public() -> None:
    """DESIGN sections 3 and 4."""
    assert {
        *("VoltawareClient", "Month", "Week", "Dataset", "Cell", "Fetched", "Absent", "Failed", "DeviceId"),
        *("RetryPolicy", "Summary", "Progress", "open_store"),
    } <= set(voltaware_async.__all__)
    assert [it.value for it in voltaware_async.Dataset] == [
        *("month", "month_weeks", "week", "month_cycles", "week_cycles", "month_report", "week_report")
    ]


# --- the README -------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    parts = (ROOT / "README.md").read_text().split(f"```{language}\n")[1:]
    return [part.split("```")[0] for part in parts]


STRICT = """
import asyncio, pathlib, sys
import voltaware_async
from voltaware_async import VoltawareClient
from voltaware_async.sandbox import Sandbox

block = sys.stdin.read()


class OfTheSandbox(VoltawareClient):
    def __init__(self, *_credentials, **_settings):
        super().__init__(sandbox.client_id, sandbox.client_secret, base_url=sandbox.base_url, rate=None)


async def main():
    global sandbox
    async with Sandbox(devices=5) as sandbox:
        voltaware_async.VoltawareClient = OfTheSandbox
        names = {"__name__": "readme"}
        told_to_run, asyncio.run = [], lambda coroutine: told_to_run.append(coroutine)
        exec(compile(block, "README.md", "exec"), names)
        for coroutine in told_to_run:
            await coroutine
        if "land_july" in names:
            await names["land_july"]()
        if "watch_july" in names:
            async with OfTheSandbox() as client:
                await names["watch_july"](client)


run = asyncio.run
run(main())
"""


@pytest.mark.parametrize(
    ("with_the_words", "says"),
    [("asyncio.run(main())", "Wh"), ("def land_july", "landed,"), ("def watch_july", "Disaggregation(")],
)
def test_what_the_readme_shows_runs_against_the_emulator(
    with_the_words: str, says: str, tmp_path: Path
) -> None:
    [block] = [it for it in blocks("python") if with_the_words in it]
    command = [sys.executable, "-W", "error", "-c", STRICT]

    ended = subprocess.run(
        command, input=block, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert says in ended.stdout


def test_the_tests_of_the_readme_pass(tmp_path: Path) -> None:
    [theirs] = [block for block in blocks("python") if "voltaware_sandbox" in block]
    (tmp_path / "test_readme.py").write_text(theirs)
    without = ("-p", "no:cacheprovider", "-p", "no:randomly")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *without, "."]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50)

    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout


def test_the_queries_of_the_readme_are_answered_by_a_store(tmp_path: Path) -> None:
    import duckdb  # noqa: PLC0415  an extra, as everywhere

    from voltaware_async import open_store  # noqa: PLC0415

    with open_store(tmp_path / "fleet.duckdb"):
        pass

    [block] = blocks("sql")
    with duckdb.connect(str(tmp_path / "fleet.duckdb"), read_only=True) as connection:
        columns = [
            [column[0] for column in connection.execute(query).description]
            for query in block.strip().splitlines()
        ]

    assert columns == [["period_start", "appliance_key", "results", "kwh"], ["hour", "kwh"]]


def test_every_command_and_every_option_that_the_readme_names_is_there_and_has_help() -> None:
    from voltaware_async.cli.command import voltaware  # noqa: PLC0415  an extra

    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| `voltaware ([\w-]+)([^`]*)` \| (.*) \|$", readme, re.MULTILINE)

    assert {name for name, _, _ in rows} == set(voltaware.commands)
    for name, arguments, does in rows:
        command = voltaware.commands[name]
        options = {option for it in command.params for option in it.opts}
        assert set(re.findall(r"--[a-z-]+", arguments + does)) <= options
        assert command.help
