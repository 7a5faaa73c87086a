"""One page of a database's schema, reading only what the page shows: the first page of a huge schema costs little more than its names."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from psycopg import AsyncConnection

from ..errors import NotFound
from . import introspect_rows as rows
from .ddl_names import quote
from .introspect import LOCK_TIMEOUT
from .schema import Name, Other, Table
from .schema_page import Detail, Entry, Page, Position, SchemaText, header, select
from .schema_parts import Context, inherits
from .schema_text import BUDGET, entry_of, extension_names, legend, lines_of
from .snapshot import Snapshot, in_snapshot

# Bytes that an object takes, roughly: how many to read at once.
USUAL: Final[dict[Detail, int]] = {"names": 20, "tables": 200, "full": 500}


async def describe(
    conn: AsyncConnection[Any],
    *,
    schemas: Sequence[str] | None = None,
    objects: Sequence[str] | None = None,
    detail: Detail = "tables",
    budget: int = BUDGET,
    cursor: str | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
) -> SchemaText:
    """The schema, or the objects named or globbed by `objects`, as text of at most `budget` bytes, from `cursor` on.

    Read-only. Raises NotFound for a schema that is not there, when `objects` name nothing (with the nearest names), and for a cursor that
    is not one. A table that another session has locked is shown without its expressions, and says so.
    """
    start = Position.parse(cursor) if cursor else None

    async def work(taken: Snapshot) -> SchemaText:
        await _check_schemas(taken, schemas)
        database, _, version, _ = (await taken.run("database"))[0]
        others = {entry_of(o): o for o in await taken.others(version, schemas=schemas)}
        entries, missing = select(sorted([*await _names(taken, schemas), *others], key=lambda e: e.key), objects or ())
        extensions = extension_names(rows.extensions(await taken.run("extensions")))
        head = [*header(database, version, entries, extensions), *legend(detail, entries)]
        page = Page([*head, *(f"-- {m}" for m in missing)], budget)
        stop = await _fill(taken, page, entries, others, start, detail, budget)
        return page.finish(entries, stop)

    return await in_snapshot(conn, lock_timeout, work)


async def _fill(
    taken: Snapshot,
    page: Page,
    entries: Sequence[Entry],
    others: Mapping[Entry, Other],
    start: Position | None,
    detail: Detail,
    budget: int,
) -> Position | None:
    told = frozenset((e.schema, e.name) for e in entries if e.kind == "table")
    waiting = iter([e for e in entries if start is None or e.key >= start.key])
    while chunk := list(islice(waiting, max(1, budget // USUAL[detail]))):
        lines = await _lines(taken, chunk, others, detail, told)
        for entry in chunk:
            if entry.key in lines:
                first = start.line if start is not None and entry.key == start.key else 0
                stop = page.add(entry, lines[entry.key], first)
                if stop is not None:
                    return stop
    return None


async def _check_schemas(taken: Snapshot, schemas: Sequence[str] | None) -> None:
    if schemas is None:
        return
    there = [n.name for n in await taken.namespaces()]
    unknown = [s for s in schemas if s not in there]
    if unknown:
        raise NotFound(
            f"There is no schema {', '.join(map(quote, unknown))}; there are {', '.join(map(quote, there))}."
        )


async def _names(taken: Snapshot, schemas: Sequence[str] | None) -> list[Entry]:
    found = await taken.run("names", schemas=None if schemas is None else list(schemas))
    return [
        Entry(schema, kind, name, identity, oid, label, rows.estimate(analyzed, live))
        for kind, schema, name, identity, oid, label, analyzed, live in found
    ]


async def _parents(taken: Snapshot, children: Sequence[int]) -> dict[Name, Table]:
    """The tables that these inherit from: they may stand on another page."""
    oids = [oid for (oid,) in await taken.run("parents", only=children)]
    read = await taken.objects(schemas=None, only=oids, bodies=False, sizes=False, kinds=("table",))
    return {(t.schema, t.name): t for t in read.tables}


async def _lines(
    taken: Snapshot, chunk: Sequence[Entry], others: Mapping[Entry, Other], detail: Detail, told: Set[Name]
) -> dict[tuple[str, int, str, str], Sequence[str]]:
    if detail == "names":
        return {e.key: [e.line()] for e in chunk}
    kinds = {e.kind for e in chunk}
    oids = [e.oid for e in chunk if e not in others]
    schema = await taken.objects(schemas=None, only=oids, bodies=detail == "full", sizes=True, kinds=kinds)
    context = Context.of(schema, told, signs=True)
    if detail == "full" and any(inherits(t) for t in schema.tables):
        context = replace(context, parents=await _parents(taken, oids))
    lines: dict[tuple[str, int, str, str], Sequence[str]] = {
        entry_of(o).key: lines_of(o, detail, context) for o in schema.objects()
    }
    return lines | {e.key: lines_of(others[e], detail, context) for e in chunk if e in others}
