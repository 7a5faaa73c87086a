"""`neon-branch-mcp local …`: the local control plane by hand."""

import contextlib
import ipaddress
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from ..errors import ConfigError, Conflict, NotFound, Refused
from ..local.files import disk_usage
from ..local.plane import LocalPlane, Opened
from ..local.problems import Problem
from ..local.store import BranchRow
from ..local.transfer import import_project
from .options import ConfigFile, DataDir, stderr
from .settings import settings

WIDE = 86
"""Columns of a terminal that has room for the hour at which a branch expires."""

local = typer.Typer(
    help="The local control plane: Neon's API over real Postgres on this machine.", no_args_is_help=True
)

ProjectOption = Annotated[str | None, typer.Option("--project-id", help="The project; default: the first one.")]
BranchArgument = Annotated[str, typer.Argument(help="Branch, by id or name.")]


@contextlib.contextmanager
def _opened(config: Path | None, data_dir: Path | None) -> Iterator[LocalPlane]:
    """The plane of the data directory, open for as long as the command runs; its refusals become our errors."""
    opened = Opened(settings(config, data_dir=data_dir, local=True).local)
    try:
        yield opened.plane
    except Problem as exc:
        kinds = {404: NotFound, 409: Conflict}
        if exc.status in kinds:
            raise kinds[exc.status](exc.message) from exc
        raise Refused(exc.message, rule="local-control-plane") from exc
    finally:
        opened.close()


@local.command()
def up(
    port: Annotated[int, typer.Option(help="TCP port for the API; 0 takes a free one.", min=0, max=65535)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what to export as one JSON line.")] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback needs --allow-remote.")
    ] = "127.0.0.1",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Listen on an address that others reach.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Serve the API over TCP for other clients, until interrupted."""
    if not allow_remote and not _is_loopback(host):
        raise ConfigError(f"{host} is not a loopback address; --allow-remote opens the control plane to others.")
    listener = _listen(host, port)
    with listener, _opened(config, data_dir) as plane:
        address = f"http://{host}:{listener.getsockname()[1]}/api/v2"
        facts = {"api_host": address, "api_key": plane.api_key.reveal(), "project_id": plane.project_id}
        if as_json:
            sys.stdout.write(json.dumps(facts) + "\n")
        else:
            sys.stdout.write(
                f"The local control plane serves {address}; its data is in {plane.data_dir}.\n"
                f"export NEON_API_HOST={facts['api_host']}\nexport NEON_API_KEY={facts['api_key']}\n"
                f"Project: {facts['project_id']}. Ctrl-C ends it.\n"
            )
        sys.stdout.flush()
        _serve(plane, listener)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as exc:
        listener.close()
        if isinstance(exc, socket.gaierror):
            raise ConfigError(f"{host} is not an address that can be listened on: {exc.strerror}.") from exc
        raise ConfigError(f"Port {port} on {host} cannot be used: {exc.strerror}. Choose another with --port.") from exc
    return listener


def _serve(plane: LocalPlane, listener: socket.socket) -> None:
    import uvicorn  # only this command needs it, and importing it takes a tenth of a second

    uvicorn.Server(uvicorn.Config(plane.app, log_level="warning", access_log=False, lifespan="off")).run([listener])


@local.command()
def status(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show the binaries, the data directory, and every branch with its Postgres."""
    with _opened(config, data_dir) as plane:
        core = plane.service.core
        tls = (
            "TLS and SCRAM"
            if core.binaries.has_openssl
            else "no OpenSSL: connection strings say sslmode=disable, unencrypted"
        )
        console = Console()
        console.print(
            f"PostgreSQL {core.binaries.version} from {core.binaries.source} ({tls})", highlight=False, soft_wrap=True
        )
        console.print(
            f"Data directory {plane.data_dir}; clusters in {core.places.clusters}", highlight=False, soft_wrap=True
        )
        for project in plane.service.projects():
            _print_branches(console, plane, project.id, f"{project.id} ({project.name})")


