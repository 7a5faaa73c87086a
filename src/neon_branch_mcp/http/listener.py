"""`serve --http HOST:PORT`: the socket, uvicorn, and an orderly end."""

import asyncio
import re
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from ..app import open_app
from ..config import Config
from ..errors import ConfigError
from .asgi import MCP_PATH, build_http_app
from .connection import Stopping, protocol

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.%]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})\Z")


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, [IPv6]:PORT or :PORT (every address). Raises ConfigError for anything else."""
    match = _ADDRESS.match(text)
    if match is None or int(match["port"]) > 65535:
        raise ConfigError(f"--http {text!r} is not HOST:PORT, such as 127.0.0.1:8765 or [::1]:8765.")
    return match["v6"] or match["host"] or "0.0.0.0", int(match["port"])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise ConfigError(f"Cannot listen on {host} port {port}: {exc.strerror}.") from exc


async def serve_http(config: Config, address: str, announce: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; what runs then may end within `http.shutdown_grace`. `announce` gets the URL once it answers."""
    host, port = parse_address(address)
    async with open_app(config) as app:
        http = build_http_app(app, host)
        sock = listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{sock.getsockname()[1]}{MCP_PATH}"
        await uvicorn_server(config, http.asgi, lambda: announce(url)).serve(sockets=[sock])


def uvicorn_server(config: Config, asgi: ASGIApp, on_listening: Callable[[], None]) -> uvicorn.Server:
    """A server with our limits; it serves until SIGTERM, SIGINT, or its `should_exit`."""
    http = config.http
    stopping = Stopping()
    settings = uvicorn.Config(
        asgi,
        http=protocol(http, stopping),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(http.trusted_proxies),
        limit_concurrency=http.max_connections,
        timeout_keep_alive=http.keep_alive,
        timeout_graceful_shutdown=http.shutdown_grace,
        h11_max_incomplete_event_size=http.max_head,
    )
    return _Server(settings, on_listening, stopping)


class _Server(uvicorn.Server):
    """uvicorn, but a signal ends it and not the process, and nobody who has connected before is turned away."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None], stopping: Stopping) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.begun = True
        waiting = list(_connected(sockets or []))
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, connection)
        await super().shutdown(sockets)

    def _connection(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)


def _connected(sockets: Sequence[socket.socket]) -> Iterator[socket.socket]:
    """Connections that the kernel has accepted and the server has not: closing the listening socket would reset them."""
    for listening in sockets:
        listening.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                yield listening.accept()[0]
