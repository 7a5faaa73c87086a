"""`neon-branch-mcp init CLIENT`: write the client's own configuration."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import platformdirs
import typer
from rich.console import Console
from rich.syntax import Syntax

from ..config import APP_NAME, find_neon_context
from ..errors import ConfigError
from ..tools.catalogue import TOOLS
from ..tools.spec import ToolSpec
from .clients import CLIENTS, KEY_VARIABLE, ClientKind, Reach
from .launch import launch_command
from .options import ApiKeyFile, ConfigFile, DataDir

CHECK_SECONDS = 60

ClientName = Literal["codex", "claude-code", "claude-desktop", "cursor", "vscode"]


@dataclass(frozen=True)
class Written:
    """What became of a client's file. `backup` holds what was there before; None where nothing was replaced."""

    path: Path
    text: str
    changed: bool
    backup: Path | None


def init(
    client: Annotated[
        ClientName | None, typer.Argument(help="The client; left out: every one found on this machine.")
    ] = None,
    http: Annotated[
        str | None, typer.Option("--http", help="Reach a running server at this URL instead of starting one.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Real Postgres on this machine; no account needed.")] = False,
    project: Annotated[str | None, typer.Option("--project", "--project-id", help="Pin a Neon project.")] = None,
    user: Annotated[bool, typer.Option("--user", help="For all your projects instead of this folder's.")] = False,
    name: Annotated[str, typer.Option(help="Name of the entry in the client's file.")] = "neon",
    config: ConfigFile = None,
    api_key_file: ApiKeyFile = None,
    data_dir: DataDir = None,
    show: Annotated[bool, typer.Option("--print", help="Only show what would be written.")] = False,
) -> None:
    """Write the configuration of an MCP client: this folder's, merged into what is there."""
    console = Console()
    if http is not None:
        started_with = {"--config": config, "--api-key-file": api_key_file, "--data-dir": data_dir}
        http = server_url(http, project, [flag for flag, path in started_with.items() if path is not None])
    args = serve_args(local=local, project=project, config=config, api_key_file=api_key_file, data_dir=data_dir)
    for kind in _chosen(client):
        reach = reach_for(kind, args, http=http, needs_key=not local and api_key_file is None)
        path = target(kind, Path.cwd(), user=user)
        if show:
            console.print(f"[bold]{kind.title}[/]: {path}", soft_wrap=True)
            text = merged(kind, path, name, reach)
            console.print(Syntax(text, "toml" if path.suffix == ".toml" else "json", background_color="default"))
            continue
        text = merged(kind, path, name, reach)
        try:
            written = write(path, text)
        except OSError as exc:
            raise ConfigError(
                f"{kind.title}: {path} cannot be written: {exc.strerror or exc}.{_by_hand(kind, name, reach)}"
            ) from exc
        _report(console, kind, name, written, reach, user=user)
    _say_project(console, project)


def serve_args(
    *, local: bool, project: str | None, config: Path | None, api_key_file: Path | None, data_dir: Path | None
) -> tuple[str, ...]:
    """The arguments of `serve` for these settings; paths are absolute, because a client starts it from a folder of its own choice."""
    args = ["serve", *(["--local"] if local else []), *(["--project-id", project] if project else [])]
    for flag, path in (("--config", config), ("--api-key-file", api_key_file), ("--data-dir", data_dir)):
        args += [flag, str(path.expanduser().absolute())] if path else []
    return tuple(args)


def server_url(given: str, project: str | None, of_a_start: Sequence[str]) -> str:
    """The URL of a running server: /mcp where it names no path, with the project to keep to. Raises ConfigError when it is none."""
    if of_a_start:
        raise ConfigError(
            f"{', '.join(of_a_start)} is for a server that the client starts; with --http one runs already."
        )
    try:
        parts = urlsplit(given)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"--http {given!r} is not a URL, such as http://127.0.0.1:8765/mcp.")
    asked = [*([parts.query] if parts.query else []), *([urlencode({"projectId": project})] if project else [])]
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") or "/mcp", query="&".join(asked)))


def reach_for(kind: ClientKind, args: tuple[str, ...], *, http: str | None, needs_key: bool) -> Reach:
    """How this client is to reach the server."""
    command, *before = launch_command(full_path=kind.project_file is None, local="--local" in args)
    return Reach(
        command=command,
        args=(*before, *args),
        url=http,
        key_variable=KEY_VARIABLE if needs_key else None,
        key_file=platformdirs.user_config_path(APP_NAME) / "api-key",
        environment=("NEON_API_HOST",) if os.environ.get("NEON_API_HOST") else (),
        approvals=codex_approvals(TOOLS),
    )


def codex_approvals(tools: Sequence[ToolSpec]) -> dict[str, str]:
    """Codex runs what reads or is not destructive unasked. The guard keeps writes on branches, so they may run too; only deleting asks.

    A reset loses no more than run_sql could on the same branch.
    """
    modes = {spec.name: "approve" for spec in tools if spec.effect in ("write", "destroy")}
    return {tool: "prompt" if tool == "delete_branch" else mode for tool, mode in modes.items()}


