"""Rows for empty tables, the same in every database: what a migration destroys can only be seen where there is something."""

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

_EMPTY = """
SELECT n.nspname, c.relname,
    json_agg(json_build_array(a.attname, format_type(t.oid, a.atttypmod), t.typtype, t.typname, t.typcategory) ORDER BY a.attnum)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND c.oid >= 16384
    AND n.nspname NOT IN ('neon_branch_mcp', 'information_schema') AND n.nspname !~ '^pg_'
GROUP BY 1, 2 ORDER BY 1, 2
"""
_FIRST, _ROWS = 1001, 4
_TRIES = 3


class Filler:
    """Fills what is empty; a table that takes no row is given up after a few tries, until it looks different."""

    def __init__(self) -> None:
        self._tries: dict[str, int] = {}

    def statements(self, conn: psycopg.Connection[Any]) -> list[str]:
        """Fill the empty tables of `conn`'s database; the statements that succeeded, to be run elsewhere too."""
        done: list[str] = []
        waiting = []
        for schema, name, columns in conn.execute(_EMPTY).fetchall():
            key = f"{schema}.{name} {columns}"
            some = SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(schema, name))
            if self._tries.get(key, 0) < _TRIES and conn.execute(some).fetchone() == (False,):
                self._tries[key] = self._tries.get(key, 0) + 1
                waiting.append((schema, name, columns))
        progress = True
        while progress and waiting:  # a table may wait for the one that it references
            progress = False
            for table in list(waiting):
                if made := _fill(conn, *table):
                    done += made
                    waiting.remove(table)
                    progress = True
        return done


def _fill(conn: psycopg.Connection[Any], schema: str, name: str, columns: list[list[str]]) -> list[str]:
    made: list[str] = []
    for i in range(_ROWS):
        # The last row has NULL wherever it may: columns are not always full.
        for sparse in (True, False) if i == _ROWS - 1 else (False,):
            values = [_value(column, _FIRST + i) for column in columns]
            if sparse:
                values = [v if n == 0 else "NULL" for n, v in enumerate(values)]
            statement = (
                SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})")
                .format(
                    Identifier(schema, name), SQL(", ").join(Identifier(c[0]) for c in columns), SQL(", ".join(values))
                )
                .as_string(conn)
            )
            try:
                conn.execute(statement)
            except psycopg.Error:
                continue
            made.append(statement)
            break
    return made


def _value(column: list[str], i: int) -> str:
    _, type_, sort, base, category = column
    if sort == "e":
        return f"(enum_range(NULL::{type_}))[1 + {i} % cardinality(enum_range(NULL::{type_}))]"
    if category == "A":
        return f"'{{}}'::{type_}"
    match base:
        case "bool":
            return str(i % 2 == 0)
        case "uuid":
            return f"md5('{i}')::uuid"
        case "timestamp" | "timestamptz" | "date":
            return f"('2020-01-01 00:00:00Z'::timestamptz + interval '{i} hours')::{type_}"
        case "time" | "timetz":
            return f"'00:00:{i % 60:02}'::{type_}"
        case "interval":
            return f"interval '{i} s'"
        case "json" | "jsonb":
            return f"""'{{"i": {i}}}'::{type_}"""
        case "bytea":
            return f"decode('{i:08x}', 'hex')"
        case "inet" | "cidr":
            return f"'10.0.{i % 1000 // 250}.{i % 250}'::{type_}"
        case "tsvector":
            return f"'word{i}'::tsvector"
    if category == "N":
        return str(i)
    # Digits, for text is sometimes cast to a number later.
    return f"{Literal(str(i)).as_string()}::{type_}"
