"""Verification beyond verdicts: kinds of tables, what the base is, time-outs, cancelling, and what a check covers."""

import asyncio
from collections.abc import Callable, Iterator

import anyio
import psycopg
import pytest

from .conftest import MadeBranch, Scratch
from .verify_shop import TwoSides, check, column, on_both, table, two_empty, verdicts

pytestmark = pytest.mark.anyio

FOREVER = "select count(*) from generate_series(1, 1000000000)"


@pytest.fixture
def empty(scratch: Scratch) -> Iterator[TwoSides]:
    with two_empty(scratch) as sides:
        yield sides


async def test_a_lost_duplicate_in_a_table_without_a_key_is_found(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TABLE log (at timestamptz, what text); INSERT INTO log SELECT '2024-01-01', 'x' FROM generate_series(1, 7)",
    )
    assert (await empty.verify()).verdict == "preserved"
    empty.migrate("DELETE FROM log WHERE ctid = '(0,1)'")
    report = await empty.verify()
    found = table(report, "log")
    assert (found.verdict, found.removed, found.rows_base, found.rows_branch) == ("lost", 1, 7, 6)
    assert found.samples[0].base == ("2024-01-01 00:00:00+00", "x")


async def test_two_lost_and_two_new_rows_without_a_key_are_both_counted(empty: TwoSides) -> None:
    on_both(empty, "CREATE TABLE log (n int); INSERT INTO log SELECT n / 2 FROM generate_series(1, 10000) n")
    empty.migrate("DELETE FROM log WHERE n = 7; INSERT INTO log VALUES (-1), (-2)")
    found = table(await empty.verify(), "log")
    assert (found.removed, found.added) == (2, 2)


async def test_a_key_of_text_and_one_of_two_columns_pair_rows(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TABLE words (word text PRIMARY KEY, n int); INSERT INTO words SELECT 'w' || n, n FROM generate_series(1, 30000) n;"
        "CREATE TABLE seats (hall text, seat int, free bool, PRIMARY KEY (hall, seat));"
        "INSERT INTO seats SELECT 'h' || n % 7, n, true FROM generate_series(1, 9000) n",
    )
    empty.migrate(
        "UPDATE words SET n = 0 WHERE word = 'w777'; UPDATE seats SET free = null WHERE seat = 77; DELETE FROM words WHERE n = 5"
    )
    report = await empty.verify()
    words, seats = table(report, "words"), table(report, "seats")
    assert (words.changed, words.removed, words.added) == (1, 1, 0)
    assert (seats.changed, seats.removed, seats.added) == (1, 0, 0)
    assert seats.samples[0].base == ("h0", "77", "true")
    assert seats.samples[0].branch == ("h0", "77", None)


async def test_every_row_changed_is_counted_or_said_to_be_at_least(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TABLE t (id int PRIMARY KEY, v int, w int); INSERT INTO t SELECT n, n, n FROM generate_series(1, 250000) n",
    )
    empty.migrate("UPDATE t SET v = v + 1")
    found = table(await empty.verify(), "t")
    assert found.verdict == "lost"
    assert found.at_least
    assert found.changed > 100_000
    assert [c.column for c in found.columns] == ["v"]


async def test_partitions_generated_columns_and_odd_names_are_compared(empty: TwoSides) -> None:
    sql = """CREATE TABLE "Odd ""Name%s" ("a b" int PRIMARY KEY, "select" text, "%d" text GENERATED ALWAYS AS (upper("select")) STORED);
        INSERT INTO "Odd ""Name%s" SELECT n, 'x%s' FROM generate_series(1, 100) n;
        CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        INSERT INTO parts SELECT n, '2024-05-05' FROM generate_series(1, 100) n"""
    on_both(empty, sql)
    assert set(verdicts(await empty.verify())) == {'Odd "Name%s', "parts"}
    empty.migrate(
        """UPDATE "Odd ""Name%s" SET "select" = 'y' WHERE "a b" = 5; ALTER TABLE parts DETACH PARTITION parts_1"""
    )
    report = await empty.verify()
    assert column(table(report, 'Odd "Name%s'), "select").verdict == "lost"
    assert (table(report, "parts").verdict, table(report, "parts").reason) == (
        "preserved",
        "100 of 100 rows are now in parts_1, unchanged",
    )


