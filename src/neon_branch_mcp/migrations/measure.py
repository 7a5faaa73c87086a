"""What is in the tables before a migration: counted where its script could destroy it, so that a loss is a number and not a guess.

A script that can lose nothing (it creates, adds, inserts) has nothing counted and pays nothing.
"""

import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Identifier

from .plan import Plan, PlannedStatement
from .queries import query

Columns = Mapping[str, Sequence[str]]
"""Attribute number → [name, type]; generated columns are left out, for their values follow from others."""

NAMED_BYTES = 1_000_000_000
"""A table that the script names is counted up to this size."""
OTHER_BYTES = 256_000_000
"""Where the script could reach any table (DO, CALL, CASCADE), all others are counted up to this size together, the smallest first."""
DIGEST_BYTES = 64_000_000
"""Values are compared before and after up to this size of a table."""

# Nothing to see after these; and SET TRANSACTION must come before any query.
QUIET = frozenset(
    {"set", "reset", "savepoint", "release", "show", "begin", "comment", "notify", "listen", "deallocate"}
)
# These reach only what they name.
PLAIN = frozenset({
    "create table", "create index", "create view", "create type", "create sequence", "create function", "alter table", "insert",
    "update", "delete", "grant", "revoke", "drop table", "drop index",
})  # fmt: skip

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Counted:
    """A table at one moment. By attribute number: values that are not NULL, a digest of all values as text, and how many are distinct.

    Equal digests mean equal values, whatever their order; `digests` and `distinct` hold only what was asked for.
    """

    rows: int
    values: Mapping[str, int]
    digests: Mapping[str, str] = field(default_factory=dict)
    distinct: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table as it was before."""

    oid: int
    schema: str
    name: str
    parents: list[int] | None
    views: list[str] | None
    holds_rows: bool
    columns: Columns | None
    acts: bool
    """It has triggers of somebody's, or rules: what is written to it may be something else than what was said."""
    names: frozenset[str] = frozenset()
    """Its own, and those of the tables it is a part of."""
    words: frozenset[str] = frozenset()
    """All that a statement could say that means it: also the views on it."""


async def count_table(
    conn: AsyncConnection[Any],
    schema: str,
    name: str,
    columns: Columns,
    *,
    digest: Collection[str] = (),
    distinct: Collection[str] = (),
) -> Counted:
    """Read the whole table once, without its children. `digest` and `distinct` name attribute numbers."""
    wanted: list[Composable] = [SQL("pg_catalog.count(*)")]
    wanted += [SQL("pg_catalog.count({})").format(Identifier(c[0])) for c in columns.values()]
    wanted += [
        SQL("pg_catalog.sum(pg_catalog.hashtextextended({}::pg_catalog.text, 0))").format(Identifier(columns[n][0]))
        for n in digest
    ]
    wanted += [
        SQL("pg_catalog.count(DISTINCT {}::pg_catalog.text)").format(Identifier(columns[n][0])) for n in distinct
    ]
    statement = SQL("SELECT {} FROM ONLY {}").format(SQL(", ").join(wanted), Identifier(schema, name))
    cursor = await conn.execute(statement, prepare=False)
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY always gives one row
    found = iter(row)
    return Counted(
        rows=next(found),
        values={number: next(found) for number in columns},
        digests={number: str(next(found)) for number in digest},
        distinct={number: next(found) for number in distinct},
    )


_DESTROYS = (
    "drop table", "drop schema", "drop type", "drop domain", "drop owned", "drop extension", "drop collation", "truncate",
)  # fmt: skip
_DROPS = re.compile(r"\bDROP\s+(?!DEFAULT\b|NOT\b|CONSTRAINT\b|IDENTITY\b|EXPRESSION\b)")
_OPAQUE = ("do", "call", "execute")
_BRINGS_CODE = ("create function", "create procedure", "create extension", "alter extension", "import")
_TURNS = re.compile(r"\b(RENAME|TRIGGER|RULE|ATTACH|INHERITS?|ON\s+(DELETE|UPDATE))\b", re.IGNORECASE)


@dataclass(frozen=True)
class PlainUpdate:
    """An UPDATE as its text shows it: of what, the words in it, the columns it sets, and whether it may only fill what was NULL."""

    target: str
    words: frozenset[str]
    sets: frozenset[str]
    fills: bool


