"""The schema after a migration, made of the one before where little has changed in between.

Reading a schema takes as long as a hundred small statements. Postgres counts what a transaction writes to each catalogue: where that is
nothing, the schema is as it was; where it is only new columns of tables that were there, these are all that has to be read.
"""

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from ..postgres import introspect_rows as rows
from ..postgres.schema import Schema, Table
from ..postgres.snapshot import SETTINGS
from ..postgres.snapshot import query as catalogue
from .queries import query

SAVEPOINT = "neon_branch_mcp_schema"
UNSEEN = frozenset({"pg_statistic", "pg_statistic_ext_data"})
"""What ANALYZE writes; no schema shows it."""


async def schema_after(
    conn: AsyncConnection[Any], watcher: AsyncConnection[Any], before: Schema, stamp: str
) -> Schema | None:
    """The schema as the open transaction of `conn` sees it; None where it has to be read.

    `before` is what was there when the server's transactions were as `stamp` says, and nothing was left out of it; `watcher` sees what is
    committed. None has committed since, then, or this one has undone a part of itself: that is to be read.
    """
    if conn.info.transaction_status != TransactionStatus.INTRANS or before.locked:
        return None
    settings = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in SETTINGS.items())
    try:
        await conn.execute(f"SAVEPOINT {SAVEPOINT}; {settings}")
        return await _made_of(conn, watcher, before, stamp)
    except psycopg.Error:
        if conn.closed:
            raise
        return None
    finally:
        if not conn.closed:
            await conn.execute(f"ROLLBACK TO {SAVEPOINT}; RELEASE {SAVEPOINT}")


async def _made_of(
    conn: AsyncConnection[Any], watcher: AsyncConnection[Any], before: Schema, stamp: str
) -> Schema | None:
    asked = await conn.execute(query("touched"), prepare=False)
    found = await asked.fetchone()
    assert found is not None
    now, counting, written, altered = found
    if now != stamp or counting != "on":
        return None
    touched = dict(line.split(" ", 1) for line in written)
    counts = {name: tuple(map(int, told.split())) for name, told in touched.items() if name not in UNSEEN}
    if not counts:
        return before
    tables = {table.oid: table for table in before.tables}
    if not _only_new_columns(counts) or not tables.keys() >= set(altered):
        return None
    here, there = await asyncio.gather(_rows_of(conn, altered), _rows_of(watcher, altered))
    return None if here != there else await _with_columns(conn, before, {oid: tables[oid] for oid in altered})


def _only_new_columns(counts: dict[str, tuple[int, ...]]) -> bool:
    """Whether rows of pg_class were updated, rows of pg_attribute inserted, and that is all."""
    inserted, updated, deleted = counts.get("pg_class", (0, 0, 0))
    new, *others = counts.get("pg_attribute", (0, 0, 0))
    return (
        counts.keys() == {"pg_class", "pg_attribute"}
        and not (inserted or deleted or any(others))
        and bool(updated and new)
    )


async def _rows_of(conn: AsyncConnection[Any], oids: list[int]) -> str:
    row = await (await conn.execute(query("relation_rows"), {"oids": oids}, prepare=False)).fetchone()
    assert row is not None
    return str(row[0])


async def _with_columns(conn: AsyncConnection[Any], before: Schema, altered: dict[int, Table]) -> Schema:
    asked = await conn.execute(
        catalogue("columns").encode(), {"relations": list(altered), "types": [], "locked": []}, prepare=False
    )
    now = rows.columns(await asked.fetchall(), {})

    def grown(table: Table) -> Table:
        if table.oid not in altered:
            return table
        old = {column.number for column in table.columns}
        return replace(table, columns=(*table.columns, *(c for c in now.get(table.oid, ()) if c.number not in old)))

    return replace(before, tables=tuple(grown(table) for table in before.tables))
