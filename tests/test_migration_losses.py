"""Every loss is reported, and none is invented: migrations with a known effect, on real rows."""

from collections.abc import Iterator

import pytest

from neon_branch_mcp.migrations.report import MigrationReport

from .conftest import Scratch
from .migration_kit import ask, fresh_database, losses, migrate, run

pytestmark = pytest.mark.anyio

SHOP = """
CREATE TABLE customers (id int PRIMARY KEY, name text, city text, note text, age int, joined timestamp);
INSERT INTO customers SELECT g, 'name ' || g, CASE WHEN g % 2 = 0 THEN 'city ' || g END, NULL, g % 90, now() + g * interval '1 s'
    FROM generate_series(1, 100) g;
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, total numeric(10, 2), state text);
INSERT INTO orders SELECT g, g % 50 + 1, g + 0.25, 'open' FROM generate_series(1, 200) g;
CREATE TABLE reviews (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE SET NULL);
INSERT INTO reviews SELECT g, g FROM generate_series(1, 40) g;
CREATE TABLE empty (id int PRIMARY KEY, x text);
CREATE TABLE events (id int, day date, body text) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
INSERT INTO events SELECT g, date '2024-01-01' + g % 60, 'b' FROM generate_series(0, 119) g;
CREATE TABLE animals (id int, name text); CREATE TABLE dogs (breed text) INHERITS (animals);
INSERT INTO animals VALUES (1, 'cat'); INSERT INTO dogs VALUES (2, 'dog', 'pug'), (3, 'dog', 'lab');
CREATE TABLE log (at timestamptz DEFAULT now(), what text);
INSERT INTO log SELECT now(), 'x' FROM generate_series(1, 30);
CREATE TABLE audited (id int PRIMARY KEY, v int, changed timestamptz DEFAULT '2024-01-01');
INSERT INTO audited SELECT g, g FROM generate_series(1, 10) g;
CREATE FUNCTION purge_log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM log; RETURN NULL; END';
CREATE TRIGGER purge AFTER INSERT ON empty EXECUTE FUNCTION purge_log();
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed := now(); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION clean() RETURNS void LANGUAGE sql AS 'DELETE FROM log';
CREATE PROCEDURE empty_orders() LANGUAGE plpgsql AS 'BEGIN TRUNCATE orders; END';
CREATE SCHEMA old; CREATE TABLE old.a AS SELECT g FROM generate_series(1, 7) g; CREATE TABLE old.b (x int);
CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE moods (id int, m mood); INSERT INTO moods VALUES (1, 'ok'), (2, NULL), (3, 'sad');
CREATE VIEW towns AS SELECT DISTINCT city FROM customers;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;
CREATE TABLE prices (p numeric(10, 2)); INSERT INTO prices VALUES (0.25), (1.5);
CREATE TABLE "Odd Name" ("the Key" int, "Value" text); INSERT INTO "Odd Name" VALUES (1, 'a'), (2, NULL);
"""

