"""Scripts are cut where Postgres itself would cut them."""

import itertools

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from neon_branch_mcp.errors import LimitExceeded, Refused, SqlError
from neon_branch_mcp.migrations.plan import MAX_SCRIPT, checksum, plan

SPLITS: dict[str, tuple[str, list[str]]] = {
    "semicolons": ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
    "no last semicolon, empty statements": (";;SELECT 1;; ;SELECT 2", ["SELECT 1", "SELECT 2"]),
    "strings": ("SELECT ';', 'it''s;'; SELECT \"a;\"\"b\"", ["SELECT ';', 'it''s;'", 'SELECT "a;""b"']),
    "a backslash in a plain string": (r"SELECT 'a\'; SELECT 1", [r"SELECT 'a\'", "SELECT 1"]),
    "a backslash in an E string": (r"SELECT E'a\'; b'; SELECT 1", [r"SELECT E'a\'; b'", "SELECT 1"]),
    "an E string goes on over lines": ("SELECT E'a'  -- c\n 'b\\'; c'; SELECT 1", ["SELECT E'a'  -- c\n 'b\\'; c'", "SELECT 1"]),
    "an E string does not go on on the same line": (r"SELECT E'a' 'b\'; SELECT 1", [r"SELECT E'a' 'b\'", "SELECT 1"]),
    "a name that ends in e is no E string": (r"SELECT date'\'; SELECT 1", [r"SELECT date'\'", "SELECT 1"]),
    "dollar quotes": ("DO $$ BEGIN; END $$; SELECT $a$ $$; $b$ ; $a$", ["DO $$ BEGIN; END $$", "SELECT $a$ $$; $b$ ; $a$"]),
    "a dollar inside a name": ("SELECT a$$b; SELECT c$$d", ["SELECT a$$b", "SELECT c$$d"]),
    "a tag of letters beyond ASCII": ("SELECT $é$;$é$; SELECT 1", ["SELECT $é$;$é$", "SELECT 1"]),
    "parameters are no dollar quotes": ("PREPARE p AS SELECT $1; SELECT $2", ["PREPARE p AS SELECT $1", "SELECT $2"]),
    "nested comments": ("SELECT 1 /* ; /* ; */ ; */; SELECT 2", ["SELECT 1", "SELECT 2"]),
    "a comment ends an operator": ("SELECT 1 +-- ;\n 2; SELECT 3*/* ; */4", ["SELECT 1 +-- ;\n 2", "SELECT 3*/* ; */4"]),
    "comments around": ("-- a;\nSELECT 1 -- b;\n; /* c; */ SELECT 2", ["SELECT 1", "SELECT 2"]),
    "parentheses": ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
                    ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"]),
    "BEGIN ATOMIC": (
        "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2 AS end; END; SELECT 3",
        ["CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2 AS end; END", "SELECT 3"],
    ),
    "a column called begin": ("CREATE FUNCTION f(begin int) RETURNS int LANGUAGE sql AS 'x'; SELECT 1",
                              ["CREATE FUNCTION f(begin int) RETURNS int LANGUAGE sql AS 'x'", "SELECT 1"]),
    "a byte order mark": ("\ufeffSELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
    "drizzle's breakpoints": ("CREATE TABLE a (x int);\n--> statement-breakpoint\nCREATE TABLE b (x int);",
                              ["CREATE TABLE a (x int)", "CREATE TABLE b (x int)"]),
    "drizzle's breakpoints on the same line": ("SELECT 1;--> statement-breakpoint\nSELECT 2;", ["SELECT 1", "SELECT 2"]),
    "Windows line ends": ("SELECT 1;\r\n-- ;\r\nSELECT 2;\r\n", ["SELECT 1", "SELECT 2"]),
}  # fmt: skip


@pytest.mark.parametrize("case", SPLITS)
def test_a_script_is_cut_where_postgres_cuts_it(case: str) -> None:
    sql, expected = SPLITS[case]
    found = plan(sql)
    assert [s.text for s in found.statements] == expected
    for s in found.statements:
        assert sql[s.offset : s.offset + len(s.text)] == s.text
        assert s.line == sql.count("\n", 0, s.offset) + 1
    assert [s.index for s in found.statements] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize("case", [c for c in SPLITS if "E string" not in c and "drizzle" not in c])
def test_sqlglots_tokenizer_agrees_where_it_knows_postgres(case: str) -> None:
    sql, expected = SPLITS[case]
    cuts = [t for t in sqlglot.tokenize(sql.lstrip("\ufeff"), read="postgres") if t.token_type.name == "SEMICOLON"]
    # sqlglot cuts inside parentheses and BEGIN ATOMIC too: there ours is the authority.
    if case in ("parentheses", "BEGIN ATOMIC"):
        assert len(cuts) != len(expected) - 1
        return
    statements = [s for s in sqlglot_split(sql.lstrip("\ufeff"), [t.start for t in cuts]) if s]
    assert len(statements) == len(expected)


def sqlglot_split(sql: str, cuts: list[int]) -> list[str]:
    edges = [-1, *cuts, len(sql)]
    parts = [sql[a + 1 : b] for a, b in itertools.pairwise(edges)]
    return [p for p in parts if sqlglot.tokenize(p, read="postgres")]


PIECES = st.sampled_from(
    [
        "SELECT 1",
        "'a;b'",
        "''",
        ";",
        ";",
        "\n",
        " ",
        "-- c;\n",
        "/* ; */",
        "$$;$$",
        "$t$;$$$t$",
        '"x;y"',
        "E'\\';'",
        "(",
        ")",
        "a",
        "+",
        "1.5",
    ]
)


@given(st.lists(PIECES, max_size=30))
def test_whatever_the_pieces_the_statements_cover_all_that_is_not_comment(pieces: list[str]) -> None:
    sql = " ".join(pieces)
    try:
        found = plan(sql)
    except (Refused, SqlError):
        return
    end = 0
    for s in found.statements:
        between = sql[end : s.offset]
        assert not set("'\"$") & set(between.replace("-- c;", "").replace("/* ; */", "")), between
        end = s.offset + len(s.text)


KINDS: dict[str, tuple[str, bool]] = {
    "CREATE UNIQUE INDEX CONCURRENTLY i ON t (x)": ("create index", False),
    "create index on t (x)": ("create index", True),
    "DROP INDEX CONCURRENTLY i": ("drop index", False),
    "REINDEX (VERBOSE) TABLE CONCURRENTLY t": ("reindex", False),
    "REINDEX DATABASE": ("reindex", False),
    "REINDEX TABLE t": ("reindex", True),
    "VACUUM (FULL) t": ("vacuum", False),
    "ANALYZE t": ("analyze", True),
    "CLUSTER": ("cluster", False),
    "CLUSTER t USING i": ("cluster", True),
    "ALTER SYSTEM SET x = 1": ("alter system", False),
    "CREATE DATABASE d": ("create database", False),
    "ALTER TYPE m ADD VALUE 'x'": ("alter type", True),
    "ALTER TABLE p DETACH PARTITION c CONCURRENTLY": ("alter table", False),
    "DISCARD ALL": ("discard", False),
    "DO $x$ BEGIN COMMIT; END $x$": ("do", False),
    "DO $x$ BEGIN RAISE NOTICE 'COMMIT;'; END $x$": ("do", True),
    "CREATE OR REPLACE TEMP VIEW v AS SELECT 1": ("create view", True),
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m": ("refresh materialized view", True),
    "CREATE FOREIGN TABLE f (x int) SERVER s": ("create foreign table", True),
    "WITH x AS (SELECT 1) SELECT * FROM x": ("with", True),
    "(SELECT 1)": ("select", True),
}


@pytest.mark.parametrize("sql", KINDS)
def test_what_must_run_outside_a_transaction_is_known(sql: str) -> None:
    [statement] = plan(sql).statements
    assert (statement.kind, statement.transactional) == KINDS[sql]


GROUPS: dict[str, tuple[str, str, list[list[int]]]] = {
    "nothing said": ("SELECT 1; SELECT 2", "one transaction", [[1, 2]]),
    "one block": ("BEGIN; SELECT 1; SELECT 2; COMMIT", "one transaction of the script's own", [[1, 2]]),
    "two blocks": ("BEGIN; SELECT 1; END; START TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 2; COMMIT",
                   "1 in one transaction of the script's own, then 1 in one transaction of the script's own", [[1], [2]]),
    "rolled back": ("BEGIN; SELECT 1; ROLLBACK; SELECT 2",
                    "1 in one transaction of the script's own, rolled back, then 1 in one transaction", [[1], [2]]),
    "savepoints are inside": ("SAVEPOINT a; SELECT 1; ROLLBACK TO a; RELEASE a", "one transaction", [[1, 2, 3, 4]]),
    "some outside": ("SELECT 1; VACUUM; VACUUM; SELECT 2",
                     "1 in one transaction, then statements 2, 3 outside any transaction, then 1 in one transaction",
                     [[1], [2], [3], [4]]),
}  # fmt: skip


@pytest.mark.parametrize("case", GROUPS)
def test_the_scripts_own_transactions_are_kept_and_told(case: str) -> None:
    sql, words, groups = GROUPS[case]
    found = plan(sql)
    assert [[s.index for s in g.statements] for g in found.groups] == groups
    assert found.grouping == words
    for g in found.groups:
        assert (g.begin is None) or g.begin.index == g.statements[0].index
        assert (g.end is None) or g.end.index == g.statements[-1].index


REFUSED = {
    "": "holds no statement",
    " ;; \n": "holds no statement",
    "-- only\n/* comments */": "holds no statement",
    "BEGIN; COMMIT;": "does nothing",
    "SELECT 1\0": "NUL byte at 1:9",
    "SELECT '\ud800'": "not valid Unicode text at 1:9",
    "SELECT 1;\n\\connect other\nSELECT 2": "`\\connect other` at 2:1 is a command of psql",
    "COPY t FROM STDIN;\n1\tit's\n\\.\n": "its rows come after it as data",
    "COPY t TO STDOUT": "changes nothing",
    "BEGIN; SELECT 1; PREPARE TRANSACTION 'x'": "PREPARE TRANSACTION",
    "SET standard_conforming_strings = off; SELECT 'a\\'": "standard_conforming_strings",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_no_migration_is_refused_with_the_reason(sql: str) -> None:
    with pytest.raises(Refused) as caught:
        plan(sql)
    assert REFUSED[sql] in caught.value.message


BROKEN = {
    "SELECT 1;\nSELECT 'abc": (2, 8, "Unterminated quoted string"),
    'SELECT "abc': (1, 8, "Unterminated quoted identifier"),
    "SELECT 1 /* /* */": (1, 10, "Unterminated /* comment"),
    "DO $x$ BEGIN $$": (1, 4, "Unterminated dollar-quoted string $x$"),
    "SELECT E'a\\'": (1, 8, "Unterminated quoted string"),
    "SELECT 1;\nROLLBACK": (2, 1, "without a BEGIN"),
    "BEGIN; SELECT 1": (1, 1, "never ended"),
    "BEGIN;\nVACUUM;\nCOMMIT": (2, 1, "cannot run in a transaction"),
}


@pytest.mark.parametrize("sql", BROKEN)
def test_what_cannot_be_cut_is_an_error_with_its_place(sql: str) -> None:
    with pytest.raises(SqlError) as caught:
        plan(sql)
    position = caught.value.fields.position
    assert position is not None
    line, column, message = BROKEN[sql]
    assert (position.line, position.column) == (line, column)
    assert message in caught.value.message
    assert caught.value.fields.sqlstate == "42601"


def test_five_megabytes_are_planned_and_sixteen_are_refused() -> None:
    line = f"INSERT INTO t VALUES (1, '{'abc;' * 45}', 3.5);\n"
    assert len(plan(line * 25_000).statements) == 25_000
    with pytest.raises(LimitExceeded, match="16,000,000 is the most"):
        plan(" " * (MAX_SCRIPT + 1))


def test_hostile_text_takes_no_more_time_than_its_length() -> None:
    for sql in (
        "SELECT E'a' " + "--" * 50_000,
        "/*" * 20_000,
        "SELECT " + "$a" * 50_000,
        "('" * 30_000,
        "E'\\" * 30_000 + "'",
    ):
        with pytest.raises((SqlError, AssertionError)):
            assert not plan(sql)


def test_the_checksum_is_of_the_exact_text() -> None:
    assert plan("SELECT 1").checksum == checksum("SELECT 1") != checksum("SELECT 1;")
