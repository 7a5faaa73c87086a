"""The outermost layer: who is addressed, by whom, how big the head is, how long a client may take to listen, and what is counted."""

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..config import HttpConfig
from .answers import refusal
from .metrics import Metrics

log = logging.getLogger(__name__)

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
PROBES = ("/healthz", "/readyz")
"""Balancers ask these by address; they say nothing that a name protects."""
KNOWN_PATHS = ("/mcp", "/metrics", *PROBES)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def host_names(config: HttpConfig, bound: str) -> frozenset[str]:
    """Names by which clients may address the server (DNS rebinding: a page's own name must not reach it)."""
    names = {*LOOPBACK_NAMES, *config.allowed_hosts}
    if config.public_url:
        names.add(urlsplit(config.public_url).hostname or "")
    if not is_loopback(bound):
        names.add(socket.gethostname())
        if bound not in ("0.0.0.0", "::", ""):
            names.add(f"[{bound}]" if ":" in bound and not bound.startswith("[") else bound)
    return frozenset(name.lower() for name in names if name)


class Addressees:
    """Which Host and Origin headers are let in."""

    def __init__(self, names: Iterable[str], origins: Iterable[str], *, loopback_origins: bool) -> None:
        self._names = frozenset(names)
        self._origins = frozenset(o.lower().rstrip("/") for o in origins)
        self._loopback_origins = loopback_origins

    def host_ok(self, host: str) -> bool:
        """Whether `host` (a Host header) is one of ours, with any port unless the setting names one."""
        host = host.lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return "*" in self._names or host in self._names or name in self._names or f"{name}:*" in self._names

    def origin_ok(self, origin: str) -> bool:
        """Whether a browser's page from `origin` may call."""
        origin = origin.lower()
        if origin in self._origins:
            return True
        parts = urlsplit(origin)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return self._loopback_origins and parts.scheme in ("http", "https") and host in LOOPBACK_NAMES


class Edge:
    """Lets well-addressed requests through, counts them all, and gives up on clients that do not take their answer."""

    def __init__(self, app: ASGIApp, config: HttpConfig, addressees: Addressees, metrics: Metrics) -> None:
        self._app = app
        self._max_head = config.max_head
        self._write_timeout = config.write_timeout
        self._addressees = addressees
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; anything else (the lifespan) passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 499

        async def bounded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            async with asyncio.timeout(self._write_timeout):
                await send(message)

        with self._metrics.request_open():
            try:
                if (problem := self._problem(scope)) is not None:
                    await refusal(*problem)(scope, receive, bounded)
                else:
                    await self._app(scope, receive, bounded)
            except TimeoutError:
                log.warning("A client did not take its answer within %g s", self._write_timeout)
            finally:
                path = scope["path"] if scope["path"] in KNOWN_PATHS else "other"
                self._metrics.request(path, status, time.perf_counter() - started)

    def _problem(self, scope: Scope) -> tuple[int, str] | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(n) + len(v) + 4 for n, v in headers) + len(scope.get("raw_path") or b"") > self._max_head:
            return 431, f"The request's headers are larger than {self._max_head} bytes (http.max_head)."
        if len(scope["query_string"]) > self._max_head:
            return 414, f"The URL is longer than {self._max_head} bytes (http.max_head)."
        if scope["path"] in PROBES:
            return None
        hosts = [v.decode("latin-1") for n, v in headers if n == b"host"]
        if len(hosts) != 1 or not self._addressees.host_ok(hosts[0]):
            return 421, "This server does not answer to that Host; http.allowed_hosts names those it does."
        if any(not self._addressees.origin_ok(v.decode("latin-1")) for n, v in headers if n == b"origin"):
            return 403, "Pages of that Origin may not call this server; http.allowed_origins names those that may."
        return None
