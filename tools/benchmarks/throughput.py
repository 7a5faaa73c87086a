"""Calls a second of 1, 8 and 32 callers, over stdio and over HTTP: `query("select 1")` beside an empty tool of the same SDK, over HTTP
with the SDK's plain JSON and with its default; and the memory that callers take who ask for rows.
"""

import asyncio
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .http_load import Load, load, tool_call
from .measure import Figure, figures, pss_of_tree
from .servers import EMPTY, ours, running
from .stdio_load import pipelined

HERE = Path(__file__).parent
CALLERS = (1, 8, 32)
QUERY = ("query", {"sql": "select 1"})
ROWS = ("query", {"sql": "select id, email, name from users order by id limit 100"})
NOTHING: tuple[str, dict[str, Any]] = ("nothing", {})

Asked = Callable[[int, float], Load]
"""(callers, seconds) → what came of so many asking a server for so long."""


def throughput(data_dir: Path, rounds: int, seconds: float) -> list[Figure]:
    """Both transports, one after the other; within each the servers in turn."""
    found: list[Figure] = []
    for transport, started in (("stdio", _over_stdio), ("http", _over_http)):
        with started(data_dir) as (servers, rows, pid):
            for callers in CALLERS:
                found += _in_turn(transport, servers, callers, rounds, seconds)
            found += _memory(transport, rows, pid, seconds)
    return found


Started = tuple[dict[str, Asked], Asked, int]
"""The servers by name, the baseline first; ours asked for a hundred rows; our process."""


@contextmanager
def _over_stdio(data_dir: Path) -> Iterator[Started]:
    with running(EMPTY) as empty, running(ours(data_dir)) as peer:
        yield (
            {
                "empty tool": lambda callers, seconds: pipelined(empty, *NOTHING, callers=callers, seconds=seconds),
                "query select 1": lambda callers, seconds: pipelined(peer, *QUERY, callers=callers, seconds=seconds),
            },
            lambda callers, seconds: pipelined(peer, *ROWS, callers=callers, seconds=seconds),
            peer.process.pid,
        )


@contextmanager
def _over_http(data_dir: Path) -> Iterator[Started]:
    ours_port, json_port, events_port = (_free_port() for _ in range(3))
    serve = [*ours(data_dir / "http"), "--http", f"127.0.0.1:{ours_port}"]
    empty = [sys.executable, str(HERE / "empty_http_server.py")]
    with ExitStack() as stack:
        url, pid = stack.enter_context(_serving(serve, ours_port))
        plain, _ = stack.enter_context(_serving([*empty, str(json_port), "stateless", "json"], json_port))
        events, _ = stack.enter_context(_serving([*empty, str(events_port), "stateless"], events_port))
        servers = {
            "empty tool, JSON": _asked(plain, NOTHING),
            "empty tool, events": _asked(events, NOTHING),
            "query select 1": _asked(url, QUERY),
        }
        yield servers, _asked(url, ROWS), pid


def _asked(url: str, call: tuple[str, Mapping[str, Any]]) -> Asked:
    return lambda callers, seconds: asyncio.run(load([url], tool_call(*call), clients=callers, seconds=seconds))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def _serving(command: Sequence[str], port: int) -> Iterator[tuple[str, int]]:
    """A server's URL and process, once it answers anything at all; ended at the end."""
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
        yield f"http://127.0.0.1:{port}/mcp", process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def _in_turn(
    transport: str, servers: Mapping[str, Asked], callers: int, rounds: int, seconds: float
) -> Iterator[Figure]:
    """Calls a second, and how far the slowest of a hundred are behind the middle one. The first round warms up and is not counted."""
    taken: dict[str, list[Load]] = {name: [] for name in servers}
    for number in range(rounds + 1):
        for name, asked in servers.items():
            found = asked(callers, seconds)
            if found.failed:
                raise RuntimeError(f"{name}: {found.reasons}")
            if number:
                taken[name].append(found)
    base = next(iter(servers))
    medians = {name: statistics.median(one.per_second for one in loads) for name, loads in taken.items()}
    group = f"{transport}, {callers} caller{'s' if callers > 1 else ''}"
    for name, loads in taken.items():
        ratio = None if name == base else medians[name] / medians[base]
        best = max(one.per_second for one in loads)
        yield Figure(group, name, medians[name], best, "calls/s", ratio, None if ratio is None else base)
    for name, loads in taken.items():
        tails = [one.quantile(0.99) / one.quantile(0.5) for one in loads]
        yield Figure(f"{group}, p99 : p50", name, statistics.median(tails), min(tails), "×")


def _memory(transport: str, rows: Asked, pid: int, seconds: float) -> list[Figure]:
    """Memory before and the most of it while callers ask for a hundred rows each; with the processes that the server started."""
    idle = pss_of_tree(pid)
    seen: list[float] = [idle]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            seen.append(pss_of_tree(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = rows(CALLERS[-1], seconds)
    finally:
        done.set()
        watcher.join()
    if found.failed:
        raise RuntimeError(f"{transport}, rows: {found.reasons}")
    taken = {"before": [idle], f"{CALLERS[-1]} callers, 100 rows each": [max(seen)]}
    return figures(f"{transport}, memory (PSS)", taken, baseline="before", unit="MB")
