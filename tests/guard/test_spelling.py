"""What the parser does not know is respelled for its eyes: plain reads are seen as such, and nothing that writes is."""

import pytest

from neon_branch_mcp.guard.lexer import tokens
from neon_branch_mcp.guard.statements import inspect
from neon_branch_mcp.guard.statements_parse import parse
from neon_branch_mcp.guard.statements_spelling import simplified

CTE = "WITH RECURSIVE t(n, m) AS (SELECT 1, 1 UNION ALL SELECT n + 1, m FROM t WHERE n < 3)"
WRITES = "WITH d AS (DELETE FROM canary RETURNING id)"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT JSON_ARRAY(1, NULL NULL ON NULL RETURNING jsonb), JSON_OBJECT('a' || 'b': 1 WITH UNIQUE KEYS)",
        "SELECT JSON_ARRAYAGG(id ORDER BY id RETURNING jsonb) FILTER (WHERE id > 1) FROM users",
        "SELECT JSON_QUERY(jsonb '[1]', '$[*]' RETURNING text OMIT QUOTES EMPTY ARRAY ON ERROR)",
        "SELECT JSON_EXISTS(doc, '$.a ? (@ > $x)' PASSING 1 AS x) FROM users",
        "SELECT j.a, j.c FROM users u, JSON_TABLE(u.doc, '$' COLUMNS (n FOR ORDINALITY, a int PATH '$.a' DEFAULT 1 ON EMPTY, NESTED PATH "
        "'$.b[*]' COLUMNS (c text PATH '$' ERROR ON ERROR))) AS j",
        "SELECT xmlserialize(DOCUMENT '<a/>'::xml AS text INDENT), xmlparse(CONTENT 'a'), xmlpi(NAME php, 'x')",
        "SELECT x.* FROM XMLTABLE('/a' PASSING BY REF ('<a/>'::xml) COLUMNS n FOR ORDINALITY, b text PATH 'b' DEFAULT '-') AS x",
        f"{CTE} SEARCH DEPTH FIRST BY n, m SET o SELECT * FROM t ORDER BY o",
        f"{CTE} SEARCH BREADTH FIRST BY n SET o CYCLE n SET c USING p, u AS (SELECT 1) SELECT * FROM t, u",
        f"{CTE} CYCLE n, m SET c TO 'Y' DEFAULT 'N' USING p SELECT * FROM t",
        "SELECT * FROM users ORDER BY name USING >, id USING <",
        "SELECT j.id FROM users JOIN orgs USING (id) AS j WHERE j.id > 1",
        "SELECT now() AT LOCAL, collation for (name) FROM users",
        "SELECT substring('abc' SIMILAR 'a#\"b#\"_' ESCAPE '#')",
        "SELECT '(1,2)'::cube <-> '(3)'::public.cube, 1::cube",
        "SELECT s ?# t FROM lines",  # the compiled parser ends in a TypeError here, the other one reads something else
    ],
)
def test_a_read_in_words_that_the_parser_does_not_know_is_a_read(sql: str) -> None:
    assert inspect(sql, "read", parse).kind == "read"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT JSON_ARRAY({WRITES} SELECT id FROM d RETURNING jsonb)",
        f"SELECT JSON_QUERY(a, '$' DEFAULT ({WRITES} SELECT id FROM d) ON EMPTY) FROM t",
        f"SELECT xmlparse(CONTENT ({WRITES} SELECT id::text FROM d))",
        f"SELECT JSON_ARRAY(1 RETURNING text), ({WRITES} SELECT 1)",
        f"SELECT id FROM orgs ORDER BY ({WRITES} TABLE d) USING <",
        f"{CTE} CYCLE n SET c USING p, d AS (DELETE FROM canary) TABLE t",
        f"{CTE} SEARCH DEPTH FIRST BY n SET o DELETE FROM canary",
        f"{CTE} SEARCH DEPTH FIRST BY n SET o INSERT INTO canary TABLE t",
        f"{CTE} CYCLE n SET c USING p SELECT * INTO evil FROM t",
        "WITH d AS (DELETE FROM canary RETURNING id) SEARCH DEPTH FIRST BY id SET o SELECT * FROM d",
        "SELECT JSON_ARRAY(1 RETURNING text) AS a INTO evil",
        "SELECT xmlparse(DOCUMENT '<a/>') AS a INTO evil",
        "SELECT now() AT LOCAL AS a INTO evil",
        "SELECT j.* INTO evil FROM a JOIN b USING (id) AS j",
        "SELECT * FROM JSON_TABLE(a, '$' COLUMNS (b int ERROR ON ERROR)) AS j, canary FOR UPDATE",
        "SELECT id FROM canary ORDER BY id USING < FOR UPDATE",
        "JSON_TABLE(DELETE FROM canary)",
        "SELECT 1 FROM a JOIN b USING (id) AS j; DELETE FROM canary",
    ],
)
def test_what_writes_is_no_read_in_such_words_either(sql: str) -> None:
    assert inspect(sql, "read", parse).kind != "read"
    # Nor where the parser's own verdict on what it is shown were believed alone.
    found = tokens(sql)
    verdict = parse(simplified(sql, found))
    assert not verdict.parsed or verdict.reason


@pytest.mark.parametrize(
    "sql", ["SELECT JSON_ARRAY(SELECT 1)", "SELECT xmlparse(CONTENT (VALUES ('a')))", "SELECT json_table(("]
)
def test_a_call_that_may_hold_a_statement_is_shown_as_it_is(sql: str) -> None:
    assert simplified(sql, tokens(sql)) == sql
