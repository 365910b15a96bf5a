"""Stores of each kind, so that one contract is tested on all of them."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest
from store_cases import KINDS

from voltaware_async.errors import StoreError
from voltaware_async.stores import open_store
from voltaware_async.stores.sql.sql_store import SqlStore
from voltaware_async.stores.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sql_rows import Database

    from voltaware_async.stores import Store
    from voltaware_async.stores.postgres.database import PostgresDatabase

_EMPTY: Final = "; ".join(f"DELETE FROM {name}" for name in TABLES)


class KeptStore:
    """Keep one store on a PostgreSQL server, and empty it for each test: to make one takes ten times as long.

    One test at a time has it, and what that test has left open is closed for the next.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._database = self._opened()

    def _opened(self) -> PostgresDatabase:
        from voltaware_async.stores.postgres.opening import open_schema  # noqa: PLC0415  see `kept_store`

        return open_schema(self.url, read_only=False)

    def store(self) -> Store:
        """Return the store, over the session that is kept if the last test has left that as it was."""
        try:
            self._database.execute("DISCARD TEMP")
            self._empty()
        except StoreError:
            self._database.close()
            self._database = self._opened()
            self._empty()
        return SqlStore(self._database)

    def target(self) -> str:
        """Return the store's name; nobody has it open."""
        self.store()
        self.close()
        return self.url

    def close(self) -> None:
        self._database.close()

    def _empty(self) -> None:
        self._database.execute(f"DO $$ BEGIN {_EMPTY}; END $$")


@pytest.fixture(scope="session")
def any_postgres(request: pytest.FixtureRequest) -> str:
    """The database in which schemas may be made: the one that VOLTAWARE_TEST_POSTGRES names, if any."""
    elsewhere = os.environ.get("VOLTAWARE_TEST_POSTGRES")
    url: str = elsewhere or request.getfixturevalue("postgres_server").url
    return url


@pytest.fixture(scope="session")
def kept_store(any_postgres: str) -> Iterator[KeptStore]:
    from postgres_server import own_schema  # noqa: PLC0415  most runs need no server

    with own_schema(any_postgres) as url:
        kept = KeptStore(url)
        yield kept
        kept.close()


@pytest.fixture(scope="session")
def empty_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty store once: to copy it takes a third of the time."""
    path = tmp_path_factory.mktemp("empty") / "fleet.duckdb"
    open_store(path).close()
    return path


@pytest.fixture(scope="session")
def empty_parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty") / "fleet"
    open_store(f"parquet:{folder}").close()
    return folder


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of store; a test of one kind gives its own parameter of this name."""
    name: str = request.param
    return name


@pytest.fixture
def make_target(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Name another empty store with every call. On PostgreSQL it takes the place of the one before."""

    def make() -> str:
        place = tmp_path / f"{sum(1 for _ in tmp_path.iterdir())}"
        match kind:
            case "duckdb":
                return str(shutil.copyfile(request.getfixturevalue("empty_duckdb"), f"{place}.duckdb"))
            case "parquet":
                return f"parquet:{shutil.copytree(request.getfixturevalue('empty_parquet'), place)}"
            case _:
                kept: KeptStore = request.getfixturevalue("kept_store")
                return kept.target()

    return make


@pytest.fixture
def target(make_target: Callable[[], str]) -> str:
    """Name an empty store that is there and nobody has open."""
    return make_target()


@pytest.fixture
def store(kind: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Open an empty store to write."""
    if kind == "postgres":
        kept: KeptStore = request.getfixturevalue("kept_store")
        yield kept.store()
        return
    with open_store(request.getfixturevalue("target")) as store:
        yield store


@pytest.fixture(params=["duckdb", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Make a bare database with the tables and views of a store, for what is worded in SQL alone."""
    from sql_rows import empty_store  # noqa: PLC0415  most runs need no server

    with empty_store(request) as database:
        yield database
