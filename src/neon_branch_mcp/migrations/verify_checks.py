"""Checks: two read-only queries whose results must be the same multiset of rows.

Their text has passed the guard. To hash a result inside Postgres the text stands in a subselect, and stays one: the server's own grammar
first accepts the text alone as one query (DECLARE … CURSOR FOR), so its parentheses, quotes and comments are closed; it then runs through
the extended protocol, which cannot carry a second statement, in a READ ONLY transaction that is rolled back.

Types are respected. Columns are compared by position and must have the same type; integer types of any width are one type, and so are
text, varchar and char(n). numeric keeps its scale (1.0 is not 1.00), timestamps their microseconds, text its bytes; null equals null only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import Conflict, NeonBranchError, SqlError
from .canonical import INTEGERS, SCALED, TEXTS, Canonical, canonical
from .compare import Comparison, Difference, Operand, compare
from .fingerprint import Buckets
from .verify_catalogue import Catalogue, ColumnType
from .verify_side import Field, SideRun, both

LAST_SEMICOLON = re.compile(r";\s*(?:--[^\n]*(?:\n\s*|$)|/\*.*?\*/\s*)*$", re.DOTALL)
SYNTAX = "42601"
TYPES = """
with recursive based as (
    select t.oid as asked, t.oid, t.typtype, t.typbasetype from pg_catalog.pg_type t where t.oid in ({oids})
    union all
    select b.asked, t.oid, t.typtype, t.typbasetype from based b join pg_catalog.pg_type t on t.oid = b.typbasetype where b.typtype = 'd'
)
select b.asked::int8, case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text else '' end, t.typtype::text, t.oid::int8
from based b join pg_catalog.pg_type t on t.oid = b.oid where b.typtype <> 'd'
"""


class ReadSql(Protocol):
    """A query that the guard found to read only; policy makes it."""

    @property
    def text(self) -> str:
        """The caller's own text."""
        ...


@dataclass(frozen=True)
class Check:
    """Two vetted queries that should return the same rows."""

    name: str
    base: ReadSql
    branch: ReadSql


@dataclass(frozen=True)
class OutputColumn:
    """A column of a query's result; `table` and `number` name its origin where it is a plain column of a table, else 0."""

    name: str
    type: ColumnType
    table: int
    number: int


@dataclass(frozen=True)
class PreparedCheck:
    """A check whose two results can be compared, and how."""

    name: str
    base_from: str
    branch_from: str
    columns: tuple[OutputColumn, ...]
    branch_columns: tuple[OutputColumn, ...]


def source(sql: str, width: int) -> str:
    """What stands after FROM to read the result of `sql`; its columns are t.c1, t.c2, …"""
    names = ", ".join(f"c{i + 1}" for i in range(width))
    return f"(\n{sql}\n) AS t({names})"


async def prepare(base: SideRun, branch: SideRun, check: Check) -> PreparedCheck:
    """The check, ready to run.

    Raises SqlError or what else Postgres says, naming the check and the side; Conflict when the columns differ in number or type.
    """
    texts = [LAST_SEMICOLON.sub("", sql.text) for sql in (check.base, check.branch)]
    ours, theirs = await both(_outputs(base, check.name, texts[0]), _outputs(branch, check.name, texts[1]))
    if len(ours) != len(theirs) or any(not comparable(a.type, b.type) for a, b in zip(ours, theirs, strict=True)):
        raise Conflict(
            f"Check {check.name!r}: the two queries must return the same number of columns with the same types."
            f" On base {base.name!r}: {_described(ours)}. On branch {branch.name!r}: {_described(theirs)}."
            " Cast or reorder columns on one side."
        )
    if not ours:
        raise Conflict(f"Check {check.name!r}: the queries return no columns, so there is nothing to compare.")
    return PreparedCheck(check.name, source(texts[0], len(ours)), source(texts[1], len(ours)), ours, theirs)


