"""A stdio MCP client in a few lines, without the SDK: what it reads is exactly what the server writes."""

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HANDSHAKE, STATELESS = "2025-06-18", "2026-07-28"


def clean_env(**extra: str) -> dict[str, str]:
    """The environment without any setting of ours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NEON_")}
    return {**kept, **extra}


class RawClient:
    """Speaks one protocol version over the pipes of a started server."""

    def __init__(self, process: "subprocess.Popen[bytes]", version: str) -> None:
        self.process, self.version = process, version
        self.stray: list[bytes] = []
        self._ids = itertools.count(1)
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self._answers.put(json.loads(line))
            except ValueError:
                self.stray.append(line)
        self._answers.put(None)

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next message of the server, whatever it is."""
        answer = self._answers.get(timeout=60)
        if answer is None:
            raise EOFError("the server closed its end")
        return answer

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The `result` of a request; a JSON-RPC error raises."""
        number = next(self._ids)
        params = dict(params or {})
        if self.version == STATELESS:
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": STATELESS,
                "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        self.send({"id": number, "method": method, "params": params})
        while True:
            answer = self.answer()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def greet(self) -> dict[str, Any]:
        if self.version == STATELESS:
            return self.request("server/discover")
        hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        result = self.request("initialize", hello)
        self.send({"method": "notifications/initialized"})
        return result

    def tool(self, tool_name: str, /, **arguments: Any) -> dict[str, Any]:
        """The structured content of a tool call; an error raises ToolFailed with its text."""
        result = self.request("tools/call", {"name": tool_name, "arguments": arguments})
        if result.get("isError"):
            assert "structuredContent" not in result, "an error carries text only"
            raise ToolFailed(result["content"][0]["text"])
        content: dict[str, Any] = result["structuredContent"]
        return content


class ToolFailed(Exception):
    """A tool answered with isError; the message is its text."""


@contextmanager
def raw_server(*args: str, version: str = HANDSHAKE, cwd: Path | None = None, **env: str) -> Iterator[RawClient]:
    """`neon-branch-mcp serve ARGS` with a raw client at its pipes; ended by closing its stdin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "neon_branch_mcp", "serve", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_env(**env),
        cwd=cwd,
    )
    client = RawClient(process, version)
    try:
        yield client
    finally:
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        assert process.stdout is not None
        process.stdout.close()
    assert client.stray == [], "only protocol goes to stdout"
