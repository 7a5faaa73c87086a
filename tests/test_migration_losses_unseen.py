"""Losses where nobody looks for them: in a CHECK, a default, a rule, a cascade, a type that holds less; and harmless look-alikes."""

from collections.abc import Iterator

import pytest

from .conftest import Scratch
from .migration_kit import fresh_database, migrate, run
from .test_migration_losses import check_losses

pytestmark = pytest.mark.anyio

UNSEEN = """
CREATE TABLE acct (id int PRIMARY KEY, n int, note text, amount numeric(12, 4), at timestamptz, code char(8), tags text[], j jsonb,
    f float8);
INSERT INTO acct SELECT g, g, 'note ' || g, g + 0.1234, timestamptz '2024-01-01 10:00Z' + g * interval '1 min', 'code' || g,
    ARRAY['a' || g, 'b' || g], jsonb_build_object('a', g, 'b', 1), g / 3.0 FROM generate_series(1, 30) g;
CREATE TABLE feed (id int, n int); INSERT INTO feed SELECT g, -g FROM generate_series(21, 40) g;
CREATE TABLE up (id int PRIMARY KEY); INSERT INTO up SELECT generate_series(1, 5);
CREATE TABLE down (id int PRIMARY KEY, of_up int REFERENCES up ON DELETE CASCADE);
INSERT INTO down SELECT g, 1 + g % 5 FROM generate_series(1, 20) g;
CREATE TABLE low (id int PRIMARY KEY, of_down int REFERENCES down ON DELETE SET NULL);
INSERT INTO low SELECT g, 1 + g % 20 FROM generate_series(1, 40) g;
CREATE TABLE tree (id int, region text, n int) PARTITION BY LIST (region);
CREATE TABLE tree_eu PARTITION OF tree FOR VALUES IN ('eu'); CREATE TABLE tree_us PARTITION OF tree FOR VALUES IN ('us');
CREATE TABLE tree_rest PARTITION OF tree DEFAULT;
INSERT INTO tree SELECT g, (ARRAY['eu', 'us', 'as'])[1 + g % 3], g FROM generate_series(1, 30) g;
CREATE TABLE animal (id int, name text); CREATE TABLE dog (breed text) INHERITS (animal);
INSERT INTO animal SELECT g, 'a' FROM generate_series(1, 4) g; INSERT INTO dog SELECT g, 'd', 'b' FROM generate_series(5, 10) g;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TABLE people (id int, m mood, t text COLLATE "C");
INSERT INTO people SELECT g, (ARRAY['sad', 'ok', 'happy'])[1 + g % 3]::mood, 't' || g FROM generate_series(1, 9) g;
CREATE DOMAIN zip AS text; CREATE TABLE places (id int, z zip); INSERT INTO places VALUES (1, 'a'), (2, NULL), (3, 'b');
CREATE VIEW front AS SELECT id, n FROM acct;
CREATE RULE eats AS ON UPDATE TO front DO INSTEAD DELETE FROM acct WHERE acct.id = OLD.id;
CREATE TABLE gate (id int);
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM feed WHERE feed.id = NEW.id; RETURN NULL; END';
CREATE TRIGGER gate BEFORE INSERT ON gate FOR EACH ROW EXECUTE FUNCTION gate();
CREATE FUNCTION kills(x int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN DELETE FROM people WHERE people.id = x; RETURN true; END';
CREATE TABLE short (id int); INSERT INTO short VALUES (1), (2);
CREATE TABLE made (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO made SELECT generate_series(1, 8);
CREATE TABLE x_one AS SELECT generate_series(1, 3) AS id; CREATE TABLE x_two AS SELECT generate_series(1, 4) AS id;
CREATE VIEW wide AS SELECT id, n AS score FROM feed;
"""

