"""What a migration locks, rewrites and reads, measured on 300,000 rows, row by row as the product promises it; and the advice on it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from neon_branch_mcp.migrations.report import MigrationReport

from .conftest import Scratch
from .migration_kit import ask, fresh_database, losses, migrate, run

pytestmark = pytest.mark.anyio

ROWS = 300_000
BIG = f"""
CREATE TABLE big (id int PRIMARY KEY, a int, v varchar(20));
INSERT INTO big SELECT g, g % 1000, 'v' || g FROM generate_series(1, {ROWS}) g;
CREATE INDEX big_a ON big (a);
CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT generate_series(0, 999);
CREATE TABLE small (id int PRIMARY KEY, x int); INSERT INTO small SELECT g, g FROM generate_series(1, 5000) g;
ANALYZE;
"""


@dataclass(frozen=True)
class Expected:
    """`locks`: relation → mode; `reads`: tuples at least read; `rewrites`: relation → indexes."""

    locks: dict[str, str]
    rewrites: dict[str, int]
    reads: int = 0
    losses: frozenset[str] = frozenset()


AE, SHARE, SRE = "AccessExclusive", "Share", "ShareRowExclusive"
TABLE: dict[str, tuple[str, Expected]] = {
    "constant default": ("ALTER TABLE big ADD COLUMN c int DEFAULT 1", Expected({"big": AE}, {})),
    "volatile default": (
        "ALTER TABLE big ADD COLUMN c timestamptz DEFAULT clock_timestamp()",
        Expected({"big": AE}, {"big": 2}, 2 * ROWS),
    ),
    "SET NOT NULL": ("ALTER TABLE big ALTER a SET NOT NULL", Expected({"big": AE}, {}, ROWS)),
    "ADD CHECK": ("ALTER TABLE big ADD CHECK (a >= 0)", Expected({"big": AE}, {}, ROWS)),
    "ADD CHECK NOT VALID": ("ALTER TABLE big ADD CHECK (a >= 0) NOT VALID", Expected({"big": AE}, {})),
    "ADD FOREIGN KEY": (
        "ALTER TABLE big ADD FOREIGN KEY (a) REFERENCES parent",
        Expected({"big": SRE, "parent": SRE}, {}, ROWS),
    ),
    "int to bigint": ("ALTER TABLE big ALTER a TYPE bigint", Expected({"big": AE}, {"big": 2}, ROWS)),
    "varchar without limit": ("ALTER TABLE big ALTER v TYPE varchar", Expected({"big": AE}, {})),
    "CREATE INDEX": ("CREATE INDEX ON big (v)", Expected({"big": SHARE}, {}, 100_000)),
    "DROP COLUMN": (
        "ALTER TABLE big DROP COLUMN v",
        Expected({"big": AE}, {}, 0, frozenset({f"column dropped: big.v, {ROWS}"})),
    ),
    "DELETE all": ("DELETE FROM small", Expected({}, {}, 0, frozenset({"rows deleted: small, 5000"}))),
    "UPDATE all": ("UPDATE small SET x = 0", Expected({}, {}, 0, frozenset({"rows updated: small, 5000"}))),
    "DO with EXECUTE": (
        "DO $$ BEGIN EXECUTE 'DELETE FROM small WHERE id <= 100'; END $$",
        Expected({}, {}, 0, frozenset({"rows deleted: small, 100"})),
    ),
    "USING 0": (
        "ALTER TABLE big ALTER a TYPE int USING 0",
        Expected({"big": AE}, {"big": 2}, ROWS, frozenset({f"type changed: big.a, {ROWS}"})),
    ),
}


# What parallel workers read is counted by nobody: without them a scan shows in full.
ALONE = """
DO $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET max_parallel_maintenance_workers = 0', current_database());
END $$
"""


@pytest.fixture(scope="module")
def big(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, BIG)
        run(uri, ALONE)
        yield uri


def tables_only(report: MigrationReport) -> dict[str, str]:
    return {held.relation: held.mode for held in report.locks}


@pytest.mark.parametrize("case", TABLE)
async def test_each_row_of_the_table_is_measured(big: str, case: str) -> None:
    sql, expected = TABLE[case]
    report = await migrate(big, sql, dry_run=True)
    shown = report.text()
    assert tables_only(report) == expected.locks, shown
    assert {r.relation: r.indexes for r in report.rewrites} == expected.rewrites, shown
    if expected.reads:
        # A parallel index build counts only the leader's share of the rows.
        assert sum(s.rows for s in report.scans if s.relation == "big") >= min(expected.reads, 150_000), shown
    else:
        assert report.scans == () or sql.startswith("DO"), shown
    assert losses(report) == expected.losses, shown
    assert all(held.held_ms > 0 for held in report.locks)


async def test_what_is_new_is_nobodys_lock_rewrite_or_scan(big: str) -> None:
    script = """
        CREATE TABLE fresh (id int PRIMARY KEY, v text); INSERT INTO fresh SELECT g, 'x' FROM generate_series(1, 50) g;
        CREATE INDEX ON fresh (v); ALTER TABLE fresh ALTER id TYPE bigint; DELETE FROM fresh; TRUNCATE fresh
    """
    report = await migrate(big, script, dry_run=True)
    assert (report.locks, report.rewrites, report.scans, report.data_loss, report.advice) == ((), (), (), (), ())
    assert report.verdict == "ok"


async def test_a_lock_is_reported_once_with_its_strongest_mode_and_from_where_it_was_taken(big: str) -> None:
    report = await migrate(
        big, "CREATE INDEX ON small (x); ALTER TABLE small ADD y int; SELECT pg_sleep(0.05)", dry_run=True
    )
    [held] = report.locks
    assert (held.relation, held.mode, held.statement, held.blocks) == ("small", AE, 2, "reads and writes")
    assert held.held_ms >= 50


ADVICE: dict[str, tuple[str, set[str]]] = {
    "index": ("CREATE INDEX ON small (x)", {"index-blocks-writes"}),
    "foreign key": (
        "ALTER TABLE small ADD FOREIGN KEY (x) REFERENCES big NOT VALID",
        {"foreign-key-without-index", "lock-timeout"},
    ),
    "foreign key, served": (
        "ALTER TABLE big ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES parent",
        {"constraint-scan-under-lock", "lock-timeout"},
    ),
    "check": ("ALTER TABLE small ADD CHECK (x > 0)", {"constraint-scan-under-lock", "lock-timeout"}),
    "not null": ("SET lock_timeout = '1s'; ALTER TABLE small ALTER x SET NOT NULL", {"set-not-null-scan"}),
    "unique": ("ALTER TABLE small ADD CONSTRAINT u UNIQUE (x)", {"unique-under-lock", "lock-timeout"}),
    "rewrite": ("ALTER TABLE small ALTER x TYPE bigint", {"rewrite-under-lock", "lock-timeout"}),
    "rename": ("ALTER TABLE small RENAME COLUMN x TO y", {"rename-breaks-clients", "lock-timeout"}),
    "drop": ("ALTER TABLE small DROP COLUMN x", {"drop-breaks-clients", "lock-timeout"}),
    "drop default": ("ALTER TABLE small ALTER x DROP DEFAULT", {"lock-timeout"}),
    "backfill": (
        "ALTER TABLE big ADD c int; UPDATE big SET c = 1 WHERE id <= 20000",
        {"backfill-under-lock", "lock-timeout"},
    ),
    "serial": ("CREATE TABLE s (id serial)", {"serial"}),
    "serial on the safe side": ("CREATE TABLE s (id bigint GENERATED ALWAYS AS IDENTITY)", set()),
    "drop index": ("DROP INDEX big_a", {"drop-index-blocks", "lock-timeout"}),
}


@pytest.mark.parametrize("case", ADVICE)
async def test_advice_is_given_where_a_statement_meets_what_was_there(big: str, case: str) -> None:
    sql, expected = ADVICE[case]
    report = await migrate(big, sql, dry_run=True)
    assert {a.rule for a in report.advice} == expected, report.text()
    assert all(a.instead for a in report.advice)


async def test_statements_outside_a_transaction_are_sampled_and_told(database_uri: str) -> None:
    run(database_uri, BIG)
    script = """
        CREATE INDEX CONCURRENTLY big_v ON big (v);
        VACUUM FULL big;
        DO $$ BEGIN DELETE FROM small WHERE id <= 7; COMMIT; END $$;
        ALTER TABLE small ADD y int;
    """
    report = await migrate(database_uri, script)
    shown = report.text()
    assert "statements 1, 2, 3 outside any transaction, then 1 in one transaction" in shown
    sampled = {(h.statement, h.relation, h.mode) for h in report.locks if h.sampled}
    assert {(1, "big", "ShareUpdateExclusive"), (2, "big", AE)} <= sampled, shown
    assert [(r.statement, r.relation, r.indexes) for r in report.rewrites] == [(2, "big", 3)]
    assert losses(report) == {"rows deleted: small, 7"}
    assert ask(database_uri, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_v'::regclass") == [(True,)]


async def test_the_report_of_an_ordinary_migration_is_short(big: str) -> None:
    script = """
        CREATE TABLE tags (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
        CREATE TABLE small_tags (small int REFERENCES small, tag bigint REFERENCES tags, PRIMARY KEY (small, tag));
        INSERT INTO tags (name) SELECT DISTINCT 'tag ' || x FROM small; INSERT INTO small_tags SELECT id, 1 FROM small;
        ALTER TABLE small DROP COLUMN x; CREATE INDEX ON big (v); ALTER TABLE big ADD CHECK (a >= 0);
        ALTER TABLE big ALTER a TYPE bigint; UPDATE parent SET id = id; DELETE FROM parent WHERE id < 10;
    """
    report = await migrate(big, script, dry_run=True)
    assert len(report.text()) <= 2_400, report.text()
