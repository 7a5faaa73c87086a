"""The server over HTTP, as its clients meet it: what they get, and what is turned away at the door."""

import json
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from neon_branch_mcp.config import Config, HttpConfig, Secret
from neon_branch_mcp.errors import ConfigError
from neon_branch_mcp.http.asgi import check_exposure
from neon_branch_mcp.http.edge import Addressees, host_names
from neon_branch_mcp.http.listener import parse_address
from neon_branch_mcp.http.tokens import hashed
from neon_branch_mcp.local.plane import LocalPlane

from .conftest import plane_config
from .http_support import HEADERS, Running, rpc, running

pytestmark = pytest.mark.anyio

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.fixture
async def server(plane: LocalPlane) -> AsyncIterator[Running]:
    async with running(plane_config(plane)) as started:
        yield started


async def post(server: Running, content: Any = None, path: str = "/mcp", **headers: str) -> httpx.Response:
    """A POST with the right headers but for those named, in which _ stands for -; an empty one is left out."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {k: v for k, v in (HEADERS | named).items() if v}
    body = content if isinstance(content, bytes) else json.dumps(LIST if content is None else content).encode()
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(server.base + path, content=body, headers=sent)


@pytest.mark.parametrize("modern", [False, True])
async def test_a_tool_call_is_answered_with_plain_json(server: Running, modern: bool) -> None:
    async with rpc(server, modern=modern) as client:
        answer = await client.send("tools/call", {"name": "query", "arguments": {"sql": "SELECT 41 + 1"}})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["structuredContent"]["rows"] == [[42]]


async def test_the_sdks_own_client_gets_along_and_progress_flows(server: Running) -> None:
    heard: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with Client(server.url) as client:
        made = await client.call_tool("create_branch", {"name": "over-http"}, progress_callback=hear)
        assert not made.is_error, made
        await client.call_tool("delete_branch", {"branch": "over-http"})
    assert heard


async def test_a_call_whose_client_goes_away_is_cancelled_in_postgres(server: Running) -> None:
    async with rpc(server) as client:
        await client.call("create_branch", name="left-behind")
        slow = {"name": "run_sql", "arguments": {"sql": "SELECT pg_sleep(600)", "branch": "left-behind"}}
        with pytest.raises(httpx.ReadTimeout):
            await client.send("tools/call", slow, timeout=1.5)
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
        with anyio.fail_after(15):
            while (await client.call("run_sql", sql=running, branch="left-behind"))["rows"] != [[0]]:  # noqa: ASYNC110
                await anyio.sleep(0.1)
        await client.call("delete_branch", branch="left-behind")


# -- the edge


@pytest.mark.parametrize(
    ("path", "method"),
    [("/mcp", "GET"), ("/mcp", "DELETE"), ("/mcp", "PUT"), ("/mcp", "OPTIONS"), ("/healthz", "POST")],
)
async def test_other_methods_are_not_answered(server: Running, path: str, method: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, server.base + path)
    assert answer.status_code == 405
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/sse", "/mcp/", "/.well-known/oauth-protected-resource", "/mcp/../healthz/x"])
async def test_there_is_nothing_elsewhere(server: Running, path: str) -> None:
    assert (await post(server, path=path)).status_code in (404, 307)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_only_json_is_read(server: Running, kind: str) -> None:
    assert (await post(server, content_type=kind)).status_code == 415
    assert (await post(server, content_encoding="gzip")).status_code == 415


async def test_a_client_that_takes_neither_answer_is_told(server: Running) -> None:
    assert (await post(server, accept="text/html")).status_code == 406


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8765", "localhost@evil", "::1"]
)
async def test_another_host_is_misdirected(server: Running, host: str) -> None:
    assert (await post(server, host=host)).status_code == 421


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("host", ["neon.example", "neon.example:8443", "127.0.0.1", "localhost"])
async def test_by_each_of_its_names_all_of_it_is_reached(plane: LocalPlane, host: str, modern: bool) -> None:
    config = plane_config(plane, http={"allowed_hosts": ["neon.example"]})
    async with running(config) as server, rpc(server, modern=modern) as client:
        by_name = replace(client, headers={"host": host})
        assert "query" in await by_name.tools()
        assert (await by_name.call("query", sql="select 1"))["rows"] == [[1]]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "file://"])
async def test_pages_from_elsewhere_may_not_call(server: Running, origin: str) -> None:
    assert (await post(server, origin=origin)).status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost:6274", "http://127.0.0.1:3000", "http://[::1]:80"])
async def test_pages_of_this_machine_may_call(server: Running, origin: str) -> None:
    assert (await post(server, origin=origin)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1e999999",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":{},"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}',
        b"\xff\xfe\x00",
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    ],
)
async def test_broken_requests_get_an_error_and_no_traceback(server: Running, body: bytes) -> None:
    for headers in ({}, {"mcp_protocol_version": "2026-07-28"}, {"mcp_protocol_version": "nonsense"}):
        answer = await post(server, body, **headers)
        # A message without a usable id may pass for a notification, which nobody answers.
        assert answer.status_code == 202 or 400 <= answer.status_code < 500, (answer.status_code, answer.text)
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("number", ["null", "{}", "1.5", "true"])
async def test_a_request_whose_id_is_none_is_told_so(server: Running, number: str) -> None:
    for headers in ({}, {"mcp_protocol_version": "2026-07-28"}):
        answer = await post(server, b'{"jsonrpc":"2.0","id":%s,"method":"tools/list"}' % number.encode(), **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)
    heard = b'{"jsonrpc":"2.0","id":null,"method":"notifications/initialized"}'
    assert (await post(server, heard)).status_code == 202, "some clients write null for what they do not set"


async def test_a_body_beyond_the_limit_is_not_read(plane: LocalPlane) -> None:
    async with running(plane_config(plane, http={"max_body": 2048})) as server:
        assert (await post(server, b" " * 2049)).status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 1024

        async with httpx.AsyncClient() as client:
            assert (await client.post(server.url, content=chunks(), headers=HEADERS)).status_code == 413
        assert (await post(server)).status_code == 200


async def test_headers_beyond_the_limit_are_refused(plane: LocalPlane) -> None:
    async with running(plane_config(plane, http={"max_head": 4096})) as server:
        assert (await post(server, x_long="a" * 5000)).status_code == 431
        assert (await post(server, path="/mcp?projectId=" + "a" * 5000)).status_code in (414, 431)


async def test_slow_clients_are_given_up(plane: LocalPlane) -> None:
    async with running(plane_config(plane, http={"head_timeout": 0.3, "body_timeout": 0.3})) as server:
        host, port = server.base.removeprefix("http://").split(":")
        head = b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
        for sent, status in ((b"", b"408"), (b"POST /mcp HT", b"408"), (head + b"{", b"408")):
            with anyio.fail_after(10):
                async with await anyio.connect_tcp(host, int(port)) as stream:
                    await stream.send(sent) if sent else None
                    answer = b"".join([chunk async for chunk in stream])
            assert answer.split(b" ")[1] == status, answer


async def test_an_endless_head_is_cut_off(plane: LocalPlane) -> None:
    async with running(plane_config(plane, http={"max_head": 4096})) as server:
        host, port = server.base.removeprefix("http://").split(":")
        with anyio.fail_after(10):
            async with await anyio.connect_tcp(host, int(port)) as stream:
                await stream.send(b"POST /mcp HTTP/1.1\r\nx: ")
                await stream.send(b"a" * 6000)
                assert (await stream.receive()).split(b" ")[1] == b"431"


# -- who may call


async def test_without_authentication_only_this_machine_may_call() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "db.example"):
        with pytest.raises(ConfigError, match="neon-api-key"):
            check_exposure(HttpConfig(), host)
        check_exposure(HttpConfig(auth="tokens"), host)
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        check_exposure(HttpConfig(), host)


async def test_tokens_bind_their_holders(plane: LocalPlane) -> None:
    tokens = [
        {"name": "all", "hash": hashed("all-token")},
        {"name": "reader", "hash": hashed("read-token"), "read_only": True, "project_id": plane.project_id},
        {"name": "other", "hash": hashed("other-token"), "project_id": "other-project-1"},
        {"name": "one", "hash": hashed("one-token"), "tools": ["query"]},
    ]
    async with running(plane_config(plane, http={"auth": "tokens", "tokens": tokens})) as server:
        async with rpc(server, "all-token") as client:
            assert {"run_sql", "list_projects", "create_branch"} <= await client.tools()
            assert (await client.call("query", sql="SELECT 1"))["rows"] == [[1]]
        async with rpc(server, "read-token") as client:
            assert not {"run_sql", "list_projects", "create_branch"} & await client.tools()
            assert "[not_permitted]" in await client.error("run_sql", sql="SELECT 1")
            assert (await client.call("query", sql="SELECT 1"))["rows"] == [[1]]
        async with rpc(server, "other-token") as client:
            assert "[not_found]" in await client.error("list_branches")
            assert "[refused]" in await client.error("list_branches", project_id=plane.project_id)
            assert (await client.call("list_projects"))["projects"] == []
        async with rpc(server, "one-token") as client:
            assert await client.tools() == {"query"}
            assert "[not_permitted]" in await client.error("list_branches")


@pytest.mark.parametrize("token", [None, "wrong-token", "read-token extra"])
async def test_without_a_good_token_the_challenge_is_given(plane: LocalPlane, token: str | None) -> None:
    tokens = [{"name": "reader", "hash": hashed("read-token")}]
    async with (
        running(plane_config(plane, http={"auth": "tokens", "tokens": tokens})) as server,
        rpc(server, token) as client,
    ):
        answer = await client.send("tools/list")
        assert answer.status_code == 401
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="neon-branch-mcp"')
        assert ("invalid_token" in challenge) is (token is not None)
        assert (await client.client.get(f"{server.base}/healthz")).status_code == 200


async def test_jwt_metadata_says_where_to_get_a_token(plane: LocalPlane) -> None:
    config = plane_config(
        plane, http={"auth": "jwt", "issuer": "https://issuer.example", "public_url": "https://neon.example/mcp"}
    )
    async with running(config) as server, rpc(server) as client:
        answer = await client.send("tools/list")
        assert answer.status_code == 401
        assert (
            answer.headers["www-authenticate"] == 'Bearer resource_metadata="https://neon.example/.well-known/'
            'oauth-protected-resource/mcp", scope="read write"'
        )
        metadata = (await client.client.get(f"{server.base}/.well-known/oauth-protected-resource/mcp")).json()
        assert metadata["resource"] == "https://neon.example/mcp"
        assert metadata["authorization_servers"] == ["https://issuer.example/"]
        assert metadata["scopes_supported"] == ["read", "write"]


async def test_a_scoped_url_cannot_be_left(server: Running, plane: LocalPlane) -> None:
    async with rpc(server, query=f"?projectId={plane.project_id}&readonly=true&category=querying") as client:
        assert await client.tools() == {"query", "explain_sql"}
        assert (await client.call("query", sql="SELECT 1"))["rows"] == [[1]]
        assert "[refused]" in await client.error("query", sql="SELECT 1", project_id="another-project-1")
        assert "[not_permitted]" in await client.error("run_sql", sql="SELECT 1")
    async with rpc(server, query="?projectId=another-project-1") as client:
        assert "[not_found]" in await client.error("list_branches")


@pytest.mark.parametrize("query", ["?readonly=perhaps", "?readOnly=true", "?category=all", "?projectId=../etc"])
async def test_a_url_that_is_not_understood_is_400(server: Running, query: str) -> None:
    async with rpc(server, query=query) as client:
        answer = await client.send("tools/list")
    assert answer.status_code == 400
    assert "url-scope" in answer.json()["error"]["message"]


# -- limits, health, metrics


async def test_a_caller_at_its_limit_is_told_in_words_a_model_reads(plane: LocalPlane) -> None:
    async with running(plane_config(plane, http={"calls_per_minute": 2})) as server, rpc(server) as client:
        for _ in range(2):
            await client.call("query", sql="SELECT 1")
        assert "[limit]" in await client.error("query", sql="SELECT 1")
        assert await client.tools()


@pytest.mark.parametrize(("calls", "requests"), [(2, 8), (8, 2)])
async def test_calls_and_requests_at_once_are_bounded(plane: LocalPlane, calls: int, requests: int) -> None:
    config = plane_config(plane, http={"max_calls": calls, "max_requests": requests})
    async with running(config) as server, rpc(server) as client:
        await client.call("query", sql="SELECT 1")
        statuses: list[int] = []
        texts: list[str] = []

        async def call() -> None:
            slow = {"name": "query", "arguments": {"sql": "SELECT count(*) FROM generate_series(1, 3000000)"}}
            answer = await client.send("tools/call", slow)
            statuses.append(answer.status_code)
            texts.append(answer.text)

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(call)
        assert (429 in statuses) is (requests == 2), "a request beyond the limit is turned away at the door"
        assert any("[limit]" in text for text in texts), "a call beyond it in words that a model reads"
        assert (await client.call("query", sql="SELECT 1"))["rows"] == [[1]]


async def test_a_replica_says_whether_it_can_work(server: Running) -> None:
    async with httpx.AsyncClient() as client:
        health = await client.get(f"{server.base}/healthz", headers={"host": "10.1.2.3:8765"})
        ready = await client.get(f"{server.base}/readyz")
    assert health.json()["status"] == "ok"
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("auth", ["none", "neon-api-key"])
async def test_a_replica_that_cannot_reach_neon_says_so(auth: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    config = Config.model_validate(
        {
            "neon": {"api_key": "napi_x", "api_host": f"http://127.0.0.1:{port}/api/v2"},
            "http": {"auth": auth},
            "audit": {"enabled": False},
        }
    )
    async with running(config) as server, httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(f"{server.base}/readyz")
        assert answer.status_code == 503
        assert "napi_x" not in answer.text
        refused = await client.post(server.url, json=LIST, headers=HEADERS | {"authorization": "Bearer napi_y"})
        assert refused.status_code == (503 if auth == "neon-api-key" else 200)


async def test_what_happened_is_counted(server: Running) -> None:
    async with rpc(server) as client:
        await client.call("query", sql="SELECT 1")
        await client.error("query", sql="DROP TABLE users")
        await client.error("query", sql="SELECT * FROM no_such_table")
        await client.send("tools/call", {"name": "no_such_tool_" + os.urandom(4).hex(), "arguments": {}})
        text = (await client.client.get(f"{server.base}/metrics")).text
    assert 'neon_branch_mcp_tool_calls_total{outcome="ok",tool="query"} 1.0' in text
    assert 'neon_branch_mcp_tool_calls_total{outcome="refused",tool="query"} 1.0' in text
    assert 'neon_branch_mcp_tool_calls_total{outcome="sql",tool="query"} 1.0' in text
    assert 'neon_branch_mcp_refusals_total{rule="' in text
    assert 'tool="unknown"' in text
    assert "no_such_tool" not in text
    assert 'neon_branch_mcp_api_requests_total{call="GET /projects/{p}/branches"}' in text


async def test_metrics_may_have_a_token_of_their_own(plane: LocalPlane) -> None:
    config = plane_config(plane, http={"metrics_token": Secret("for-prometheus")})
    async with running(config) as server, httpx.AsyncClient() as client:
        assert (await client.get(f"{server.base}/metrics")).status_code == 401
        allowed = {"authorization": "Bearer for-prometheus"}
        assert (await client.get(f"{server.base}/metrics", headers=allowed)).status_code == 200


# -- addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8765", ("127.0.0.1", 8765)), ("[::1]:80", ("::1", 80)), (":8765", ("0.0.0.0", 8765))],
)
async def test_an_address_is_parsed(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "8765", "localhost", "::1:80", "a:b", "host:70000", "http://host:80"])
async def test_anything_else_is_not_an_address(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_address(text)


@pytest.mark.parametrize(
    ("allowed", "host", "is_ok"),
    [
        ((), "localhost:8765", True),
        ((), "[::1]:8765", True),
        ((), "our-host:8765", False),
        (("our-host",), "our-host:8765", True),
        (("our-host",), "OUR-HOST", True),
        (("our-host:*",), "our-host:1", True),
        (("our-host:8765",), "our-host:1", False),
        (("our-host:8765",), "our-host:8765", True),
        (("*",), "anything", True),
    ],
)
async def test_host_names_are_as_configured(allowed: tuple[str, ...], host: str, is_ok: bool) -> None:
    names = host_names(HttpConfig(allowed_hosts=allowed), "127.0.0.1")
    assert Addressees(names, (), loopback_origins=True).host_ok(host) is is_ok


async def test_the_bound_and_the_public_name_are_ours() -> None:
    names = host_names(HttpConfig(public_url="https://neon.example/mcp"), "192.168.1.5")
    addressees = Addressees(names, (), loopback_origins=False)
    assert addressees.host_ok("neon.example")
    assert addressees.host_ok("192.168.1.5:8765")
    assert addressees.host_ok(socket.gethostname())
    assert not addressees.origin_ok("http://localhost:3000")
