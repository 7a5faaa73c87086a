"""The sample shop on two sides for tests of verification: a base, and a fresh copy for each migration."""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection

from neon_branch_mcp.migrations.verify import verify
from neon_branch_mcp.migrations.verify_checks import Check
from neon_branch_mcp.migrations.verify_report import ColumnFinding, TableFinding, VerifyReport
from neon_branch_mcp.migrations.verify_side import Side

from .conftest import Scratch

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Text:
    """A query taken as vetted."""

    text: str


def check(name: str, base: str, branch: str) -> Check:
    return Check(name, Text(base), Text(branch))


def side(name: str, uri: str) -> Side:
    @asynccontextmanager
    async def connect() -> AsyncIterator[AsyncConnection[Any]]:
        async with await AsyncConnection.connect(uri, autocommit=True) as conn:
            yield conn

    return Side(name, connect)


@dataclass(frozen=True)
class TwoSides:
    """A base database and a branch of it that a test may change."""

    base: str
    branch: str

    def migrate(self, sql: str) -> None:
        with psycopg.connect(self.branch, autocommit=True) as conn:
            conn.execute(sql.encode())

    def on_base(self, sql: str) -> None:
        with psycopg.connect(self.base, autocommit=True) as conn:
            conn.execute(sql.encode())

    async def verify(self, *checks: Check, **options: Any) -> VerifyReport:
        return await verify(side("main", self.base), side("feature", self.branch), checks=checks, **options)


@contextmanager
def two_empty(scratch: Scratch) -> Iterator[TwoSides]:
    """Two databases without tables, dropped at the end."""
    admin = scratch.superuser_uri("postgres")
    names = [copy_database(admin, "template1"), copy_database(admin, "template1")]
    yield TwoSides(*(scratch.uri.replace("/shop?", f"/{name}?") for name in names))
    drop_databases(admin, names)


def on_both(sides: TwoSides, sql: str) -> None:
    sides.on_base(sql)
    sides.migrate(sql)


def table(report: VerifyReport, name: str) -> TableFinding:
    return next(t for t in report.tables if t.table == name)


def column(finding: TableFinding, name: str) -> ColumnFinding:
    return next(c for c in finding.columns if c.column == name)


def verdicts(report: VerifyReport) -> dict[str, str]:
    return {t.table: t.verdict for t in report.tables}


def copy_database(admin: str, template: str) -> str:
    """The name of a fresh copy of database `template`."""
    name = f"verify_{next(_numbers)}"
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE {name} TEMPLATE "{template}" STRATEGY file_copy OWNER shop_owner'.encode())
    return name


def drop_databases(admin: str, names: Sequence[str]) -> None:
    with psycopg.connect(admin, autocommit=True) as conn:
        for name in names:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