@dataclass
class Scope:
    """What a script could destroy: words of the statements that could drop or empty, overwrite and convert; `anything` if unnamed."""

    dropping: set[str] = field(default_factory=set)
    updating: set[str] = field(default_factory=set)
    retyping: set[str] = field(default_factory=set)
    plain: list[PlainUpdate] = field(default_factory=list)
    anything: bool = False
    as_said: bool = True
    """No statement renames anything, nor makes a trigger or a rule: a column of a new name is a new column."""

    @property
    def empty(self) -> bool:
        return not (self.dropping or self.updating or self.retyping or self.plain)

    def add(self, s: PlannedStatement, functions: frozenset[str]) -> None:
        """Take a statement in; `functions` are the names, in lower case, of functions that are not Postgres' own."""
        self.as_said &= not is_opaque(s, words_of(s.text), functions) and _TURNS.search(s.text) is None
        if not may_lose(s, functions):
            return
        words = words_of(s.text)
        if s.kind == "update":
            self.plain.append(
                PlainUpdate(target_of(s), words, set_columns(s), not words.isdisjoint(("null", "coalesce")))
            )
            return
        opaque = is_opaque(s, words, functions)
        if opaque or s.kind in ("merge", "insert", "with"):
            self.updating |= words
        if opaque or s.kind.startswith(("drop", "alter", "truncate")):
            self.dropping |= words
            named = s.kind in ("drop table", "alter table", "truncate")
            self.anything |= opaque or "cascade" in words or not named
        if "type" in words and (opaque or s.kind == "alter table"):
            self.retyping |= words

    def names(self, table: "Table") -> bool:
        """Whether the script says the table's name, or that of one it is a part of."""
        return self.compares(table) or not all(
            w.isdisjoint(table.words) for w in (self.dropping, self.updating, self.retyping)
        )

    def compares(self, table: "Table") -> bool:
        """Whether its values must be compared to know what an UPDATE overwrote. One that only sets old columns overwrites them; one that
        only sets columns of new names overwrites nothing, where no trigger, rule or renaming is about.
        """
        old = {c[0] for c in (table.columns or {}).values()}
        plain = self.as_said and not table.acts
        return not self.updating.isdisjoint(table.words) or any(
            (u.fills or not u.sets <= old)
            and not (plain and u.target in table.names and u.sets and u.sets.isdisjoint(old))
            and not u.words.isdisjoint(table.words)
            for u in self.plain
        )


def words_of(text: str) -> frozenset[str]:
    """Everything in a statement that could be a name, in lower case; strings and comments too, for names stand in dynamic SQL."""
    return _kept_words(text) if len(text) < 1_000 else _words(text)


def _words(text: str) -> frozenset[str]:
    return frozenset(w.lower() for w in _WORD.findall(text))


_kept_words = lru_cache(maxsize=1_024)(_words)


def is_opaque(s: PlannedStatement, words: frozenset[str], functions: frozenset[str]) -> bool:
    """Whether the statement runs code that its text does not show."""
    return s.kind in _OPAQUE or (s.kind in ("select", "with") and not functions.isdisjoint(words))


def may_lose(s: PlannedStatement, functions: frozenset[str]) -> bool:
    """Whether counting beforehand can tell more of what the statement loses than Postgres' own counters do."""
    if s.kind.startswith(_DESTROYS) or s.kind in (*_OPAQUE, "update", "merge"):
        return True
    upper = s.text.upper()
    if s.kind == "insert":
        return "CONFLICT" in upper and "UPDATE" in upper
    if s.kind.startswith("alter"):
        return _DROPS.search(upper) is not None or (s.kind == "alter table" and "TYPE" in upper)
    if s.kind in ("select", "with"):
        return any(word in upper for word in ("UPDATE", "MERGE")) or not functions.isdisjoint(words_of(s.text))
    return False


def set_columns(s: PlannedStatement) -> frozenset[str]:
    """The columns that a plain UPDATE sets."""
    found: set[str] = set()
    depth, state = 0, "before"
    for token in s.tokens():
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif depth == 0 and token.word == "SET" and state == "before":
            state = "name"
        elif depth == 0 and token.word in ("FROM", "WHERE", "RETURNING") and state != "before":
            break
        elif state == "name" and token.kind in ("word", "quoted") and depth <= 1:
            found.add(token.name)
            state = "name" if depth else "value"
        elif token.text == "=" and depth == 0 and state == "name":
            state = "value"
        elif token.text == "," and depth == 0 and state == "value":
            state = "name"
    return frozenset(found)


def target_of(s: PlannedStatement) -> str:
    """The name of what a plain UPDATE, DELETE or INSERT writes to, or an ALTER TABLE alters, without its schema."""
    name = ""
    before = ("TABLE", "IF", "EXISTS", "ONLY") if s.kind == "alter table" else ("ONLY", "INTO", "FROM")
    for token in s.tokens()[1:]:
        if token.kind == "quoted" or (token.kind == "word" and (not name or name.endswith("."))):
            if not name and token.word in before:
                continue
            name = token.name
        elif token.text == "." and name:
            name = "."
        elif name:
            break
    return name


