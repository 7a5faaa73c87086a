"""The HTTP application: routes, who may call, and what runs while it runs. `build_http_app` is the production factory."""

import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
from mcp.server import MCPServer
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import __version__
from ..app import NO_KEY, App
from ..config import HttpConfig
from ..errors import ConfigError
from ..server import build_server
from .answers import refusal
from .auth import Authenticator, NeonKeys
from .callers import CallerLimits, caller_of
from .direct import DirectCalls
from .edge import Addressees, Edge, host_names, is_loopback
from .endpoint import McpEndpoint, asks_for_progress
from .health import Readiness
from .metrics import CONTENT_TYPE, AppCollector, Metrics
from .oauth import SCOPES, jwt_bearers
from .tokens import Tokens

log = logging.getLogger(__name__)

MCP_PATH = "/mcp"
ISSUER_TIMEOUT = 5.0


@dataclass(frozen=True)
class HttpServer:
    """The application and what it is made of; tests add fixture tools to `mcp`."""

    asgi: ASGIApp
    mcp: MCPServer
    metrics: Metrics


def build_http_app(app: App, bound: str, may_stream: Callable[[bytes], bool] = asks_for_progress) -> HttpServer:
    """The application over `app` for a server bound to the host `bound`. `may_stream` says of a body whether its answer may be a stream.

    Raises ConfigError when others than this machine could call without authentication, and for settings that cannot work.
    """
    config = app.config.http
    check_exposure(config, bound)
    metrics = Metrics()
    metrics.registry.register(AppCollector(app))
    mcp = build_server(app, caller_of)
    limits = CallerLimits(config, metrics)
    mcp.middleware.append(limits)
    plain, streaming = (_manager(mcp, config, json_response=json_response) for json_response in (True, False))
    http = httpx.AsyncClient(timeout=ISSUER_TIMEOUT, follow_redirects=False)
    direct = DirectCalls(app, limits)
    endpoint = McpEndpoint(
        config, plain, streaming, direct, authenticator(app, http), metrics, _challenge(config), may_stream
    )
    readiness = Readiness(app)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(http)
            await stack.enter_async_context(plain.run())
            await stack.enter_async_context(streaming.run())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(readiness.warm_up)
                yield
                tasks.cancel_scope.cancel()

    routes = [
        Route("/healthz", endpoint=_healthz, methods=["GET"]),
        Route("/readyz", endpoint=readiness.answer, methods=["GET"]),
        Route("/metrics", endpoint=_metrics_endpoint(config, metrics), methods=["GET"]),
        *_resource_metadata(config),
    ]
    others = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _not_found, 405: _not_allowed})
    asgi = _at_once(endpoint, others)
    if config.allowed_origins:
        asgi = CORSMiddleware(
            asgi,
            allow_origins=config.allowed_origins,
            allow_methods=["POST"],
            allow_headers=["*"],
            expose_headers=["WWW-Authenticate"],
        )
    addressees = Addressees(host_names(config, bound), config.allowed_origins, loopback_origins=is_loopback(bound))
    return HttpServer(Edge(asgi, config, addressees, metrics), mcp, metrics)


def _at_once(endpoint: ASGIApp, others: ASGIApp) -> ASGIApp:
    """What is for `/mcp` goes there without a router: the endpoint answers its own errors."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        wanted = endpoint if scope["type"] == "http" and scope["path"] == MCP_PATH else others
        await wanted(scope, receive, send)

    return dispatch


def check_exposure(config: HttpConfig, bound: str) -> None:
    """Raises ConfigError when a server without authentication would be reachable from other machines."""
    if config.auth == "none" and not is_loopback(bound):
        raise ConfigError(
            f'Bound to {bound or "every address"}, anybody who reaches this machine could use its databases: http.auth is "none". '
            'Set --auth to "neon-api-key", "tokens" or "jwt", or bind to 127.0.0.1.'
        )


def authenticator(app: App, http: httpx.AsyncClient) -> Authenticator | None:
    """Who says who calls; None lets everybody in. Raises ConfigError for settings that cannot work."""
    config = app.config
    if config.http.auth == "neon-api-key":
        keys = NeonKeys(app.identify)
        app.on_refused = keys.forget
        return keys
    if not config.local.enabled and config.api_key() is None:
        raise ConfigError(NO_KEY)
    if config.http.auth == "tokens":
        return Tokens(config.http.tokens)
    return jwt_bearers(config.http, http) if config.http.auth == "jwt" else None


def _manager(mcp: MCPServer, config: HttpConfig, *, json_response: bool) -> StreamableHTTPSessionManager:
    # MCPServer hides its low-level server; an application made for one manager is the public way to reach it.
    mcp.streamable_http_app(
        stateless_http=True,
        json_response=json_response,
        max_request_body_size=config.max_body,
        # `Edge` looks at Host and Origin; the SDK's own look knows loopback alone, and nothing of our settings.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return mcp.session_manager


def _challenge(config: HttpConfig) -> str:
    """The beginning of WWW-Authenticate."""
    if config.auth != "jwt" or config.public_url is None:
        return 'Bearer realm="neon-branch-mcp"'
    return f'Bearer resource_metadata="{build_resource_metadata_url(AnyHttpUrl(config.public_url))}", scope="{" ".join(SCOPES)}"'


def _resource_metadata(config: HttpConfig) -> list[Route]:
    """RFC 9728: where to get a token."""
    if config.auth != "jwt" or config.public_url is None or config.issuer is None:
        return []
    return create_protected_resource_routes(
        resource_url=AnyHttpUrl(config.public_url),
        authorization_servers=[AnyHttpUrl(config.issuer)],
        scopes_supported=list(SCOPES),
        resource_name="Neon branches",
    )


async def _healthz(_: Request) -> Response:
    return Response(json.dumps({"status": "ok", "version": __version__}), media_type="application/json")


def _metrics_endpoint(config: HttpConfig, metrics: Metrics) -> Callable[[Request], Response]:
    token = config.metrics_token

    def answer(request: Request) -> Response:
        if token is not None:
            wanted = f"Bearer {token.reveal()}".encode()
            if not hmac.compare_digest(request.headers.get("authorization", "").encode("latin-1"), wanted):
                return refusal(
                    401, "/metrics needs its bearer token (http.metrics_token).", {"WWW-Authenticate": "Bearer"}
                )
        elif request.client is None or not is_loopback(request.client.host):
            return refusal(403, "/metrics is for this machine only; http.metrics_token opens it to others.")
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return answer


async def _not_found(request: Request, _: Exception) -> Response:
    return refusal(404, "There is nothing here; MCP is at /mcp.")


async def _not_allowed(request: Request, exc: Exception) -> Response:
    return refusal(405, "That method is not answered here.", getattr(exc, "headers", None))
