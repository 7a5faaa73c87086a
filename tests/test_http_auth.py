"""Who is let in: our own tokens, Neon's keys, and an issuer's JWTs."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from neon_branch_mcp.config import HttpConfig, Secret, TokenConfig
from neon_branch_mcp.errors import AuthError, ConfigError, LimitExceeded, NotPermitted, Unreachable
from neon_branch_mcp.http import auth, oauth
from neon_branch_mcp.http.auth import NeonKeys, bearer
from neon_branch_mcp.http.limits import Gauge, Rate
from neon_branch_mcp.http.oauth import jwt_bearers
from neon_branch_mcp.http.tokens import Tokens, hashed, new_token
from neon_branch_mcp.neon.client import Identity

pytestmark = pytest.mark.anyio

ISSUER = "https://issuer.example"
AUDIENCE = "https://neon.example/mcp"


@pytest.mark.parametrize(
    ("value", "token"),
    [(b"Bearer abc", "abc"), (b"bearer  napi_x-1.2~+/==", "napi_x-1.2~+/=="), (b"BEARER abc ", "abc")],
)
def test_a_bearer_token_is_read(value: bytes, token: str) -> None:
    assert bearer([(b"host", b"x"), (b"authorization", value)]) == token


@pytest.mark.parametrize(
    "value", [b"", b"abc", b"Basic abc", b"Bearer", b"Bearer a b", b"Bearer \xff", b"Bearer " + b"a" * 5000]
)
def test_any_other_authorization_is_refused(value: bytes) -> None:
    with pytest.raises(AuthError):
        bearer([(b"authorization", value)])


def test_two_authorizations_are_refused() -> None:
    with pytest.raises(AuthError):
        bearer([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")])


# -- our own tokens


def token_config(token: str, **more: Any) -> TokenConfig:
    return TokenConfig(name=more.pop("name", "ci"), hash=hashed(token), **more)


async def test_a_token_says_who_holds_it_and_what_it_may() -> None:
    token, digest = new_token()
    config = TokenConfig(name="ci", hash=digest, project_id="p-1", read_only=True, tools=("query",))
    caller = await Tokens([config]).caller(token, "")
    assert (caller.name, caller.project_id, caller.read_only, caller.tools) == ("ci", "p-1", True, frozenset({"query"}))
    assert caller.credential is None
    assert token not in repr(caller)


async def test_an_unknown_or_expired_token_is_refused() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    tokens = Tokens(
        [token_config("old", expires=now), token_config("new", name="b", expires=now + timedelta(1))], lambda: now
    )
    with pytest.raises(AuthError, match="not known"):
        await tokens.caller("other", "")
    with pytest.raises(AuthError, match="expired on 2026-11-01"):
        await tokens.caller("old", "")
    assert (await tokens.caller("new", "")).name == "b"


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [token_config("a"), token_config("b")],
        [token_config("a"), token_config("a", name="other")],
        [token_config("a", tools=("qery",))],
    ],
)
def test_tokens_that_cannot_work_are_refused_at_the_start(tokens: list[TokenConfig]) -> None:
    with pytest.raises(ConfigError):
        Tokens(tokens)


# -- Neon's keys


class Neon:
    """The seam to Neon: keys it takes, and how often it was asked."""

    def __init__(self, **keys: str) -> None:
        self.keys = keys
        self.asked: list[str] = []
        self.down = False

    async def check(self, key: Secret) -> Identity:
        self.asked.append(key.reveal())
        await anyio.lowlevel.checkpoint()
        if self.down:
            raise Unreachable("no answer")
        if key.reveal() not in self.keys:
            raise AuthError("no")
        return Identity(self.keys[key.reveal()], "api_key_user")


async def test_a_neon_key_is_asked_for_once_however_many_call() -> None:
    neon = Neon(napi_a="alice", napi_b="bob")
    keys = NeonKeys(neon.check)
    found: dict[str, str] = {}

    async def call(key: str) -> None:
        caller = await keys.caller(key, "10.0.0.1")
        assert caller.credential == Secret(key)
        found[key] = caller.name

    async with anyio.create_task_group() as tasks:
        for key in ["napi_a", "napi_b"] * 20:
            tasks.start_soon(call, key)
    assert found == {"napi_a": "alice", "napi_b": "bob"}
    assert sorted(neon.asked) == ["napi_a", "napi_b"]


async def test_two_keys_of_one_account_are_two_identities() -> None:
    keys = NeonKeys(Neon(napi_a="alice", napi_b="alice").check)
    assert (await keys.caller("napi_a", "")).identity != (await keys.caller("napi_b", "")).identity


async def test_a_rejected_key_is_asked_for_again_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    neon = Neon()
    keys = NeonKeys(neon.check)
    for _ in range(5):
        with pytest.raises(AuthError):
            await keys.caller("napi_new", "10.0.0.1")
    assert len(neon.asked) == 1
    neon.keys["napi_new"] = "carol"
    monkeypatch.setattr(auth, "REJECTED_FOR", 0.0)
    assert (await keys.caller("napi_new", "10.0.0.1")).name == "carol"


async def test_guessing_keys_is_slowed_down_for_its_address_only() -> None:
    neon = Neon(napi_a="alice")
    keys = NeonKeys(neon.check)
    for n in range(auth.CHECKS_PER_MINUTE):
        with pytest.raises(AuthError):
            await keys.caller(f"napi_{n}", "10.0.0.1")
    with pytest.raises(LimitExceeded):
        await keys.caller("napi_more", "10.0.0.1")
    assert (await keys.caller("napi_a", "10.0.0.2")).name == "alice"
    assert (await keys.caller("napi_a", "10.0.0.1")).name == "alice"


async def test_an_outage_of_neon_is_not_remembered_as_a_rejection() -> None:
    neon = Neon(napi_a="alice")
    keys = NeonKeys(neon.check)
    neon.down = True
    with pytest.raises(Unreachable):
        await keys.caller("napi_a", "")
    neon.down = False
    assert (await keys.caller("napi_a", "")).name == "alice"


# -- JWTs


class Issuer:
    """An authorization server at the seam: its documents, and the keys it signs with."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.fetched = 0
        self.down = False
        self.new_key("k1")

    def new_key(self, kid: str) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, kid: str = "k1", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 60, "scope": "read write"}
        payload = {k: v for k, v in (payload | claims).items() if v is not None}
        return jwt.encode(payload, self.keys[kid] if key is None else key, algorithm, headers={"kid": kid})

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("down")
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"})
        if request.url.path != "/keys":
            return httpx.Response(404)
        self.fetched += 1
        algorithm = jwt.algorithms.RSAAlgorithm
        keys = [
            algorithm.to_jwk(k.public_key(), as_dict=True) | {"kid": kid, "use": "sig"} for kid, k in self.keys.items()
        ]
        return httpx.Response(200, json={"keys": keys})


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def bearers(issuer: Issuer) -> oauth.JwtBearers:
    config = HttpConfig(auth="jwt", issuer=ISSUER, public_url=AUDIENCE)
    return jwt_bearers(config, httpx.AsyncClient(transport=httpx.MockTransport(issuer.answer)))


