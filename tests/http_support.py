"""A server over HTTP in this process, clients that speak to it, and several Neon keys in front of one plane."""

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from neon_branch_mcp.app import App, open_app
from neon_branch_mcp.config import Config
from neon_branch_mcp.http.asgi import HttpServer, build_http_app
from neon_branch_mcp.http.listener import uvicorn_server
from neon_branch_mcp.local.plane import BASE_URL, LocalPlane

HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
MODERN = "2026-07-28"


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    base: str
    app: App
    http: HttpServer

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """The production application, listening on a free port of loopback."""
    async with open_app(config) as app:
        http = build_http_app(app, "127.0.0.1")
        async with listening(http.asgi, config) as base:
            yield Running(base, app, http)


@asynccontextmanager
async def listening(asgi: ASGIApp, config: Config | None = None) -> AsyncIterator[str]:
    """Serves an ASGI application on a free port of loopback and gives its base URL."""
    ready = anyio.Event()
    server = uvicorn_server(config or Config(), asgi, ready.set)
    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    async with anyio.create_task_group() as tasks:

        async def serve(server: uvicorn.Server) -> None:
            await server.serve(sockets=[sock])

        tasks.start_soon(serve, server)
        with anyio.fail_after(60):
            await ready.wait()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True


@dataclass(frozen=True)
class Rpc:
    """Speaks JSON-RPC as an old (2025) or a new (2026) client does, and looks at everything that comes back."""

    client: httpx.AsyncClient
    url: str
    headers: Mapping[str, str]
    modern: bool = False

    async def send(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        """One request, as it is answered."""
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params or {})}
        headers = HEADERS | dict(self.headers)
        if self.modern:
            meta = {"protocolVersion": MODERN, "clientCapabilities": {}}
            body["params"]["_meta"] = {f"io.modelcontextprotocol/{k}": v for k, v in meta.items()}
            headers |= {"mcp-protocol-version": MODERN, "mcp-method": method}
            named = body["params"].get("uri" if method == "resources/read" else "name")
            if isinstance(named, str):
                headers["mcp-name"] = named
        return await self.client.post(self.url, content=json.dumps(body), headers=headers, **more)

    async def result(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """The result of a request that has to succeed."""
        answer = await self.send(method, params)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        body = answer.json()
        assert "result" in body, body
        return body["result"]

    async def tools(self) -> set[str]:
        """Names of the tools that are shown."""
        return {tool["name"] for tool in (await self.result("tools/list"))["tools"]}

    async def call(self, tool: str, **arguments: Any) -> Any:
        """The structured result of a tool call that has to succeed."""
        result = await self.result("tools/call", {"name": tool, "arguments": arguments})
        assert not result["isError"], result
        return result["structuredContent"]

    async def error(self, tool: str, **arguments: Any) -> str:
        """The text of a tool call that has to fail."""
        result = await self.result("tools/call", {"name": tool, "arguments": arguments})
        assert result["isError"], result
        assert "structuredContent" not in result
        return str(result["content"][0]["text"])


@asynccontextmanager
async def rpc(
    server: Running, token: str | None = None, *, query: str = "", modern: bool = False
) -> AsyncIterator[Rpc]:
    """A client of `server`."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(timeout=60) as client:
        yield Rpc(client, server.url + query, headers, modern)


def key_gate(plane: LocalPlane, reach: Mapping[str, frozenset[str]]) -> Starlette:
    """Neon's API with several keys: each reaches its own projects of `plane`, and to the others' it says what Neon says, 404."""
    upstream = httpx.AsyncClient(transport=httpx.ASGITransport(app=plane.app), base_url=BASE_URL, timeout=60)
    prefix = "/api/v2"

    async def forward(request: Request) -> Response:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in reach:
            return JSONResponse({"request_id": "", "code": "", "message": "authorization failed"}, 401)
        path = request.url.path.removeprefix(prefix)
        if path == "/auth":
            return JSONResponse({"account_id": f"account of {key[-4:]}", "auth_method": "api_key_user"})
        parts = path.split("/")
        if len(parts) > 2 and parts[2] not in reach[key]:
            return JSONResponse({"request_id": "", "code": "", "message": "project not found"}, 404)
        answer = await upstream.request(
            request.method,
            path,
            params=request.url.query,
            content=await request.body(),
            headers={"authorization": f"Bearer {plane.api_key.reveal()}", "content-type": "application/json"},
        )
        data = answer.json() if answer.content else None
        if path == "/projects" and data is not None:
            data["projects"] = [p for p in data["projects"] if p["id"] in reach[key]]
        return JSONResponse(data, answer.status_code) if data is not None else Response(status_code=answer.status_code)

    methods = ["GET", "POST", "PATCH", "DELETE"]
    return Starlette(routes=[Route(prefix + "/{path:path}", endpoint=forward, methods=methods)])
