"""Cold start: spawn → tools listed, spawn → first call answered, and memory at rest."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .measure import Figure, Sample, figures, in_turn, pss_megabytes, pss_of_tree, seconds
from .servers import EMPTY, Peer, ours, running


def until_listed(command: Sequence[str], env: Mapping[str, str] | None = None) -> Sample:
    """Seconds from spawn to the answer of tools/list."""

    def sample() -> float:
        peer = Peer(command, env)
        peer.request("tools/list")
        return _ended(peer)

    return sample


def until_called(command: Sequence[str], tool: str, **arguments: Any) -> Sample:
    """Seconds from spawn to the answer of the first tool call."""

    def sample() -> float:
        peer = Peer(command)
        peer.call(tool, **arguments)
        return _ended(peer)

    return sample


def _ended(peer: Peer) -> float:
    took = time.perf_counter() - peer.started
    peer.close()
    return took


def cold_start(data_dir: Path, rounds: int) -> list[Figure]:
    """Our start beside `python -c pass` and beside an empty server on the same SDK; a running plane keeps its clusters warm."""
    bare = seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    with running(ours(data_dir)) as keeper:
        keeper.call("query", sql="select 1")
        listed = in_turn(
            "spawn to tools/list",
            {
                "python -c pass": bare,
                "ours": until_listed(ours(data_dir)),
                "empty server": until_listed(EMPTY),
            },
            rounds=rounds,
            baseline="python -c pass",
        )
        called = in_turn(
            "spawn to first call",
            {
                "empty server": until_called(EMPTY, "nothing"),
                "ours, list_branches": until_called(ours(data_dir), "list_branches"),
                "ours, query": until_called(ours(data_dir), "query", sql="select 1"),
            },
            rounds=max(3, rounds // 2),
            baseline="empty server",
        )
    return listed + called


def memory(data_dir: Path) -> list[Figure]:
    """PSS over stdio: after a call, after 200 calls; the guard's process with it."""
    with running(EMPTY) as empty:
        empty.call("nothing")
        at_rest = pss_megabytes(empty.process.pid)
    with running(ours(data_dir)) as peer:
        peer.call("query", sql="select 1")
        once = pss_megabytes(peer.process.pid)
        for _ in range(200):
            peer.call("query", sql="select * from users", max_rows=100)
        many = pss_megabytes(peer.process.pid)
        together = pss_of_tree(peer.process.pid)
    taken = {"empty server": [at_rest], "ours, one query": [once], "ours, 200 queries": [many]}
    taken["ours, 200 queries, with its processes"] = [together]
    return figures("memory (PSS)", taken, baseline="empty server", unit="MB")