LOSING: dict[str, tuple[str, set[str]]] = {
    "a plain DELETE": ("DELETE FROM log", {"rows deleted: log, 30"}),
    "DELETE with its FK children": (
        "DELETE FROM customers WHERE id <= 10",
        {"rows deleted: customers, 10", "rows deleted: orders, 40", "rows updated: reviews, 10"},
    ),
    "a plain UPDATE": ("UPDATE orders SET state = 'closed'", {"rows updated: orders, 200"}),
    "TRUNCATE": ("TRUNCATE log", {"table truncated: log, 30"}),
    "TRUNCATE CASCADE": (
        "TRUNCATE customers CASCADE",
        {"table truncated: customers, 100", "table truncated: orders, 200", "table truncated: reviews, 40"},
    ),
    "TRUNCATE of a partitioned table": ("TRUNCATE events", {"table truncated: events, 120"}),
    "TRUNCATE of one partition": ("TRUNCATE events_1", {"table truncated: events_1, 62"}),
    "DROP TABLE": ("DROP TABLE log", {"table dropped: log, 30"}),
    "DROP TABLE CASCADE": ("DROP TABLE orders CASCADE", {"table dropped: orders, 200"}),
    "DROP TABLE of an empty table": ("DROP TABLE empty", {"table dropped: empty, 0"}),
    "DROP of a partitioned table": ("DROP TABLE events", {"table dropped: events, 120"}),
    "DROP of a partition": ("DROP TABLE events_2", {"table dropped: events_2, 58"}),
    "DROP SCHEMA CASCADE": ("DROP SCHEMA old CASCADE", {"table dropped: old.a, 7", "table dropped: old.b, 0"}),
    "DROP COLUMN": ("ALTER TABLE customers DROP COLUMN city CASCADE", {"column dropped: customers.city, 50"}),
    "DROP COLUMN that held nothing": ("ALTER TABLE customers DROP COLUMN note", {"column dropped: customers.note, 0"}),
    "DROP COLUMN among other clauses": (
        "ALTER TABLE customers ADD COLUMN x int, DROP name, ALTER age SET DEFAULT 1",
        {"column dropped: customers.name, 100"},
    ),
    "DROP COLUMN of a partitioned table": ("ALTER TABLE events DROP COLUMN body", {"column dropped: events.body, 120"}),
    "DROP COLUMN of a parent": (
        "ALTER TABLE animals DROP COLUMN name",
        {"column dropped: animals.name, 1", "column dropped: dogs.name, 2"},
    ),
    "DROP TYPE CASCADE": ("DROP TYPE mood CASCADE", {"column dropped: moods.m, 2"}),
    "names that need quotes": ('ALTER TABLE "Odd Name" DROP COLUMN "Value"', {"column dropped: Odd Name.Value, 1"}),
    "DELETE in dynamic SQL": ("DO $$ BEGIN EXECUTE 'DELETE ' || 'FROM log'; END $$", {"rows deleted: log, 30"}),
    "DROP in a loop of dynamic SQL": (
        "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'old' LOOP "
        "EXECUTE 'DROP TABLE old.' || t; END LOOP; END $$",
        {"table dropped: old.a, 7", "table dropped: old.b, 0"},
    ),
    "DROP COLUMN in dynamic SQL": (
        "DO $$ BEGIN EXECUTE 'ALTER TABLE customers DR' || 'OP COLUMN name'; END $$",
        {"column dropped: customers.name, 100"},
    ),
    "TRUNCATE in a DO block that also reads": (
        "DO $$ BEGIN PERFORM count(*) FROM log; TRUNCATE log; INSERT INTO log DEFAULT VALUES; END $$",
        {"table truncated: log, 30"},
    ),
    "TRUNCATE in a procedure": ("CALL empty_orders()", {"table truncated: orders, 200"}),
    "DELETE in a function": ("SELECT clean()", {"rows deleted: log, 30"}),
    "DELETE in a trigger": ("INSERT INTO empty VALUES (1)", {"rows deleted: log, 30"}),
    "DELETE in a CTE": (
        "WITH gone AS (DELETE FROM log RETURNING *) SELECT count(*) FROM gone",
        {"rows deleted: log, 30"},
    ),
    "rows moved by a CTE": (
        "CREATE TABLE archive (LIKE log); WITH d AS (DELETE FROM log RETURNING *) INSERT INTO archive SELECT * FROM d",
        {"rows deleted: log, 30"},
    ),
    "MERGE": (
        "MERGE INTO orders o USING customers c ON o.customer = c.id WHEN MATCHED AND o.id <= 20 THEN DELETE "
        "WHEN MATCHED AND o.id <= 50 THEN UPDATE SET state = 'x' WHEN MATCHED THEN DO NOTHING",
        {"rows deleted: orders, 20", "rows updated: orders, 30"},
    ),
    "ON CONFLICT DO UPDATE": (
        "INSERT INTO orders SELECT id, 1, 0, 'new' FROM orders WHERE id <= 5 ON CONFLICT (id) DO UPDATE SET total = 0",
        {"rows updated: orders, 5"},
    ),
    "a conversion that destroys": (
        "ALTER TABLE customers ALTER age TYPE int USING 0, ALTER age SET NOT NULL; "
        "ALTER TABLE customers ALTER age TYPE bigint USING 7",
        {"type changed: customers.age, 100"},
    ),
    "a conversion that rounds": (
        "ALTER TABLE audited ALTER changed TYPE date; ALTER TABLE customers ALTER joined TYPE date",
        {"type changed: customers.joined, 100"},
    ),
    "a conversion in a DO block": (
        "DO $$ BEGIN ALTER TABLE customers ALTER COLUMN age TYPE text USING 'x'; END $$",
        {"type changed: customers.age, 100"},
    ),
    "columns copied elsewhere, then dropped": (
        "CREATE TABLE places AS SELECT id, city FROM customers; ALTER TABLE customers DROP COLUMN city CASCADE",
        {"column dropped: customers.city, 50"},
    ),
    "a table renamed, then dropped": (
        "ALTER TABLE log RENAME TO log2; CREATE TABLE log (x int); DROP TABLE log2",
        {"table dropped: log, 30"},
    ),
    "a BEFORE trigger overwrites another column": (
        "ALTER TABLE audited ADD w int; UPDATE audited SET w = 1",
        {"rows updated: audited, 10"},
    ),
    "an UPDATE, then a DELETE of the same rows": (
        "UPDATE log SET what = 'y'; DELETE FROM log WHERE what = 'y'",
        {"rows updated: log, 30", "rows deleted: log, 30"},
    ),
    "a savepoint that is kept": (
        "SAVEPOINT a; DELETE FROM log; RELEASE a",
        {"rows deleted: log, 30"},
    ),
    "a subtransaction half rolled back": (
        "DO $$ BEGIN DELETE FROM orders WHERE id <= 10; BEGIN DELETE FROM orders; RAISE EXCEPTION 'no'; "
        "EXCEPTION WHEN OTHERS THEN NULL; END; END $$",
        {"rows deleted: orders, 10"},
    ),
    "own rows and old rows deleted together": (
        "INSERT INTO log SELECT now(), 'mine' FROM generate_series(1, 5); DELETE FROM log",
        {"rows deleted: log, 30"},
    ),
    "DELETE in a deferred trigger": (
        "CREATE CONSTRAINT TRIGGER later AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
        "EXECUTE FUNCTION purge_log(); INSERT INTO orders VALUES (999, 1, 1, 'x')",
        {"rows deleted: log, 30"},
    ),
    "rows moved to another partition": (
        "UPDATE events SET day = day + 31 WHERE day < '2024-01-20'",
        {"rows updated: events, 38"},
    ),
    "DROP OWNED": (
        "DROP OWNED BY CURRENT_USER CASCADE",
        {
            "table dropped: customers, 100", "table dropped: orders, 200", "table dropped: reviews, 40", "table dropped: empty, 0",
            "table dropped: events, 120", "table dropped: animals, 1", "table dropped: dogs, 2", "table dropped: log, 30",
            "table dropped: audited, 10", "table dropped: old.a, 7", "table dropped: old.b, 0", "table dropped: moods, 3",
            "table dropped: Odd Name, 2", "table dropped: prices, 2",
        },
    ),
}  # fmt: skip

