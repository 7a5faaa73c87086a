"""What a migration really did to the data: every table read before and after, compared without any of the product's code."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier

_TABLES = """
SELECT c.oid::int8, n.nspname, c.relname, pg_relation_filenode(c.oid)::int8,
    COALESCE(
        (SELECT rn.nspname || '.' || r.relname FROM pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace
         WHERE r.oid = pg_partition_root(c.oid)),
        n.nspname || '.' || c.relname
    ),
    (SELECT json_object_agg(a.attnum, json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)))
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid >= 16384
    AND n.nspname NOT IN ('neon_branch_mcp', 'information_schema') AND n.nspname !~ '^pg_'
"""


@dataclass(frozen=True)
class Table:
    """A table at one moment: `columns` by attribute number, each row as texts in their order."""

    label: str
    filenode: int
    columns: Mapping[str, tuple[str, str]]
    rows: tuple[tuple[str | None, ...], ...]

    def projected(self, numbers: list[str]) -> Counter[tuple[str | None, ...]]:
        """The rows as a multiset, over these columns only."""
        places = [list(self.columns).index(n) for n in numbers]
        return Counter(tuple(row[p] for p in places) for row in self.rows)

    def values(self, number: str) -> int:
        """How many values of a column are not NULL."""
        place = list(self.columns).index(number)
        return sum(row[place] is not None for row in self.rows)


Snapshot = dict[int, Table]


def snapshot(conn: psycopg.Connection[Any]) -> Snapshot:
    """Every table with all its rows: the corpus' tables are small."""
    found: Snapshot = {}
    for oid, schema, name, filenode, label, columns in conn.execute(_TABLES).fetchall():
        known = {n: (c[0], c[1]) for n, c in (columns or {}).items()}
        rows = conn.execute(_texts(schema, name, [c[0] for c in known.values()])).fetchall() if known else []
        found[oid] = Table(label.removeprefix("public."), filenode, known, tuple(rows))
    return found


def _texts(schema: str, name: str, columns: list[str]) -> Composed:
    wanted = SQL(", ").join(SQL("{}::text").format(Identifier(c)) for c in columns)
    return SQL("SELECT {} FROM ONLY {}").format(wanted, Identifier(schema, name))


@dataclass
class Truth:
    """What was there before and is not any more, by object; `rewritten` are tables with rows that got a new file."""

    dropped: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    retyped: dict[str, bool] = field(default_factory=dict)
    """Column whose type changed: whether the texts of its values did."""
    rewritten: set[str] = field(default_factory=set)


def truth(before: Snapshot, after: Snapshot) -> Truth:
    """Compare two moments of one database."""
    found = Truth()
    for oid, old in before.items():
        now = after.get(oid)
        if now is None:
            found.dropped[old.label] = found.dropped.get(old.label, 0) + len(old.rows)
            continue
        for number, (name, _) in old.columns.items():
            if number not in now.columns:
                key = f"{old.label}.{name}"
                found.columns[key] = found.columns.get(key, 0) + old.values(number)
        common = [n for n in old.columns if n in now.columns]
        retyped = [n for n in common if old.columns[n][1] != now.columns[n][1]]
        for n in retyped:
            found.retyped[f"{old.label}.{old.columns[n][0]}"] = old.projected([n]) != now.projected([n])
        same = [n for n in common if n not in retyped]
        lost = (old.projected(same) - now.projected(same)).total() if same else len(old.rows) - len(now.rows)
        if lost > 0 and not _only_filled(old, now, same):
            found.rows[old.label] = found.rows.get(old.label, 0) + lost
        if now.filenode != old.filenode and now.rows:
            found.rewritten.add(old.label)
    return found


def _only_filled(old: Table, now: Table, numbers: list[str]) -> bool:
    """Whether all that changed was NULL before: no row is gone, and every value is still there."""
    values = (((None,), old.projected([n]), now.projected([n])) for n in numbers)
    return len(now.rows) >= len(old.rows) and all(not {v for v in (a - b) if v != null} for null, a, b in values)


def judge(report: Mapping[str, Any], true: Truth) -> list[str]:
    """Every way in which the report is not true; none when it is."""
    wrong: list[str] = []
    told: dict[str, dict[str, int | None]] = {}
    for loss in report["data_loss"]:
        kinds = told.setdefault(loss["kind"], {})
        kinds[loss["object"]] = (kinds.get(loss["object"]) or 0) + (loss["rows"] or 0)
        if loss["rows"] is None:
            wrong.append(f"an unknown number: {json.dumps(loss)}")
    wrong += _compare("table dropped", told.get("table dropped", {}), true.dropped)
    wrong += _compare("column dropped", told.get("column dropped", {}), true.columns)
    touched: dict[str, int] = {}
    for kind in ("rows deleted", "rows updated", "table truncated"):
        for label, rows in told.get(kind, {}).items():
            touched[label] = touched.get(label, 0) + (rows or 0)
    # A table that is dropped later in the same script may have been emptied before.
    wrong += _compare("rows", {k: v for k, v in touched.items() if k not in true.dropped}, true.rows)
    for name, changed in true.retyped.items():
        if not changed and name in told.get("type changed", {}):
            wrong.append(f"type changed: {name} is told, but every value reads as before")
        if changed and name not in told.get("type changed", {}):
            wrong.append(f"? type changed: {name} is not told; its values read otherwise now (lossless?)")
    rewrites = {r["relation"] for r in report["rewrites"]}
    wrong += [f"rewrite of {label} not told" for label in sorted(true.rewritten - rewrites)]
    return wrong


def _compare(what: str, told: Mapping[str, int | None], true: Mapping[str, int]) -> list[str]:
    wrong = [f"{what}: {k}, {true[k]} not told" for k in true if k not in told]
    wrong += [f"{what}: {k}, {told[k]} told but not true" for k in told if k not in true]
    return wrong + [f"{what}: {k}, {told[k]} told, {true[k]} true" for k in true if k in told and told[k] != true[k]]
