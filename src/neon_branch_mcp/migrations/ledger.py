"""The record of the migrations that a database has had, kept in the database itself: schema `neon_branch_mcp`.

A row is written in the migration's own transaction, so that the record and the changes are there together or not at all; it travels with
child branches. A script that could not be one transaction and failed half-way leaves a row `partly_applied`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import AsyncConnection
from psycopg.rows import class_row

from ..errors import Conflict
from .queries import query
from .report import MigrationReport

SCHEMA = "neon_branch_mcp"


@dataclass(frozen=True)
class LedgerEntry:
    """One migration as it was applied; `sql` is its exact text, `report` what it did. Entries are ordered by `id`."""

    id: int
    name: str
    version: str | None
    checksum: str
    sql: str
    state: Literal["applied", "partly_applied"]
    statements_done: int
    applied_at: datetime
    applied_by: str
    report: Mapping[str, Any]


async def read_ledger(conn: AsyncConnection[Any]) -> list[LedgerEntry]:
    """Every migration recorded in the database, oldest first; none where there is no ledger. Only reads."""
    return await _select(conn, None)


async def find(conn: AsyncConnection[Any], name: str) -> LedgerEntry | None:
    """The record of one migration. Only reads."""
    found = await _select(conn, name)
    return found[0] if found else None


async def _select(conn: AsyncConnection[Any], name: str | None) -> list[LedgerEntry]:
    # to_regclass takes no lock and raises nothing where the ledger is not there yet.
    there = await conn.execute("SELECT pg_catalog.to_regclass('neon_branch_mcp.migrations') IS NOT NULL")
    if (await there.fetchone()) != (True,):
        return []
    async with conn.cursor(row_factory=class_row(LedgerEntry)) as cur:
        await cur.execute(query("ledger_read"), {"name": name})
        return await cur.fetchall()


async def record(
    conn: AsyncConnection[Any], report: MigrationReport, *, sql: str, done: int, who: str, timeline: Mapping[str, Any]
) -> None:
    """Write the row, in whatever transaction is open on `conn`; `timeline` is kept with the report.

    Raises Conflict when another call recorded the name meanwhile.
    """
    # A script may have changed its role; the ledger belongs to the role that logged in.
    await conn.execute("SET SESSION AUTHORIZATION DEFAULT")
    there = await conn.execute("SELECT pg_catalog.to_regclass('neon_branch_mcp.migrations') IS NOT NULL")
    if (await there.fetchone()) != (True,):
        await conn.execute(query("ledger_create"))
    row = {
        "name": report.name,
        "version": report.version,
        "checksum": report.checksum,
        "sql": sql,
        "state": "partly_applied" if report.state == "partly_applied" else "applied",
        "done": done,
        "who": who,
        "report": json.dumps(vars(report) | {"timeline": timeline}, default=vars),
    }
    written = await conn.execute(query("ledger_write"), row)
    if written.rowcount != 1:
        raise conflict(report.name, "another call")


def conflict(name: str, who: str) -> Conflict:
    return Conflict(
        f"Migration {name!r} was applied already by {who}, with other SQL. Nothing was executed; "
        "give the new script a name of its own."
    )
