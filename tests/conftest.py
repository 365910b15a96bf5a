"""What every test may use: the loop, a sandbox and a client of it."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from voltaware_async import VoltawareClient
from voltaware_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from postgres_server import PostgresServer

# Derandomised: a red run can be repeated, and CI does not depend on luck.
settings.register_profile("voltaware", deadline=None, derandomize=True)
settings.load_profile("voltaware")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An API with 30 devices, on 2024-09-15: July and August 2024 are there."""
    async with Sandbox(devices=30, today=date(2024, 9, 15)) as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[VoltawareClient]:
    """A client of the sandbox, without a rate cap."""
    async with client_of(sandbox) as client:
        yield client


@pytest.fixture
def make_client(sandbox: Sandbox) -> Callable[..., VoltawareClient]:
    """Make more clients of the sandbox, with settings of the test's own."""
    return lambda **options: client_of(sandbox, **options)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, which tests may look into and change the logins of, but not stop."""
    from postgres_server import running_server  # noqa: PLC0415  most runs need no server

    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty schema of a PostgreSQL database: of the one that VOLTAWARE_TEST_POSTGRES names, if any."""
    from postgres_server import own_schema  # noqa: PLC0415  most runs need no server

    elsewhere = os.environ.get("VOLTAWARE_TEST_POSTGRES")
    with own_schema(elsewhere or request.getfixturevalue("postgres_server").url) as url:
        yield url


def client_of(sandbox: Sandbox, **options: object) -> VoltawareClient:
    defaults = {"base_url": sandbox.base_url, "rate": None}
    return VoltawareClient(sandbox.client_id, sandbox.client_secret, **{**defaults, **options})
