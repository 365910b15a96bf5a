"""Fixtures for your own tests: a sandbox, and a client that talks to it.

Importing nothing of yours, they come with pytest as soon as this package is installed:

    async def test_july_lands(voltaware_client):
        ids = await voltaware_client.devices.list()
        assert await voltaware_client.disaggregation.month(ids[0], Month(2024, 7)) is not None

They are async fixtures of anyio's pytest plugin: mark the test with `@pytest.mark.anyio`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voltaware_async.client import VoltawareClient
    from voltaware_async.sandbox import Sandbox

__all__ = ["voltaware_client", "voltaware_sandbox"]


@pytest.fixture
async def voltaware_sandbox() -> AsyncIterator[Sandbox]:
    """Serve an API of 20 devices whose today is 2024-09-15."""
    from voltaware_async.sandbox import Sandbox  # noqa: PLC0415  loaded by every pytest run otherwise

    async with Sandbox(devices=20) as sandbox:
        yield sandbox


@pytest.fixture
async def voltaware_client(voltaware_sandbox: Sandbox) -> AsyncIterator[VoltawareClient]:
    """Make a client of the sandbox, without a rate cap."""
    from voltaware_async.client import VoltawareClient  # noqa: PLC0415  as above

    async with VoltawareClient(
        voltaware_sandbox.client_id,
        voltaware_sandbox.client_secret,
        base_url=voltaware_sandbox.base_url,
        rate=None,
    ) as client:
        yield client
