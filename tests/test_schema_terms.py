"""Comparisons with constants are shown as people write them, and mean the same to Postgres."""

import psycopg
import pytest

from neon_branch_mcp.postgres.schema_terms import plain_terms, signature

COLUMNS = 'v varchar(9), w text, c char(2), n int, m numeric, u uuid, "Odd ""v" varchar, vs varchar[]'
VARCHARS = {"v", '"Odd ""v"'}

# What somebody wrote, and what of it is shown.
WRITTEN = {
    "v in ('a', 'it''s', '(b)::text')": "(v in ('a', 'it''s', '(b)::text'))",
    "v not in ('a', '')": "(v not in ('a', ''))",
    "w in ('a', '1, 2', '-3')": "(w in ('a', '1, 2', '-3'))",
    "c not in ('x', 'y')": "(c not in ('x', 'y'))",
    "n in (1, 2, -3)": "(n in (1, 2, -3))",
    "m in (1.5, -2.25)": "(m in (1.5, -2.25))",
    """"Odd ""v" in ('a', 'b')""": """("Odd ""v" in ('a', 'b'))""",
    "v = 'a' or w <> 'b' and c = 'x'": "((v = 'a') OR ((w <> 'b') AND (c = 'x')))",
    "lower(v) in ('a', 'b') and n > 0": "((lower((v)::text) = ANY (ARRAY['a'::text, 'b'::text])) AND (n > 0))",
    "u::text = 'a'": "((u)::text = 'a'::text)",
    "w ~ 'v = ''a''::text'": "(w ~ 'v = ''a''::text'::text)",
    "w || v = 'a'": "((w || (v)::text) = 'a'::text)",
    "vs[1] = 'a'": "((vs[1])::text = 'a'::text)",
    "v = any (vs)": "((v)::text = ANY ((vs)::text[]))",
    "n in (1, 10000000000)": "(n = ANY (ARRAY[(1)::bigint, '10000000000'::bigint]))",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_check_is_shown_plainly_and_means_the_same(written: str, database_uri: str) -> None:
    with psycopg.connect(database_uri) as conn:

        def printed(expression: str) -> str:
            conn.execute("DROP TABLE IF EXISTS pg_temp.terms")
            conn.execute(f"CREATE TEMP TABLE terms ({COLUMNS}, CONSTRAINT terms CHECK ({expression}))".encode())
            query = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conrelid = 'pg_temp.terms'::regclass AND contype = 'c'"
            row = conn.execute(query).fetchone()
            assert row is not None
            return str(row[0])

        first = printed(written)
        shown = plain_terms(first, VARCHARS)
        assert shown == WRITTEN[written]
        assert printed(shown) == first
        # Once a dump was restored, Postgres prints another form of the same.
        assert plain_terms(printed(first), VARCHARS) == shown


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("a integer, b text DEFAULT NULL::text", "a int, b text default NULL"),
        (
            "at timestamp with time zone DEFAULT NULL::timestamp with time zone, x boolean DEFAULT false",
            "at timestamptz default NULL, x bool default false",
        ),
        ("a character varying DEFAULT 'it''s, DEFAULT'::character varying", "a varchar default 'it''s, DEFAULT'"),
        ("a integer[] DEFAULT '{}'::integer[], OUT b double precision", "a int[] default '{}', OUT b float8"),
        ("a text DEFAULT NULL::character varying", "a text default NULL::character varying"),
        (
            '"integer" integer, "DEFAULT" s."boolean" DEFAULT NULL::s."boolean"',
            '"integer" int, "DEFAULT" s."boolean" default NULL::s."boolean"',
        ),
        ("a text DEFAULT ('x'::text || 'integer'::text)", "a text default ('x'::text || 'integer'::text)"),
        ("VARIADIC integers integer[]", "VARIADIC integers int[]"),
    ],
)
def test_a_signature_has_short_types_and_defaults_without_their_own_type(printed: str, shown: str) -> None:
    assert signature(printed) == shown
