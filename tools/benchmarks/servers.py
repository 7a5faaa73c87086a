"""Starts servers over stdio and speaks to them in as few instructions as possible, so that what is timed is theirs."""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EMPTY = [sys.executable, str(HERE / "empty_server.py")]


def ours(data_dir: Path) -> list[str]:
    """Our server over stdio with a local control plane."""
    return [str(Path(sys.executable).parent / "neon-branch-mcp"), "serve", "--local", "--data-dir", str(data_dir)]


class Peer:
    """An MCP server at the other end of two pipes, greeted with the 2025-06-18 handshake."""

    def __init__(self, command: Sequence[str], env: dict[str, str] | None = None) -> None:
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        self._ids = itertools.count(1)
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}}
        self.request("initialize", hello)
        self._send({"method": "notifications/initialized"})

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The answer's line, parsed; notifications in between are passed over."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params or {}})
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["result"]
        raise EOFError("the server ended")

    def call(self, tool: str, **arguments: Any) -> Any:
        """A tool call that must succeed."""
        result = self.request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise RuntimeError(result["content"])
        return result

    def close(self) -> None:
        """End the server by closing its input; kill it when it does not go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def running(command: Sequence[str], env: dict[str, str] | None = None) -> Iterator[Peer]:
    """A started and greeted server, ended at the end."""
    peer = Peer(command, env)
    try:
        yield peer
    finally:
        peer.close()
