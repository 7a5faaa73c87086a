"""Over HTTP: no credential of a caller is in anything the server writes, and one that is revoked is let in no more."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from neon_branch_mcp import audit_chain
from neon_branch_mcp.config import Config
from neon_branch_mcp.http.tokens import hashed
from neon_branch_mcp.local.plane import LocalPlane

from .conftest import plane_config
from .http_support import HEADERS, Running, key_gate, listening, rpc, running

pytestmark = pytest.mark.anyio


def secret(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(16)}"


class Heard:
    """Everything that a server has written."""

    def __init__(self, audit: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._audit = audit
        self._caplog = caplog
        self._capfd = capfd
        self.answers: list[str] = []

    def hear(self, answer: httpx.Response) -> None:
        self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")

    def hits(self, *credentials: str) -> list[str]:
        """Where a credential shows."""
        # What the test's own client logs of its requests is not the server's.
        logged = [self._caplog.handler.format(r) for r in self._caplog.records if not r.name.startswith("httpcore")]
        audited = [path.read_text() for path in audit_chain.files(self._audit)]
        everything = [*self.answers, *logged, *audited, *self._capfd.readouterr()]
        return [text[max(0, text.find(c) - 80) :][:120] for c in credentials for text in everything if c in text]


@pytest.fixture
def heard(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Heard:
    caplog.set_level(logging.DEBUG)
    return Heard(tmp_path / "audit.jsonl", caplog, capfd)


async def visit(server: Running, heard: Heard, *tokens: str) -> list[int]:
    """Each token well-formed, twice in one header, as another scheme, with a tail, under another name; the statuses of the first."""
    statuses = []
    async with rpc(server) as client:
        for token in tokens:
            forms: list[dict[str, Any]] = [
                {"headers": {"authorization": f"Bearer {token}"}},
                {"headers": {"authorization": f"Bearer {token}, Bearer {token}"}},
                {"headers": {"authorization": f"Basic {token}"}},
                {"headers": {"authorization": f"Bearer {token} \u00e9".encode("latin-1")}},
                {"headers": {"neon-api-key": token}},
            ]
            call = {"name": "query", "arguments": {"sql": "SELECT 1"}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            for number, form in enumerate(forms):
                form["headers"] = HEADERS | form.get("headers", {})
                answer = await client.client.post(client.url, json=body, **form)
                heard.hear(answer)
                statuses += [answer.status_code] * (number == 0)
        heard.hear(await client.client.get(f"{server.base}/metrics"))
        heard.hear(await client.client.get(f"{server.base}/readyz"))
    heard.answers.append(repr((server.app.config, server.app.__dict__, server.app.stats())))
    return statuses


@contextmanager
def broken(server: Running) -> Iterator[None]:
    """A bug of ours: the traceback is logged."""
    run = server.app.executor.run
    server.app.executor.run = None  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        server.app.executor.run = run  # type: ignore[method-assign]


async def test_no_neon_key_shows(plane: LocalPlane, tmp_path: Path, heard: Heard) -> None:
    good, wrong = secret("napi"), secret("napi")
    async with listening(key_gate(plane, {good: frozenset({plane.project_id})})) as neon:
        config = Config.model_validate(
            {
                "neon": {"api_host": f"{neon}/api/v2"},
                "http": {"auth": "neon-api-key"},
                "audit": {"path": tmp_path / "audit.jsonl"},
            }
        )
        async with running(config) as server:
            assert await visit(server, heard, good, wrong) == [200, 401]
            with broken(server):
                assert await visit(server, heard, good) == [200]
    assert "[internal]" in "".join(heard.answers)
    assert heard.hits(good, wrong) == []


async def test_no_token_of_ours_shows(plane: LocalPlane, tmp_path: Path, heard: Heard) -> None:
    good, expired, wrong = secret("nbm"), secret("nbm"), secret("nbm")
    tokens = [
        {"name": "good", "hash": hashed(good)},
        {"name": "old", "hash": hashed(expired), "expires": "2026-01-01T00:00:00Z"},
    ]
    http = {"auth": "tokens", "tokens": tokens}
    config = plane_config(plane, http=http, audit={"path": tmp_path / "audit.jsonl"})
    async with running(config) as server:
        assert await visit(server, heard, good, expired, wrong) == [200, 401, 401]
        with broken(server):
            assert await visit(server, heard, good) == [200]
    assert "[internal]" in "".join(heard.answers)
    assert heard.hits(good, expired, wrong, plane.api_key.reveal()) == []


async def test_no_jwt_shows(plane: LocalPlane, tmp_path: Path, heard: Heard) -> None:
    claims = {"iss": "https://127.0.0.1:9", "aud": "https://neon.example.com/mcp", "sub": "a", "exp": time.time() + 60}
    unknown = jwt.encode(claims, "x" * 32, "HS256", headers={"kid": "k"})
    http = {"auth": "jwt", "issuer": claims["iss"], "public_url": claims["aud"]}
    async with running(plane_config(plane, http=http, audit={"path": tmp_path / "audit.jsonl"})) as server:
        assert await visit(server, heard, unknown, unknown[:-9]) == [503, 401]
    assert heard.hits(unknown, unknown.split(".")[2]) == []


async def test_a_revoked_neon_key_is_told_so_once_and_then_not_let_in(plane: LocalPlane) -> None:
    key = secret("napi")
    reach = {key: frozenset({plane.project_id})}
    async with listening(key_gate(plane, reach)) as neon:
        config = Config.model_validate(
            {"neon": {"api_host": f"{neon}/api/v2"}, "http": {"auth": "neon-api-key"}, "audit": {"enabled": False}}
        )
        async with running(config) as server, rpc(server, key) as client:
            await client.call("list_branches")
            del reach[key]
            assert "[auth]" in await client.error("create_branch", name="revoked")
            assert (await client.send("tools/list")).status_code == 401
