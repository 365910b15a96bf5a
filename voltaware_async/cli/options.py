"""Options that several commands share, and the client that they describe."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, TypeVar

import click
from attrs import frozen

from voltaware_async import settings
from voltaware_async.cli.profile import environment
from voltaware_async.client import VoltawareClient

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "connection_options", "json_option", "store_option"]

T = TypeVar("T")


@frozen
class Connection:
    """Hold what a command was told about the API."""

    profile: str | None
    base_url: str | None
    client_id: str | None
    client_secret_file: str | None

    def client(self, rate: float | None = 50.0, concurrency: int = 32) -> VoltawareClient:
        """Make the client: flags over environment over profile over default."""
        environ = environment(self.profile)
        if self.client_secret_file:
            flag = {"VOLTAWARE_CLIENT_SECRET": "", "VOLTAWARE_CLIENT_SECRET_FILE": self.client_secret_file}
            environ = {**environ, **flag}
        chosen = settings.credentials(environ, base_url=self.base_url, client_id=self.client_id)
        return VoltawareClient(
            chosen.client_id,
            chosen.client_secret.reveal(),
            base_url=chosen.base_url,
            rate=rate,
            concurrency=concurrency,
        )


def connection_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add the flags that say which API and client; the command gets them as `connection`."""

    @click.option("--profile", help="A table of the configuration file; `default` if there is one.")
    @click.option("--base-url", help="The API's URL.  [env: VOLTAWARE_BASE_URL]")
    @click.option("--client-id", help="The client's id.  [env: VOLTAWARE_CLIENT_ID]")
    @click.option(
        "--client-secret-file",
        type=click.Path(dir_okay=False),
        help="A file with the client's secret.  [env: VOLTAWARE_CLIENT_SECRET, or ..._FILE]",
    )
    @functools.wraps(command)
    def with_connection(
        *,
        profile: str | None,
        base_url: str | None,
        client_id: str | None,
        client_secret_file: str | None,
        **arguments: object,
    ) -> T:
        connection = Connection(profile, base_url, client_id, client_secret_file)
        return command(connection=connection, **arguments)

    return with_connection


store_option: Final = click.option(
    "--store",
    "target",
    required=True,
    help="The store: fleet.duckdb, duckdb:PATH, parquet:DIR or postgresql://….",
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