async def test_a_good_jwt_is_its_subject(issuer: Issuer, bearers: oauth.JwtBearers) -> None:
    caller = await bearers.caller(issuer.token(), "")
    assert (caller.name, caller.read_only, caller.credential) == ("alice", False, None)
    assert caller.identity != (await bearers.caller(issuer.token(sub="bob"), "")).identity
    assert issuer.fetched == 1


async def test_the_scope_read_reads(issuer: Issuer, bearers: oauth.JwtBearers) -> None:
    assert (await bearers.caller(issuer.token(scope="openid read"), "")).read_only
    assert not (await bearers.caller(issuer.token(scope=None, scp=["write"]), "")).read_only
    with pytest.raises(NotPermitted):
        await bearers.caller(issuer.token(scope="openid"), "")


@pytest.mark.parametrize(
    "make",
    [
        lambda i: i.token(iss="https://other.example"),
        lambda i: i.token(aud="https://other.example/mcp"),
        lambda i: i.token(exp=int(time.time()) - 60),
        lambda i: i.token(nbf=int(time.time()) + 600),
        lambda i: i.token(exp=None),
        lambda i: i.token(sub=None),
        lambda i: i.token(aud=None),
        lambda i: i.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        lambda i: i.token(algorithm="ES256", key=ec.generate_private_key(ec.SECP256R1())),
        lambda i: i.token(algorithm="HS256", key="a shared secret that is long enough"),
        lambda i: i.token(algorithm="none", key=""),
        lambda i: i.token()[:-8],
        lambda i: "a.b.c",
        lambda i: "napi_x",
    ],
)
async def test_a_bad_jwt_is_refused(make: Callable[[Issuer], str], issuer: Issuer, bearers: oauth.JwtBearers) -> None:
    token = make(issuer)
    with pytest.raises(AuthError) as caught:
        await bearers.caller(token, "")
    assert token not in caught.value.message


