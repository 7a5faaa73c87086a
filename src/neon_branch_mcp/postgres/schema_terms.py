"""Comparisons with constants as people write them: without the casts that Postgres adds when it prints an expression.

    ((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))  →  (kind in ('a', 'b'))
    (kind <> 'a'::text)                                                                     →  (kind <> 'a')

Only where the shorter text means the same to Postgres: a bare column is of its constants' type, and one that is cast to text must be a
varchar, for `id::text = '1'` is not `id = '1'` of every type. Everything else stays as Postgres prints it.
"""

import re
from collections.abc import Set
from typing import Final

from .ddl_names import quote
from .schema import Table

STRING: Final = r"E?'(?:[^']|'')*'"
NAME: Final = r'(?:[A-Za-z_][\w$]*|"(?:[^"]|"")+")'
WORD: Final = rf"(?:{STRING}::(?:text|bpchar|character varying)|\({STRING}::character varying\)::text)"
NUMBER: Final = r"(?:-?[0-9.]+|'-[0-9.]+'::(?:integer|bigint|smallint|numeric))"
ITEMS: Final = rf"{WORD}(?:, {WORD})*|{NUMBER}(?:, {NUMBER})*"
COLUMN: Final = rf'(?<![\w".:])(?:\((?P<cast>{NAME})\)::text|(?P<bare>{NAME}))'
COMPARED: Final = re.compile(
    rf"{COLUMN} (?:(?P<which>= ANY|<> ALL) \((?:\(ARRAY\[(?P<these>{ITEMS})\]\)::text\[\]|ARRAY\[(?P<those>{ITEMS})\])\)"
    rf"|(?P<operator>=|<>) (?P<one>{STRING})::(?:text|bpchar)(?![\w\[]))"
    # What stands in quotes is passed over.
    rf'|"(?:[^"]|"")*"|{STRING}'
)
NUMBERS: Final = re.compile(rf"{NUMBER}(?:, {NUMBER})*")
CONSTANT: Final = re.compile(rf"{STRING}|{NUMBER}")

# In the arguments of a function: a default that repeats the argument's type, and the long names of types.
REPEATED: Final = re.compile(
    rf"""(?P<type>[\w ]+(?:\(\d+\))?(?:\[\])*) DEFAULT (?P<value>NULL|{STRING})::(?P=type)(?=, |$)|"(?:[^"]|"")*"|{STRING}"""
)
LONG: Final = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "character varying": "varchar",
    "double precision": "float8",
    "integer": "int",
    "boolean": "bool",
    "DEFAULT": "default",
}
LONG_NAMES: Final = re.compile(rf"""(?<![\w".:])(?:{"|".join(LONG)})(?![\w"])|"(?:[^"]|"")*"|{STRING}""")


def varchars(table: Table) -> Set[str]:
    """The names of its varchar columns, as SQL takes them."""
    return {
        quote(c.name) for c in table.columns if c.type.startswith("character varying") and not c.type.endswith("[]")
    }


def plain_terms(text: str, varchars: Set[str]) -> str:
    """The text with such comparisons written plainly. `varchars` are the columns of that type."""
    return COMPARED.sub(lambda m: _plain(m, varchars), text)


def in_table(text: str, table: Table) -> str:
    """The text of one of the table's constraints or indexes, its comparisons written plainly."""
    return plain_terms(text, varchars(table)) if "::" in text or "ARRAY[" in text else text


def signature(text: str) -> str:
    """The arguments or the result of a function, types by their short names and defaults without the cast to the argument's own type."""
    text = REPEATED.sub(lambda m: f"{m['type']} DEFAULT {m['value']}" if m["type"] else m[0], text)
    return LONG_NAMES.sub(lambda m: LONG.get(m[0], m[0]), text)


def _plain(found: re.Match[str], varchars: Set[str]) -> str:
    column = found["cast"] or found["bare"]
    if column is None or (found["cast"] and found["cast"] not in varchars):
        return found[0]
    if found["one"]:
        return f"{column} {found['operator']} {found['one']}"
    listed = found["these"] or found["those"]
    items = [m[0] for m in CONSTANT.finditer(listed)]
    if NUMBERS.fullmatch(listed):
        items = [i.strip("'") for i in items]
    return f"{column} {'in' if found['which'] == '= ANY' else 'not in'} ({', '.join(items)})"