@dataclass(frozen=True)
class Measured:
    """What is known of the database before a script ran: `tables` by oid, the functions that could do anything, and the words of the names
    of everything that was there: a statement with none of them meets only what the script made itself.
    """

    tables: Mapping[int, Counted] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()
    """Words of the names of all functions that are not Postgres' own, and of types that may check their values with one."""
    read: frozenset[str] = frozenset()
    """Words of the names of what calls such a function when it is read: views, and tables with policies."""
    alone: Mapping[str, int] = field(default_factory=dict)
    """OIDs by name of ordinary tables that are the only ones of their name, are no part of another and have no parts."""
    quiet: frozenset[str] = frozenset()
    """Those of them that can be written to without anything else being written to."""
    still: frozenset[str] = frozenset()
    """Those that the script may alter and that the reading of a schema does not open."""
    watched: bool = False
    """There are event triggers, or operators or casts of somebody's: any statement may run more than it says."""
    as_said: bool = False
    """The script makes nothing that would change that."""
    made: frozenset[str] = frozenset()
    """Words in which the script could say the name of a relation that it makes."""

    def meets_old(self, statement: PlannedStatement) -> bool:
        """Whether a statement could lock or change what was there before. One that cannot is not worth a question; the one at the end of
        the transaction covers it.
        """
        if statement.kind in QUIET:
            return False
        return statement.kind not in PLAIN or not self.names.isdisjoint(words_of(statement.text))

    @property
    def compares(self) -> bool:
        """Whether values were counted that an UPDATE or a conversion must be judged by."""
        return any(counted.digests or counted.distinct for counted in self.tables.values())


async def look_up(conn: AsyncConnection[Any], plan: Plan) -> Measured:
    """What is there, by its names: what must be known before it is decided how to go on. Only reads."""
    functions = await _functions(conn, plan)
    tables: dict[str, list[tuple[int | None, bool]]] = {}
    called: set[str] = set()
    kinds: set[str] = set()
    asked = await conn.execute(query("names"))
    for name, kind, oid, quiet in await asked.fetchall():
        kinds.add(kind)
        if kind in ("p", "h"):
            called |= words_of(name)
        elif kind != "e":
            tables.setdefault(name, []).append((oid, quiet))
    names = frozenset(word for name in tables for word in words_of(name)) | called | functions
    alone = {name: found[0][0] for name, found in tables.items() if len(found) == 1 and found[0][0] is not None}
    known = Measured(
        functions=functions,
        names=names,
        called=frozenset(called),
        alone=alone,
        quiet=frozenset(name for name in alone if tables[name][0][1]),
        still=await _still(conn, plan, alone),
        watched="e" in kinds,
    )
    return await _with_hidden(conn, known) if "h" in kinds else known


async def _with_hidden(conn: AsyncConnection[Any], known: Measured) -> Measured:
    """Leave out what runs functions that a text does not show."""
    asked = await conn.execute(query("hidden"))
    found: dict[str, set[str]] = {"r": set(), "x": set(), "t": set(), "e": set()}
    for name, kind in await asked.fetchall():
        found[kind].add(name)
    types, read = ({word for name in found[kind] for word in words_of(name)} for kind in "tx")
    return replace(
        known,
        names=known.names | types,
        called=known.called | types,
        read=frozenset(read),
        quiet=known.quiet - found["r"],
        watched=known.watched or bool(found["e"]),
    )


async def _still(conn: AsyncConnection[Any], plan: Plan, alone: Mapping[str, int]) -> frozenset[str]:
    """Tables that the script may alter and that the reading of a schema does not open."""
    could = {target_of(s) for s in plan.statements if s.kind == "alter table"} & alone.keys()
    if not could:
        return frozenset()
    asked = await conn.execute(query("opened"), {"oids": [alone[name] for name in could]})
    opened = {oid for (oid,) in await asked.fetchall()}
    return frozenset(name for name in could if alone[name] not in opened)


@dataclass(frozen=True)
class ToCount:
    """What is known, and the tables that a script could destroy something in, with their sizes, the smallest first."""

    known: Measured
    scope: Scope
    tables: Sequence[tuple[int, Table]] = ()
    whole: bool = True
    """No size was kept back by another session's lock."""

    @property
    def bytes(self) -> int:
        """How much has to be read to count them."""
        return sum(size for size, _ in self.tables)

    async def count(self, conn: AsyncConnection[Any]) -> Measured:
        """Count them. Only reads; a table that cannot be read at once is left out."""
        counted: dict[int, Counted] = {}
        for size, table in self.tables:
            if (found := await _count(conn, table, self.scope, size)) is not None:
                counted[table.oid] = found
        return replace(self.known, tables=counted)