def target(kind: ClientKind, folder: Path, *, user: bool) -> Path:
    """The file to write: the folder's, or the user's."""
    if user or kind.project_file is None:
        return kind.user_file(Path.home())
    return folder / kind.project_file


def merged(kind: ClientKind, path: Path, name: str, reach: Reach) -> str:
    """The file's text with our entry in it. Raises ConfigError, with the entry to add by hand, when the file is not understood."""
    try:
        there = path.read_text(encoding="utf-8") if path.is_file() else ""
        return kind.merge(there, name, reach)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}.") from exc
    except ConfigError as exc:
        raise ConfigError(f"{kind.title}: {path} was left alone: {exc.message}.{_by_hand(kind, name, reach)}") from None


def _by_hand(kind: ClientKind, name: str, reach: Reach) -> str:
    return "" if reach.url and not kind.remote else f" Add this by hand:\n{kind.merge('', name, reach)}"


def write(path: Path, text: str) -> Written:
    """Replace the file in one step, keeping what was there beside it. Raises OSError; a file made read-only is not replaced."""
    path = path.resolve()
    before = path.read_bytes() if path.is_file() else None
    if before == text.encode():
        return Written(path, text, changed=False, backup=None)
    if before is not None and not path.stat().st_mode & stat.S_IWUSR:
        raise PermissionError(errno.EACCES, "it is read-only")
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = None
    if before is not None:
        backup = _free_name(path)
        shutil.copy2(path, backup)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.write_bytes(text.encode())
    if before is not None:
        shutil.copymode(path, fresh)
    fresh.replace(path)
    return Written(path, text, changed=True, backup=backup)


def _free_name(path: Path) -> Path:
    number = 1
    while (backup := path.with_name(f"{path.name}.bak{number}")).exists():
        number += 1
    return backup


def _chosen(client: ClientName | None) -> list[ClientKind]:
    if client is not None:
        return [CLIENTS[client]]
    found = [kind for kind in CLIENTS.values() if kind.program and shutil.which(kind.program)]
    if not found:
        raise ConfigError(f"No client was found on the PATH; name one of {', '.join(CLIENTS)}.")
    return found


def _report(console: Console, kind: ClientKind, name: str, written: Written, reach: Reach, *, user: bool) -> None:
    done = "written" if written.changed else "is already as it should be"
    console.print(f"[bold]{kind.title}[/]: {written.path} {done}.", soft_wrap=True, highlight=False)
    if written.backup is not None:
        console.print(f"  What was there is in {written.backup}.", soft_wrap=True, highlight=False)
    if reach.key_variable and kind.name == "claude-desktop":
        console.print(f"  {_store_key(reach, os.environ)}", soft_wrap=True, highlight=False)
    elif reach.key_variable and not kind.asks_key and not os.environ.get(reach.key_variable):
        console.print(f"  Set {reach.key_variable} where you start {kind.title}.", soft_wrap=True, highlight=False)
    after = (user and kind.after_user) or kind.after
    if reach.key_variable and kind.asks_key:
        after += f" {kind.asks_key}"
    console.print(f"  {after.format(name=name)}", soft_wrap=True, highlight=False, markup=False)
    if kind.check and kind.program and (program := shutil.which(kind.program)):
        console.print(f"  {_ask_client([program, *kind.check, name])}", soft_wrap=True, highlight=False, markup=False)


def _store_key(reach: Reach, env: Mapping[str, str]) -> str:
    """Claude Desktop passes no environment on: the key goes into a file that only the user reads."""
    path = reach.key_file
    if path is None or path.is_file():
        return f"The key is read from {path}."
    key = env.get(reach.key_variable or "")
    if not key:
        return f"Put your Neon API key into {path} (or run init again with {reach.key_variable} set)."
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(key + "\n")
    return f"Your key was written to {path}, readable by you alone."


def _ask_client(command: list[str]) -> str:
    """What the client's own command says about the entry."""
    shown = " ".join([Path(command[0]).name, *command[1:]])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"{shown} did not answer: {exc.__class__.__name__}."
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        # Before the reason there may be warnings, after it a backtrace.
        reasons = [line for line in said if line.lower().startswith("error")] or said
        return f"{shown} does not see it yet: {reasons[0] if reasons else f'exit {done.returncode}'}"
    return f"{shown}:\n" + "\n".join(f"    {line}" for line in done.stdout.strip().splitlines()[:12])


def _say_project(console: Console, project: str | None) -> None:
    """`.neon` belongs to Neon's own command line: it is read and never written here."""
    context = find_neon_context(Path.cwd())
    if context is None or context.project_id is None:
        return
    if project and project != context.project_id:
        console.print(f".neon names project {context.project_id}; --project {project} goes before it.", highlight=False)
    elif not project:
        branch = f", branch {context.branch}" if context.branch else ""
        console.print(
            f".neon is found here: the server works in project {context.project_id}{branch}.", highlight=False
        )
