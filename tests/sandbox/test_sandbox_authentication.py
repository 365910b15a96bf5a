import pytest
from sandbox_caller import Caller, calling, sample

from voltaware_async.sandbox import Sandbox
from voltaware_async.sandbox.logins import Logins, RefreshPolicy
from voltaware_async.sandbox.server import CREDENTIALS

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_token_reply_has_the_documented_keys_and_life(caller: Caller) -> None:
    answer = await caller.log_in()
    documented = sample("token.json")
    assert answer.status == 200
    assert list(answer.json) == list(documented)
    assert answer.json["token_type"] == documented["token_type"]
    assert answer.json["expires_in_secs"] == documented["expires_in_secs"]
    assert b'"expires_in_secs":43200,' in answer.body


async def test_a_refresh_reply_carries_no_refresh_token(caller: Caller) -> None:
    answer = await caller.refresh()
    assert answer.status == 200
    assert list(answer.json) == list(sample("refreshed_token.json"))


async def test_the_same_refresh_token_works_again_and_again(caller: Caller) -> None:
    tokens = {(await caller.refresh()).json["access_token"] for _ in range(3)}
    assert len(tokens) == 3
    caller.token = tokens.pop()
    assert (await caller.get("/sensors")).status == 200


async def test_a_rotating_refresh_token_works_once_and_is_replaced() -> None:
    async with Sandbox(rotate_refresh_tokens=True) as sandbox, calling(sandbox) as caller:
        first = await caller.refresh()
        assert first.json["refresh_token"] != caller.refresh_token
        assert (await caller.refresh()).status == 401
        assert (await caller.refresh(refresh_token=first.json["refresh_token"])).status == 200


async def test_a_refresh_reply_repeats_the_refresh_token_when_told() -> None:
    async with Sandbox(send_refresh_token_on_refresh=True) as sandbox, calling(sandbox) as caller:
        assert (await caller.refresh()).json["refresh_token"] == caller.refresh_token


async def test_a_call_without_a_token_is_unauthorized(caller: Caller) -> None:
    answer = await caller.send("GET", "/sensors", authorized=False)
    assert answer.status == 401
    assert "Authorization" in answer.reason


@pytest.mark.parametrize("scheme", ["bearer", "Basic", "Bearer ", ""])
async def test_only_the_documented_bearer_scheme_is_accepted(caller: Caller, scheme: str) -> None:
    answer = await caller.send(
        "GET", "/sensors", authorized=False, Authorization=f"{scheme} {caller.token}".strip()
    )
    assert answer.status == 401


async def test_a_token_expires_after_its_life_and_is_renewed_by_refresh() -> None:
    clock = Clock()
    async with Sandbox(token_ttl=60, clock=clock) as sandbox, calling(sandbox) as caller:
        clock.now += 59.9
        assert (await caller.get("/sensors/0001")).status == 200
        clock.now += 0.2
        expired = await caller.get("/sensors/0001")
        assert (expired.status, "expired" in expired.reason) == (401, True)
        caller.token = (await caller.refresh()).json["access_token"]
        assert (await caller.get("/sensors/0001")).status == 200


def test_tokens_that_expired_long_ago_are_forgotten() -> None:
    clock = Clock()
    logins = Logins(CREDENTIALS, token_ttl=1, policy=RefreshPolicy(), clock=clock)

    def log_in() -> None:
        logins.log_in(CREDENTIALS.client_id, CREDENTIALS.client_secret, registered=0)

    for _ in range(10_001):
        log_in()
    clock.now += 2
    log_in()
    assert len(logins._access) == 1


async def test_a_life_below_one_second_is_not_rounded_away() -> None:
    async with Sandbox(token_ttl=0.5) as sandbox, calling(sandbox) as caller:
        assert (await caller.refresh()).json["expires_in_secs"] == 0.5


async def test_tokens_can_be_expired_at_once(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.expire_tokens()
    assert (await caller.get("/sensors")).status == 401
    await caller.log_in()
    assert (await caller.get("/sensors")).status == 200


async def test_revoked_refresh_tokens_and_credentials_are_refused(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.revoke_refresh_tokens()
    assert (await caller.refresh()).status == 401
    sandbox.revoke_credentials()
    assert (await caller.log_in()).status == 401
    assert (await caller.get("/sensors")).status == 200


async def test_wrong_credentials_are_refused(caller: Caller) -> None:
    for wrong in ({"client_id": "somebody"}, {"client_secret": "guess"}):
        assert (await caller.post("/auth/token", caller.credentials() | wrong)).status == 401
    assert (await caller.refresh(client_id="somebody")).status == 401
    assert (await caller.refresh(refresh_token="guess")).status == 401


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"grant_type": "password"}, "grant_type"),
        ({"grant_type": None}, "grant_type"),
        ({"client_secret": 7}, "client_secret"),
        ({"scope": "all"}, "scope"),
    ],
)
async def test_a_token_body_is_exactly_the_documented_one(
    caller: Caller, change: dict[str, object], word: str
) -> None:
    answer = await caller.post("/auth/token", {**caller.credentials(), **change})
    assert answer.status == 400
    assert word in answer.reason


async def test_a_refresh_takes_no_client_secret(caller: Caller) -> None:
    answer = await caller.refresh(client_secret=caller.sandbox.client_secret)
    assert (answer.status, "client_secret" in answer.reason) == (400, True)


async def test_a_missing_field_is_named(caller: Caller) -> None:
    body = caller.credentials()
    body.pop("client_secret")
    assert "client_secret is missing" in (await caller.post("/auth/token", body)).reason


async def test_auth_takes_no_authorization_header(caller: Caller) -> None:
    answer = await caller.send("POST", "/auth/token", b"{}")
    assert (answer.status, "Authorization" in answer.reason) == (400, True)


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=latin-1"]
)
async def test_a_body_must_say_that_it_is_json(caller: Caller, content_type: str) -> None:
    answer = await caller.post("/auth/token", caller.credentials(), Content_Type=content_type)
    assert (answer.status, "Content-Type" in answer.reason) == (400, True)


async def test_a_charset_that_json_has_anyway_is_accepted(caller: Caller) -> None:
    content_type = "application/json; charset=utf-8"
    assert (await caller.post("/auth/token", caller.credentials(), Content_Type=content_type)).status == 200


async def test_a_body_that_is_not_json_is_refused(caller: Caller) -> None:
    answer = await caller.send("POST", "/auth/token", b'{"grant_type":', authorized=False)
    assert (answer.status, "not JSON" in answer.reason) == (400, True)
    answer = await caller.send("POST", "/auth/token", b"[]", authorized=False)
    assert (answer.status, "object" in answer.reason) == (400, True)
