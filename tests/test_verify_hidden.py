"""Verification against a reviewer who plants losses where nobody looks, writes checks that prove too little, and bars the way."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from neon_branch_mcp.errors import Conflict

from .conftest import Scratch
from .verify_shop import TwoSides, check, column, on_both, table, two_empty, verdicts

pytestmark = pytest.mark.anyio


@pytest.fixture
def empty(scratch: Scratch) -> Iterator[TwoSides]:
    """Two databases without tables."""
    with two_empty(scratch) as sides:
        yield sides


async def test_two_amounts_of_a_row_that_grow_ten_thousandfold_are_lost(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TABLE t (id int PRIMARY KEY, low numeric(12,2), high numeric(12,2)); INSERT INTO t VALUES (1, 5, 5)",
    )
    empty.migrate("UPDATE t SET low = 50000, high = 50000")
    assert verdicts(await empty.verify()) == {"t": "lost"}


async def test_a_key_that_stood_twice_in_json_is_lost_in_jsonb(empty: TwoSides) -> None:
    on_both(
        empty, """CREATE TABLE t (id int PRIMARY KEY, doc json); INSERT INTO t VALUES (1, '{"b":1, "a":{"b":2}}')"""
    )
    empty.migrate("ALTER TABLE t ALTER doc TYPE jsonb")
    assert verdicts(await empty.verify()) == {"t": "preserved"}
    empty.on_base("""INSERT INTO t VALUES (2, '{"a":1, "a":2}')""")
    empty.migrate("""INSERT INTO t VALUES (2, '{"a":1, "a":2}')""")
    assert verdicts(await empty.verify()) == {"t": "lost"}


async def test_large_objects_are_compared_and_one_that_is_gone_is_lost(empty: TwoSides) -> None:
    on_both(empty, "SELECT lo_from_bytea(70001, 'abc'); SELECT lo_from_bytea(70002, 'abd')")
    assert verdicts(await empty.verify()) == {"large objects": "preserved"}
    empty.migrate("SELECT lo_put(70001, 0, 'b')")
    assert table(await empty.verify(), "large objects").changed == 1
    empty.migrate("SELECT lo_unlink(70001); SELECT lo_unlink(70002)")
    report = await empty.verify()
    assert verdicts(report) == {"large objects": "lost"}
    assert "base_sql" not in report.text()


async def test_a_domain_made_again_with_a_finer_scale_loses_nothing(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE DOMAIN amount AS numeric(9,2); CREATE TABLE t (id int PRIMARY KEY, a amount); INSERT INTO t VALUES (1, 5)",
    )
    empty.migrate(
        "ALTER TABLE t ALTER a TYPE numeric; DROP DOMAIN amount; CREATE DOMAIN amount AS numeric(9,4); ALTER TABLE t ALTER a TYPE amount"
    )
    assert verdicts(await empty.verify()) == {"t": "preserved"}
    empty.migrate("UPDATE t SET a = 5.0001")
    assert verdicts(await empty.verify()) == {"t": "lost"}


LOG = (
    "CREATE TABLE log (id int PRIMARY KEY, what text); INSERT INTO log SELECT n, 'w' || n FROM generate_series(1, 90) n"
)


async def test_rows_moved_to_more_tables_than_can_be_tried_are_found_together(empty: TwoSides) -> None:
    on_both(empty, LOG)
    for n in range(18):
        empty.migrate(f"CREATE TABLE log_{n} AS SELECT * FROM log WHERE id % 18 = {n}")
    empty.migrate("DELETE FROM log")
    report = await empty.verify()
    assert verdicts(report) == {"log": "preserved"}
    empty.migrate("DELETE FROM log_3 WHERE id = 21")
    assert verdicts(await empty.verify()) == {"log": "lost"}


@pytest.mark.parametrize(
    ("archive", "verdict"),
    [
        ("CREATE TABLE old AS SELECT id AS log_id, upper(what) AS what FROM log WHERE id <= 30", "unproven"),
        ("CREATE TABLE old AS SELECT to_jsonb(log) AS row FROM log WHERE id <= 30", "unproven"),
        ("CREATE TABLE old AS SELECT array_agg(what) AS all FROM log WHERE id <= 30 GROUP BY id % 2", "unproven"),
        # Holds other rows' keys, or the same document in each row.
        ("CREATE TABLE old AS SELECT id AS log_id, what FROM log", "lost"),
        ("CREATE TABLE old AS SELECT id, '{}'::jsonb AS extra FROM log WHERE id > 30", "lost"),
        ("CREATE TABLE old (id int, doc jsonb)", "lost"),
    ],
)
async def test_missing_rows_are_unproven_only_where_a_new_table_may_hold_them(
    empty: TwoSides, archive: str, verdict: str
) -> None:
    on_both(empty, LOG)
    empty.migrate(archive)
    empty.migrate("DELETE FROM log WHERE id <= 30")
    found = table(await empty.verify(), "log")
    assert (found.verdict, "may be in old" in found.reason) == (verdict, verdict == "unproven"), found


async def test_rows_moved_to_a_table_that_was_there_are_found(empty: TwoSides) -> None:
    on_both(
        empty,
        f"{LOG}; CREATE TABLE old (LIKE log, at date DEFAULT '2025-01-01'); INSERT INTO old SELECT -id, what FROM log WHERE id < 9",
    )
    empty.migrate("INSERT INTO old SELECT id, what FROM log WHERE id <= 30; DELETE FROM log WHERE id <= 30")
    report = await empty.verify()
    assert verdicts(report) == {"log": "preserved", "old": "preserved"}
    assert "are now in old, unchanged" in table(report, "log").reason
    empty.migrate("UPDATE old SET what = upper(what) WHERE id = 30")
    assert table(await empty.verify(), "log").verdict == "unproven"
    empty.migrate("DELETE FROM old WHERE id = 30")
    assert verdicts(await empty.verify()) == {"log": "lost", "old": "preserved"}


async def test_two_equal_tables_merged_into_one_are_not_both_in_it(empty: TwoSides) -> None:
    on_both(empty, f"{LOG}; CREATE TABLE log2 AS TABLE log")
    empty.migrate("CREATE TABLE logs AS TABLE log UNION TABLE log2; DROP TABLE log, log2")
    assert sorted(verdicts(await empty.verify()).values()) == ["preserved", "unproven"]


PRICES = """CREATE TABLE t (id int PRIMARY KEY, price numeric(8,2), took int, share float8);
    INSERT INTO t SELECT n, n * 0.37, n % 30, n / 8.0 FROM generate_series(0, 99) n; INSERT INTO t VALUES (-1)"""
TO_CENTS = "ALTER TABLE t ALTER price TYPE bigint USING price * 100"


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (TO_CENTS, "price", "times 100"),
        ("UPDATE t SET price = price * 100", "price", "times 100"),
        ("UPDATE t SET took = took * 1000", "took", "times 1,000"),
        ("ALTER TABLE t ALTER took TYPE numeric USING took / 3600.0000000000000000", "took", ""),
        ("UPDATE t SET share = share / 100", "share", "divided by 100"),
        (f"{TO_CENTS}; UPDATE t SET price = price + 1 WHERE id = 77", "price", ""),
        (f"{TO_CENTS}; UPDATE t SET price = 0 WHERE id = -1", "price", ""),
        ("ALTER TABLE t ALTER price TYPE int USING price", "price", ""),
        ("UPDATE t SET price = price * 100 WHERE id < 9", "price", ""),
        ("UPDATE t SET price = price * 10", "price", ""),
        ("UPDATE t SET price = -price", "price", ""),
    ],
)
async def test_numbers_in_another_unit_are_unproven_where_all_went_along(
    empty: TwoSides, change: str, name: str, said: str
) -> None:
    on_both(empty, PRICES)
    empty.migrate(change)
    found = column(table(await empty.verify(), "t"), name)
    assert (found.verdict, said in found.reason) == ("unproven" if said else "lost", True), found


async def test_prices_in_cents_are_proven_by_a_check(empty: TwoSides) -> None:
    on_both(empty, PRICES)
    empty.migrate(TO_CENTS)
    report = await empty.verify(
        check("c", "SELECT id, price FROM t", "SELECT id, (price / 100.0)::numeric(8,2) FROM t")
    )
    assert report.verdict == "preserved"


async def test_old_values_kept_in_a_new_column_are_found_and_a_check_is_written(empty: TwoSides) -> None:
    on_both(empty, LOG)
    empty.migrate(
        "ALTER TABLE log ADD as_typed text; UPDATE log SET as_typed = what; UPDATE log SET what = upper(what)"
    )
    found = table(await empty.verify(), "log")
    assert (found.verdict, column(found, "what").verdict) == ("unproven", "unproven")
    suggested = found.suggested_check
    assert suggested is not None
    assert not suggested.fill_in
    assert verdicts(await empty.verify(check("c", suggested.base_sql, suggested.branch_sql))) == {"log": "preserved"}


async def test_tables_that_become_partitions_are_compared_with_them(empty: TwoSides) -> None:
    on_both(empty, LOG)
    empty.migrate(
        "CREATE TABLE logs (id int NOT NULL, what text) PARTITION BY RANGE (id); ALTER TABLE logs ATTACH PARTITION log DEFAULT"
    )
    assert verdicts(await empty.verify()) == {"log": "preserved"}
    empty.migrate("UPDATE logs SET what = '' WHERE id = 7")
    assert verdicts(await empty.verify()) == {"log": "lost"}


SETTINGS = "CREATE TABLE t (name text PRIMARY KEY, value text); INSERT INTO t VALUES ('a', 'x'), ('b', 'x')"


@pytest.mark.parametrize(
    ("branch_sql", "said"),
    [
        ("SELECT * FROM (VALUES ('a', 'x'), ('b', 'x')) v", "reads no table"),
        ("SELECT 'a', 'x' UNION ALL SELECT 'b', 'x' ORDER BY 1", "reads no table"),
        ("SELECT name, 'x' FROM t", "t.value not proven"),
        ("WITH w AS (SELECT name, 'x' || '' AS value FROM t) SELECT name, value FROM w", "t.value not proven"),
        ("SELECT DISTINCT name, 'x'::text FROM t ORDER BY 1", "t.value not proven"),
        ("SELECT name, CASE name WHEN 'a' THEN 'x' ELSE repeat('x', 1) END FROM t", "t.value not proven"),
    ],
)
async def test_a_value_that_the_check_writes_itself_proves_nothing(empty: TwoSides, branch_sql: str, said: str) -> None:
    on_both(empty, SETTINGS)
    empty.migrate("ALTER TABLE t DROP value")
    report = await empty.verify(check("c", "SELECT name, value FROM t", branch_sql))
    assert report.checks[0].verdict == "preserved"
    assert said in report.checks[0].reason
    assert report.verdict == "lost"


async def test_a_literal_that_says_which_part_of_a_union_a_row_is_from_proves_it(empty: TwoSides) -> None:
    on_both(empty, SETTINGS)
    empty.on_base("UPDATE t SET value = 'y' WHERE name = 'b'")
    empty.migrate("CREATE TABLE xs AS SELECT name FROM t LIMIT 1; CREATE TABLE ys AS SELECT 'b' AS name; DROP TABLE t")
    report = await empty.verify(
        check("c", "SELECT name, value FROM t", "SELECT name, 'x' FROM xs UNION ALL SELECT name, 'y' FROM ys")
    )
    assert report.verdict == "preserved", report


async def test_a_case_over_what_the_branch_has_beside_the_key_proves_it(empty: TwoSides) -> None:
    on_both(empty, SETTINGS)
    empty.migrate("ALTER TABLE t ADD code int; UPDATE t SET code = 1; ALTER TABLE t DROP value")
    mapped = "SELECT name, CASE code WHEN 1 THEN 'x' ELSE 't.name' END FROM t"
    assert (await empty.verify(check("c", "SELECT name, value FROM t", mapped))).verdict == "preserved"


async def test_two_checks_of_one_name_are_refused(empty: TwoSides) -> None:
    with pytest.raises(Conflict, match="Two checks are named 'c'"):
        await empty.verify(check("c", "SELECT 1", "SELECT 1"), check("c", "SELECT 2", "SELECT 2"))


async def test_a_check_over_a_parent_says_that_it_reads_the_children_too(empty: TwoSides) -> None:
    on_both(empty, f"{LOG}; CREATE TABLE mail () INHERITS (log); INSERT INTO mail VALUES (1000, 'm')")
    empty.migrate("CREATE TABLE logs AS TABLE log; ALTER TABLE log DROP what")
    report = await empty.verify(check("c", "SELECT id, what FROM log", "SELECT id, what FROM logs"))
    assert report.verdict == "unproven"
    assert "91 of 90 values (read those of its children by themselves" in report.checks[0].partly[0]


async def test_an_enum_read_as_text_by_its_name_proves_the_column(empty: TwoSides) -> None:
    on_both(
        empty,
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (id int PRIMARY KEY, m mood); INSERT INTO t VALUES (1, 'ok'), (2, 'sad')",
    )
    empty.migrate("CREATE TABLE moods AS SELECT 1 AS n, 'ok' AS name UNION SELECT 2, 'sad'; ALTER TABLE t DROP m")
    fits = "SELECT t.id, name FROM t JOIN moods ON n = t.id"
    assert (await empty.verify(check("c", "SELECT id, m::text FROM t", fits))).verdict == "preserved"


@pytest.mark.parametrize("name", ["a{s}", "{c}", "{c}\\", 'q"{s}'])
async def test_columns_with_odd_names_are_compared(empty: TwoSides, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    on_both(empty, f"CREATE TABLE t (id int PRIMARY KEY, {quoted} text); INSERT INTO t VALUES (1, 'x')")
    assert verdicts(await empty.verify()) == {"t": "preserved"}
    empty.migrate(f"UPDATE t SET {quoted} = 'y'")
    assert verdicts(await empty.verify()) == {"t": "lost"}


@pytest.fixture
def reader(scratch: Scratch, empty: TwoSides) -> Iterator[TwoSides]:
    """The same two databases as a role sees them that may read what is granted to it."""
    with psycopg.connect(scratch.superuser_uri("postgres"), autocommit=True) as conn:
        conn.execute("CREATE ROLE reader LOGIN PASSWORD 'reads'")
        yield TwoSides(*(re.sub(r"//[^@]*@", "//reader:reads@", uri) for uri in (empty.base, empty.branch)))
        for uri in (empty.base, empty.branch):
            with psycopg.connect(uri) as owner:
                owner.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reader")
        conn.execute("DROP ROLE reader")


async def test_tables_that_the_role_cannot_read_are_named_and_the_rest_is_judged(
    empty: TwoSides, reader: TwoSides
) -> None:
    on_both(empty, f"{LOG}; CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE secret (id int PRIMARY KEY)")
    on_both(empty, "INSERT INTO other VALUES (1); INSERT INTO secret VALUES (1); GRANT SELECT ON log, other TO reader")
    empty.migrate("CREATE TABLE hidden AS TABLE log; DROP TABLE log")
    report = await reader.verify()
    assert verdicts(report) == {"log": "unproven", "other": "preserved", "secret": "unproven"}
    assert "permission denied for table secret" in table(report, "secret").reason
    assert "Nothing was looked for in hidden" in report.notes[0]
    assert "new on the branch: hidden" in table(report, "log").reason


async def test_a_locked_table_is_named_and_the_rest_is_judged(empty: TwoSides) -> None:
    on_both(empty, f"{LOG}; CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)")
    with psycopg.connect(empty.branch) as holder:
        holder.execute("LOCK TABLE log")
        report = await empty.verify(seconds=30)
    assert verdicts(report) == {"log": "unproven", "other": "preserved"}
    assert "lock" in table(report, "log").reason
    assert report.complete
