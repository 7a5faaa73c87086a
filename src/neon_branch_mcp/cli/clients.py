"""What each MCP client wants in its configuration file: pure functions from the text that is there to the text that should be.

An entry of ours that is there already keeps the keys that are not ours; everything else in the file stays as it is.
"""

import json
import os
import tomllib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from ..errors import ConfigError

KEY_VARIABLE = "NEON_API_KEY"
STARTUP_TIMEOUT = 30
TOOL_TIMEOUT = 300

TRANSPORT_KEYS = frozenset(
    {"type", "command", "args", "env", "env_vars", "url", "headers", "http_headers", "bearer_token_env_var"}
)
"""Keys of an entry that say how the server is reached: all of them go when one is written."""


@dataclass(frozen=True)
class Reach:
    """How a client reaches the server: a command to start, or the URL of one that runs.

    `key_variable` names the environment variable with the secret; None: none is needed. `key_file` serves clients that pass on no
    environment. `approvals` gives the tools that a client need not ask about, or must, where the annotations alone would not say so.
    """

    command: str = ""
    args: tuple[str, ...] = ()
    url: str | None = None
    key_variable: str | None = KEY_VARIABLE
    key_file: Path | None = None
    environment: tuple[str, ...] = ()
    approvals: Mapping[str, str] = field(default_factory=dict)

    def args_with_key_file(self) -> list[str]:
        """The arguments for a client that passes no environment on."""
        return [*self.args, *(["--api-key-file", str(self.key_file)] if self.key_file and self.key_variable else [])]


Merge = Callable[[str, str, Reach], str]
"""(text of the file, "" when there is none; name of the entry; how it is reached) → new text. Raises ConfigError."""


@dataclass(frozen=True)
class ClientKind:
    """A client: its files, how its entry is written, and what its user has to do then: with a file of a folder, with the user's own one,
    and, where it asks for the key itself, about that. `project_file` is None where it knows no project level.
    """

    name: str
    title: str
    project_file: str | None
    user_file: Callable[[Path], Path]
    merge: Merge
    program: str | None
    after: str
    after_user: str | None = None
    asks_key: str = ""
    check: tuple[str, ...] = ()
    remote: bool = True


def merge_codex(text: str, name: str, reach: Reach) -> str:
    """Codex: `[mcp_servers.NAME]` with time-outs and one approval mode per tool; comments and order of the file are kept."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as exc:
        raise ConfigError(f"it is not TOML: {exc}") from None
    servers = document.setdefault("mcp_servers", tomlkit.table(is_super_table=True))
    entry = servers.setdefault(name, tomlkit.table()) if isinstance(servers, MutableMapping) else None
    if not isinstance(entry, Table):
        raise ConfigError(f"mcp_servers.{name} is not a [table] there")
    for key in TRANSPORT_KEYS & set(entry):
        entry.remove(key)
    tools = entry.pop("tools", None)
    ours: dict[str, Any]
    if reach.url is not None:
        ours = {"url": reach.url, **({"bearer_token_env_var": reach.key_variable} if reach.key_variable else {})}
    else:
        variables = [*([reach.key_variable] if reach.key_variable else []), *reach.environment]
        ours = {"command": reach.command, "args": list(reach.args), **({"env_vars": variables} if variables else {})}
    ours |= {
        "required": True,
        "startup_timeout_sec": STARTUP_TIMEOUT,
        "tool_timeout_sec": TOOL_TIMEOUT,
        "default_tools_approval_mode": "auto",
    }
    kept = {key: entry.pop(key) for key in list(entry) if key not in ours}
    for key in ours:
        entry.pop(key, None)
    for key, value in {**ours, **kept}.items():
        entry[key] = value
    entry["tools"] = _codex_approvals(tools, reach.approvals)
    merged = tomlkit.dumps(document)
    return merged.removesuffix("\n") if merged.endswith("\n\n") and not text.endswith("\n\n") else merged


def _codex_approvals(tools: Any, approvals: Mapping[str, str]) -> Table:
    """What the user has set for a tool stands; what is missing is added, with an empty line between it and what follows."""
    merged = tools if isinstance(tools, Table) else tomlkit.table(is_super_table=True)
    missing = [tool for tool in approvals if tool not in merged]
    for tool, mode in approvals.items():
        settings = merged.setdefault(tool, tomlkit.table())
        settings.setdefault("approval_mode", mode)
    if missing:
        merged[missing[-1]].add(tomlkit.nl())
    return merged


def merge_claude_code(text: str, name: str, reach: Reach) -> str:
    """Claude Code: `mcpServers` of `.mcp.json`. A started server inherits the environment."""
    if reach.url is not None:
        ours: dict[str, Any] = {"type": "http", "url": reach.url, **_bearer(reach, f"${{{reach.key_variable}}}")}
    else:
        ours = {"type": "stdio", "command": reach.command, "args": list(reach.args), "env": {}}
    return _merge_json(text, "mcpServers", name, ours)


def merge_claude_desktop(text: str, name: str, reach: Reach) -> str:
    """Claude Desktop: starts local programs only and passes no environment on, so the key comes from a file."""
    if reach.url is not None:
        raise ConfigError(
            "it starts local programs only; add the URL under Settings → Connectors, or leave --http out to have it start the server"
        )
    return _merge_json(text, "mcpServers", name, {"command": reach.command, "args": reach.args_with_key_file()})


def merge_cursor(text: str, name: str, reach: Reach) -> str:
    """Cursor: `mcpServers`, with `${env:NAME}` for the key."""
    if reach.url is not None:
        ours: dict[str, Any] = {"url": reach.url, **_bearer(reach, f"${{env:{reach.key_variable}}}")}
    else:
        env = {"env": {reach.key_variable: f"${{env:{reach.key_variable}}}"}} if reach.key_variable else {}
        ours = {"command": reach.command, "args": list(reach.args), **env}
    return _merge_json(text, "mcpServers", name, ours)


def merge_vscode(text: str, name: str, reach: Reach) -> str:
    """VS Code: `servers`; it asks for the key once and keeps it itself."""
    asked = f"{name}-api-key"
    secret = f"${{input:{asked}}}"
    ours: dict[str, Any]
    if reach.url is not None:
        ours = {"type": "http", "url": reach.url, **_bearer(reach, secret)}
    else:
        env = {"env": {reach.key_variable: secret}} if reach.key_variable else {}
        ours = {"type": "stdio", "command": reach.command, "args": list(reach.args), **env}
    inputs = [{"type": "promptString", "id": asked, "description": "Neon API key", "password": True}]
    return _merge_json(text, "servers", name, ours, inputs if reach.key_variable else [])


def _bearer(reach: Reach, secret: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {secret}"}} if reach.key_variable else {}


def _merge_json(
    text: str, section: str, name: str, ours: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]] = ()
) -> str:
    try:
        document = json.loads(text) if text.strip() else {}
    except ValueError as exc:
        raise ConfigError(f"it is not plain JSON ({exc}): it is broken, or has comments, which would be lost") from None
    servers = document.setdefault(section, {}) if isinstance(document, dict) else None
    if not isinstance(servers, dict):
        raise ConfigError(f"it does not hold an object with {section}")
    before = servers.get(name)
    kept = {k: v for k, v in before.items() if k not in TRANSPORT_KEYS} if isinstance(before, dict) else {}
    servers[name] = {**ours, **kept}
    if inputs:
        there = document.setdefault("inputs", [])
        if not isinstance(there, list):
            raise ConfigError("its inputs are not a list")
        known = {i.get("id") for i in there if isinstance(i, dict)}
        there.extend(i for i in inputs if i["id"] not in known)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def entries(kind: "ClientKind", text: str) -> dict[str, dict[str, Any]]:
    """The MCP servers that a client's file names. Raises ConfigError when the file cannot be read as what it should be."""
    try:
        document = tomllib.loads(text) if kind.name == "codex" else json.loads(text or "{}")
    except ValueError as exc:
        raise ConfigError(f"it cannot be read: {exc}") from None
    section = {"codex": "mcp_servers", "vscode": "servers"}.get(kind.name, "mcpServers")
    found = document.get(section) if isinstance(document, dict) else None
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}


