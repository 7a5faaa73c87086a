"""Parts that are measured on a branch's own Postgres beside the tools that everybody has: pg_dump, psql, COPY, cp."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import psycopg

from neon_branch_mcp.config import Secret, SqlConfig
from neon_branch_mcp.guard.functions import FunctionCatalogue
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.target import Target

from .measure import Figure, Sample, in_turn, seconds
from .servers import Peer, ours, running


@contextmanager
def branch_of(data_dir: Path, name: str) -> Iterator[tuple[Peer, str]]:
    """A server and the URI of a new branch of it, which is deleted at the end."""
    with running(ours(data_dir)) as peer, branch_on(peer, name) as uri:
        yield peer, uri


@contextmanager
def branch_on(peer: Peer, name: str, **settings: str) -> Iterator[str]:
    """The URI of a new branch that this server makes, and deletes at the end."""
    peer.call("create_branch", name=name, **settings)
    try:
        yield json.loads(peer.call("get_connection_string", branch=name)["content"][0]["text"])["uri"]
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
    """apply_migration of 100 small statements beside psql running the same file in one transaction: on new tables, and on old ones."""
    name = "bench-migrate"
    psql = find_binaries(None).tool("psql")
    numbers = iter(range(1_000_000))

    def on_new() -> str:
        tables = [f"m{next(numbers)}_{i}" for i in range(50)]
        lines = [f"CREATE TABLE {table} (id int PRIMARY KEY, note text);" for table in tables]
        return "\n".join([*lines, *(f"ALTER TABLE {table} ADD COLUMN more text;" for table in tables)])

    def on_old() -> str:
        column = f"c{next(numbers)}"
        lines = [f"ALTER TABLE old_{i} ADD COLUMN {column} text;" for i in range(50)]
        lines += [f"INSERT INTO old_{i} (note) VALUES ('x');" for i in range(25)]
        return "\n".join([*lines, *(f"UPDATE old_{i} SET {column} = 'x';" for i in range(25))])

    with branch_of(data_dir, name) as (peer, uri), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "migration.sql"

        def by_psql(text: str) -> None:
            file.write_text(text, encoding="utf-8")
            subprocess.run([psql, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", file, uri], check=True)

        def by_us(text: str) -> None:
            peer.call("apply_migration", name=f"m{next(numbers)}", sql=text, branch=name)

        def timed(run: Callable[[str], None], script: Callable[[], str]) -> Sample:
            def sample() -> float:
                # A database as it was: else each round's schema would be longer than the last one's.
                with psycopg.connect(uri, autocommit=True) as conn:
                    conn.execute(TIDY)
                text = script()
                begin = time.perf_counter()
                run(text)
                return time.perf_counter() - begin

            return sample

        figures = []
        for what, script in (("new tables", on_new), ("old tables", on_old)):
            samples = {"psql": timed(by_psql, script), "ours": timed(by_us, script)}
            figures += in_turn(f"100 statements on {what}", samples, rounds=rounds, baseline="psql")
        return figures


TIDY = """DO $$ DECLARE name text; BEGIN
FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(m[0-9]+|old)_[0-9]+$' LOOP
EXECUTE format('DROP TABLE %I', name); END LOOP;
FOR i IN 0..49 LOOP EXECUTE format('CREATE TABLE old_%s AS SELECT g AS id, ''x'' AS note FROM generate_series(1, 100) g', i); END LOOP;
END $$"""
"""Fifty tables of a hundred rows."""


def verify(data_dir: Path, rows: int, rounds: int) -> list[Figure]:
    """verify_migration of a big table that a migration widened, beside psql copying it out on both sides."""
    base, name = "bench-verify-base", "bench-verify"
    psql = find_binaries(None).tool("psql")
    fill = f"CREATE TABLE big AS SELECT g AS id, md5(g::text) AS text, now() AS at FROM generate_series(1, {rows}) g"
    with running(ours(data_dir)) as peer, branch_on(peer, base, expires_in="") as there:
        peer.call("run_sql", sql=f"{fill}; ALTER TABLE big ADD PRIMARY KEY (id)", branch=base)
        with branch_on(peer, name, parent=base) as here:
            peer.call("apply_migration", name="wider", sql="ALTER TABLE big ALTER id TYPE bigint", branch=name)

            def copied() -> None:
                copy = "COPY big TO STDOUT"
                ran = [subprocess.Popen([psql, "-Xqc", copy, uri], stdout=subprocess.DEVNULL) for uri in (there, here)]
                if any(process.wait() for process in ran):
                    raise RuntimeError("psql failed")

            def verified() -> None:
                report = peer.call("verify_migration", branch=name)["structuredContent"]
                if report["verdict"] != "preserved":
                    raise RuntimeError(str(report))

            samples = {"COPY of both": seconds(copied), "ours": seconds(verified)}
            return in_turn(f"verify, {rows:,} rows a side", samples, rounds=rounds, baseline="COPY of both")


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
