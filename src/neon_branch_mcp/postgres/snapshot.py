"""The catalogue queries of `sql/`, one per question, run in one snapshot that writes nothing.

They run with an empty `search_path`, so that every deparsed name says its schema. What deparses an expression opens its table: relations
that another session holds ACCESS EXCLUSIVE are found first and left out of such calls, so that nothing waits for them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from ..errors import TimedOut
from . import introspect_rows as rows
from .errors import translating
from .schema import Namespace, Other, Schema

Row = tuple[Any, ...]
Cursor = psycopg.AsyncCursor[Row]
T = TypeVar("T")

# Deparsed text depends on these, and must not differ from one session to another. Compiling catalogue queries takes longer than they do,
# and so does looking for another order of their joins than the one they are written in.
SETTINGS: Final = {
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "jit": "off",
    "join_collapse_limit": "1",
}
AT_ONCE: Final = 1000
"""Relations whose parts are read in one round trip; the answers about more would be in memory together."""
KINDS: Final = ("enum", "domain", "composite", "range", "table", "view", "sequence", "function")


@cache
def query(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


async def in_snapshot(conn: AsyncConnection[Any], lock_timeout: float, work: Callable[["Snapshot"], Awaitable[T]]) -> T:
    """What `work` returns. A lock that another session takes meanwhile costs one more attempt, that then knows of it.

    Raises TimedOut, which names the relations, when that fails too. Within a caller's transaction there is no second attempt.
    """
    idle = conn.info.transaction_status == TransactionStatus.IDLE
    with translating():
        for attempt in (1, 2):
            try:
                async with snapshot(conn, lock_timeout) as cursor:
                    return await work(Snapshot(cursor, await _held(cursor)))
            except psycopg.errors.LockNotAvailable as exc:
                if attempt == 2 or not idle:
                    names = await locked_names(conn) if idle else []
                    raise lock_error(names, lock_timeout) from exc
    raise AssertionError("unreachable")


async def _held(cursor: Cursor) -> list[int]:
    await cursor.execute(query("locks").encode())
    return [oid for (oid,) in await cursor.fetchall()]


async def locked_names(conn: AsyncConnection[Any]) -> list[str]:
    """Relations that another session holds, or waits for, ACCESS EXCLUSIVE."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        held = await _held(cursor)
        await cursor.execute("select o::oid::regclass::text from unnest(%s::oid[]) o order by 1", [held])
        return [name for (name,) in await cursor.fetchall()]


def lock_error(names: Iterable[str], lock_timeout: float) -> TimedOut:
    """The schema could not be read because of locks on `names`."""
    which = ", ".join(names)
    return TimedOut(
        f"The schema could not be read within {lock_timeout:g} s: another session holds, or waits for, an ACCESS EXCLUSIVE lock"
        f"{f' on {which}' if which else ''}. Try again when its transaction has ended."
    )


@asynccontextmanager
async def snapshot(conn: AsyncConnection[Any], lock_timeout: float) -> AsyncIterator[Cursor]:
    """A cursor that sees one state of the catalogue and writes nothing.

    An idle connection gets a READ ONLY, REPEATABLE READ transaction; within a caller's transaction that one is used, and its settings are
    as before afterwards.
    """
    wanted = {**SETTINGS, "lock_timeout": f"{max(1, round(lock_timeout * 1000))}ms"}
    if conn.info.transaction_status == TransactionStatus.IDLE:
        async with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute("set transaction isolation level repeatable read, read only")
            await _set(cursor, wanted)
            yield cursor
        return
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute("select n, current_setting(n) from unnest(%s::text[]) n", [list(wanted)])
        before: dict[str, str] = dict(await cursor.fetchall())
        await _set(cursor, wanted)
        yield cursor
        await _set(cursor, before)


async def _set(cursor: Cursor, settings: Mapping[str, str]) -> None:
    await cursor.execute(
        "select set_config(n, v, true) from unnest(%s::text[], %s::text[]) s (n, v)",
        [list(settings), list(settings.values())],
    )


