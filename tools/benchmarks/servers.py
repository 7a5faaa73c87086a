"""Starts servers over stdio and speaks to them in as few instructions as possible, so that what is timed is theirs."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
EMPTY = [sys.executable, str(HERE / "empty_server.py")]


def ours(data_dir: Path) -> list[str]:
    """Our server over stdio with a local control plane."""
    return [str(Path(sys.executable).parent / "neon-branch-mcp"), "serve", "--local", "--data-dir", str(data_dir)]


@contextmanager
def plane_over_tcp(data_dir: Path) -> Iterator[dict[str, str]]:
    """The local control plane as a process of its own in the place of Neon's API: a server's environment, and PROJECT."""
    command = [*ours(data_dir)[:1], "local", "up", "--port", "0", "--json", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        try:
            told = json.loads(up.stdout.readline())
            yield {"NEON_API_HOST": told["api_host"], "NEON_API_KEY": told["api_key"], "PROJECT": told["project_id"]}
        finally:
            up.terminate()


class Ended(RuntimeError):
    """The server went away before it answered."""


class Peer:
    """An MCP server at the other end of two pipes, greeted with the 2025-06-18 handshake; killed when that takes `patience` seconds."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        errors: IO[bytes] | int = subprocess.DEVNULL,
        patience: float = 600,
    ) -> None:
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(env or {})},
        )
        self._ids = itertools.count(1)
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}}
        watch = threading.Timer(patience, self.process.kill)
        watch.start()
        try:
            self.request("initialize", hello)
            self._send({"method": "notifications/initialized"})
        except BrokenPipeError as exc:
            raise Ended("the server ended") from exc
        finally:
            watch.cancel()

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict[str, Any]) -> int:
        """Send a request; its id."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        return number

    def answer(self) -> dict[str, Any]:
        """The next line, parsed."""
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise Ended("the server ended")
        parsed: dict[str, Any] = json.loads(line)
        return parsed

    def request(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result; notifications in between are passed over."""
        number = self.ask(method, params or {})
        while (answer := self.answer()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

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
def running(command: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Peer]:
    """A started and greeted server, ended at the end."""
    peer = Peer(command, env)
    try:
        yield peer
    finally:
        peer.close()