LOSING: dict[str, tuple[str, set[str]]] = {
    "a loop over names": (
        "DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relname LIKE 'x\\_%' AND relkind = 'r' LOOP "
        "EXECUTE format('DELETE FROM %I WHERE id > 1', t); END LOOP; END $$",
        {"rows deleted: x_one, 2", "rows deleted: x_two, 3"},
    ),
    "MERGE WHEN MATCHED AND": (
        "MERGE INTO acct a USING feed f ON a.id = f.id WHEN MATCHED AND f.n < -25 THEN DELETE WHEN MATCHED THEN DO NOTHING",
        {"rows deleted: acct, 5"},
    ),
    "TRUNCATE CASCADE": ("TRUNCATE up CASCADE", {"table truncated: up, 5", "table truncated: down, 20", "table truncated: low, 40"}),
    "a cascade that deletes and then empties": (
        "DELETE FROM up WHERE id = 1",
        {"rows deleted: up, 1", "rows deleted: down, 4", "rows updated: low, 8"},
    ),
    "a foreign key's cascade after new columns": (
        "ALTER TABLE down ADD COLUMN x int; UPDATE down SET x = 1; DELETE FROM up WHERE id > 3",
        {"rows deleted: up, 2", "rows deleted: down, 8", "rows updated: low, 16"},
    ),
    "numbers rounded": ("ALTER TABLE acct ALTER amount TYPE int USING round(amount)", {"type changed: acct.amount, 30"}),
    "a time made a date": ("ALTER TABLE acct ALTER at TYPE date", {"type changed: acct.at, 30"}),
    "a code cut": ("ALTER TABLE acct ALTER code TYPE char(4) USING substr(code, 1, 4)", {"type changed: acct.code, 30"}),
    "an array's first": ("ALTER TABLE acct ALTER tags TYPE text USING tags[1]", {"type changed: acct.tags, 30"}),
    "a document's one field": ("ALTER TABLE acct ALTER j TYPE text USING j ->> 'b'", {"type changed: acct.j, 30"}),
    "half the digits": ("ALTER TABLE acct ALTER f TYPE real", {"type changed: acct.f, 30"}),
    "an upsert with a condition": (
        "INSERT INTO acct (id, n) SELECT id, n FROM feed ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE acct.n > 25",
        {"rows updated: acct, 5"},
    ),
    "a trigger that takes the row and more": ("INSERT INTO gate VALUES (21), (22), (500)", {"rows deleted: feed, 2"}),
    "the same among harmless statements": (
        "INSERT INTO feed VALUES (21, 0); ALTER TABLE short ADD COLUMN x int; INSERT INTO gate VALUES (21);"
        "INSERT INTO feed VALUES (21, 1);"
        "ALTER TABLE up ADD COLUMN x int; DELETE FROM feed WHERE id = 21",
        {"rows deleted: feed, 1"},
    ),
    "an UPDATE of a parent": ("UPDATE animal SET name = 'x'", {"rows updated: animal, 4", "rows updated: dog, 6"}),
    "a partition key and a value": (
        "UPDATE tree SET region = 'us', n = 0 WHERE region = 'eu'",
        {"rows updated: tree, 10"},
    ),
    "a partition let go and dropped": (
        "ALTER TABLE tree DETACH PARTITION tree_us; DROP TABLE tree_us",
        {"table dropped: tree_us, 10"},
    ),
    "one value for another": ("UPDATE people SET m = 'ok' WHERE m = 'sad'", {"rows updated: people, 3"}),
    "DROP DOMAIN CASCADE": ("DROP DOMAIN zip CASCADE", {"column dropped: places.z, 2"}),
    "an UPDATE that a rule makes a DELETE": ("UPDATE front SET n = 0 WHERE id < 4", {"rows deleted: acct, 3"}),
    "two losses in one WITH": (
        "WITH d AS (DELETE FROM x_one WHERE id = 1 RETURNING id), u AS (UPDATE x_two SET id = 0 WHERE id = 1 RETURNING id) "
        "SELECT count(*) FROM d, u",
        {"rows deleted: x_one, 1", "rows updated: x_two, 1"},
    ),
    "a function in a CHECK": ("ALTER TABLE short ADD CHECK (kills(id))", {"rows deleted: people, 2"}),
    "a function in a default": (
        "ALTER TABLE short ADD COLUMN x boolean DEFAULT kills(3); INSERT INTO short VALUES (9)",
        {"rows deleted: people, 1"},
    ),
    "a parent dropped": ("DROP TABLE animal CASCADE", {"table dropped: animal, 4", "table dropped: dog, 6"}),
    "a parent's column dropped": (
        "ALTER TABLE animal DROP COLUMN name",
        {"column dropped: animal.name, 4", "column dropped: dog.name, 6"},
    ),
    "emptied under a new name": (
        "ALTER TABLE acct RENAME TO old_acct; CREATE TABLE acct (LIKE old_acct); TRUNCATE old_acct",
        {"table truncated: acct, 30"},
    ),
    "DELETE USING with RETURNING": ("DELETE FROM acct USING feed WHERE acct.id = feed.id RETURNING acct.id", {"rows deleted: acct, 10"}),
    "text cut by a cast": ("ALTER TABLE acct ALTER note TYPE varchar(3) USING note::varchar(3)", {"type changed: acct.note, 30"}),
    "a value through a view with another name": ("UPDATE wide SET score = 0 WHERE id < 24", {"rows updated: feed, 3"}),
    "what is generated from": ("ALTER TABLE made ALTER b DROP EXPRESSION; UPDATE made SET a = 0", {"rows updated: made, 8"}),
    "new rows and an old one, changed and deleted by turns": (
        "INSERT INTO feed VALUES (500, 1), (501, 1); UPDATE feed SET n = 0 WHERE id IN (500, 40); INSERT INTO short VALUES (3);"
        "DELETE FROM feed WHERE id IN (501, 39)",
        {"rows updated: feed, 1", "rows deleted: feed, ~2"},
    ),
    "own rows deleted after all rows were changed, which nobody can tell apart": (
        "ALTER TABLE feed ADD x int; INSERT INTO feed VALUES (99); UPDATE feed SET x = n; DELETE FROM feed WHERE id = 99",
        {"rows deleted: feed, ~1"},
    ),
    "an UPDATE after a DELETE that was taken back": (
        "SAVEPOINT a; DELETE FROM feed; ROLLBACK TO a; UPDATE feed SET n = 0; DELETE FROM feed WHERE n = 0",
        {"rows updated: feed, 20", "rows deleted: feed, ~20"},
    ),
    "own rows deleted after old ones were": (
        "INSERT INTO feed VALUES (99, 1); DELETE FROM feed WHERE id < 23; DELETE FROM feed WHERE id IN (23, 99)",
        {"rows deleted: feed, 2", "rows deleted: feed, 1"},
    ),
}  # fmt: skip

