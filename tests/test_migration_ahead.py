"""Statements that are sent ahead of what is known of those before them: the report is as if each had been looked at by itself."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from neon_branch_mcp.migrations.ahead import Stretch, expected, reaches
from neon_branch_mcp.migrations.failing import MigrationFailed
from neon_branch_mcp.migrations.measure import Counted, Measured
from neon_branch_mcp.migrations.plan import plan

from .conftest import Scratch
from .migration_kit import ask, fresh_database, losses, migrate, run

pytestmark = pytest.mark.anyio

KNOWN = Measured(
    names=frozenset({"t", "u", "v", "busy", "parts", "f"}),
    called=frozenset({"f"}),
    read=frozenset({"v"}),
    alone={"t": 1, "u": 2, "busy": 3},
    quiet=frozenset({"t", "u"}),
    as_said=True,
)

EXPECTED: dict[str, str | None] = {
    "ALTER TABLE t ADD COLUMN x int": "nothing",
    "ALTER TABLE IF EXISTS ONLY s.t ADD x int DEFAULT 1, ADD CONSTRAINT c CHECK (x > 0), ALTER COLUMN y SET DEFAULT 2": "nothing",
    "ALTER TABLE t ADD x int, DROP CONSTRAINT c": None,
    "ALTER TABLE t ALTER x TYPE bigint": None,
    "ALTER TABLE t DROP COLUMN x": None,
    "ALTER TABLE t ALTER x SET NOT NULL": None,
    "ALTER TABLE t RENAME x TO y": None,
    "ALTER TABLE t VALIDATE CONSTRAINT c": None,
    "ALTER TABLE t ADD x int DEFAULT f()": None,
    "CREATE INDEX ON t (x)": "nothing",
    "INSERT INTO t VALUES (1)": "nothing",
    "INSERT INTO busy VALUES (1)": "nothing",
    "INSERT INTO t VALUES (f())": None,
    "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING": "nothing",
    "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET x = 1": None,
    "UPDATE t SET x = 1": "its table",
    "UPDATE ONLY public.t AS a SET x = 1 FROM busy": "its table",
    "UPDATE t SET x = DEFAULT": None,
    "UPDATE t SET x = f()": None,
    "UPDATE busy SET x = 1": None,
    "DELETE FROM t WHERE id = 1": "its table",
    "DELETE FROM busy": None,
    "DELETE FROM t USING v WHERE v.id = t.id": None,
    "INSERT INTO t SELECT id FROM v": None,
    "DO $$ BEGIN DELETE FROM t; END $$": None,
    "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE": None,
    "TRUNCATE t": None,
    "DROP TABLE t": None,
    "LOCK TABLE t": None,
}


@pytest.mark.parametrize("sql", EXPECTED)
def test_what_a_statement_does_to_rows_is_expected_only_where_text_and_catalogue_tell(sql: str) -> None:
    assert expected(plan(sql).statements[0], KNOWN) == EXPECTED[sql]


@pytest.mark.parametrize(
    "known",
    [
        Measured(quiet=KNOWN.quiet, as_said=True, watched=True),
        Measured(quiet=KNOWN.quiet, as_said=True, tables={1: Counted(1, {}, {"1": "x"})}),
        Measured(quiet=KNOWN.quiet, as_said=False),
    ],
    ids=["event triggers", "values to be compared", "a script that makes triggers"],
)
def test_nothing_is_expected_of_an_update_where_more_may_happen(known: Measured) -> None:
    assert expected(plan("UPDATE t SET x = 1").statements[0], known) is None


def stretches(script: str) -> list[list[str | None]]:
    """What is asked behind each statement, stretch by stretch."""
    statements = plan(script).statements
    found: list[list[str | None]] = []
    i = 0
    while i < len(statements):
        stretch = Stretch(KNOWN, foresees=True)
        for statement in statements[i:]:
            old = KNOWN.meets_old(statement)
            if stretch.sent and not stretch.takes(statement, meets_old=old):
                break
            if not stretch.add(statement, meets_old=old):
                break
        found.append([sent.question for sent in stretch.closed()])
        i += len(stretch.sent)
    return found


def test_a_table_that_was_written_to_is_left_alone_to_the_end_of_the_stretch() -> None:
    assert stretches("UPDATE t SET x = 1; UPDATE u SET x = 1; UPDATE t SET x = 2") == [[None, "plain"], ["plain"]]
    assert stretches("DELETE FROM t; ALTER TABLE u ADD x int; CREATE TABLE n (x int)") == [
        ["plain"],
        ["unless_changed", None],
    ]
    assert stretches("UPDATE t SET x = 1; INSERT INTO u SELECT 1 FROM t; INSERT INTO u VALUES (2)") == [
        ["plain"],
        ["inserting", "plain"],
    ]
    assert stretches("INSERT INTO t VALUES (1); SAVEPOINT a; DO $$ BEGIN END $$; INSERT INTO u VALUES (1)") == [
        ["plain"],
        [None, "plain"],
        ["plain"],
    ]


def test_many_small_statements_are_not_asked_about_one_by_one() -> None:
    script = "; ".join(
        [f"ALTER TABLE {t} ADD COLUMN c{i} int" for i in range(10) for t in "tu"]
        + [f"INSERT INTO {t} (id) VALUES ({100 + i})" for i in range(10) for t in "tu"]
        + ["UPDATE t SET c1 = 1", "DELETE FROM u"]
    )
    assert stretches(script) == [[None, "unless_changed"] * 10 + [None, "inserting"] * 10 + [None, "plain"]]


REACHED: dict[str, str | None] = {
    "ALTER TABLE IF EXISTS ONLY s.t ADD x int DEFAULT 1, ALTER COLUMN y SET DEFAULT 2": "t",
    "ALTER TABLE busy ADD COLUMN x int": "busy",
    "ALTER TABLE parts ADD COLUMN x int": None,
    "ALTER TABLE t ADD x int REFERENCES u": None,
    "ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0)": None,
    "ALTER TABLE t ADD PRIMARY KEY USING INDEX i": None,
    "ALTER TABLE newer ADD x int": None,
    "CREATE INDEX ON t (x)": None,
    "INSERT INTO t SELECT * FROM u": "t",
    "INSERT INTO t WITH d AS (DELETE FROM u RETURNING id) SELECT id FROM d": None,
    "INSERT INTO busy VALUES (1)": None,
    "UPDATE t SET x = u.x FROM u": "t",
    "DELETE FROM ONLY t": "t",
}


@pytest.mark.parametrize("sql", REACHED)
def test_a_statement_is_asked_about_later_only_where_it_is_sure_that_it_reaches_one_table(sql: str) -> None:
    known = replace(KNOWN, alone={**KNOWN.alone, "newer": 4}, made=frozenset({"newer"}))
    assert reaches(plan(sql).statements[0], known) == REACHED[sql]
    assert reaches(plan(sql).statements[0], replace(known, as_said=False)) is None


def test_one_question_does_for_statements_that_reach_a_table_each() -> None:
    assert stretches(
        "ALTER TABLE t ADD x int; ALTER TABLE u ADD x int; INSERT INTO busy VALUES (1); INSERT INTO t VALUES (1)"
    ) == [[None, "unless_changed", "inserting", "plain"]]
    # What a key reads for an INSERT must not be taken for a scan of the ALTER TABLE after it.
    assert stretches("INSERT INTO t VALUES (1); ALTER TABLE u ADD x int; ALTER TABLE t ADD x int") == [
        ["inserting", None, "plain"]
    ]
    # Of what is new nobody is asked, so the question stays where it was.
    assert stretches("ALTER TABLE t ADD x int; CREATE TABLE n (x int); ALTER TABLE u ADD x int") == [
        ["unless_changed", None, "plain"]
    ]
    # What was changed on the way is foreseen.
    assert stretches("UPDATE t SET x = 1; INSERT INTO u VALUES (1); INSERT INTO u VALUES (2)") == [
        [None, "changing", "plain"]
    ]


SETUP = """
CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a SELECT g, g FROM generate_series(1, 10) g;
CREATE TABLE b (id int PRIMARY KEY, n int); INSERT INTO b SELECT g, g FROM generate_series(1, 20) g;
CREATE TABLE victims (id int PRIMARY KEY, n int); INSERT INTO victims SELECT g, g FROM generate_series(1, 30) g;
CREATE TABLE hook (id serial, n int);
CREATE FUNCTION bite() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN DELETE FROM victims WHERE victims.n = NEW.n; INSERT INTO victims VALUES (1000 + NEW.n, NEW.n); RETURN NEW; END';
CREATE TRIGGER bite AFTER INSERT ON hook FOR EACH ROW EXECUTE FUNCTION bite();
CREATE TABLE parts (id int, n int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000); INSERT INTO parts SELECT g, g FROM generate_series(1, 5) g;
"""


@pytest.fixture(scope="module")
def database(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, SETUP)
        yield uri


async def test_a_surprise_among_statements_on_their_way_is_told_exactly_and_nothing_runs_twice(
    database_uri: str,
) -> None:
    run(database_uri, SETUP)
    script = (
        "INSERT INTO a VALUES (100, 1); INSERT INTO hook (n) VALUES (1); INSERT INTO hook (n) VALUES (2), (3);"
        "INSERT INTO b VALUES (100, 1);"
        "DELETE FROM victims WHERE id IN (4, 1001); UPDATE a SET n = 0 WHERE id IN (1, 2, 100); DELETE FROM b WHERE id > 19"
    )
    report = await migrate(database_uri, script)
    assert [str(loss) for loss in report.data_loss] == [
        "rows deleted: victims, 1 rows [2]",
        "rows deleted: victims, 2 rows [3]",
        "rows deleted: victims, 1 rows [5]",
        "rows updated: a, 2 rows (columns n) [6]",
        "rows deleted: b, 1 rows [7]",
    ]
    assert ask(database_uri, "SELECT id, n FROM hook ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
    assert ask(database_uri, "SELECT count(*) FROM a") == [(11,)]


async def test_a_table_that_a_trigger_empties_among_statements_on_their_way_is_told(database_uri: str) -> None:
    run(database_uri, SETUP)
    run(
        database_uri,
        "CREATE TABLE bin (x int); CREATE FUNCTION empties() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN TRUNCATE victims; RETURN NEW; END';"
        "CREATE TRIGGER empties AFTER INSERT ON bin FOR EACH ROW EXECUTE FUNCTION empties(); ANALYZE",
    )
    script = "INSERT INTO a VALUES (100, 1); INSERT INTO bin VALUES (1); INSERT INTO victims VALUES (1, 1), (2, 2);"
    script += "INSERT INTO b VALUES (100, 1)"
    for before in ("", "ALTER TABLE victims ADD COLUMN x int; "):
        report = await migrate(database_uri, before + script, dry_run=True)
        assert losses(report) == {"table truncated: victims, ~30"}, report.text()
    assert ask(database_uri, "SELECT count(*) FROM victims") == [(30,)]


async def test_locks_are_told_with_the_statement_that_took_them(database: str) -> None:
    script = (
        "ALTER TABLE a ADD COLUMN x int; CREATE INDEX ON b (n); ALTER TABLE parts ADD COLUMN x int; INSERT INTO a VALUES (50, 1);"
        "ALTER TABLE b ADD COLUMN x int; UPDATE a SET x = 1; ALTER TABLE parts_1 ADD CHECK (n > 0); UPDATE b SET x = 2"
    )
    report = await migrate(database, script, dry_run=True)
    assert [(lock.statement, lock.relation, lock.mode) for lock in report.locks] == [
        (1, "a", "AccessExclusive"),
        (5, "b", "AccessExclusive"),
        (3, "parts", "AccessExclusive"),
        (3, "parts_1", "AccessExclusive"),
    ]
    assert not losses(report)
    assert [(scan.statement, scan.relation, scan.rows) for scan in report.scans] == [(2, "b", 20), (7, "parts_1", 5)]


async def test_a_failure_among_statements_on_their_way_tells_the_locks_of_those_before_it(database: str) -> None:
    script = "ALTER TABLE a ADD COLUMN x int; ALTER TABLE b ADD COLUMN x int; INSERT INTO a VALUES (1, 1); ALTER TABLE hook ADD y int"
    with pytest.raises(MigrationFailed) as caught:
        await migrate(database, script)
    report = caught.value.report
    assert report.failure is not None
    assert (report.failure.statement, report.failure.sqlstate) == (3, "23505")
    assert [(lock.statement, lock.relation) for lock in report.locks] == [(1, "a"), (2, "b")]
    assert ask(database, "SELECT count(*) FROM a") == [(10,)]


BITES = (
    SETUP
    + """
