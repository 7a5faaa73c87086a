"""Every attack against one layer of the guard alone, against all but one, and against all: what remains. `tools/attack` runs it.

Layers are taken away by building the guard without them; no setting of the product does that. After an attack that left something the
database is made anew, so that each is judged by itself.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path

import anyio
import psycopg
from anyio.from_thread import start_blocking_portal
from psycopg import sql

from neon_branch_mcp.config import PolicyConfig, Secret, SqlConfig
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.guard.guard import Guard
from neon_branch_mcp.guard.policy import ALL_LAYERS, Layers
from neon_branch_mcp.local.plane import open_plane
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.reader import make_reader
from neon_branch_mcp.postgres.target import Target

from ..conftest import PlaneApi, Scratch, data_folder, local_config
from .attacks import Attack, attacks
from .conftest import Client
from .world import WORLD, Probe, rest

NONE = Layers(**dict.fromkeys((f.name for f in fields(Layers)), False))
QUICK = SqlConfig(read_timeout=4, lock_timeout=1)
TABLES = frozenset({"catalogue", "data", "sequences", "files"})
"""Kinds of effect that are a change of what the database holds."""


@dataclass(frozen=True)
class Mode:
    """One way to stand: these layers, as superuser, or the reader's login, and which setting of the policy."""

    name: str
    layers: Layers
    reader: bool = False
    policy: PolicyConfig = field(default_factory=PolicyConfig)


def modes() -> Iterator[Mode]:
    """Each alone, each away, and all. Protocol and transaction are one layer's two halves; they stand alone together and apart."""
    names = [f.name for f in fields(Layers)]
    yield Mode("none", NONE)
    for name in names:
        yield Mode(f"only {name}", replace(NONE, **{name: True}))
    yield Mode("only protocol + transaction", replace(NONE, protocol=True, transaction=True))
    yield Mode("only the reader's login", NONE, reader=True)
    for name in names:
        yield Mode(f"all but {name}", replace(ALL_LAYERS, **{name: False}))
    yield Mode("all", ALL_LAYERS)
    yield Mode("all, with unparsed_reads", ALL_LAYERS, policy=PolicyConfig(unparsed_reads=True))
    yield Mode("all and the reader's login", ALL_LAYERS, reader=True)


