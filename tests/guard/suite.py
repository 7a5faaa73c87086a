"""PostgreSQL's own regression suite, statement by statement, through the tool `query` on the default branch. `tools/suite` runs it.

The suite's schema is loaded first, and the login is made a superuser, whom nothing stops but the guard. After every stretch of statements
a second session looks for whatever changed; a stretch that changed something is played again, one statement at a time. With pglast at
hand it also says how many of the plain reads were refused, and why. The suite itself (src/test/regress/sql) comes with Postgres' source.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import psycopg
from anyio.from_thread import start_blocking_portal
from mcp import Client

from neon_branch_mcp.app import Caller, open_app
from neon_branch_mcp.guard import lexer
from neon_branch_mcp.local.plane import LocalPlane, open_plane
from neon_branch_mcp.server import build_server, session_caller

from ..conftest import PlaneApi, data_folder, local_config, plane_config
from .world import Probe, rest

DATABASE = "regression"
FIRST = "test_setup create_index create_misc create_aggregate create_operator create_type create_view"
"""Files that make what the others use; after them the rest of the suite is loaded too, for what it leaves behind."""
THEN = (
    "arrays point box polygon circle lseg line path jsonb json int4 int8 float8 numeric text inet timestamptz date interval tsearch "
    "rangetypes xml rowsecurity join subselect with window"
)
CHANNELS = "notify_async1 notify_async2 virtual foo_event1 foo_event2"
STRETCH = 500
SLOW = 2.0
SETTINGS = {"sql": {"read_timeout": 4, "lock_timeout": 1, "max_rows": 50, "max_bytes": 8_000}}


@dataclass
class Tally:
    """What came of the statements."""

    tried: int = 0
    answered: int = 0
    plain: int = 0
    plain_refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def told(self) -> str:
        times = sorted(self.seconds) or [0.0]
        refused = sum(self.plain_refused.values())
        share = f"{refused} of {self.plain} plain reads refused ({refused / max(1, self.plain):.2%}: {dict(self.plain_refused)})"
        return (
            f"{self.tried} statements, {self.answered} answered, {len(self.changed)} with an effect, {len(self.crashes)} crashes; {share}; "
            f"guard median {times[len(times) // 2] * 1e3:.2f} ms, p99 {times[int(len(times) * 0.99)] * 1e3:.2f} ms, "
            f"max {times[-1] * 1e3:.0f} ms, {len(self.slow)} over {SLOW:g} s; errors {dict(self.errors.most_common())}"
        )


def statements(folder: Path) -> Iterator[str]:
    """Every statement of the suite, without psql's own commands and COPY data."""
    for path in sorted(folder.glob("*.sql")):
        lines = []
        copying = False
        for line in path.read_text(encoding="utf-8", errors="replace").replace("\0", "").split("\n"):
            if copying:
                copying = line.strip() != "\\."
                continue
            if line.startswith("\\"):
                continue
            kept = f"{line.split(chr(92) + 'g')[0]};" if "\\g" in line and line.split("\\g")[0].strip() else line
            lines.append(kept)
            copying = kept.lower().startswith("copy ") and "from stdin" in kept.lower()
        text = "\n".join(lines)
        try:
            parts = lexer.statements(lexer.tokens(text))
        except lexer.LexError:
            continue
        yield from (text[part[0].start : part[-1].end] for part in parts)