HARMLESS: dict[str, str] = {
    "new table": "CREATE TABLE t (id int); INSERT INTO t VALUES (1); DELETE FROM t; TRUNCATE t; DROP TABLE t",
    "new column and its backfill": "ALTER TABLE customers ADD COLUMN full_name text; UPDATE customers SET full_name = name",
    "backfill in a DO block": "ALTER TABLE customers ADD COLUMN x int; DO $$ BEGIN UPDATE customers SET x = age; END $$",
    "filling what was NULL": "UPDATE customers SET note = 'n' WHERE note IS NULL",
    "filling some of what was NULL": "UPDATE customers SET city = 'unknown' WHERE city IS NULL",
    "inserted rows": "INSERT INTO log DEFAULT VALUES; INSERT INTO orders SELECT id + 1000, 1, 1, 'x' FROM orders",
    "own rows deleted again": "INSERT INTO log SELECT now(), 'mine' FROM generate_series(1, 5); DELETE FROM log WHERE what = 'mine'",
    "own rows updated": "INSERT INTO log SELECT now(), 'mine' FROM generate_series(1, 5); UPDATE log SET what = 'm' WHERE what = 'mine'",
    "a rolled-back savepoint": "SAVEPOINT a; DELETE FROM log; DROP TABLE old.a; ROLLBACK TO a",
    "a DO block that takes its delete back": "DO $$ BEGIN DELETE FROM log; RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "a rolled-back block of the script": "BEGIN; DELETE FROM log; DROP TABLE old.a; ROLLBACK; CREATE TABLE z (x int)",
    "wider types": "ALTER TABLE customers ALTER age TYPE bigint; ALTER TABLE prices ALTER p TYPE numeric(12, 4)",
    "a conversion that keeps all apart": "ALTER TABLE reviews ALTER id TYPE text USING 'r' || id",
    "an index": "CREATE INDEX ON orders (customer); DROP INDEX orders_customer_idx",
    "constraints": "ALTER TABLE orders ADD CHECK (total > 0); ALTER TABLE orders ALTER state SET NOT NULL, ALTER state DROP NOT NULL",
    "dropped constraint, default, view": "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey; DROP VIEW towns",
    "a materialized view, which can be built again": "DROP MATERIALIZED VIEW totals",
    "renames": "ALTER TABLE log RENAME COLUMN what TO kind; ALTER TABLE log RENAME TO journal; ALTER SCHEMA old RENAME TO older",
    "a detached partition": "ALTER TABLE events DETACH PARTITION events_1",
    "a rewrite": "ALTER TABLE log SET UNLOGGED; CLUSTER orders USING orders_pkey; REINDEX TABLE orders",
    "a DELETE that finds nothing": "DELETE FROM orders WHERE id < 0; UPDATE orders SET state = 'x' WHERE id < 0; TRUNCATE empty",
    "an UPDATE that changes nothing": "DO $$ BEGIN UPDATE orders SET state = state; END $$",
    "a temporary table": "CREATE TEMP TABLE t AS SELECT * FROM log; DELETE FROM t; DROP TABLE t",
    "ON CONFLICT DO NOTHING": "INSERT INTO orders SELECT * FROM orders ON CONFLICT DO NOTHING",
    "refreshing": "REFRESH MATERIALIZED VIEW totals",
    "a generated column": "ALTER TABLE orders ADD twice numeric GENERATED ALWAYS AS (total * 2) STORED; ALTER TABLE orders DROP twice",
    "enum and comment": "ALTER TYPE mood ADD VALUE 'great'; COMMENT ON TABLE log IS 'x'; GRANT SELECT ON log TO PUBLIC",
    "SELECT only": "SELECT count(*) FROM orders; LOCK TABLE orders; SELECT * FROM log FOR UPDATE",
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, SHOP)
        yield uri