@dataclass
class Outcome:
    """What came of the attacks in one mode."""

    tried: int = 0
    answered: list[str] = field(default_factory=list)
    left: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Attack → kinds of effect that remained."""

    @property
    def kinds(self) -> Counter[str]:
        return Counter(kind for found in self.left.values() for kind in found)

    @property
    def tables(self) -> list[str]:
        """Attacks that changed what the database holds."""
        return [attack for attack, found in self.left.items() if TABLES.intersection(found)]


READER = "reader_of_sweep"
_CLEAR = """
ALTER SYSTEM RESET ALL;
ALTER ROLE ALL RESET ALL;
ALTER ROLE cloud_admin RESET ALL;
SELECT pg_reload_conf();
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid();
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots;
SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin;
"""


@dataclass
class Ground:
    """A database of traps that is made anew from a template whenever an attack left something."""

    scratch: Scratch
    made: int = 0

    def owner_uri(self, database: str) -> str:
        """As the owner, who is no superuser."""
        return self.scratch.uri.replace("/shop?", f"/{database}?")

    def build(self) -> None:
        """Make the template."""
        with psycopg.connect(self.scratch.superuser_uri("postgres"), autocommit=True) as conn:
            conn.execute("CREATE DATABASE traps OWNER shop_owner")
        with psycopg.connect(self.owner_uri("traps"), autocommit=True) as conn:
            conn.execute(WORLD.encode())

    def fresh(self) -> str:
        """The name of a new copy."""
        with psycopg.connect(self.scratch.superuser_uri("postgres"), autocommit=True) as conn:
            for statement in _CLEAR.strip().split(";\n"):
                conn.execute(statement.encode())
            for (gid,) in conn.execute("SELECT gid FROM pg_prepared_xacts").fetchall():
                conn.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))
            if self.made:
                self._unsubscribe(f"copy_{self.made}")
                conn.execute(f"DROP DATABASE IF EXISTS copy_{self.made} WITH (FORCE)".encode())
            self.made += 1
            conn.execute(f"CREATE DATABASE copy_{self.made} TEMPLATE traps OWNER shop_owner".encode())
        for path in Path("/tmp").glob("pwn_*"):
            path.unlink()
        return f"copy_{self.made}"

    def _unsubscribe(self, database: str) -> None:
        """A database with a subscription cannot be dropped."""
        with psycopg.connect(self.scratch.superuser_uri(database), autocommit=True) as conn:
            here = "SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
            for (name,) in conn.execute(here).fetchall():
                for change in (
                    "ALTER SUBSCRIPTION {} DISABLE",
                    "ALTER SUBSCRIPTION {} SET (slot_name = NONE)",
                    "DROP SUBSCRIPTION {}",
                ):
                    conn.execute(sql.SQL(change).format(sql.Identifier(name)))


async def play(ground: Ground, mode: Mode, wanted: Sequence[Attack]) -> Outcome:
    """Every attack in one mode."""
    outcome = Outcome()
    waiting = list(wanted)
    guard = Guard(mode.policy, layers=mode.layers)
    while waiting:
        database = ground.fresh()
        probe = Probe(ground.scratch.superuser_uri(database))
        client = await _client(ground, mode, guard, database)
        try:
            waiting = await _until_harmed(client, probe, waiting, outcome)
        finally:
            await client.executor.aclose()
            probe.close()
    await guard.aclose()
    return outcome


async def _client(ground: Ground, mode: Mode, guard: Guard, database: str) -> Client:
    """As superuser, who is stopped by nothing but the guard; the reader as itself."""
    uri, settings = ground.scratch.superuser_uri(database), QUICK
    if mode.reader:
        uri = ground.owner_uri(database)
        owner = Executor(QUICK)
        report = await make_reader(
            owner, [Target("p", "br-main", "main", database, "read-write", Secret(uri))], role=READER
        )
        await owner.aclose()
        settings = QUICK.model_copy(update={"reader_role": report.role, "reader_password": report.password})
    return Client(guard, Executor(settings), uri, mode.policy)


async def _until_harmed(client: Client, probe: Probe, waiting: list[Attack], outcome: Outcome) -> list[Attack]:
    """Plays attacks until one leaves something; those that have not been tried."""
    state = probe.state()
    for i, attack in enumerate(waiting):
        outcome.tried += 1
        if await answered(client, attack, probe):
            outcome.answered.append(attack.id)
        try:
            await rest()
            found = probe.state().changed_since(state)
        except psycopg.OperationalError:
            found = {"bystander"}  # the probe's own session was ended
        if found:
            outcome.left[attack.id] = tuple(sorted(found))
            return waiting[i + 1 :]
    return []


async def answered(client: Client, attack: Attack, probe: Probe) -> bool:
    """Whether the last call of it got an answer."""
    pid = str(probe.bystander.info.backend_pid)
    last = False
    for text in attack.calls:
        try:
            await client(text.replace("{pid}", pid))
            last = True
        except NeonBranchError:
            last = False
    return last


@contextmanager
def _ground() -> Iterator[Ground]:
    """A control plane of its own, and a branch there."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        config = local_config(stack.enter_context(data_folder()), suspend_after=0)
        plane = stack.enter_context(portal.wrap_async_context_manager(open_plane(config)))
        api = PlaneApi(plane, portal)
        branch_id = api.create_branch("sweep")["id"]
        core = plane.service.core
        ground = Ground(Scratch(branch_id, api.uri(branch_id), core.cluster_of(core.branch(branch_id))))
        ground.build()
        yield ground


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Play, and print a table; the exit code is 1 when with all layers anything remained."""
    parser = argparse.ArgumentParser(prog="tools/attack", description=__doc__)
    parser.add_argument(
        "--mode", action="append", default=[], help="only modes that fit this pattern (only *); may be repeated"
    )
    parser.add_argument("--kind", action="append", default=[], help="only attacks of this class; may be repeated")
    parser.add_argument("--out", type=Path, help="a file for what remained of what, as JSON")
    asked = parser.parse_args()
    wanted = [a for a in attacks() if a.kind != "parser" and (not asked.kind or a.kind in asked.kind)]
    told: dict[str, Outcome] = {}
    _say(
        "| layers | attacks | answered | something remains | a table, sequence or file changed | what remains |\n|---|---|---|---|---|---|"
    )
    with _ground() as ground:
        for mode in modes():
            if asked.mode and not any(fnmatchcase(mode.name, pattern) for pattern in asked.mode):
                continue
            found = told[mode.name] = anyio.run(play, ground, mode, wanted)
            kinds = ", ".join(f"{kind} {count}" for kind, count in found.kinds.most_common())
            _say(
                f"| {mode.name} | {found.tried} | {len(found.answered)} | {len(found.left)} | {len(found.tables)} | {kinds} |"
            )
    if asked.out:
        asked.out.write_text(json.dumps({name: vars(o) for name, o in told.items()}, indent=1), encoding="utf-8")
    sys.exit(any(o.left for name, o in told.items() if name.startswith("all") and not name.startswith("all but")))


if __name__ == "__main__":
    main()
