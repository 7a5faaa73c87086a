"""The lexer ends strings, comments and names where Postgres does, and statements with them."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot.dialects.postgres import Postgres

from neon_branch_mcp.guard.lexer import Kind, LexError, fold, names, statements, tokens, truncate
from neon_branch_mcp.guard.statements import TreeVerdict, inspect
from neon_branch_mcp.guard.statements_parse import parse
from neon_branch_mcp.guard.statements_spelling import TYPE_WORDS


def kinds(sql: str) -> list[tuple[str, str]]:
    return [(t.kind.value, t.text) for t in tokens(sql)]


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1", 1),
        ("SELECT 1;;", 1),
        ("SELECT 'a;b'; SELECT 2", 2),
        ("SELECT $é$ ' $é$; COMMIT", 2),
        ("SELECT 1 --\r; COMMIT", 2),
        ("SELECT /* /* nested */ '*/ 1; COMMIT; --' */ 2", 2),
        ("SELECT '\\' || '; COMMIT; --'", 1),
        ("SELECT E'\\'; COMMIT; --'", 1),
        ("SELECT E'a'\n  '\\'; COMMIT'", 1),
        ("SELECT E'a' '\\'; COMMIT; --'", 2),
        ('SELECT """;"; SELECT 1', 2),
        ("SELECT a$b$; SELECT c$b$", 2),
        ("SELECT 1 AS begin atomic; DROP TABLE t", 2),
        ("SELECT (1; DROP TABLE t", 2),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3", 2),
        ("CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b); SELECT 1", 2),
        ("", 0),
        (" ; ; -- nothing", 0),
    ],
)
def test_statements_end_where_postgres_ends_them(sql: str, count: int) -> None:
    assert len(statements(list(tokens(sql)))) == count


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT f(1)", {"f"}),
        ("SELECT F /* x */ -- y\n (1)", {"f"}),
        ('SELECT "Odd ""name"(1)', {'Odd "name'}),
        ("SELECT 'f(1)', $$ g(2) $$ -- h(3)", set()),
        ("SELECT $$x$$f(1)", {"f"}),
        ("SELECT 1f(1)", {"f"}),
        ("SELECT s.f(1), t . g (2)", {"f", "g"}),
    ],
)
def test_what_is_called_is_found(sql: str, found: set[str]) -> None:
    assert names(tokens(sql)).calls == found


def test_names_are_kept_as_postgres_keeps_them() -> None:
    assert fold("ÉvIL") == "Évil"
    assert truncate("x" * 70) == "x" * 63
    assert truncate("é" * 40) == "é" * 31
    assert len(truncate("🦉" * 30).encode()) <= 63


@pytest.mark.parametrize("sql", ["SELECT 'x", 'SELECT "x', "SELECT $$x", "/* /* */", "SELECT E'\\'", "SELECT $a$ $b$"])
def test_what_does_not_end_is_an_error(sql: str) -> None:
    with pytest.raises(LexError):
        list(tokens(sql))


def test_every_word_that_the_parser_takes_for_a_type_is_known() -> None:
    """Nested calls of these make it run for minutes; the text checks bound them."""
    types = Postgres.Parser.TYPE_TOKENS
    words = {
        word.lower() for word, token in Postgres.Tokenizer.KEYWORDS.items() if token in types and word.isidentifier()
    }
    assert words <= TYPE_WORDS


@pytest.mark.parametrize(
    "opening",
    [
        "int(",
        "int((",
        "struct(",
        "timestamp (",
        "decimal(f(",
        "ARRAY[",
        "x::int[",
        "int(ARRAY[",
        "int(a[",
        "f(",
        "(SELECT ",
    ],
)
def test_no_nesting_that_passes_the_text_checks_holds_the_parser(opening: str) -> None:
    for depth in range(2, 40):
        opened = opening * depth
        closed = "".join(")" if char == "(" else "]" for char in reversed(opened) if char in "([")
        begin = time.perf_counter()
        if inspect(f"SELECT {opened}1{closed}", "read", parse).rule == "text":
            return
        assert time.perf_counter() - begin < 2, depth
    assert opening in ("f(", "(SELECT ")


PIECES = st.sampled_from(
    [
        "'",
        "''",
        '"',
        "$$",
        "$a$",
        "a",
        "E'",
        "\\",
        "--",
        "\n",
        "/*",
        "*/",
        "(",
        ")",
        ";",
        " ",
        "é",
        "$1",
        "1",
        "-",
        "::",
        "f(",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_tokens_cover_the_text_in_order_without_overlap(sql: str) -> None:
    try:
        found = list(tokens(sql))
    except LexError:
        return
    end = 0
    for token in found:
        assert end <= token.start < token.end <= len(sql)
        if token.kind in (Kind.STRING, Kind.NUMBER, Kind.OPERATOR, Kind.OTHER, Kind.PARAMETER):
            assert sql[token.start : token.end] == token.text
        end = token.end


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 INTO x",
        "SELECT * FROM t FOR UPDATE",
        "TABLE t FOR NO KEY UPDATE",
        "WITH d AS (DELETE FROM t) SELECT 1",
        "WITH d AS (UPDATE t SET a = 1) SELECT 1",
        "WITH d AS (SELECT 1) DELETE FROM t",
        "WITH d AS (SELECT 1) INSERT INTO t VALUES (1)",
        "WITH d AS (SELECT 1) UPDATE ONLY t SET a = 1",
    ],
)
def test_a_select_that_writes_is_seen_by_its_words_too(sql: str) -> None:
    """The parser taken away, as if its scanner had lost the place."""
    found = inspect(sql, "read", lambda text: TreeVerdict())
    assert found.kind == "other"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS into",
        "SELECT t.into FROM t",
        "SELECT substring(a FOR 2) FROM t",
        "SELECT update, delete FROM t",
        "SELECT f(update, 1)",
    ],
)
def test_words_that_are_only_names_are_none(sql: str) -> None:
    assert inspect(sql, "read", lambda text: TreeVerdict()).kind == "read"