async def test_a_composite_type_that_got_a_field_lost_nothing_that_can_be_proven(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TYPE place AS (street text); CREATE TABLE t (id int PRIMARY KEY, at place); INSERT INTO t VALUES (1, ROW('a'))",
    )
    empty.migrate("ALTER TYPE place ADD ATTRIBUTE city text")
    found = column(table(await empty.verify(), "t"), "at")
    assert (found.verdict, "fields of place changed" in found.reason) == ("unproven", True), found
    empty.on_base("ALTER TYPE place ADD ATTRIBUTE city text")
    assert (await empty.verify()).verdict == "preserved"


async def test_a_row_behind_a_policy_is_not_overlooked(empty: TwoSides) -> None:
    on_both(empty, "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)")
    empty.migrate(
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; DELETE FROM t WHERE id = 2"
    )
    found = table(await empty.verify(), "t")
    assert (found.verdict, found.rows_branch) == ("lost", 1)


async def test_a_column_with_nothing_new_beside_it_is_lost_and_one_of_nulls_is_not(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t SELECT n, 'x', null FROM generate_series(1, 9) n",
    )
    empty.migrate("ALTER TABLE t DROP a, DROP b")
    found = table(await empty.verify(), "t")
    assert [(c.column, c.verdict) for c in found.columns] == [("a", "lost"), ("b", "preserved")]
    assert found.suggested_check is not None
    assert found.suggested_check.base_sql == "select id, a from t where a is not null"


async def test_a_check_proves_only_what_it_reads_in_full(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TABLE u (id int PRIMARY KEY, a text, b text); INSERT INTO u SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 100) n",
    )
    empty.migrate("CREATE TABLE v AS SELECT id AS u, 'x' || a AS a, 'x' || b AS b FROM u; ALTER TABLE u DROP a, DROP b")
    halves = [
        check(f"half {op}", f"select id, a from u where id {op} 50", f"select u, substr(a, 2) from v where u {op} 50")
        for op in ("<=", ">")
    ]
    where = check("only in where", "select id from u where b is not null", "select u from v")
    doubled = check(
        "doubled",
        "select u.id, u.b from u, generate_series(1, 2) where u.id > 10",
        "select u, substr(b, 2) from v, generate_series(1, 2) where u > 10",
    )
    report = await empty.verify(*halves, where, doubled)
    found = table(report, "u")
    assert column(found, "a").verdict == "preserved"
    assert column(found, "a").reason.endswith("proven by check half <= + half >")
    assert column(found, "b").verdict == "unproven"
    assert report.checks[3].partly == ("u.id: 90 of 100 values", "u.b: 90 of 100 values")


@pytest.mark.parametrize(
    ("base_sql", "hint"),
    [
        ("SELECT * FROM seen", "a view, a UNION or expressions"),
        (
            "SELECT id, x FROM t WHERE id < 2 UNION ALL SELECT id, x FROM t WHERE id >= 2",
            "a view, a UNION or expressions",
        ),
        ("SELECT x FROM t", "has to select the key of t (id)"),
    ],
)
async def test_a_check_that_proves_nothing_says_what_to_write_instead(
    empty: TwoSides, base_sql: str, hint: str
) -> None:
    made = "CREATE TABLE t (id int PRIMARY KEY, x int); INSERT INTO t VALUES (1, 10), (2, 20)"
    for run in (empty.on_base, empty.migrate):
        run(f"{made}; CREATE VIEW seen AS SELECT id, x FROM t")
    empty.migrate("CREATE TABLE u AS SELECT id, x AS y FROM t; ALTER TABLE t DROP COLUMN x CASCADE")
    report = await empty.verify(
        check("c", base_sql, base_sql.replace("x", "y").replace("seen", "u").replace(" t", " u"))
    )
    [found] = report.checks
    assert found.verdict == "preserved"
    assert "proves no column of the base" in found.reason
    assert hint in found.reason
    assert report.verdict == "unproven"


