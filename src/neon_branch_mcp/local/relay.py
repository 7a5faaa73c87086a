"""The TCP ports of the connection strings: passes bytes through to whichever cluster the branch has now, and wakes it first.

It runs in a thread with an event loop of its own, so that a caller who blocks in this process can still be served. Bytes pass
untouched: TLS and SCRAM with channel binding are between the client and Postgres.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ..errors import NeonBranchError

log = logging.getLogger(__name__)
HIGH_WATER = 1 << 20
REFUSAL_TIMEOUT = 10.0
SSL_REQUEST = (80877103).to_bytes(4, "big")
GSS_REQUEST = (80877104).to_bytes(4, "big")


@dataclass
class Traffic:
    """What passes on one port: open connections, this process's own past the relay, and when the last one was closed or made."""

    branch_id: str
    open: int = 0
    direct: int = 0
    last: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Direct:
    """The way past the relay for this process's own sessions: the cluster's port, and `closed` to call when the session has ended."""

    port: int
    closed: Callable[[], None]


class _Half(asyncio.Protocol):
    """One side of a connection; what it receives goes to the other side."""

    def __init__(self, relay: "Relay") -> None:
        self.relay = relay
        self.transport: asyncio.Transport | None = None
        self.peer: _Half | None = None
        self.ended = False
        self.held = b""
        """What came before there was a peer: some Pythons (3.11.2) begin to read although reading is paused."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.relay.halves.add(self)
        transport.set_write_buffer_limits(HIGH_WATER)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self.held += data
        else:
            self.peer.transport.write(data)

    def join(self, peer: "_Half") -> None:
        """Let bytes pass between the two."""
        self.peer, peer.peer = peer, self
        for half, other in ((self, peer), (peer, self)):
            assert half.transport is not None
            assert other.transport is not None
            if half.held:
                other.transport.write(half.held)
                half.held = b""
            half.transport.resume_reading()

    def eof_received(self) -> bool:
        """The other side may still have something to say; when both have ended, nobody else would close."""
        self.ended = True
        if self.peer is None or self.peer.ended:
            return False
        if self.peer.transport is not None and self.peer.transport.can_write_eof():
            self.peer.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()
        self.relay.halves.discard(self)

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()


class _Front(_Half):
    """The client's side: holds what the client says until there is a server to say it to."""

    def __init__(self, relay: "Relay", traffic: Traffic) -> None:
        super().__init__(relay)
        self._traffic = traffic
        self._task: asyncio.Task[None] | None = None
        self._said: asyncio.Queue[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._traffic.open += 1
        self._traffic.last = time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._join())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._traffic.open -= 1
        self._traffic.last = time.monotonic()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._said is not None:
            self._said.put_nowait(data)
        else:
            super().data_received(data)

    async def _join(self) -> None:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        try:
            back = await self.relay.connect(loop, self._traffic.branch_id)
        except NeonBranchError as exc:
            await self._refuse(loop, exc.message)
            return
        if self.transport.is_closing():
            assert back.transport is not None
            back.transport.close()
            return
        self.join(back)

    async def _refuse(self, loop: asyncio.AbstractEventLoop, message: str) -> None:
        """Tell the client why in an error of Postgres'. libpq shows no error that comes before TLS, so TLS is spoken first."""
        assert self.transport is not None
        said = self._said = asyncio.Queue()
        if self.held:
            said.put_nowait(self.held)
        self.transport.resume_reading()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(REFUSAL_TIMEOUT):
                while (code := (await said.get())[4:8]) in (SSL_REQUEST, GSS_REQUEST):
                    if code == GSS_REQUEST or self.relay.tls is None:
                        self.transport.write(b"N")
                        continue
                    self.transport.write(b"S")
                    self.transport = await loop.start_tls(self.transport, self, self.relay.tls, server_side=True)
                    assert self.transport is not None
                self.transport.write(error_response(message))
        if self.transport is not None:
            self.transport.close()


class _Back(_Half):
    """The server's side; Postgres says nothing before it is spoken to, but a server that ends at once may."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()


def error_response(message: str) -> bytes:
    """A FATAL error in Postgres' protocol, which libpq also understands as the answer to its request for TLS."""
    body = b"".join(
        tag + text.encode() + b"\0"
        for tag, text in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", "57P03"), (b"M", message.replace("\0", "")))
    )
    body += b"\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


class Relay:
    """Listens on the ports it is told of. `wake` blocks until the branch's cluster answers and gives its port on loopback."""

    def __init__(self, wake: Callable[[str], int], tls: ssl.SSLContext | None) -> None:
        self._wake = wake
        self.tls = tls
        """Only for telling a client why there is no server; connections themselves pass through untouched."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="relay-wake")
        self._servers: dict[int, asyncio.Server] = {}
        self._traffic: dict[int, Traffic] = {}
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self.halves: set[_Half] = set()
        self._thread.start()

    def listen(self, ports: Mapping[int, str]) -> list[int]:
        """Serve exactly these ports, each for its branch. Returns those that could not be bound: somebody else has them."""
        with self._lock:
            return asyncio.run_coroutine_threadsafe(self._listen(dict(ports)), self._loop).result()

    def traffic(self) -> Mapping[str, Traffic]:
        """What passes, by branch."""
        return {t.branch_id: t for t in list(self._traffic.values())}

    def direct(self, port: int) -> Direct | None:
        """Wakes the branch that has this port, and counts a session on it. None for a port that is not served here."""
        traffic = self._traffic.get(port)
        if traffic is None:
            return None
        self._count(traffic, 1)
        try:
            return Direct(self._wake(traffic.branch_id), partial(self._count, traffic, -1))
        except BaseException:
            self._count(traffic, -1)
            raise

    def _count(self, traffic: Traffic, change: int) -> None:
        with self._counting:
            traffic.direct += change
            traffic.last = time.monotonic()

    def close(self) -> None:
        """Close the ports and every connection; the thread ends."""
        with self._lock:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._loop.close()

    async def connect(self, loop: asyncio.AbstractEventLoop, branch_id: str) -> _Back:
        """A connection to the branch's cluster. It may be stopped or replaced between the answer and the connection: ask again."""
        for attempt in range(50):
            port = await loop.run_in_executor(self._pool, self._wake, branch_id)
            try:
                _, back = await loop.create_connection(partial(_Back, self), "127.0.0.1", port)
                return back
            except OSError:
                await asyncio.sleep(0.01 * attempt)
        raise NeonBranchError("the branch's Postgres does not accept connections")

    async def _listen(self, ports: dict[int, str]) -> list[int]:
        failed = []
        for port in set(self._servers) - set(ports):
            self._servers.pop(port).close()
            self._traffic.pop(port)
        for port, branch_id in ports.items():
            if port in self._servers:
                self._traffic[port].branch_id = branch_id
                continue
            traffic = Traffic(branch_id)
            try:
                server = await self._loop.create_server(
                    partial(_Front, self, traffic), "127.0.0.1", port, backlog=128, reuse_address=True
                )
            except OSError as exc:
                log.debug("port %d cannot be bound: %s", port, exc)
                failed.append(port)
                continue
            self._servers[port] = server
            self._traffic[port] = traffic
        return failed

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for half in list(self.halves):
            if half.transport is not None:
                half.transport.abort()
        for _ in range(3):  # transports tell their protocols, and free their sockets, on the loop's next turns
            await asyncio.sleep(0)
