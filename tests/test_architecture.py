"""The architecture: the folders are the layers, and each library has one door."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import voltaware_async
from voltaware_async.protocol import endpoints

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(voltaware_async.__file__).parent
ROOT = Path(__file__).parent.parent
# From the top down; a module imports from its own folder and from those below. `resources` and `settings`
# are what the client is made of.
LAYERS = [
    {"cli"},
    {"client"},
    {"fleet", "resources", "settings"},
    {"stores"},
    {"transport"},
    {"protocol"},
    {"cells"},
    {"records"},
    {"periods"},
    {"errors"},
]
DOORS = {
    "aiohttp": {"transport/session.py"},
    "aiolimiter": {"transport/pace.py"},
    "cattrs": {"protocol/codec.py"},
    # With its slash: `cli` would let `client.py` in too.
    "click": {"cli/"},
    "rich": {"cli/"},
    "uvloop": {"cli/"},
    "pyarrow": {"stores/"},
    "duckdb": {"stores/"},
    "adbc_driver_postgresql": {"stores/"},
    "adbc_driver_manager": {"stores/"},
}
CORE = ("aiohttp", "aiolimiter", "anyio", "attrs", "cattrs", "orjson")
# The headings of the documentation, as it words them.
HEADINGS = {
    "Authentication": {"Access Token", "Refresh Token"},
    "Devices": {"List all devices", "View single sensor"},
    "Metadata": {
        "Property, View property details",
        "Property, Set up property details",
        "Appliances, View property appliances",
        "Appliances, Set up property appliances",
        "Meter geolocation, View geolocation",
        "Meter geolocation, Set up geolocation",
    },
    "Disaggregation": {
        "Month",
        "Month by Weeks",
        "Week",
        "Appliance Cycles - Month",
        "Appliance Cycles - Week",
    },
    "Reports": {"Monthly", "Weekly"},
}
PURE = ("cells.py", "errors.py", "periods.py", "fleet/plan.py", "stores/batches.py", "stores/tables.py")


def modules() -> list[Path]:
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def layer_of(name: str) -> int | None:
    return next((depth for depth, names in enumerate(LAYERS) if name in names), None)


def imports(module: Path, *, at_run_time: bool = False) -> Iterator[str]:
    """Return every module that a file imports, by its full name."""
    tree = ast.parse((PACKAGE / module).read_text())
    hidden = {id(it) for it in _type_checking_only(tree)} if at_run_time else set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (_meant(node.module, alias.name) for alias in node.names)


def _meant(base: str, name: str) -> str:
    """Tell a module that is imported from its folder from a name that is imported from a module."""
    path = PACKAGE.joinpath(*base.split(".")[1:], name)
    return f"{base}.{name}" if path.with_suffix(".py").exists() or path.is_dir() else base


def _type_checking_only(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from (inner for statement in node.body for inner in ast.walk(statement))


def layered_modules() -> list[Path]:
    """Leave out what stands apart: the sandbox, the fixtures, and the package's own list of names."""
    return [path for path in modules() if layer_of(path.parts[0].removesuffix(".py")) is not None]


@pytest.mark.parametrize("module", layered_modules(), ids=str)
def test_imports_run_one_way(module: Path) -> None:
    depth = layer_of(module.parts[0].removesuffix(".py"))
    assert depth is not None

    for name in imports(module):
        if name.startswith("voltaware_async."):
            below = layer_of(name.split(".")[1])
            assert below is None or below >= depth, f"{module} imports {name}"


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {
        ".".join(("voltaware_async", *module.with_suffix("").parts)).removesuffix(".__init__"): module
        for module in modules()
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        if name in done:
            return
        for target in imports(graph[name]):
            if target in graph and target not in {name, "voltaware_async"}:
                visit(target, (*way, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("library", DOORS)
def test_each_library_has_one_door(library: str) -> None:
    for module in modules():
        # The sandbox is a server, and written apart; types may be named anywhere.
        if module.parts[0] == "sandbox" or any(str(module).startswith(door) for door in DOORS[library]):
            continue
        assert library not in {name.split(".")[0] for name in imports(module, at_run_time=True)}, module


@pytest.mark.parametrize(
    "module",
    [path for path in modules() if path.parts[0] in {"records", "protocol"} or str(path) in PURE],
    ids=str,
)
def test_what_is_pure_never_waits(module: Path) -> None:
    waiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncWith, ast.AsyncFor)

    assert not [
        node for node in ast.walk(ast.parse((PACKAGE / module).read_text())) if isinstance(node, waiting)
    ]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_module_outgrows_its_reader(module: Path) -> None:
    assert len((PACKAGE / module).read_text().splitlines()) <= 400
    assert module.stem not in {"utils", "helpers", "common"}


def test_importing_the_package_loads_no_extra() -> None:
    script = "import sys, voltaware_async; print(*{name.split('.')[0] for name in sys.modules})"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert not {"pyarrow", "duckdb", "click", "rich", "uvloop", "tzdata", "pytest"} & set(loaded.split())
    assert {"aiohttp", "attrs", "cattrs", "anyio", "aiolimiter", "orjson"} <= set(loaded.split())


def brought_by(*names: str) -> set[str]:
    """Return these distributions and all that they require, as far as it is installed."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found and name in INSTALLED:
            found.add(name)
            required = [it for it in metadata.requires(name) or [] if "extra ==" not in it]
            todo += [normal(re.split(r"[^\w.-]", it)[0]) for it in required]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


INSTALLED = {normal(it.metadata["Name"]) for it in metadata.distributions()}


def test_importing_the_package_loads_the_core_and_what_that_brings_and_nothing_else() -> None:
    script = "import sys, voltaware_async; print(*{name.split('.')[0] for name in sys.modules})"

    # A run that measures coverage has it loaded into every process.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()

    owners = metadata.packages_distributions()
    theirs = {normal(owner) for name in loaded for owner in owners.get(name, [])}
    assert set(CORE) <= theirs
    assert theirs <= brought_by(*CORE) | {"voltaware-async"}


def test_every_public_name_is_there_sorted_and_explained() -> None:
    names = voltaware_async.__all__

    assert names == sorted(names)
    for name in names:
        public = getattr(voltaware_async, name)
        if isinstance(public, type):
            assert (public.__doc__ or "").strip(), name


def test_there_are_seventeen_endpoints_and_each_names_its_section() -> None:
    assert len(endpoints.ALL) == len({(it.method, it.path) for it in endpoints.ALL}) == 17
    assert {it.source for it in endpoints.ALL} == {
        f"{chapter}, {section}" for chapter, sections in HEADINGS.items() for section in sections
    }


def _python_blocks(text: str) -> list[str]:
    parts = text.split("```python\n")[1:]
    return [part.split("```")[0] for part in parts]


@pytest.mark.parametrize("block", _python_blocks((ROOT / "README.md").read_text()))
def test_every_python_block_of_the_readme_compiles_and_its_imports_are_there(block: str) -> None:
    tree = ast.parse(block)
    lines = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]

    exec("\n".join(lines), {})  # noqa: S102  our own README


def test_the_layers_are_drawn_in_their_order_where_the_package_begins() -> None:
    drawing = voltaware_async.__doc__ or ""
    drawn = [
        drawing.index(name) for name in ("cli ", "client ", "fleet ", "stores ", "transport ", "protocol ")
    ]

    assert all(above < below for above, below in pairwise(drawn))
