"""Names and types in SQL text: quoted only where Postgres needs it, as its own quote_identifier does."""

import re
from functools import lru_cache
from typing import Final

# Every keyword of Postgres 14 to 18 that is not plain "unreserved" (pg_get_keywords, catcode <> 'U').
KEYWORDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
    character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else
    end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in
    initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg json_exists json_object
    json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading least left like limit localtime
    localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset on only or order out
    outer overlaps overlay placing position precision primary real references returning right row select session_user setof
    similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim true union
    unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists
    xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    """,
    )
)
PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*\Z", re.ASCII)

SHORT_TYPES: Final = (
    (re.compile(r"^character varying"), "varchar"),
    (re.compile(r"^character(?=\(|\b)"), "char"),
    (re.compile(r"^timestamp(\(\d\))? with time zone"), r"timestamptz\1"),
    (re.compile(r"^timestamp(\(\d\))? without time zone"), r"timestamp\1"),
    (re.compile(r"^time(\(\d\))? with time zone"), r"timetz\1"),
    (re.compile(r"^time(\(\d\))? without time zone"), r"time\1"),
    (re.compile(r"^integer\b"), "int"),
    (re.compile(r"^boolean\b"), "bool"),
    (re.compile(r"^double precision"), "float8"),
    (re.compile(r"^bit varying"), "varbit"),
)


@lru_cache(8192)
def quote(name: str) -> str:
    """The name as SQL takes it."""
    if PLAIN_NAME.match(name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """A name with its schema."""
    return f"{quote(schema)}.{quote(name)}"


def quote_list(names: tuple[str, ...]) -> str:
    """Names between commas."""
    return ", ".join(quote(n) for n in names)


def literal(text: str) -> str:
    """A string constant that means the same whatever standard_conforming_strings says."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


@lru_cache(2048)
def short_type(type_: str) -> str:
    """The type by its shortest name that SQL takes: varchar, timestamptz, int."""
    for pattern, short in SHORT_TYPES:
        found, times = pattern.subn(short, type_, count=1)
        if times:
            return found
    return type_


def without_schema(text: str, schema: str) -> str:
    """The text with `schema.` left out before names; what stands in quotes stays."""
    if not schema or f"{quote(schema)}." not in text:
        return text
    pattern = rf"""'(?:[^']|'')*'|(?<![\w."]){re.escape(quote(schema))}\.(?=[\w"])|"(?:[^"]|"")*\""""
    return re.sub(pattern, lambda m: "" if m[0] == f"{quote(schema)}." else m[0], text)
