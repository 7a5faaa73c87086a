"""Catalogue → Schema: a handful of set-based queries in one snapshot, read-only, never one per table.

The queries are in `sql/`, one per question. They run with an empty `search_path`, so that every deparsed name says its schema.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any, Literal

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from ..errors import TimedOut
from . import introspect_rows as rows
from .errors import translating
from .schema import Namespace, Other, Schema

LEDGER_SCHEMA = "neon_branch_mcp"

Row = tuple[Any, ...]


@cache
def query(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


async def introspect(
    conn: AsyncConnection[Any],
    *,
    schemas: Sequence[str] | None = None,
    only: Collection[int] | None = None,
    bodies: bool = True,
    sizes: bool = False,
    lock_timeout: float = 2.0,
    locked: Literal["skip", "raise"] = "skip",
) -> Schema:
    """The schema of the connection's database; of `schemas`, where given, and of the objects with OIDs `only`, where given.

    Read-only: an idle connection gets its own READ ONLY, REPEATABLE READ transaction; within a caller's transaction that one is used, and
    its settings are as before afterwards. `bodies` reads functions' definitions, `sizes` the tables' sizes on disk. Relations that another
    session holds ACCESS EXCLUSIVE are listed without their expressions, or, with `locked="raise"`, are TimedOut. Raises SqlError and the
    other errors that a statement can raise.
    """
    with translating():
        async with snapshot(conn, lock_timeout) as cursor:
            reader = _Reader(cursor, schemas, None if only is None else list(only), bodies, sizes)
            held = await reader.held()
            if held and locked == "raise":
                raise _locked_error(await _names(cursor, held), lock_timeout)
            try:
                return await reader.read(held)
            except psycopg.errors.LockNotAvailable as exc:
                raise _locked_error((), lock_timeout) from exc


def _locked_error(names: Iterable[str], lock_timeout: float) -> TimedOut:
    which = ", ".join(names)
    if which:
        return TimedOut(
            f"The schema cannot be read in full: another session holds, or waits for, an ACCESS EXCLUSIVE lock on {which}. "
            "Try again when its transaction has ended."
        )
    return TimedOut(
        "Another session took an ACCESS EXCLUSIVE lock while the schema was read, "
        f"and did not release it for {lock_timeout:g} s. Try again."
    )


async def _names(cursor: psycopg.AsyncCursor[Row], oids: Sequence[int]) -> list[str]:
    await cursor.execute("select o::regclass::text from unnest(%s::oid[]) o order by 1", [list(oids)])
    return [r[0] for r in await cursor.fetchall()]


@asynccontextmanager
async def snapshot(conn: AsyncConnection[Any], lock_timeout: float) -> AsyncIterator[psycopg.AsyncCursor[Row]]:
    """A cursor that sees one state of the catalogue and writes nothing."""
    timeout = f"{max(1, round(lock_timeout * 1000))}ms"
    settings = "select set_config('search_path', %s, true), set_config('lock_timeout', %s, true)"
    if conn.info.transaction_status == TransactionStatus.IDLE:
        async with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute("set transaction isolation level repeatable read, read only")
            await cursor.execute(settings, ["", timeout])
            yield cursor
        return
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute("select current_setting('search_path'), current_setting('lock_timeout')")
        before = await cursor.fetchone()
        await cursor.execute(settings, ["", timeout])
        yield cursor
        await cursor.execute(settings, before)


class _Reader:
    """Runs the queries with one set of parameters."""

    def __init__(
        self,
        cursor: psycopg.AsyncCursor[Row],
        schemas: Sequence[str] | None,
        only: list[int] | None,
        bodies: bool,
        sizes: bool,
    ) -> None:
        self._cursor = cursor
        self._parameters: dict[str, Any] = {
            "schemas": None if schemas is None else list(schemas),
            "only": only,
            "bodies": bodies,
            "sizes": sizes,
        }

    async def _rows(self, name: str, **more: Any) -> list[Row]:
        await self._cursor.execute(query(name), {**self._parameters, **more})
        return await self._cursor.fetchall()

    async def held(self) -> list[int]:
        """Relations that cannot be read now."""
        return [oid for (oid,) in await self._rows("locks")]

    async def _others(self, held: list[int], version: int) -> tuple[Other, ...]:
        found = rows.others(await self._rows("others", locked=held))
        if version < 150000 or not any(o.kind == "publication" for o in found):
            return found
        more: dict[int, str] = dict(await self._rows("publication_schemas"))
        return tuple(
            replace(o, definition=o.definition + more.get(o.oid, "")) if o.kind == "publication" else o for o in found
        )

    async def read(self, held: list[int]) -> Schema:
        database, role, version, comment = (await self._rows("database"))[0]
        types = await self._rows("types")
        relations = await self._rows("relations", locked=held)
        oids = {
            "relations": [r[0] for r in relations] + [t[4] for t in types if t[4]],
            "types": [t[0] for t in types if t[3] == "d"],
            "locked": held,
        }
        sequences = await self._rows("sequences")
        identities = rows.identities(sequences)
        columns = rows.columns(await self._rows("columns", **oids), identities)
        constraints, references = rows.constraints(await self._rows("constraints", **oids))
        parts = rows.Parts(
            columns=columns,
            constraints=constraints,
            references=references,
            indexes=rows.indexes(await self._rows("indexes", **oids), relations),
            triggers=rows.triggers(await self._rows("triggers", **oids)),
            rules=rows.rules(await self._rows("rules", **oids)),
            policies=rows.policies(await self._rows("policies", **oids)),
        )
        made = rows.types(types, parts)
        return Schema(
            namespaces=tuple(
                Namespace(name, owner, note or "", rows.grants(acl, default))
                for name, owner, note, acl, default in await self._rows("namespaces")
            ),
            extensions=rows.extensions(await self._rows("extensions")),
            enums=made.enums,
            domains=made.domains,
            composites=made.composites,
            ranges=made.ranges,
            tables=rows.tables(relations, parts),
            views=rows.views(relations, parts),
            sequences=rows.sequences(sequences),
            functions=rows.functions(await self._rows("functions", locked=held)),
            comment=comment or "",
            others=await self._others(held, version),
            depends=tuple(await self._rows("dependencies")) if self._parameters["only"] is None else (),
            database=database,
            role=role,
            server_version=version,
        )