CREATE FUNCTION bites(x int) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.victims WHERE id = 7; RETURN x; END';
CREATE FUNCTION looks(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.bites(x); END';
CREATE TABLE c (id int, n int); INSERT INTO c VALUES (1, 1); CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (x int, y int);
"""
)
HIDDEN = {
    "a check": ("ALTER TABLE c ADD CHECK (bites(n) > 0) NOT VALID", "UPDATE c SET n = 2"),
    "a default": ("ALTER TABLE c ALTER n SET DEFAULT bites(1)", "INSERT INTO c (id) VALUES (2)"),
    "a generated column": ("ALTER TABLE c ADD g int GENERATED ALWAYS AS (looks(n)) STORED", "UPDATE c SET n = 2"),
    "an index": ("CREATE INDEX ON c (looks(n))", "UPDATE c SET n = 2"),
    "a domain": ("CREATE DOMAIN small AS int CHECK (bites(VALUE) > 0); ALTER TABLE c ADD s small", "UPDATE c SET s = 1"),
    "a domain in a list": ("CREATE DOMAIN small AS int CHECK (bites(VALUE) > 0); ALTER TABLE c ADD s small[]", "UPDATE c SET s = '{1}'"),
    "an operator": ("CREATE OPERATOR #### (FUNCTION = bites, RIGHTARG = int)", "UPDATE c SET n = #### 2"),
    "a cast": (
        "CREATE FUNCTION felt(mood) RETURNS pair LANGUAGE plpgsql AS 'BEGIN RETURN (bites(1), 2); END';"
        "CREATE CAST (mood AS pair) WITH FUNCTION felt; ALTER TABLE c ADD p pair",
        "UPDATE c SET p = CAST(mood 'sad' AS pair)",
    ),
    "a view": ("CREATE VIEW v AS SELECT bites(1) AS n", "UPDATE c SET n = v.n FROM v"),
    "a view of a view": ("CREATE VIEW w AS SELECT bites(1) AS n; CREATE VIEW v AS SELECT * FROM w", "UPDATE c SET n = v.n FROM v"),
}  # fmt: skip


@pytest.mark.parametrize("way", HIDDEN)
async def test_what_a_hidden_function_deletes_is_told_with_the_statement_that_ran_it(
    database_uri: str, way: str
) -> None:
    hiding, statement = HIDDEN[way]
    run(database_uri, f"{BITES}; DELETE FROM victims WHERE id = 7; {hiding}; INSERT INTO victims VALUES (7, 7)")
    # Its own row there makes the counters doubtful: then the rows themselves are counted, which others must not have changed by then.
    script = f"INSERT INTO victims VALUES (500, 5); {statement}; UPDATE b SET n = 0 WHERE id = 1; UPDATE victims SET n = 0 WHERE id = 1"
    report = await migrate(database_uri, script)
    told = [str(loss) for loss in report.data_loss]
    assert [t for t in told if "victims" in t] == [
        "rows deleted: victims, 1 rows [2]",
        "rows updated: victims, 1 rows (columns n) [4]",
    ], told


@pytest.mark.parametrize(
    ("script", "held"),
    [
        ("ALTER TABLE a ADD x int; ALTER TABLE c ADD x int; ALTER TABLE b ADD n int", [(1, "a"), (2, "c")]),
        ("INSERT INTO a VALUES (60, 1); ALTER TABLE a ADD x int; ALTER TABLE b ADD n int", [(2, "a")]),
        ("CREATE TEMP TABLE a (id int); ALTER TABLE a ADD x int; ALTER TABLE b ADD n int", []),
        ("UPDATE a SET n = 1; DELETE FROM b; INSERT INTO victims VALUES (1, 1)", []),
    ],
    ids=["unasked", "asked and unasked", "a new table of that name", "rows alone"],
)
async def test_a_failure_tells_the_locks_of_statements_that_were_not_asked_about_yet(
    database_uri: str, script: str, held: list[tuple[int, str]]
) -> None:
    run(database_uri, BITES)
    with pytest.raises(MigrationFailed) as caught:
        await migrate(database_uri, script)
    assert [(lock.statement, lock.relation) for lock in caught.value.report.locks] == held


MANY = "; ".join(
    f"CREATE TABLE m{i} (id int PRIMARY KEY, n int, note text, spare int); INSERT INTO m{i} SELECT g, g FROM generate_series(1, 9) g"
    for i in range(6)
)
MANY += "; ALTER TABLE m4 ADD FOREIGN KEY (n) REFERENCES m5; CREATE INDEX ON m3 (n); ALTER TABLE m1 SET (autovacuum_enabled = false)"
SMALL = (
    "ALTER TABLE m{a} ADD COLUMN c{n} int", "ALTER TABLE m{a} ADD COLUMN c{n} int NOT NULL DEFAULT {n}",
    "ALTER TABLE m{a} ADD COLUMN c{n} float DEFAULT random()", "ALTER TABLE m{a} ALTER COLUMN note SET DEFAULT 'x'",
    "INSERT INTO m{a} (id) VALUES ({n})", "INSERT INTO m{a} (id) SELECT {n} FROM m{b} LIMIT 1", "UPDATE m{a} SET n = id WHERE id < {few}",
    "UPDATE m{a} SET note = b.n FROM m{b} b WHERE b.id = m{a}.id AND b.id < {few}", "DELETE FROM m{a} WHERE id = {few} AND n < 0",
    "DELETE FROM m{c} WHERE id = {few}", "CREATE INDEX ON m{a} (n)", "CREATE TABLE new{n} (id int)", "UPDATE m{a} SET n = {few}",
    "ALTER TABLE m{a} DROP COLUMN IF EXISTS spare", "ALTER TABLE m{a} ADD CONSTRAINT k{n} CHECK (n < 1000)",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_asked_later_is_told_as_if_each_statement_had_been_looked_at_by_itself(
    database_uri: str, seed: int
) -> None:
    chance = random.Random(seed)
    script = "; ".join(
        chance.choice(SMALL).format(
            a=chance.randrange(6), b=chance.randrange(6), c=chance.randrange(4), n=100 + n, few=chance.randrange(2, 9)
        )
        for n in range(30)
    )
    found = []
    # A script that says DISCARD could take away what was prepared: nothing is foreseen of it.
    for text in (script, f"{script} -- not DISCARD"):
        run(
            database_uri, f"DROP TABLE IF EXISTS m0, m1, m2, m3, m4, m5; {MANY}; ANALYZE"
        )  # else scans would meet dead rows
        found.append(await migrate(database_uri, text, dry_run=True))
    ahead, alone = found
    for part in ("data_loss", "rewrites", "scans", "locks", "advice", "schema_diff", "verdict"):
        assert timeless(getattr(ahead, part)) == timeless(getattr(alone, part)), f"{part} of {script}"


def timeless(told: Any) -> str:
    return re.sub(r"(held_ms|ms)=[\d.]+|under [\d.]+ m?s|[\d.]+ m?s\b", "TIME", repr(told))