def is_plain(sql: str) -> bool:
    """One SELECT that writes and locks nothing, by Postgres' own grammar (pglast)."""
    try:
        pglast = import_module("pglast")
    except ModuleNotFoundError:
        return False
    try:
        found = json.loads(pglast.parser.parse_sql_json(sql))["stmts"]
    except pglast.parser.ParseError:
        return False
    flat = json.dumps(found)
    writes = ("intoClause", "lockingClause", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
    return len(found) == 1 and "SelectStmt" in found[0]["stmt"] and not any(f'"{word}"' in flat for word in writes)


def load(superuser_uri: str, folder: Path) -> None:
    """The suite's schema, errors passed over: parts of it want C functions that are not there."""
    for name in f"{FIRST} {THEN}".split():
        command = ["psql", "-q", "-X", superuser_uri, "-f", f"{name}.sql"]
        subprocess.run(command, cwd=folder, timeout=120, check=False, capture_output=True, stdin=subprocess.DEVNULL)


@dataclass
class Suite:
    """A default branch with the suite's schema, and a client of the server."""

    client: Client
    probe: Probe

    async def play(self, texts: Sequence[str], tally: Tally) -> None:
        """All of them; whatever changed meanwhile is traced to its statement."""
        before = self.probe.state()
        for text in texts:
            await self._one(text, tally)
        if found := await self._look(before):
            tally.changed[f"one of {len(texts)}"] = sorted(found)
            await self._trace(texts, tally)

    async def _look(self, before: Any) -> set[str]:
        await rest()
        return self.probe.state().changed_since(before)

    async def _trace(self, texts: Sequence[str], tally: Tally) -> None:
        state = self.probe.state()
        for text in texts:
            await self._one(text, Tally())
            if found := await self._look(state):
                tally.changed[text] = sorted(found)
                state = self.probe.state()

    async def _one(self, text: str, tally: Tally) -> None:
        tally.tried += 1
        plain = is_plain(text)
        tally.plain += plain
        result = await self.client.call_tool("query", {"sql": text, "database": DATABASE, "max_rows": 50})
        if not result.is_error:
            tally.answered += 1
            return
        words = "".join(getattr(block, "text", "") for block in result.content)
        code = words[1 : words.find("]")]
        tally.errors[code] += 1
        if code == "internal":
            tally.crashes.append(f"{text}: {words}")
        if "took longer" in words or "the process that reads statements" in words:
            tally.slow.append(text)
        if plain and code == "refused":
            tally.plain_refused[_why(words)] += 1
            tally.refused.append((text, words))


def _why(words: str) -> str:
    for mark in ("parsed", "VOLATILE", "acts beyond", "nests more", "operator", "control character", "U&"):
        if mark in words:
            return mark
    return "other"


@contextmanager
def loaded(folder: Path) -> Iterator[tuple[LocalPlane, str]]:
    """A plane of its own whose default branch holds the suite's schema, and the superuser's way in."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        config = local_config(stack.enter_context(data_folder()), suspend_after=0)
        plane = stack.enter_context(portal.wrap_async_context_manager(open_plane(config)))
        api = PlaneApi(plane, portal)
        branch = next(b for b in api("GET", f"{api.project}/branches")["branches"] if b["default"])
        databases = f"{api.project}/branches/{branch['id']}/databases"
        api("POST", databases, json={"database": {"name": DATABASE, "owner_name": "shop_owner"}})
        core = plane.service.core
        cluster = core.cluster_of(core.branch(branch["id"]))
        running = cluster.running()
        assert running is not None
        uri = f"host={cluster.places.sockets} port={running.port} user=cloud_admin dbname={DATABASE}"
        load(uri, folder)
        with psycopg.connect(uri, autocommit=True) as conn:
            conn.execute("ALTER ROLE shop_owner SUPERUSER")
            # Statistics are to come from a statement of the suite alone.
            conn.execute("ALTER SYSTEM SET autovacuum = off")
            conn.execute("SELECT pg_reload_conf()")
        yield plane, uri


@asynccontextmanager
async def suite(plane: LocalPlane, uri: str, tally: Tally, **policy: Any) -> AsyncIterator[Suite]:
    """The server over the plane, with the guard's time taken."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(open_app(plane_config(plane, policy=policy, **SETTINGS)))
        vet = app.guard.vet

        async def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return await vet(*args, **kwargs)
            finally:
                tally.seconds.append(time.perf_counter() - started)

        app.guard.vet = timed  # type: ignore[method-assign]
        client = await stack.enter_async_context(Client(build_server(app, session_caller(Caller()))))
        probe = Probe(uri)
        stack.callback(probe.close)
        for channel in CHANNELS.split():
            probe.bystander.execute(f"LISTEN {channel}".encode())
        yield Suite(client, probe)


async def run(plane: LocalPlane, uri: str, texts: Sequence[str], tally: Tally, **policy: Any) -> None:
    """A stretch at a time."""
    async with suite(plane, uri, tally, **policy) as at:
        for start in range(0, len(texts), STRETCH):
            await at.play(texts[start : start + STRETCH], tally)


def main() -> None:
    """Load, play in both modes, print; the exit code is 1 when anything changed or crashed."""
    parser = argparse.ArgumentParser(prog="tools/suite", description=__doc__)
    parser.add_argument("folder", type=Path, help="src/test/regress/sql of a Postgres source tree")
    parser.add_argument("--every", type=int, default=1, help="one statement in so many")
    asked = parser.parse_args()
    texts = list(statements(asked.folder))[:: asked.every]
    bad = False
    with loaded(asked.folder) as (plane, uri):
        for relaxed in (False, True):
            tally = Tally()
            anyio.run(partial(run, plane, uri, texts, tally, unparsed_reads=relaxed))
            sys.stdout.write(f"unparsed_reads {'on' if relaxed else 'off'}: {tally.told()}\n")
            bad = bad or bool(tally.changed or tally.crashes or tally.slow)
            for text, kinds in tally.changed.items():
                sys.stdout.write(f"  changed {kinds}: {text}\n")
    sys.exit(bad)


if __name__ == "__main__":
    main()