def comparable(base: ColumnType, branch: ColumnType) -> bool:
    """The two types count as the same type in a check."""
    names = {base.builtin, branch.builtin}
    return (
        names <= INTEGERS
        or names <= TEXTS
        or (len(names) == 1 and ("" not in names or base.declared == branch.declared))
    )


def _described(columns: tuple[OutputColumn, ...]) -> str:
    return f"{len(columns)} ({', '.join(f'{c.name} {c.type.declared}' for c in columns)})"


async def _outputs(side: SideRun, name: str, sql: str) -> tuple[OutputColumn, ...]:
    try:
        fields = await side.describe(sql)
        types = await _types(side, fields)
    except SqlError as exc:
        if exc.fields.sqlstate != SYNTAX:
            raise named(exc, name) from exc
        told = f"Check {name!r}: what it runs on {side.role} {side.name!r} is no query whose rows can be compared ({exc.message})."
        raise Conflict(f"{told} Write a SELECT, VALUES, TABLE or WITH … SELECT.") from exc
    except NeonBranchError as exc:
        raise named(exc, name) from exc
    return tuple(OutputColumn(f.name, types[f.type, f.typmod], f.table, f.column) for f in fields)


async def _types(side: SideRun, fields: Sequence[Field]) -> dict[tuple[int, int], ColumnType]:
    asked = {(f.type, f.typmod) for f in fields}
    if not asked:
        return {}
    known = {row[0]: row[1:] for row in await side.rows(TYPES.format(oids=", ".join(str(oid) for oid, _ in asked)))}
    declared = ", ".join(f"pg_catalog.format_type({oid}, {typmod})" for oid, typmod in asked)
    texts = await side.one(f"SELECT {declared}")
    return {
        (oid, typmod): ColumnType(text, known[oid][0], known[oid][1], known[oid][2])
        for (oid, typmod), text in zip(asked, texts, strict=True)
    }


def named(exc: NeonBranchError, check: str) -> NeonBranchError:
    """The same error, saying which check it was; the message says on which side."""
    message = f"Check {check!r}: {exc.message}"
    return SqlError(message, exc.fields) if isinstance(exc, SqlError) else type(exc)(message)


def _how(base: ColumnType, branch: ColumnType) -> Canonical:
    if base.builtin == branch.builtin == "numeric":
        return Canonical(SCALED, SCALED)
    return canonical(base, branch)


def over(form: str, place: int) -> str:
    """A hash input over the column at that place (from 0) of a check's result."""
    return form.replace("{c}", f"t.c{place + 1}")


async def run(base: SideRun, branch: SideRun, check: PreparedCheck, key: tuple[int, ...], seed: int) -> Difference:
    """The difference between the two results. `key` are the places that say which row is which, to tell changed rows."""
    ways = [_how(a.type, b.type) for a, b in zip(check.columns, check.branch_columns, strict=True)]
    shown = tuple(f"t.c{i + 1}::pg_catalog.text" for i in range(len(ways)))
    what = Comparison(
        check.name,
        tuple(c.name for c in check.columns),
        Operand(check.base_from, tuple(over(w.base, i) for i, w in enumerate(ways)), shown),
        Operand(check.branch_from, tuple(over(w.branch, i) for i, w in enumerate(ways)), shown),
        key,
        Buckets(1_024),
        seed,
    )
    return await compare(base, branch, what)


def key_places(check: PreparedCheck, catalogue: Catalogue) -> tuple[int, ...]:
    """The places of the first table's whole key in the base query's result, () where it is not read."""
    for oid in dict.fromkeys(c.table for c in check.columns if c.table):
        table = catalogue.numbered(oid)
        if table is None or not table.key:
            continue
        numbers = [column.number for k in table.key if (column := table.column(k))]
        places = [i for n in numbers for i, c in enumerate(check.columns) if (c.table, c.number) == (oid, n)][
            : len(numbers)
        ]
        if {check.columns[i].number for i in places} == set(numbers):
            return tuple(places)
    return ()
