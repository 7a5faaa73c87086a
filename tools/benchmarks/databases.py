"""Parts that are measured on a branch's own Postgres beside the tools that everybody has: pg_dump, psql, COPY, cp."""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import psycopg

from neon_branch_mcp.config import Secret, SqlConfig
from neon_branch_mcp.guard.functions import FunctionCatalogue
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.target import Target

from .measure import Figure, in_turn, seconds
from .servers import Peer, ours, running


@contextmanager
def branch_of(data_dir: Path, name: str) -> Iterator[tuple[Peer, str]]:
    """A server and the URI of a new branch of it, which is deleted at the end."""
    with running(ours(data_dir)) as peer:
        peer.call("create_branch", name=name)
        try:
            uri = json.loads(peer.call("get_connection_string", branch=name)["content"][0]["text"])["uri"]
            yield peer, uri
        finally:
            peer.call("delete_branch", branch=name)


def catalogue(data_dir: Path) -> FunctionCatalogue:
    """What a branch's database says of its functions."""

    async def read(uri: str) -> FunctionCatalogue:
        executor = Executor(SqlConfig())
        try:
            return await executor.catalogue(Target("p", "b", "b", "shop", "read-write", Secret(uri)))
        finally:
            await executor.aclose()

    with branch_of(data_dir, "bench-guard") as (_, uri):
        return anyio.run(read, uri)


def describe(data_dir: Path, tables: int, rounds: int) -> list[Figure]:
    """describe_schema of many tables beside pg_dump -s of them."""
    name = "bench-schema"
    pg_dump = find_binaries(None).tool("pg_dump")
    with branch_of(data_dir, name) as (peer, uri):
        with psycopg.connect(uri, autocommit=True) as conn:
            columns = ", ".join(f"c{i} text" for i in range(14))
            conn.execute("CREATE SCHEMA many")
            # In parts: one transaction would hold a lock for every table.
            for first in range(0, tables, 500):
                conn.execute(
                    f"DO $$ BEGIN FOR i IN {first}..{min(first + 500, tables) - 1} LOOP EXECUTE format("
                    f"'CREATE TABLE many.t%s (id bigint PRIMARY KEY, {columns})', i); END LOOP; END $$"
                )
        return in_turn(
            f"describe_schema, {tables:,} tables",
            {
                "pg_dump -s": seconds(
                    lambda: subprocess.run([pg_dump, "-s", "-n", "many", uri], check=True, stdout=subprocess.DEVNULL)
                ),
                "ours": seconds(lambda: peer.call("describe_schema", branch=name, schemas=["many"])),
            },
            rounds=rounds,
            baseline="pg_dump -s",
        )


def migrate(data_dir: Path, rounds: int) -> list[Figure]:
    """apply_migration of 100 small statements beside psql running the same file in one transaction."""
    name = "bench-migrate"
    psql = find_binaries(None).tool("psql")
    numbers = iter(range(1_000_000))
    with branch_of(data_dir, name) as (peer, uri), tempfile.TemporaryDirectory() as folder:

        def script() -> str:
            number = next(numbers)
            lines = [f"CREATE TABLE m{number}_{i} (id int PRIMARY KEY, note text);" for i in range(50)]
            lines += [f"ALTER TABLE m{number}_{i} ADD COLUMN more text;" for i in range(50)]
            return "\n".join(lines)

        def by_psql() -> float:
            file = Path(folder) / "migration.sql"
            file.write_text(script(), encoding="utf-8")
            begin = time.perf_counter()
            subprocess.run([psql, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", file, uri], check=True)
            return time.perf_counter() - begin

        def by_us() -> float:
            text = script()
            begin = time.perf_counter()
            peer.call("apply_migration", name=f"m{next(numbers)}", sql=text, branch=name)
            return time.perf_counter() - begin

        return in_turn(
            "apply_migration, 100 statements", {"psql": by_psql, "ours": by_us}, rounds=rounds, baseline="psql"
        )


def clone(data_dir: Path, rounds: int) -> list[Figure]:
    """create_branch of the sample shop: to SQL answering there."""
    with running(ours(data_dir)) as peer:

        def once() -> float:
            begin = time.perf_counter()
            peer.call("create_branch", name="bench-clone")
            took = time.perf_counter() - begin
            peer.call("delete_branch", branch="bench-clone")
            return took

        return in_turn("create_branch, the sample shop", {"ours": once}, rounds=rounds)