def check_losses(report: MigrationReport, expected: set[str]) -> None:
    assert losses(report) == expected, report.text()
    lost = any(not e.endswith(", 0") for e in expected)
    assert (report.verdict == "destructive") == lost, report.text()
    assert report.verdict != "ok" or not expected
    assert ("data loss: none" in report.text()) == (not expected)


@pytest.mark.parametrize("case", LOSING)
async def test_a_loss_is_reported_with_its_rows(shop: str, case: str) -> None:
    sql, expected = LOSING[case]
    check_losses(await migrate(shop, sql, dry_run=True), expected)


@pytest.mark.parametrize("case", HARMLESS)
async def test_no_loss_is_invented(shop: str, case: str) -> None:
    check_losses(await migrate(shop, HARMLESS[case], dry_run=True), set())


@pytest.mark.parametrize("case", ["DELETE with its FK children", "a conversion that destroys", "DROP OWNED"])
async def test_what_is_applied_reports_what_its_dry_run_did(database_uri: str, case: str) -> None:
    run(database_uri, SHOP)
    sql, expected = LOSING[case]
    check_losses(await migrate(database_uri, sql), expected)
    assert ask(database_uri, "SELECT name FROM neon_branch_mcp.migrations") == [("m1",)]


async def test_losses_of_every_transaction_of_a_script_are_reported(database_uri: str) -> None:
    run(database_uri, SHOP)
    script = (
        "DELETE FROM log WHERE ctid IN (SELECT ctid FROM log LIMIT 10); COMMIT; "
        "BEGIN; DROP TABLE old.a; ROLLBACK; CREATE INDEX CONCURRENTLY i ON orders (state); "
        "BEGIN; DELETE FROM log; COMMIT; ALTER TABLE orders DROP COLUMN state"
    )
    report = await migrate(database_uri, script)
    found = [str(loss) for loss in report.data_loss]
    assert found == [
        "rows deleted: log, 10 rows [1]",
        "rows deleted: log, 20 rows [4]",
        "column dropped: orders.state, 200 non-null values [5]",
    ]