async def test_rotated_keys_are_found_and_made_up_ones_cost_no_fetch(
    issuer: Issuer, bearers: oauth.JwtBearers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bearers.caller(issuer.token(), "")
    issuer.new_key("k2")
    for n in range(10):
        with pytest.raises(AuthError):
            await bearers.caller(issuer.token("k2", sub=str(n)), "")
    assert issuer.fetched == 1
    monkeypatch.setattr(oauth, "REFETCH_AFTER", 0.0)
    assert (await bearers.caller(issuer.token("k2"), "")).name == "alice"
    del issuer.keys["k1"]
    monkeypatch.setattr(oauth, "KEYS_FOR", 0.0)
    old = issuer.token("k2")
    await bearers.caller(old, "")
    issuer.down = True
    assert (await bearers.caller(old, "")).name == "alice", "the keys that are known stay good while the issuer is down"


async def test_an_issuer_that_is_down_is_said_and_not_taken_for_a_bad_token(
    issuer: Issuer, bearers: oauth.JwtBearers, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.down = True
    with pytest.raises(Unreachable):
        await bearers.caller(issuer.token(), "")
    issuer.down = False
    monkeypatch.setattr(oauth, "RETRY_AFTER", 0.0)
    assert (await bearers.caller(issuer.token(), "")).name == "alice"


@pytest.mark.parametrize(
    "config",
    [
        HttpConfig(auth="jwt"),
        HttpConfig(auth="jwt", issuer=ISSUER),
        HttpConfig(auth="jwt", issuer="http://issuer.example", public_url=AUDIENCE),
        HttpConfig(auth="jwt", issuer=ISSUER, public_url=AUDIENCE, jwks_url="http://issuer.example/keys"),
    ],
)
def test_jwt_settings_that_cannot_work_are_refused_at_the_start(config: HttpConfig) -> None:
    with pytest.raises(ConfigError):
        jwt_bearers(config, httpx.AsyncClient())


# -- limits


def test_a_rate_allows_a_burst_and_then_its_pace() -> None:
    now = 0.0
    rate = Rate(60, lambda: now)
    assert [rate.take("a") for _ in range(60)] == [0.0] * 60
    assert rate.take("a") == 1.0
    assert rate.take("b") == 0.0
    now = 2.0
    assert [rate.take("a") for _ in range(3)] == [0.0, 0.0, 1.0]


def test_what_was_used_beyond_the_rate_is_paid_back() -> None:
    now = 0.0
    rate = Rate(60, lambda: now)
    rate.charge("a", 90)
    assert rate.take("a") == 31.0
    now = 31.0
    assert rate.take("a") == 0.0


def test_a_rate_of_zero_is_no_limit() -> None:
    rate = Rate(0)
    assert all(rate.take("a", 1e9) == 0 for _ in range(10))


def test_a_gauge_counts_and_forgets() -> None:
    gauge = Gauge(2)
    assert [gauge.enter("a") for _ in range(3)] == [True, True, False]
    assert gauge.enter("b")
    gauge.leave("a")
    assert gauge.enter("a")
    for key in "aab":
        gauge.leave(key)
    assert gauge._open == {}
