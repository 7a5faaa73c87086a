"""Whether the MCP clients of this machine would find and start the server."""

import json
import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..errors import ConfigError
from .clients import CLIENTS, ClientKind, entries
from .findings import Finding

START_SECONDS = 30
OFFICIAL = "mcp.neon.tech"
GREETING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "neon-branch-mcp check", "version": "1"},
    },
}
CODEX_ENVIRONMENT = (
    "HOME",
    "PATH",
    "LANG",
    "SHELL",
    "TERM",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""What Codex lets a server see of the environment, besides the entry's env_vars."""
VARIABLE = r"\$\{(?:env:)?(\w+)\}"


def client_findings(folder: Path, home: Path) -> Iterator[Finding]:
    """A finding for every entry of ours in the files of the clients, in this folder and in the user's."""
    found = False
    for kind in CLIENTS.values():
        for path in dict.fromkeys(
            p for p in (folder / kind.project_file if kind.project_file else None, kind.user_file(home)) if p
        ):
            if not path.is_file():
                continue
            for finding in _file_findings(kind, path, folder):
                found = True
                yield finding
    if not found:
        yield Finding("note", "Clients", "no client's file names this server.", "neon-branch-mcp init writes one.")


def _file_findings(kind: ClientKind, path: Path, folder: Path) -> Iterator[Finding]:
    try:
        named = entries(kind, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ConfigError) as exc:
        yield Finding("bad", kind.title, f"{path}: {exc}", "Put the file right; the client cannot read it either.")
        return
    for name, entry in named.items():
        title = f"{kind.title}, {name}"
        url = entry.get("url")
        if isinstance(url, str) and urlsplit(url).hostname == OFFICIAL:
            yield Finding("note", title, f"{path} names the official server; nothing of it is guarded here.")
        elif isinstance(url, str) and name.startswith("neon"):
            yield _reached(title, path, url, entry)
        elif is_ours(entry) or (name.startswith("neon") and _program(kind, entry) is None):
            yield _started(title, path, kind, entry, folder)


def is_ours(entry: Mapping[str, Any]) -> bool:
    """Whether an entry starts this program, in whatever way."""
    words = [entry.get("command"), *(entry.get("args") or [])]
    return any(isinstance(w, str) and re.search(r"neon[-_]branch[-_]mcp$", w) for w in words)


def _headers(entry: Mapping[str, Any]) -> dict[str, str]:
    variable = entry.get("bearer_token_env_var")
    if isinstance(variable, str):
        return {"Authorization": f"Bearer {os.environ.get(variable, '')}"}
    given = entry.get("headers")
    return {k: _expanded(str(v)) for k, v in given.items()} if isinstance(given, dict) else {}


def _expanded(text: str) -> str:
    """`${NAME}` and `${env:NAME}` as the clients replace them."""
    return re.sub(VARIABLE, lambda m: os.environ.get(m[1], ""), text)


def _token_variables(entry: Mapping[str, Any]) -> list[str]:
    """The environment variables that an entry with a URL takes its token from."""
    variable = entry.get("bearer_token_env_var")
    return [variable] if isinstance(variable, str) else re.findall(VARIABLE, json.dumps(entry.get("headers") or {}))


def _reached(title: str, path: Path, url: str, entry: Mapping[str, Any]) -> Finding:
    variables = _token_variables(entry)
    if unset := [name for name in variables if not os.environ.get(name)]:
        fix = f"Set {' and '.join(unset)} where you start the client: to your Neon API key, or the token that the server expects."
        return Finding(
            "bad", title, f"{path}: {', '.join(unset)} is not set here; the entry takes its token from there.", fix
        )
    if "${input:" in json.dumps(entry.get("headers") or {}):
        return Finding("ok", title, f"{path}: the client asks for the token when it connects to {url}; not tried.")
    accept = {"Accept": "application/json, text/event-stream", **_headers(entry)}
    try:
        answer = httpx.post(url, json=GREETING, headers=accept, timeout=START_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        return Finding(
            "bad",
            title,
            f"{path}: {url} does not answer ({exc.__class__.__name__}).",
            f"Start it: neon-branch-mcp serve --http {urlsplit(url).netloc or 'HOST:PORT'}",
        )
    if answer.is_success:
        return Finding("ok", title, f"{path}: {url} answers.")
    if answer.status_code == 401:
        fix = (
            f"The token in {variables[0]} is not one that it accepts."
            if variables
            else "The entry has to send a token."
        )
    else:
        fix = ""
    return Finding("bad", title, f"{path}: {url} answers {answer.status_code}.", fix)


def _started(title: str, path: Path, kind: ClientKind, entry: Mapping[str, Any], folder: Path) -> Finding:
    command = [str(entry.get("command")), *map(str, entry.get("args") or [])]
    env = environment(kind, entry)
    if _program(kind, entry) is None:
        return Finding(
            "bad",
            title,
            f"{path}: there is no program {command[0]}.",
            f"neon-branch-mcp init {kind.name} writes the right one.",
        )
    reason = refusal_to_start(command, env, folder)
    if reason is None:
        return Finding("ok", title, f"{path}: starts and answers.")
    asks = "${input:" in json.dumps(entry)
    if asks and "API key" in reason:
        return Finding("ok", title, f"{path}: the client asks for the key when it starts the server.")
    if "NEON_API_KEY" in reason:
        # The message itself says what to do, and the finding of the key has said it.
        fix = f"Set NEON_API_KEY where you start {kind.title}, or: neon-branch-mcp init {kind.name} --local"
        return Finding("bad", title, f"{path}: does not start without a Neon API key.", fix)
    if "API key file" in reason:
        fix = f"Write your Neon API key into that file, or: NEON_API_KEY=… neon-branch-mcp init {kind.name}"
        return Finding("bad", title, f"{path}: does not start: {reason}", fix)
    return Finding("bad", title, f"{path}: does not start: {reason}", f"See for yourself: {shlex.join(command)}")


def _program(kind: ClientKind, entry: Mapping[str, Any]) -> str | None:
    """The program that an entry starts, if it is there."""
    return shutil.which(str(entry.get("command")), path=environment(kind, entry).get("PATH"))


def environment(kind: ClientKind, entry: Mapping[str, Any]) -> dict[str, str]:
    """The environment in which this client starts the server."""
    env = dict(os.environ)
    if kind.name == "codex":
        env = {
            k: v for k in (*CODEX_ENVIRONMENT, *(entry.get("env_vars") or [])) if (v := os.environ.get(k)) is not None
        }
    elif kind.name == "claude-desktop":
        env = {k: v for k, v in os.environ.items() if not k.startswith("NEON_")}
    given = entry.get("env")
    extra = {k: _expanded(str(v)) for k, v in given.items()} if isinstance(given, dict) else {}
    return env | {k: v for k, v in extra.items() if not v.startswith("${")}


def refusal_to_start(command: list[str], env: Mapping[str, str], folder: Path) -> str | None:
    """Start the server as a client would and greet it. None when it answers; else why it did not."""
    with tempfile.TemporaryFile() as errors:
        try:
            server = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=dict(env), cwd=folder
            )
        except OSError as exc:
            return str(exc)
        try:
            answer = _greet(server)
        finally:
            server.kill()
            server.communicate()
        if answer:
            return None
        errors.seek(0)
        return _last_words(errors.read().decode(errors="replace")) or f"no answer within {START_SECONDS} s."


def _last_words(said: str) -> str:
    """The last line that says something, out of its frame. A program like uv ends with hints: there, what follows its `error:`."""
    if found := re.search(r"^error: .+(?:\n[ \t]+.+)*", said, re.MULTILINE):
        return " ".join(found[0].split())
    lines = [line.strip(" │╭╮╰╯─") for line in said.splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _greet(server: "subprocess.Popen[bytes]") -> bool:
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        server.stdin.write(json.dumps(GREETING).encode() + b"\n")
        server.stdin.flush()
    except BrokenPipeError:
        return False
    readable, _, _ = select.select([server.stdout], [], [], START_SECONDS)
    return bool(readable) and b'"serverInfo"' in server.stdout.readline()
