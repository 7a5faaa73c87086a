"""Functions that stand behind an operator written as a word, a field, a variable's type, or an operator that our own queries might meet."""

import psycopg
import pytest

from neon_branch_mcp.config import SqlConfig
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.guard.functions import FunctionCatalogue, judge
from neon_branch_mcp.guard.functions_hidden import Behind, Body, find_hidden
from neon_branch_mcp.guard.lexer import names, tokens
from neon_branch_mcp.guard.statements import inspect
from neon_branch_mcp.guard.statements_parse import parse

from .conftest import MakeClient
from .world import Probe, rest

QUICK = SqlConfig(read_timeout=4, lock_timeout=1)

# Labelled IMMUTABLE and given constants, they are called while the statement is planned.
OPERATORS = """
CREATE FUNCTION of_two(a int, b int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5101) > 0; END $$;
CREATE FUNCTION of_text(a int, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5102) > 0; END $$;
CREATE OPERATOR ~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = of_two);
CREATE OPERATOR !~~* (LEFTARG = int, RIGHTARG = int, FUNCTION = of_two);
CREATE OPERATOR ~ (LEFTARG = int, RIGHTARG = text, FUNCTION = of_text);
CREATE OPERATOR >= (LEFTARG = int, RIGHTARG = text, FUNCTION = of_text);
CREATE OPERATOR <= (LEFTARG = int, RIGHTARG = text, FUNCTION = of_text);
CREATE OPERATOR > (LEFTARG = int, RIGHTARG = text, FUNCTION = of_text);
CREATE OPERATOR < (LEFTARG = int, RIGHTARG = text, FUNCTION = of_text);
CREATE OPERATOR <> (LEFTARG = int, RIGHTARG = text, FUNCTION = of_text);
CREATE FUNCTION likes() RETURNS boolean LANGUAGE plpgsql STABLE AS $$ DECLARE a int := 1; BEGIN RETURN a LIKE 2; END $$;
"""
WORDS = (
    "SELECT 1 LIKE 2",
    "SELECT 1 NOT ILIKE 2",
    "SELECT 1 SIMILAR TO 'a'::text",
    "SELECT 1 BETWEEN 'a'::text AND 'b'::text",
    "SELECT 1 NOT BETWEEN SYMMETRIC 'a'::text AND 'b'::text",
    "SELECT 1 != 'a'::text",
    "SELECT 1 NOT IN ('a'::text)",
    "SELECT 1 >= ANY (ARRAY['a'])",
    "SELECT 1 OPERATOR(public.~~) 2",
    "SELECT row(1, 2) > row('a'::text, 'b'::text)",
    "SELECT likes()",
)
# What a query of ours would find before Postgres' own operators.
HOSTILE = """
CREATE SCHEMA evil;
CREATE FUNCTION evil.oids(a oid, b int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5202) > 0; END $$;
CREATE FUNCTION evil.texts(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5203) > 0; END $$;
CREATE FUNCTION evil.glued(a text, b text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5204); END $$;
CREATE FUNCTION evil.named(a name, b name) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5205) > 0; END $$;
CREATE FUNCTION evil.both(a oid, b oid) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5206) > 0; END $$;
CREATE OPERATOR evil.>= (LEFTARG = oid, RIGHTARG = int, FUNCTION = evil.oids);
CREATE OPERATOR evil.<> (LEFTARG = oid, RIGHTARG = int, FUNCTION = evil.oids);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.texts);
CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.glued);
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.named);
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.both);
"""


def _run(uri: str, script: str) -> None:
    with psycopg.connect(uri, autocommit=True) as conn:
        conn.execute(script.encode())


@pytest.mark.anyio
async def test_an_operator_written_as_a_word_is_not_called(
    database_uri: str, superuser_uri: str, probe: Probe, make_client: MakeClient
) -> None:
    _run(database_uri, OPERATORS)
    client = await make_client(superuser_uri, sql=QUICK)
    before = probe.state()
    answered = []
    for text in WORDS:
        try:
            await client(text)
            answered.append(text)
        except NeonBranchError:
            pass
    await rest()
    assert probe.state().changed_since(before) == set()
    assert answered == []


@pytest.mark.anyio
async def test_our_own_queries_call_no_operator_of_the_search_path(
    database_uri: str, superuser_uri: str, probe: Probe, make_client: MakeClient
) -> None:
    _run(database_uri, HOSTILE)
    path = "-csearch_path=evil,pg_catalog,public"
    client = await make_client(f"{superuser_uri} options={path}", sql=QUICK)
    before = probe.state()
    settings = "SELECT current_setting('search_path'), current_setting('jit')"
    here = probe.conn.execute(b"SHOW jit").fetchone()
    assert here is not None
    assert (await client(settings)).rows == [["evil,pg_catalog,public", here[0]]]
    assert (await client("SELECT count(*) FROM canary")).rows == [[3]]
    await rest()
    assert probe.state().changed_since(before) == set()


