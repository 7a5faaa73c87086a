"""Other servers for Postgres over MCP, on the same database, at the same work, in turn: what a model would wait for and pay with each.

They are looked for on the PATH and below the folders in `BENCH_PEERS` (in `node_modules`, or in `bin` as in a Python environment), and run
by the `node` found there. For the figures of one release to the next: `npm install node@24 @bytebase/dbhub
@zeddotdev/postgres-context-server @toolbox-sdk/server` in a folder, and `postgres-mcp` by pip in an environment of its own.

All speak TLS to Postgres without verifying its certificate, as `sslmode=require` says.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from .calls import ROW_QUERIES
from .databases import branch_on
from .measure import Figure, Sample, figures, in_turn, pss_of_tree, seconds
from .servers import Ended, Peer, ours, plane_over_tcp, running
from .start import until_listed
from .tokens import listed

FOLDERS = "BENCH_PEERS"
BRANCH = "bench-peers"
OURS = "ours"


@dataclass(frozen=True)
class Launch:
    """How a server is started on a database, and which of its tools runs SQL, with what besides."""

    command: list[str]
    tool: str
    env: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Peer:
        return Peer(self.command, dict(self.env))


class NotHere(Exception):
    """A peer that cannot run, and why."""


def _folders() -> list[Path]:
    return [Path(part) for part in os.environ.get(FOLDERS, "").split(os.pathsep) if part]


def _program(name: str) -> str:
    """A program below the named folders or on the PATH. Raises NotHere."""
    places = [str(folder / sub) for folder in _folders() for sub in ("node_modules/.bin", "bin")]
    found = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if found is None:
        raise NotHere(f"there is no program {name} on the PATH or below the folders in {FOLDERS}")
    return found


def _script(package: str, file: str) -> list[str]:
    """The command for a file of a package from npm. Raises NotHere."""
    for folder in _folders():
        if (path := folder / "node_modules" / package / file).is_file():
            return [_program("node"), str(path)]
    raise NotHere(f"there is no node_modules/{package} below the folders in {FOLDERS}")


def _dbhub(uri: str, work: Path) -> Launch:
    """With the setting that makes it read only: BEGIN READ ONLY for each call."""
    config = work / "dbhub.toml"
    source = f'[[sources]]\nid = "db"\ndsn = "{uri}"\n'
    config.write_text(f'{source}[[tools]]\nname = "execute_sql"\nsource = "db"\nreadonly = true\n', encoding="utf-8")
    command = _script("@bytebase/dbhub", "dist/index.js")
    return Launch([*command, "--transport", "stdio", "--config", str(config)], "execute_sql")


def _zed(uri: str, _: Path) -> Launch:
    """BEGIN TRANSACTION READ ONLY for each call."""
    unverified = f"{uri.partition('?')[0]}?sslmode=no-verify"
    return Launch(_script("@zeddotdev/postgres-context-server", "index.mjs"), "query", {"DATABASE_URL": unverified})


def _toolbox(uri: str, _: Path) -> Launch:
    """No transaction of its own: the statement as it is."""
    parts = urlsplit(uri)
    env = {"HOST": parts.hostname, "PORT": parts.port, "DATABASE": parts.path[1:]}
    env |= {"USER": parts.username, "PASSWORD": parts.password}
    given = {f"POSTGRES_{name}": str(value) for name, value in env.items()}
    return Launch([_program("toolbox"), "--prebuilt", "postgres", "--stdio"], "execute_sql", given)


def _postgres_mcp(uri: str, _: Path) -> Launch:
    """In restricted mode: BEGIN TRANSACTION READ ONLY for each call, after its own parser."""
    return Launch([_program("postgres-mcp"), "--access-mode=restricted", uri], "execute_sql")


PEERS: Mapping[str, Callable[[str, Path], Launch]] = {
    "dbhub": _dbhub,
    "postgres-context-server": _zed,
    "toolbox (no transaction)": _toolbox,
    "postgres-mcp": _postgres_mcp,
}


def peers(data_dir: Path, quick: bool, say: Callable[[str], None]) -> list[Figure]:
    """Cold start, warm calls, memory and tokens of ours and of every peer that runs here; `say` is told of each that does not.

    Ours works as with Neon: the control plane is another process.
    """
    with ExitStack() as stack:
        plane, work = stack.enter_context(plane_over_tcp(data_dir)), stack.enter_context(tempfile.TemporaryDirectory())
        serve = ours(data_dir)[:2]
        uri = stack.enter_context(branch_on(stack.enter_context(running(serve, plane)), BRANCH))
        launches = {OURS: Launch(serve, "query", plane, {"branch": BRANCH})}
        for name, found in _usable(uri, Path(work), say):
            launches[name] = found
        return [
            *in_turn(
                "peers: spawn to tools/list",
                {name: until_listed(launch.command, launch.env) for name, launch in launches.items()},
                rounds=3 if quick else 9,
                baseline=OURS,
            ),
            *_warm(launches, 50 if quick else 300),
        ]


def _usable(uri: str, work: Path, say: Callable[[str], None]) -> Iterator[tuple[str, Launch]]:
    for name, launch_on in PEERS.items():
        try:
            launch = launch_on(uri, work)
            _try(launch)
        except NotHere as exc:
            say(f"NOT RUN: {name}: {exc}")
        else:
            yield name, launch


def _try(launch: Launch) -> None:
    """One read of what all are asked for. Raises NotHere with the peer's own last words."""
    with tempfile.TemporaryFile() as errors:
        try:
            peer = Peer(launch.command, dict(launch.env), errors=errors, patience=60)
        except (OSError, Ended) as exc:
            errors.seek(0)
            said = errors.read().decode(errors="replace").split("\n")
            words = next((line.strip() for line in said if "rror" in line), "")
            raise NotHere(f"it does not start: {words or exc}") from exc
        try:
            result = peer.call(launch.tool, sql="select 1729 as n", **launch.extra)
            if "1729" not in str(result):
                raise NotHere(f"it answered a read with {str(result)[:300]}")
        except RuntimeError as exc:
            raise NotHere(f"it does not answer a read: {str(exc)[:300]}") from exc
        finally:
            peer.close()


def _texts(text: str | None) -> Iterator[str]:
    """The same each time, or one that was never asked before."""
    return itertools.repeat(text) if text else (f"select {n} as n" for n in itertools.count(1000))


def _read(peer: Peer, launch: Launch, texts: Iterator[str]) -> None:
    peer.call(launch.tool, sql=next(texts), **launch.extra)


def _warm(launches: Mapping[str, Launch], rounds: int) -> list[Figure]:
    with ExitStack() as stack:
        running: dict[str, Peer] = {}
        for name, launch in launches.items():
            running[name] = launch.start()
            stack.callback(running[name].close)
        found: list[Figure] = []
        for title in ("select 1", "100 rows", "another select each time"):
            samples: dict[str, Sample] = {
                name: seconds(partial(_read, peer, launches[name], _texts(ROW_QUERIES.get(title))))
                for name, peer in running.items()
            }
            found += in_turn(f"peers: {title}", samples, rounds=rounds, baseline=OURS)
        memory = {name: [pss_of_tree(peer.process.pid)] for name, peer in running.items()}
        tokens = {name: [listed(peer)] for name, peer in running.items()}
        return [
            *found,
            *figures("peers: memory after that (PSS)", memory, baseline=OURS, unit="MB"),
            *figures("peers: tools/list", tokens, baseline=OURS, unit="tokens"),
        ]