async def test_a_self_join_does_not_prove_whose_value_it_is(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TABLE u (id int PRIMARY KEY, a text); INSERT INTO u SELECT n, 'a' || n FROM generate_series(1, 100) n",
    )
    empty.migrate("CREATE TABLE v AS SELECT x.id, y.a FROM u x JOIN u y ON x.id = 101 - y.id; ALTER TABLE u DROP a")
    crossed = check("crossed", "select x.id, y.a from u x join u y on x.id = 101 - y.id", "select id, a from v")
    report = await empty.verify(crossed)
    assert report.checks[0].verdict == "preserved"
    assert column(table(report, "u"), "a").verdict == "unproven"


async def test_numbers_keep_their_scale_in_a_check(empty: TwoSides) -> None:
    report = await empty.verify(
        check("n", "select 1.0 as n", "select 1.00 as n"), check("same", "select 1.0", "select 1.0; -- end")
    )
    assert [c.verdict for c in report.checks] == ["lost", "preserved"]


async def test_on_the_parent_as_it_is_now_a_difference_may_be_the_parents(empty: TwoSides) -> None:
    on_both(
        empty, "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 100) n"
    )
    empty.on_base("INSERT INTO t VALUES (101, 1); UPDATE t SET v = 0 WHERE id = 7")
    report = await empty.verify(base_is="parent now")
    assert verdicts(report) == {"t": "unproven"}
    assert "since" in table(report, "t").reason


async def test_when_time_runs_out_what_was_proven_stays(empty: TwoSides) -> None:
    on_both(empty, "CREATE TABLE t (id int)")
    slow = check(
        "slow",
        "select count(*) from generate_series(1, 1000000000)",
        "select count(*) from generate_series(1, 1000000000)",
    )
    report = await empty.verify(slow, seconds=2)
    assert not report.complete
    assert report.verdict == "unproven"
    assert report.checks[0].reason == "not finished in time"
    assert set(verdicts(report).values()) == {"unproven"}
    assert await running(empty) == 0


async def test_a_cancelled_call_stops_its_queries(empty: TwoSides) -> None:
    slow = check(
        "slow",
        "select count(*) from generate_series(1, 1000000000)",
        "select count(*) from generate_series(1, 1000000000)",
    )
    with anyio.move_on_after(1.5) as scope:
        await empty.verify(slow)
    assert scope.cancelled_caught
    assert await running(empty) == 0


async def running(sides: TwoSides) -> int:
    """Queries still at work on either side, a second after they should have ended."""
    await asyncio.sleep(1)
    with psycopg.connect(sides.base, autocommit=True) as conn:
        row = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1, 1000000000)%'"
            " AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_rename_on_a_physical_copy_is_known_by_the_catalogue(
    make_branch: Callable[..., MadeBranch],
) -> None:
    base, branch = make_branch(), make_branch()
    sides = TwoSides(base.uri, branch.uri)
    sides.migrate("ALTER TABLE users RENAME TO customers; ALTER TABLE customers RENAME zip TO postcode")
    sides.migrate("ALTER TYPE order_status RENAME VALUE 'pending' TO 'it''s open'")
    sides.migrate(
        "ALTER TABLE orders RENAME note TO old_note; ALTER TABLE orders ADD note uuid DEFAULT gen_random_uuid()"
    )
    report = await sides.verify()
    assert report.verdict == "preserved", report
    found = table(report, "users")
    assert found.notes == ("renamed to customers",)
    assert column(found, "zip").reason == "renamed to postcode"
    orders = table(report, "orders")
    assert column(orders, "status").reason == "label of order_status renamed: pending to it's open"
    assert column(orders, "note").reason == "renamed to old_note"