@pytest.mark.parametrize(
    ("sql", "meant"),
    [
        ("a LIKE b", {"~~", "!~~"}),
        ("a NOT ILIKE b", {"~~*", "!~~*"}),
        ("a SIMILAR TO b", {"~", "!~"}),
        ("a IN (1)", {"=", "<>"}),
        ("a != b", {"!=", "<>"}),
        ("NULLIF(a, b)", {"="}),
        ("a BETWEEN b AND c", {"=", "<", "<=", ">", ">="}),
        ('"like"', set()),
    ],
)
def test_a_word_means_an_operator(sql: str, meant: set[str]) -> None:
    found = names(tokens(sql)).operators
    assert found == meant or (sql.startswith('"') and "~~" in found)


def test_a_field_may_be_a_function_of_the_row() -> None:
    uses = names(tokens('SELECT c.lying, s.f(1), (c)."Odd".x FROM s.canary c'))
    assert uses.fields == {"lying", "f", "Odd", "x", "canary"}
    catalogue = FunctionCatalogue(mislabelled={"lying": "it lies", "column": "it lies"}, fields=frozenset({"lying"}))
    assert judge(uses, catalogue) is not None
    assert judge(names(tokens("SELECT c.column FROM c")), catalogue) is None


@pytest.mark.parametrize(
    ("sql", "harm"),
    [
        ("SELECT json_populate_record(t, '{}') FROM typed t", True),
        ("SELECT * FROM jsonb_populate_recordset(NULL::typed, '[]')", True),
        ("SELECT json_populate_record(t, '{}') FROM plain t", False),
        ("SELECT * FROM typed", False),
        ("SELECT NULL::typed", True),
    ],
)
def test_what_fills_a_row_checks_its_columns(sql: str, harm: bool) -> None:
    assert (judge(names(tokens(sql)), FunctionCatalogue(checked=frozenset({"typed"}))) is not None) == harm


@pytest.mark.parametrize(
    ("text", "flawed"),
    [
        ("DECLARE x checked := 5; BEGIN RETURN x; END", True),
        ("DECLARE x t.checked%TYPE; BEGIN RETURN x; END", True),
        ("BEGIN RETURN r.checked + checked; END", False),
        ("BEGIN RETURN (SELECT max(c.effect) FROM t c); END", True),
        ("BEGIN RETURN (SELECT max(c.other) FROM t c); END", False),
        ("BEGIN RETURN with_default(); END", True),
        ("BEGIN RETURN 1; END", False),
    ],
)
def test_a_body_hides_no_call(text: str, flawed: bool) -> None:
    behind = [
        Behind("checked", "checked", "pg_notify"),
        Behind("field", "effect", "effect", volatile=True),
        Behind("function", "with_default", "nextval", volatile=True),
    ]
    found = find_hidden([Body("f", "public.f()", text, "plpgsql")], behind, {"effect": "public.effect(t)"})
    assert ("f" in found.functions) == flawed


def test_what_planning_computes_counts_when_it_lies() -> None:
    liar = Body("liar", "public.liar()", "BEGIN RETURN pg_notify('a', 'b'); END", "plpgsql")
    behind = [
        Behind("planned", "with_key", "liar"),
        Behind("planned", "with_sequence", "nextval", volatile=True),
        Behind("relation", "lying_view", "liar"),
        Behind("relation", "honest_view", "nextval", volatile=True),
        Behind("view", "over_it", "with_key"),
    ]
    assert find_hidden([liar], behind, {}).types == {"with_key", "lying_view", "over_it"}


def test_a_view_of_a_view_calls_what_it_calls() -> None:
    behind = [
        Behind("shown", "limited", "mine", volatile=True),
        Behind("shown", "dated", "clock_timestamp", volatile=True),
        Behind("view", "over", "limited"),
        Behind("view", "over_over", "over"),
        Behind("view", "other", "dated"),
    ]
    views = find_hidden([], behind, {}).views
    assert views == dict.fromkeys(("limited", "over", "over_over"), "mine")
    assert judge(names(tokens("TABLE over")), FunctionCatalogue(views=views)) is not None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1. INTO t",
        "SELECT 1.AS a INTO t",
        "SELECT (1).x, 2. INTO t",
        "SELECT $$x$$INTO t",
        "SELECT v AS into INTO t",
    ],
)
def test_into_is_seen_behind_a_number(sql: str) -> None:
    assert inspect(sql, "read", parse).kind == "other"


@pytest.mark.parametrize("sql", ["SELECT t.into FROM t", "SELECT 1 AS into", "SELECT (r).into FROM r"])
def test_into_as_a_name_creates_nothing(sql: str) -> None:
    assert inspect(sql, "read", parse).rule != "creates"
