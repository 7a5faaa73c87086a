"""Statements that are sent ahead of what is known of those before them: the report is as if each had been looked at by itself."""

from collections.abc import Iterator

import pytest

from neon_branch_mcp.migrations.ahead import Stretch, expected
from neon_branch_mcp.migrations.failing import MigrationFailed
from neon_branch_mcp.migrations.measure import Counted, Measured
from neon_branch_mcp.migrations.plan import plan

from .conftest import Scratch
from .migration_kit import ask, fresh_database, losses, migrate, run

pytestmark = pytest.mark.anyio

KNOWN = Measured(
    names=frozenset({"t", "u", "busy", "f"}), called=frozenset({"f"}), quiet=frozenset({"t", "u"}), as_said=True
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
    assert stretches("UPDATE t SET x = 1; UPDATE u SET x = 1; UPDATE t SET x = 2") == [["changing", "plain"], ["plain"]]
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
    assert stretches(script) == [["unless_changed"] * 20 + ["inserting"] * 20 + ["changing", "plain"]]


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