def _own_folder(variable: str, otherwise: Path) -> Path:
    """The folder that a client lets its users move with an environment variable."""
    return Path(os.environ.get(variable) or otherwise)


def _application(folder: str, file: str) -> Callable[[Path], Path]:
    """A file in the folder where desktop applications keep their settings."""
    return lambda _home: platformdirs.user_config_path(folder, appauthor=False, roaming=True) / file


CLIENTS: Mapping[str, ClientKind] = {
    kind.name: kind
    for kind in (
        ClientKind(
            name="codex",
            title="Codex",
            project_file=".codex/config.toml",
            user_file=lambda home: _own_folder("CODEX_HOME", home / ".codex") / "config.toml",
            merge=merge_codex,
            program="codex",
            check=("mcp", "get"),
            after="Codex reads a project's file only in a folder it trusts: start codex here once, or pass --trust to codex exec.",
            after_user="Codex reads it in every folder.",
        ),
        ClientKind(
            name="claude-code",
            title="Claude Code",
            project_file=".mcp.json",
            user_file=lambda home: _own_folder("CLAUDE_CONFIG_DIR", home) / ".claude.json",
            merge=merge_claude_code,
            program="claude",
            check=("mcp", "get"),
            after="Start claude here and approve the server once; claude -p needs --allowedTools mcp__{name}.",
            after_user="Start claude in any folder; claude -p needs --allowedTools mcp__{name}.",
        ),
        ClientKind(
            name="claude-desktop",
            title="Claude Desktop",
            project_file=None,
            user_file=_application("Claude", "claude_desktop_config.json"),
            merge=merge_claude_desktop,
            program=None,
            remote=False,
            after="Quit and start Claude Desktop.",
        ),
        ClientKind(
            name="cursor",
            title="Cursor",
            project_file=".cursor/mcp.json",
            user_file=lambda home: home / ".cursor/mcp.json",
            merge=merge_cursor,
            program="cursor",
            after="Cursor asks to enable the server; see Settings → MCP.",
        ),
        ClientKind(
            name="vscode",
            title="VS Code",
            project_file=".vscode/mcp.json",
            user_file=_application("Code", "User/mcp.json"),
            merge=merge_vscode,
            program="code",
            after="Run MCP: List Servers in VS Code and start the server.",
            asks_key="VS Code asks for the key then.",
        ),
    )
}
