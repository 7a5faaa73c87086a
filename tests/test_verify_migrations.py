"""Migrations over the sample shop, half of them with a planted loss, and the verdict each must get: verify_migrations.sql.

A loss is never called preserved; what survived is never called lost.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from neon_branch_mcp.local.sample import shop_sql
from neon_branch_mcp.migrations.verify_checks import Check

from .conftest import Scratch
from .verify_shop import TwoSides, check, copy_database, drop_databases, verdicts

pytestmark = pytest.mark.anyio

CASE = re.compile(r"^-- == (\w+): (\w+)((?: \[\w+: \w+\])*)\n(.*?)(?=^-- == |\Z)", re.MULTILINE | re.DOTALL)
CHECK = re.compile(r"^-- check: (.*)\n-- against: (.*)\n", re.MULTILINE)
TABLE = re.compile(r"\[(\w+): (\w+)\]")


@dataclass(frozen=True)
class Case:
    """A migration, its author's checks, the verdict overall and the tables whose verdict is not `preserved`."""

    name: str
    overall: str
    tables: dict[str, str]
    checks: tuple[Check, ...]
    sql: str


def cases() -> list[Case]:
    text = (Path(__file__).parent / "verify_migrations.sql").read_text(encoding="utf-8")
    return [
        Case(
            name,
            overall,
            dict(TABLE.findall(tables)),
            tuple(check(f"check {i}", *queries) for i, queries in enumerate(CHECK.findall(body))),
            body,
        )
        for name, overall, tables, body in CASE.findall(text)
    ]


@pytest.fixture(scope="module")
def shop(scratch: Scratch) -> Iterator[str]:
    """A database with the shop, which nothing changes."""
    admin = scratch.superuser_uri("postgres")
    name = copy_database(admin, "template1")
    with psycopg.connect(scratch.uri.replace("/shop?", f"/{name}?"), autocommit=True) as conn:
        conn.execute(shop_sql().encode())
    yield name
    drop_databases(admin, [name])


@pytest.fixture
def sides(scratch: Scratch, shop: str) -> Iterator[TwoSides]:
    admin = scratch.superuser_uri("postgres")
    copy = copy_database(admin, shop)
    yield TwoSides(scratch.uri.replace("/shop?", f"/{shop}?"), scratch.uri.replace("/shop?", f"/{copy}?"))
    drop_databases(admin, [copy])


def test_there_are_enough_of_both_kinds() -> None:
    overall = [case.overall for case in cases()]
    assert len(overall) >= 30
    assert overall.count("preserved") >= 12
    assert len(overall) - overall.count("preserved") >= 15


@pytest.mark.parametrize("case", cases(), ids=lambda c: c.name)
async def test_verdict(sides: TwoSides, case: Case) -> None:
    sides.migrate(case.sql)
    report = await sides.verify(*case.checks)
    assert {t: v for t, v in verdicts(report).items() if v != "preserved"} == case.tables, report
    assert report.verdict == case.overall
    assert report.complete
