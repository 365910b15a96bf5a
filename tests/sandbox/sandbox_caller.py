"""A bare HTTP caller: it knows how to log in and nothing else about the API."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from attrs import define, frozen
from yarl import URL

from voltaware_async.sandbox import Sandbox

SAMPLES = Path(__file__).parent / "samples"
JULY = "year=2024&month=7"
WEEK_28 = "startDate=2024-07-08&endDate=2024-07-14"


def sample(name: str) -> Any:
    """Return an example of the vendor's documentation, verbatim, as JSON."""
    return json.loads((SAMPLES / name).read_text())


@frozen
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json["error"])


@define
class Caller:
    sandbox: Sandbox
    session: aiohttp.ClientSession
    token: str = ""
    refresh_token: str = ""

    async def log_in(self) -> Answer:
        answer = await self.post("/auth/token", self.credentials())
        if answer.status == 200:
            self.token, self.refresh_token = answer.json["access_token"], answer.json["refresh_token"]
        return answer

    async def refresh(self, **changes: str) -> Answer:
        body = {
            "grant_type": "refresh_token",
            "client_id": self.sandbox.client_id,
            "refresh_token": self.refresh_token,
        }
        return await self.post("/auth/token/refresh", body | changes)

    def credentials(self) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": self.sandbox.client_id,
            "client_secret": self.sandbox.client_secret,
        }

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        return await self.send("POST", path, json.dumps(body).encode(), authorized=False, **headers)

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def put(self, path: str, body: object) -> Answer:
        return await self.send("PUT", path, json.dumps(body).encode())

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, authorized: bool = True, **headers: str
    ) -> Answer:
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if authorized:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.sandbox.base_url + path, encoded=True)
        async with self.session.request(method, url, data=body, headers=sent) as response:
            return Answer(response.status, await response.read(), response.headers)


@asynccontextmanager
async def calling(sandbox: Sandbox) -> AsyncIterator[Caller]:
    """Lend a caller that has logged in. It never sends a request twice by itself."""
    async with aiohttp.ClientSession() as session:
        # aiohttp repeats idempotent requests whose reused connection broke, which would falsify counts.
        session._retry_connection = False
        caller = Caller(sandbox, session)
        await caller.log_in()
        yield caller
