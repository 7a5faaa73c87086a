"""A TCP proxy in front of a Postgres that cuts, stalls, resets or refuses connections."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Way = Literal["cut", "reset", "stall", "refuse"]
"""cut: an orderly end. reset: RST. stall: open, but silent. refuse: closed as soon as it is open."""


@dataclass
class Plan:
    """What happens to one connection: `way` once that many bytes have come from that side. No way: nothing."""

    way: Way | None = None
    side: Literal["client", "server"] = "server"
    after: int = 0
    lose_last: bool = False
    """The bytes that reach the limit do not arrive: the work was done, the answer is lost."""
    marker: bytes = b""
    """Only once these bytes have come, too."""
    asleep: float = 0
    """Seconds until the server behind it takes the connection, as a compute that wakes."""


@dataclass
class FaultyProxy:
    """Connections are counted from 0; `plan` says what happens to each. `hit()` spoils all that are open, now."""

    port: int = 0
    accepted: int = 0
    plan: Callable[[int], Plan] = lambda _: Plan()
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    last: dict[str, int] = field(default_factory=dict)
    """Bytes that each side of the newest connection has sent."""

    def uri(self, uri: str) -> str:
        """`uri` through this proxy."""
        parts = urlsplit(uri)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def hit(self, way: Way) -> None:
        """Spoils every open connection."""
        if way == "stall":
            self.stalled.set()
        for writer in list(self.open):
            if way == "reset":
                _reset(writer)
            if way in ("cut", "reset"):
                writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def faulty_proxy(uri: str, plan: Callable[[int], Plan] | None = None) -> AsyncIterator[FaultyProxy]:
    """A proxy in front of the server that `uri` names."""
    target = urlsplit(uri)
    proxy = FaultyProxy(plan=plan or (lambda _: Plan()))
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = proxy.accepted
        proxy.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await _relay(proxy, proxy.plan(number), target.hostname or "", target.port or 0, reader, writer)
        writer.close()
        serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _relay(
    proxy: FaultyProxy,
    plan: Plan,
    host: str,
    port: int,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    if plan.way == "refuse":
        return
    await asyncio.sleep(plan.asleep)
    upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
    ends = {writer, upstream_writer}
    sent: dict[str, int] = {}
    proxy.last = sent
    proxy.open |= ends
    try:
        flows = [
            asyncio.create_task(_flow(proxy, plan, "client", reader, upstream_writer, writer, sent)),
            asyncio.create_task(_flow(proxy, plan, "server", upstream_reader, writer, writer, sent)),
        ]
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
    finally:
        proxy.open -= ends
        for end in ends:
            end.close()


async def _flow(
    proxy: FaultyProxy,
    plan: Plan,
    side: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    caller: asyncio.StreamWriter,
    sent: dict[str, int],
) -> None:
    seen = 0
    while data := await reader.read(65_536):
        sent[side] = seen = seen + len(data)
        if proxy.stalled.is_set():
            await asyncio.sleep(3600)
        if plan.way is not None and plan.side == side and seen >= plan.after and plan.marker in data:
            if not plan.lose_last:
                writer.write(data)
                await writer.drain()
            if plan.way == "stall":
                await asyncio.sleep(3600)
            if plan.way == "reset":
                _reset(caller)
            return
        writer.write(data)
        await writer.drain()