HARMLESS: dict[str, str] = {
    "another collation": 'ALTER TABLE people ALTER t TYPE text COLLATE "POSIX"',
    "an enum grown and renamed": "ALTER TYPE mood ADD VALUE 'great'; ALTER TYPE mood RENAME VALUE 'sad' TO 'low'",
    "an enum made text and back": "ALTER TABLE people ALTER m TYPE text; ALTER TABLE people ALTER m TYPE mood USING m::mood",
    "wider types": (
        "DROP VIEW front; ALTER TABLE acct ALTER id TYPE bigint, ALTER amount TYPE numeric(16, 6), "
        "ALTER code TYPE text, ALTER at TYPE timestamptz(6)"
    ),
    "a number made text": "DROP VIEW wide; ALTER TABLE feed ALTER n TYPE text",
    "MERGE that only inserts": (
        "MERGE INTO acct a USING feed f ON a.id = f.id WHEN NOT MATCHED THEN INSERT (id, n) VALUES (f.id, f.n)"
    ),
    "an upsert that does nothing": "INSERT INTO acct (id) SELECT id FROM feed ON CONFLICT DO NOTHING",
    "DELETE of nothing": "DELETE FROM acct WHERE id < 0; UPDATE feed SET n = 1 WHERE id < 0; DELETE FROM up WHERE id < 0",
    "an empty table emptied": "CREATE TABLE e (x int); TRUNCATE e; DROP TABLE e; TRUNCATE gate",
    "a partition moved to a table of its own and back": (
        "ALTER TABLE tree DETACH PARTITION tree_us; ALTER TABLE tree ATTACH PARTITION tree_us FOR VALUES IN ('us')"
    ),
    "rolled back in a block": "DO $$ BEGIN DELETE FROM acct; RAISE EXCEPTION 'no'; EXCEPTION WHEN raise_exception THEN NULL; END $$",
    "new columns of many tables filled": (
        "ALTER TABLE up ADD x int; ALTER TABLE feed ADD x int; ALTER TABLE short ADD x int; INSERT INTO up VALUES (6); "
        "INSERT INTO feed VALUES (99); UPDATE up SET x = 1; UPDATE feed SET x = n; UPDATE short SET x = 2"
    ),
    "a new column of a partitioned table filled": "ALTER TABLE tree ADD x int; UPDATE tree SET x = n; UPDATE tree_eu SET x = 2",
    "a new column of a parent filled": "ALTER TABLE animal ADD x int; UPDATE animal SET x = 1; UPDATE ONLY animal SET x = 2",
    "a default that calls what is harmless": "ALTER TABLE short ADD COLUMN at timestamptz DEFAULT clock_timestamp()",
    "own rows deleted, and the key that cascades": (
        "INSERT INTO up VALUES (50); INSERT INTO down VALUES (500, 50); INSERT INTO low VALUES (5000, 500); DELETE FROM up WHERE id = 50"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def unseen(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, UNSEEN)
        yield uri


@pytest.mark.parametrize("case", LOSING)
async def test_a_loss_is_reported_with_its_rows(unseen: str, case: str) -> None:
    sql, expected = LOSING[case]
    check_losses(await migrate(unseen, sql, dry_run=True), expected)


@pytest.mark.parametrize("case", HARMLESS)
async def test_no_loss_is_invented(unseen: str, case: str) -> None:
    check_losses(await migrate(unseen, HARMLESS[case], dry_run=True), set())
