"""What the tests of migrations share: applying a script to a scratch database, and looking from another connection."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from neon_branch_mcp.config import Secret, SqlConfig
from neon_branch_mcp.migrations.apply import apply
from neon_branch_mcp.migrations.report import MigrationReport
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.target import Target

from .conftest import Scratch

_numbers = itertools.count(1)


@contextmanager
def fresh_database(scratch: Scratch) -> Iterator[str]:
    """A database for a whole module, as its owner; dropped at the end."""
    name = f"migrations_{next(_numbers)}"
    admin = scratch.superuser_uri("postgres")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(SQL("CREATE DATABASE {} OWNER shop_owner").format(Identifier(name)))
    yield scratch.uri.replace("/shop?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def target_of(uri: str) -> Target:
    return Target("p", "br-test", "dev", "db", "read-write", Secret(uri))


async def migrate(uri: str, sql: str, name: str = "m1", **kwargs: Any) -> MigrationReport:
    """Apply `sql` as the database's owner, through the product's own executor."""
    executor = Executor(SqlConfig())
    try:
        return await apply(executor, target_of(uri), name=name, sql=sql, who="test", **kwargs)
    finally:
        await executor.aclose()


def run(uri: str, sql: str) -> None:
    """Set up, from another connection; committed."""
    with psycopg.connect(uri, autocommit=True) as conn:
        conn.execute(sql)


def ask(uri: str, sql: str) -> list[tuple[Any, ...]]:
    """What another session sees."""
    with psycopg.connect(uri, autocommit=True) as conn:
        return conn.execute(sql).fetchall()


def losses(report: MigrationReport) -> set[str]:
    """`kind: object, rows` of each loss, with `~` where the number is not exact."""
    return {f"{x.kind}: {x.object}, {'' if x.exact else '~'}{x.rows}" for x in report.data_loss}