async def to_count(conn: AsyncConnection[Any], plan: Plan, known: Measured) -> ToCount:
    """What `plan` could destroy, to be counted before it runs. Only reads; a table that cannot be read at once is left out."""
    scope = Scope()
    for statement in plan.statements:
        scope.add(statement, known.functions)
    known = replace(known, as_said=scope.as_said and not _puts_code(plan, known), made=_made(plan))
    if scope.empty:
        return ToCount(known, scope)
    # What is dropped under a new name is asked for under the old one.
    scope.dropping |= {w for s in plan.statements if "RENAME" in s.text.upper() for w in words_of(s.text)}
    async with conn.cursor(row_factory=class_row(Table)) as cur:
        await cur.execute(query("tables"))
        tables = _with_children(await cur.fetchall())
    could = [t for t in tables if t.holds_rows and (scope.anything or scope.names(t))]
    sizes = await _sizes(conn, could) if could else []
    found: list[tuple[int, Table]] = []
    left = OTHER_BYTES
    for size, table in sorted(sizes, key=lambda pair: pair[0]):
        named = scope.names(table)
        if size <= (NAMED_BYTES if named else left):
            left -= 0 if named else size
            found.append((size, table))
    return ToCount(known, scope, found, len(sizes) == len(could))


def _puts_code(plan: Plan, known: Measured) -> bool:
    """Whether a statement could run code that an earlier one of the script brought in, or put behind a default, a check or a view."""
    hidden = known.called | known.read
    return any(
        s.kind in _BRINGS_CODE or (s.kind.startswith(("create", "alter")) and not hidden.isdisjoint(words_of(s.text)))
        for s in plan.statements
    )


def _made(plan: Plan) -> frozenset[str]:
    made: set[str] = set()
    for s in plan.statements:
        if s.kind.startswith("create") or (s.kind in ("select", "with") and "INTO" in s.text.upper()):
            made |= words_of(s.text) if s.kind != "create index" else set()
    return frozenset(made)


async def _functions(conn: AsyncConnection[Any], plan: Plan) -> frozenset[str]:
    """Names of functions that somebody made, here or in the script itself; asked for only where a statement could call one."""
    if not any(s.kind in ("select", "with") for s in plan.statements):
        return frozenset()
    asked = await conn.execute("SELECT DISTINCT pg_catalog.lower(proname) FROM pg_catalog.pg_proc WHERE oid >= 16384")
    names = {name for (name,) in await asked.fetchall()}
    for s in plan.statements:
        if s.kind in ("create function", "create procedure"):
            names |= set(words_of(s.text[:300])) - {
                "create",
                "or",
                "replace",
                "function",
                "procedure",
            }
    return frozenset(names)


def _with_children(tables: Sequence[Table]) -> list[Table]:
    """Who names a table, or a view on it, means its partitions and heirs too."""
    by_oid = {t.oid: t for t in tables}

    def line(t: Table) -> list[Table]:
        return [t, *(a for p in t.parents or () if p in by_oid for a in line(by_oid[p]))]

    found = []
    for t in tables:
        of = line(t)
        words = (words_of(name) for a in of for name in (a.name, *(a.views or ())))
        found.append(replace(t, names=frozenset(a.name for a in of), words=frozenset[str]().union(*words)))
    return found


async def _sizes(conn: AsyncConnection[Any], tables: Sequence[Table]) -> list[tuple[int, Table]]:
    """Bytes of each table; one that is locked by somebody else, or was dropped meanwhile, is left out."""
    found: list[tuple[int, Table]] = []
    by_oid = {t.oid: t for t in tables}
    with contextlib.suppress(psycopg.Error):
        asked = await conn.execute(
            "SELECT o::int8, pg_catalog.pg_relation_size(o) FROM pg_catalog.unnest(%s::oid[]) o", [list(by_oid)]
        )
        return [(size, by_oid[oid]) for oid, size in await asked.fetchall() if size is not None]
    for table in tables:
        with contextlib.suppress(psycopg.Error):
            asked = await conn.execute("SELECT pg_catalog.pg_relation_size(%s::oid)", [table.oid])
            row = await asked.fetchone()
            found += [(row[0], table)] if row and row[0] is not None else []
    return found


async def _count(conn: AsyncConnection[Any], table: Table, scope: Scope, size: int) -> Counted | None:
    columns = table.columns or {}
    compare = size <= DIGEST_BYTES and scope.compares(table)
    convert: list[str] = []
    if not scope.retyping.isdisjoint(table.words):
        convert = [n for n, c in columns.items() if not scope.retyping.isdisjoint(words_of(c[0]))]
    with contextlib.suppress(psycopg.Error):
        return await count_table(
            conn, table.schema, table.name, columns, digest=list(columns) if compare else convert, distinct=convert
        )
    return None
