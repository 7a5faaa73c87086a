"""What counts as the same value: every two different values of a type have different fingerprints, whatever Postgres' own `=` says."""

import re

import psycopg
import pytest

from neon_branch_mcp.migrations.canonical import canonical, exact
from neon_branch_mcp.migrations.fingerprint import row_hash, value_hash
from neon_branch_mcp.migrations.verify_catalogue import ColumnType

# Types, and values that are all different; several are equal to Postgres' operators or to its hash functions.
DIFFERENT = {
    "smallint": ["0", "-1", "1", "32767"],
    "integer": ["0", "-1", "1", "2147483647"],
    "bigint": ["0", "4294967297", "-4294967296", "4294967296", "-1", "1", "8589934594"],
    "boolean": ["true", "false"],
    "numeric": ["0", "0.0", "1.5", "-1.5", "1.50", "15", "150", "NaN", "Infinity", "-Infinity", "0.15", "-0.15"],
    "numeric(10,2)": ["0", "1.5", "-1.5", "15", "NaN", "0.15", "-0.15"],
    "real": ["0", "-0", "0.1", "-0.1", "NaN", "Infinity"],
    "double precision": ["0", "-0", "0.1", "0.30000000000000004", "0.3", "-0.1", "NaN", "Infinity", "-Infinity"],
    "text": ["", " ", "a", "A", "a ", "á", "a\u0301", "NULL", "0"],
    "varchar(20)": ["", " ", "a", "a "],
    "bytea": ["\\x", "\\x00", "\\x0000", "\\x61"],
    "date": ["2024-01-01", "2024-01-02", "infinity", "-infinity"],
    "time": ["00:00", "24:00", "10:00:00.000001", "10:00"],
    "timestamp": ["2024-01-01", "2024-01-01 00:00:00.000001", "2024-01-01 01:11:34.967297", "infinity"],
    "timestamptz": ["2024-01-01Z", "2024-01-01 00:00:00.000001Z", "2024-01-01 01:11:34.967297Z", "-infinity"],
    "timetz": ["10:00+00", "11:00+01"],
    "interval": ["1 month", "30 days", "720 hours", "0"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"],
    "json": ['{"a":1}', '{"a": 1}', '{"a":1,"a":1}', "null"],
    "jsonb": ['{"a":1}', '{"a":-1}', '{"a":1.0}', '{"a":"1"}', "null", "[]", "[null]", "[true]", "[false]"],
    "integer[]": ["{}", "{NULL}", "{1,2}", "{{1,2}}", "[0:1]={1,2}", "{2,1}"],
    "text[]": ["{}", '{""}', "{NULL}", '{"NULL"}', '{"a,b"}', "{a,b}"],
    "numeric[]": ["{1.5}", "{-1.5}", "{1.50}"],
    "int4range": ["empty", "[1,2)", "(,)", "[1,)"],
    "numrange": ["[1,2]", "[1,2)", "[1.0,2]"],
    "bit varying": ["", "0", "00", "1"],
    "inet": ["10.0.0.1", "10.0.0.1/24"],
    "money": ["1.00", "-1.00"],
    "point": ["(0,0)", "(-0,0)"],
    "xml": ["<a/>", "<a></a>"],
    "tsvector": ["a", "a:1"],
}


@pytest.fixture(scope="module")
def builtins() -> dict[str, str]:
    return {
        "smallint": "int2",
        "integer": "int4",
        "bigint": "int8",
        "boolean": "bool",
        "real": "float4",
        "double precision": "float8",
        "char": "bpchar",
        "numeric[]": "_numeric",
        "integer[]": "_int4",
        "bigint[]": "_int8",
        "real[]": "_float4",
        "double precision[]": "_float8",
        "char[]": "_bpchar",
        "varchar[]": "_varchar",
        "text[]": "_text",
    }


def kind(declared: str, builtins: dict[str, str]) -> ColumnType:
    plain = re.sub(r"\(.*\)", "", declared)
    return ColumnType(declared, builtins.get(plain, plain), "b", 0)


@pytest.mark.parametrize("declared", DIFFERENT)
def test_different_values_differ_and_so_does_null(declared: str, builtins: dict[str, str], database_uri: str) -> None:
    form = exact(kind(declared, builtins)).replace("{c}", "t.v")
    with psycopg.connect(database_uri) as conn:
        conn.execute(f"CREATE TEMP TABLE t (n int, v {declared})".encode())
        values = [*DIFFERENT[declared], None]
        for n, value in enumerate([*values, *values]):
            conn.execute("INSERT INTO t VALUES (%s, %s)", (n, value))
        for hashed in (value_hash([form], 42), row_hash([form], 42)):
            rows = conn.execute(f"SELECT {hashed} FROM t ORDER BY n".encode()).fetchall()
            hashes = [h for (h,) in rows]
            assert len(set(hashes)) == len(values), list(zip(values, hashes, strict=False))
            assert hashes[: len(values)] == hashes[len(values) :]


# Base type and value, branch type and value, and whether the value has survived.
ACROSS = [
    ("integer", "7", "bigint", "7", True),
    ("integer", "-7", "bigint", "-7", True),
    ("bigint", "7", "numeric", "7.0", True),
    ("numeric(10,2)", "1.50", "numeric(12,4)", "1.5000", True),
    ("numeric(10,2)", "1.55", "numeric(10,1)", "1.6", False),
    ("numeric(10,2)", "1.50", "double precision", "1.5", True),
    ("numeric", "0.1", "real", "0.1", True),
    ("numeric", "12345678.9", "real", "12345679", False),
    ("numeric(10,2)", "1.50", "integer", "2", False),
    ("real", "0.5", "double precision", "0.5", True),
    ("double precision", "0.1", "real", "0.1", False),
    ("varchar(20)", "abc ", "text", "abc ", True),
    ("varchar(20)", "abc ", "text", "abc", False),
    ("char(5)", "ab", "text", "ab", True),
    ("date", "2024-01-01", "timestamp", "2024-01-01 00:00", True),
    ("timestamp", "2024-01-01 10:00", "date", "2024-01-01", False),
    ("timestamp", "2024-01-01 10:00", "timestamptz", "2024-01-01 10:00Z", True),
    ("json", '{"b": 1, "a": 2}', "jsonb", '{"a": 2, "b": 1}', True),
    (
        "json",
        '{"a": 1, "b": {"x": "1:\\"2\\":", "y": [{}]}}',
        "jsonb",
        '{"b": {"y": [{}], "x": "1:\\"2\\":"}, "a": 1}',
        True,
    ),
    ("json", '{"a": 1, "a": 2}', "jsonb", '{"a": 2}', False),
    ("json", '[{"b": {"a": 1, "b": 0, "a": 1}}]', "jsonb", '[{"b": {"a": 1, "b": 0}}]', False),
    ("numeric(8,2)[]", "{1.50,NULL}", "numeric(12,4)[]", "{1.5000,NULL}", True),
    ("numeric(8,2)[]", "{1.55,0}", "numeric(8,1)[]", "{1.6,0.0}", False),
    ("numeric[]", "{1,2}", "numeric(8,1)[]", "{{1},{2}}", False),
    ("numeric[]", "{}", "numeric(8,1)[]", "{NULL}", False),
    ("integer[]", "{1,2}", "numeric[]", "{1.0,2}", True),
    ("integer[]", "{1,2}", "bigint[]", "{1,3}", False),
    ("real[]", "{0.5}", "double precision[]", "{0.5}", True),
    ("char(3)[]", "{a}", "char(5)[]", "{a}", True),
    ("varchar(9)[]", "{'a '}", "text[]", "{'a'}", False),
    ("text", "007", "integer", "7", False),
    ("integer", "7", "text", "7", True),
    ("uuid", "00000000-0000-0000-0000-000000000001", "text", "00000000-0000-0000-0000-000000000001", True),
]


@pytest.mark.parametrize(("was", "old", "is_now", "new", "same"), ACROSS)
def test_a_value_across_types(
    was: str, old: str, is_now: str, new: str, same: bool, builtins: dict[str, str], database_uri: str
) -> None:
    how = canonical(kind(was, builtins), kind(is_now, builtins))
    assert how.note.startswith(f"type changed from {was} to {is_now}")
    hashes = [value_hash([form.replace("{c}", "t.v")], 42) for form in (how.base, how.branch)]
    with psycopg.connect(database_uri) as conn:
        conn.execute("SET TimeZone = 'UTC'")
        sides = [
            conn.execute(f"SELECT {h} FROM (SELECT %s::{declared} AS v) t".encode(), (value,)).fetchone()
            for h, declared, value in ((hashes[0], was, old), (hashes[1], is_now, new))
        ]
        assert (sides[0] == sides[1]) is same


def test_rows_that_exchange_a_value_have_another_sum(database_uri: str) -> None:
    """The trap of a hash that is linear in its columns."""
    hashed = row_hash(["pg_catalog.hashint4extended(a, {s})", "pg_catalog.hashint4extended(b, {s})"], 42)
    with psycopg.connect(database_uri) as conn:
        query = f"SELECT sum({hashed}) FROM (VALUES (1, 10), (2, 20)) t(a, b)"
        exchanged = query.replace("(1, 10), (2, 20)", "(1, 20), (2, 10)")
        assert conn.execute(query.encode()).fetchone() != conn.execute(exchanged.encode()).fetchone()


@pytest.mark.parametrize("declared", ["numeric", "numeric(12,2)", "numeric(6,0)"])
@pytest.mark.parametrize(("was", "is_now"), [("2", "20000"), ("0.5", "5000"), ("0", "NaN"), ("-3", "-30000")])
def test_two_columns_of_a_row_that_change_alike_do_not_cancel_out(
    declared: str, was: str, is_now: str, builtins: dict[str, str], database_uri: str
) -> None:
    """Postgres XORs the power of 10,000 onto a number's hash, outside the seed."""
    form = exact(kind(declared, builtins))
    hashed = row_hash([form.replace("{c}", "t.a"), form.replace("{c}", "t.b")], 42)
    query = f"SELECT {hashed} FROM (SELECT %s::{declared} AS a, %s::{declared} AS b) t".encode()
    with psycopg.connect(database_uri) as conn:
        assert conn.execute(query, (was, was)).fetchone() != conn.execute(query, (is_now, is_now)).fetchone()