@local.command()
def branches(project_id: ProjectOption = None, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """List the branches of a project."""
    with _opened(config, data_dir) as plane:
        chosen = project_id or plane.project_id
        _print_branches(Console(), plane, chosen, chosen)


def _print_branches(console: Console, plane: LocalPlane, project_id: str, title: str) -> None:
    # On a narrow terminal names may go over several lines; what is copied from here is never cut, and 80 columns hold all of it.
    whole = ("id", "state", "port", "MB", "expires")
    heads = ("branch", "id", "parent", "state", "port", "MB", "expires")
    when = "%Y-%m-%d %H:%M" if console.width >= WIDE else "%Y-%m-%d"
    columns = [
        Column(head, no_wrap=head in whole, overflow="fold", min_width=10 if head == "branch" else None)
        for head in heads
    ]
    table = Table(
        *columns,
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if console.width >= WIDE else 0, 0, 0),
    )
    found = plane.service.branches(project_id)
    names = {b.id: b.name for b in found}
    for branch in found:
        endpoint = next(iter(plane.service.endpoints(project_id, branch.id)), None)
        running = endpoint is not None and plane.service.is_active(endpoint)
        table.add_row(
            branch.name + (" (default)" if branch.is_default else ""),
            branch.id,
            names.get(branch.parent_id or "", ""),
            branch.state if branch.state != "ready" else "running" if running else "suspended",
            str(endpoint.port) if endpoint else "",
            f"{_size(plane, branch) / 1e6:.0f}",
            "" if branch.expires_at is None else datetime.fromtimestamp(branch.expires_at, UTC).strftime(when),
        )
    console.print(table)


def _size(plane: LocalPlane, branch: BranchRow) -> int:
    """Bytes of its data; where copies share blocks the disk holds less."""
    return 0 if branch.cluster_id is None else disk_usage(plane.service.core.cluster_of(branch).data / "base")


def _branch(plane: LocalPlane, project_id: str, wanted: str) -> BranchRow:
    found = plane.service.branches(project_id)
    for branch in found:
        if wanted in (branch.id, branch.name):
            return branch
    raise NotFound(f"There is no branch {wanted!r}. There are: {', '.join(b.name for b in found)}.")


@local.command()
def psql(
    branch: BranchArgument,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="psql's own, after --, as in: -- -c 'SELECT 1'.")
    ] = None,
    database: Annotated[str | None, typer.Option("--database", "-d", help="Database; default: the first one.")] = None,
    project_id: ProjectOption = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Open psql on a branch as its owner."""
    with _opened(config, data_dir) as plane:
        chosen = project_id or plane.project_id
        uri = _owner_uri(plane, chosen, _branch(plane, chosen, branch).id, database)
        command = shutil.which("psql", path=plane.service.core.binaries.folder) or shutil.which("psql")
        if command is None:
            raise ConfigError("psql was found neither beside postgres nor on the PATH.")
        code = subprocess.call([command, uri, *(arguments or [])])
    raise typer.Exit(code)


def _owner_uri(plane: LocalPlane, project_id: str, branch_id: str, database: str | None) -> str:
    found = plane.service.databases(project_id, branch_id)
    chosen = next((d for d in found if database in (None, d.name)), None)
    if chosen is None:
        raise NotFound(f"There is no database {database!r}. There are: {', '.join(d.name for d in found)}.")
    return plane.service.connection_uri(project_id, chosen.name, chosen.owner, branch_id=branch_id, endpoint_id=None)


@local.command()
def reset(
    branch: BranchArgument, project_id: ProjectOption = None, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Make a branch again what its parent is now; its connection string stays."""
    with _opened(config, data_dir) as plane:
        chosen = project_id or plane.project_id
        row = _branch(plane, chosen, branch)
        if row.parent_id is None:
            raise Refused(f"{row.name} is a root branch: there is nothing to reset it from.", rule="root-branch")
        plane.service.finish(plane.service.restore_branch(chosen, row.id, row.parent_id))
        stderr.print(f"{row.name} is again what its parent is now.")


@local.command(name="import")
def import_(
    source: Annotated[str, typer.Argument(help="A pg_dump file (any format) or the URI of a live database.")],
    name: Annotated[str | None, typer.Option(help="Name of the new project; default: from the source.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a project that holds a copy of your own database, to rehearse on."""
    with _opened(config, data_dir) as plane:
        project_id, warnings = import_project(plane.service, source, name)
        for line in warnings:
            stderr.print(line, highlight=False, markup=False)
        sys.stdout.write(f"{project_id}\n")
        stderr.print(f"Imported. Use it with: neon-branch-mcp serve --local --project-id {project_id}")


@local.command()
def down(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Stop every Postgres of the data directory; the data stays."""
    with _opened(config, data_dir) as plane:
        stopped = 0
        for project in plane.service.projects():
            for branch in plane.service.branches(project.id):
                if branch.cluster_id is not None:
                    cluster = plane.service.core.cluster_of(branch)
                    stopped += cluster.running() is not None
                    cluster.stop()
    stderr.print(f"{stopped} stopped. While `local up` or a server runs, a connection starts them again.")
