"""A load of calls over HTTP in as few instructions as possible: raw sockets that stay open, one request after the other on each."""

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Load:
    """What came of a load; `failed` counts calls without a good answer, with the first reasons."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the calls was answered."""
        return statistics.quantiles(self.latencies, n=1000)[round(share * 1000) - 1]

    def fail(self, reason: str) -> None:
        """Counts a call that was not answered well."""
        self.failed += 1
        if len(self.reasons) < 5:
            self.reasons.append(reason[:300])


def tool_call(name: str, arguments: Mapping[str, Any]) -> bytes:
    """The body of a call."""
    params = {"name": name, "arguments": dict(arguments)}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


async def load(
    urls: Sequence[str], body: bytes, *, clients: int, seconds: float, headers: Mapping[str, str] | None = None
) -> Load:
    """`clients` callers for `seconds`, spread over `urls`; each opens a new connection when its own breaks."""
    found = Load()
    started = time.perf_counter()
    until = started + seconds
    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(_caller(urls[number % len(urls)], body, dict(headers or {}), until, found))
    found.seconds = time.perf_counter() - started
    return found


async def _caller(url: str, body: bytes, headers: dict[str, str], until: float, found: Load) -> None:
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path}{'?' + parts.query if parts.query else ''} HTTP/1.1",
        f"host: {parts.netloc}",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.perf_counter() < until:
        started = time.perf_counter()
        try:
            if connection is None:
                connection = await asyncio.open_connection(parts.hostname, parts.port)
            status, answer = await _exchange(*connection, request)
        except (OSError, EOFError, ValueError) as exc:
            found.fail(f"{type(exc).__name__}: {exc}")
            if connection is not None:
                connection[1].close()
            connection = None
            await asyncio.sleep(0.05)
            continue
        if status == 200 and b'"isError":true' not in answer and b'"result"' in answer:
            found.latencies.append(time.perf_counter() - started)
        else:
            found.fail(f"{status} {answer.decode(errors='replace')}")
    if connection is not None:
        connection[1].close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"transfer-encoding: chunked" in head:
        body = bytearray()
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return status, bytes(body)
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
    return status, await reader.readexactly(length)