class Snapshot:
    """One state of the catalogue. `held` are relations whose expressions cannot be read now."""

    def __init__(self, cursor: Cursor, held: Sequence[int]) -> None:
        self._cursor = cursor
        self.held = list(held)
        self._answers: dict[str, tuple[dict[str, Any], Cursor]] = {}

    async def run(self, name: str, **parameters: Any) -> list[Row]:
        """The rows of `sql/NAME.sql`."""
        asked, answer = self._answers.pop(name, ({}, None))
        if answer is not None and asked == parameters:
            return await answer.fetchall()
        return await self._fetch(query(name), parameters)

    async def _ahead(self, **asked: dict[str, Any]) -> None:
        """Ask several questions in one round trip; `run` has their answers then."""
        async with self._cursor.connection.pipeline():
            for name, parameters in asked.items():
                cursor = self._cursor.connection.cursor(row_factory=tuple_row)
                await cursor.execute(query(name).encode(), parameters)
                self._answers[name] = parameters, cursor

    async def _fetch(self, text: str, parameters: dict[str, Any]) -> list[Row]:
        # The text is a file of ours.
        await self._cursor.execute(text.encode(), parameters)
        return await self._cursor.fetchall()

    async def read(
        self, *, schemas: Sequence[str] | None, only: Collection[int] | None, bodies: bool, sizes: bool, depends: bool
    ) -> Schema:
        """The schema, or the part of it that the arguments ask for."""
        asked = _asked(schemas, only)
        depends = depends and only is None
        await self._ahead(
            database={},
            namespaces={"schemas": asked["schemas"]},
            extensions={},
            types=asked,
            relations={**asked, "locked": self.held, "sizes": sizes},
            sequences=asked,
            functions={**asked, "locked": self.held, "bodies": bodies},
            rare={},
            **({"dependencies": {}} if depends else {}),
        )
        database, role, version, comment = (await self.run("database"))[0]
        return replace(
            await self.objects(schemas=schemas, only=only, bodies=bodies, sizes=sizes),
            namespaces=await self.namespaces(schemas),
            extensions=rows.extensions(await self.run("extensions")),
            others=await self.others(version, **asked),
            comment=comment or "",
            depends=tuple(await self.run("dependencies")) if depends else (),
            database=database,
            role=role,
            server_version=version,
        )

    async def objects(
        self,
        *,
        schemas: Sequence[str] | None,
        only: Collection[int] | None,
        bodies: bool,
        sizes: bool,
        kinds: Collection[str] = KINDS,
    ) -> Schema:
        """Types, tables, views, sequences and functions; those `kinds` of them alone that are asked for."""
        asked = _asked(schemas, only)
        types = await self.run("types", **asked) if {"enum", "domain", "composite", "range"} & set(kinds) else []
        relations: list[Row] = []
        sequences: list[Row] = []
        if {"table", "view"} & set(kinds):
            relations = await self.run("relations", **asked, locked=self.held, sizes=sizes)
        if relations or "sequence" in kinds:
            sequences = await self.run("sequences", **asked)
        parts = await self._parts(types, relations, sequences)
        made = rows.types(types, parts)
        functions = await self.run("functions", **asked, locked=self.held, bodies=bodies) if "function" in kinds else []
        return Schema(
            enums=made.enums,
            domains=made.domains,
            composites=made.composites,
            ranges=made.ranges,
            tables=rows.tables(relations, parts),
            views=rows.views(relations, parts),
            sequences=rows.sequences(sequences),
            functions=rows.functions(functions),
        )

    async def namespaces(self, schemas: Sequence[str] | None = None) -> tuple[Namespace, ...]:
        """The schemas."""
        found = await self.run("namespaces", schemas=None if schemas is None else list(schemas))
        return tuple(
            Namespace(name, owner, note or "", rows.grants(acl, default)) for name, owner, note, acl, default in found
        )

    async def _parts(self, types: list[Row], relations: list[Row], sequences: list[Row]) -> rows.Parts:
        if not relations and not types:
            return rows.Parts()
        oids: dict[str, Any] = {
            "relations": [r[0] for r in relations] + [t[4] for t in types if t[4]],
            "types": [t[0] for t in types if t[3] == "d"],
            "locked": self.held,
        }
        if len(oids["relations"]) <= AT_ONCE:
            await self._ahead(
                **dict.fromkeys(("columns", "constraints", "indexes", "triggers", "rules", "policies"), oids)
            )
        columns = rows.columns(await self.run("columns", **oids), rows.identities(sequences))
        constraints, references = rows.constraints(await self.run("constraints", **oids), columns)
        return rows.Parts(
            columns=columns,
            constraints=constraints,
            references=references,
            indexes=rows.indexes(await self.run("indexes", **oids), relations),
            triggers=rows.triggers(await self.run("triggers", **oids)),
            rules=rows.rules(await self.run("rules", **oids)),
            policies=rows.policies(await self.run("policies", **oids)),
        )

    async def others(
        self, version: int, *, schemas: Sequence[str] | None = None, only: Sequence[int] | None = None
    ) -> tuple[Other, ...]:
        """The objects of the rarer kinds. Only kinds that are there are asked for."""
        kinds = [kind for (kind,) in await self.run("rare")]
        if not kinds:
            return ()
        branches = "\nunion all\n".join(query(f"others/{kind}") for kind in kinds)
        text = query("others").replace("{branches}", branches)
        parameters = {**_asked(schemas, only), "locked": self.held}
        found = rows.others(await self._fetch(text, parameters))
        if version < 150000 or "publication" not in kinds:
            return found
        more: dict[int, str] = dict(await self.run("publication_schemas"))
        return tuple(
            replace(o, definition=o.definition + more.get(o.oid, "")) if o.kind == "publication" else o for o in found
        )


def _asked(schemas: Sequence[str] | None, only: Collection[int] | None) -> dict[str, Any]:
    return {"schemas": None if schemas is None else list(schemas), "only": None if only is None else list(only)}
