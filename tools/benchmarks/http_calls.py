"""Throughput over HTTP: `query("select 1")` beside an empty tool of the same SDK, with the SDK's plain JSON and with its default."""

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .http_load import Load, load, tool_call
from .measure import Figure

HERE = Path(__file__).parent
CLIENTS = 32


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def _serving(command: Sequence[str], port: int) -> Iterator[str]:
    """A server, once it answers anything at all; ended at the end."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60)
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(timeout=60)


def http_calls(data_dir: Path, rounds: int, seconds: float) -> list[Figure]:
    """Calls a second of 32 clients, and how far the slowest of a hundred are behind the middle one."""
    ours_port, json_port, sdk_port = (_free_port() for _ in range(3))
    serve = [
        str(Path(sys.executable).parent / "neon-branch-mcp"),
        "serve",
        "--local",
        "--data-dir",
        str(data_dir / "http"),
    ]
    empty = [sys.executable, str(HERE / "empty_http_server.py")]
    with ExitStack() as stack:
        query = (
            tool_call("query", {"sql": "select 1"}),
            stack.enter_context(_serving([*serve, "--http", f"127.0.0.1:{ours_port}"], ours_port)),
        )
        nothing = tool_call("nothing", {})
        plain = nothing, stack.enter_context(_serving([*empty, str(json_port), "stateless", "json"], json_port))
        streamed = nothing, stack.enter_context(_serving([*empty, str(sdk_port), "stateless"], sdk_port))
        servers = {"empty tool, JSON": plain, "empty tool, events": streamed, "query select 1": query}
        taken: dict[str, list[Load]] = {name: [] for name in servers}
        for number in range(rounds + 1):
            for name, (body, url) in servers.items():
                found = asyncio.run(load([url], body, clients=CLIENTS, seconds=seconds))
                if found.failed:
                    raise RuntimeError(f"{name}: {found.reasons}")
                if number:
                    taken[name].append(found)
    return [_figure(name, loads, taken["empty tool, JSON"]) for name, loads in taken.items()] + [
        _tail(name, loads) for name, loads in taken.items()
    ]


def _figure(name: str, loads: list[Load], baseline: list[Load]) -> Figure:
    rates = sorted(one.per_second for one in loads)
    base = sorted(one.per_second for one in baseline)
    median = rates[len(rates) // 2]
    ratio = None if loads is baseline else median / base[len(base) // 2]
    return Figure(
        "http, 32 clients", name, median, rates[-1], "calls/s", ratio, None if ratio is None else "empty tool, JSON"
    )


def _tail(name: str, loads: list[Load]) -> Figure:
    tails = sorted(one.quantile(0.99) / one.quantile(0.5) for one in loads)
    return Figure("http, p99 : p50", name, tails[len(tails) // 2], tails[0], "×")
