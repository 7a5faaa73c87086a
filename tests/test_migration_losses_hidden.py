"""Losses that hide, and changes that only look like losses: views, rules, cascades, functions, types that hold less."""

from collections.abc import Iterator

import pytest

from .conftest import Scratch
from .migration_kit import fresh_database, migrate, run
from .test_migration_losses import SHOP, check_losses

pytestmark = pytest.mark.anyio

MORE = """
CREATE TABLE parents (id int PRIMARY KEY, kind int DEFAULT 1); INSERT INTO parents SELECT g FROM generate_series(1, 10) g;
CREATE TABLE kids (id int PRIMARY KEY, parent int DEFAULT 1 REFERENCES parents ON UPDATE CASCADE ON DELETE SET DEFAULT);
INSERT INTO kids SELECT g, g % 10 + 1 FROM generate_series(1, 30) g;
CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'open';
CREATE TABLE inbox (id int);
CREATE RULE eats AS ON INSERT TO inbox DO ALSO DELETE FROM kids WHERE id <= 3;
CREATE TABLE ruled (id int); INSERT INTO ruled SELECT generate_series(1, 5);
CREATE RULE keeps AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE TABLE kept (id int); INSERT INTO kept SELECT generate_series(1, 5);
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER no BEFORE DELETE OR UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION no();
CREATE FUNCTION reprice() RETURNS void LANGUAGE sql AS 'UPDATE prices SET p = p * 2';
CREATE TABLE places (id int, zip text, code text, at timestamp, height float8, tags text[], data jsonb, ok text);
INSERT INTO places
    SELECT g, '0' || (1000 + g), 'c' || g, timestamp '2024-01-01 00:00:00.123' + g * interval '1 s', g + 1e-9, ARRAY['a' || g, 'b'],
    jsonb_build_object('a', g, 'b', 'x'), CASE WHEN g % 2 = 0 THEN 'yes' ELSE 'no' END FROM generate_series(1, 20) g;
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%'); CREATE TABLE people (id int, mail email);
INSERT INTO people VALUES (1, 'a@b'), (2, NULL), (3, 'c@d');
CREATE TABLE doubled (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO doubled SELECT generate_series(1, 8);
CREATE TABLE pairs (a int, b int); INSERT INTO pairs SELECT g, g + 100 FROM generate_series(1, 6) g;
CREATE TABLE twice (x int); INSERT INTO twice SELECT 1 FROM generate_series(1, 4);
CREATE TABLE twins (a int, b int); INSERT INTO twins SELECT g, g FROM generate_series(1, 6) g;
CREATE VIEW renamed AS SELECT a AS first, b AS second FROM twins;
CREATE TABLE roots (pk int PRIMARY KEY); INSERT INTO roots SELECT generate_series(1, 9);
CREATE TABLE leaves (n int, of_root int REFERENCES roots ON UPDATE CASCADE); INSERT INTO leaves SELECT g, g FROM generate_series(1, 9) g;
CREATE TABLE bell (rung int); INSERT INTO bell VALUES (0);
CREATE FUNCTION tolls() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE twice SET x = 2; RETURN NULL; END';
CREATE TRIGGER tolls AFTER UPDATE ON bell FOR EACH ROW EXECUTE FUNCTION tolls();
CREATE TABLE meddled (id int, note text); INSERT INTO meddled SELECT g, 'n' FROM generate_series(1, 5) g;
CREATE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NULL; RETURN NEW; END';
CREATE TRIGGER meddles BEFORE UPDATE ON meddled FOR EACH ROW EXECUTE FUNCTION meddles();
CREATE TABLE base (id int); CREATE TABLE heir (more text) INHERITS (base); INSERT INTO heir SELECT g, 'm' FROM generate_series(1, 6) g;
"""

LOSING: dict[str, tuple[str, set[str]]] = {
    "DELETE through a view": ("DELETE FROM open_orders WHERE id <= 7", {"rows deleted: orders, 7"}),
    "UPDATE through a view": ("UPDATE open_orders SET total = 0 WHERE id <= 7", {"rows updated: orders, 7"}),
    "a rule that deletes elsewhere": ("INSERT INTO inbox VALUES (1)", {"rows deleted: kids, 3"}),
    "keys that cascade an UPDATE": (
        "UPDATE parents SET id = id + 100",
        {"rows updated: parents, 10", "rows updated: kids, 30"},
    ),
    "keys that fall back to their default": (
        "DELETE FROM parents WHERE id > 8",
        {"rows deleted: parents, 2", "rows updated: kids, 6"},
    ),
    "UPDATE in a function": ("SELECT reprice()", {"rows updated: prices, 2"}),
    "a function that the script makes": (
        "CREATE FUNCTION gone() RETURNS void LANGUAGE sql AS 'DELETE FROM twice'; SELECT gone()",
        {"rows deleted: twice, 4"},
    ),
    "UPDATE through a view of other names": ("UPDATE renamed SET first = 0", {"rows updated: twins, 6"}),
    "keys that cascade to a column of another name": (
        "UPDATE roots SET pk = pk + 100",
        {"rows updated: roots, 9", "rows updated: leaves, 9"},
    ),
    "a trigger that updates columns of other names": (
        "UPDATE bell SET rung = 1",
        {"rows updated: bell, 1", "rows updated: twice, 4"},
    ),
    "a new column filled where a trigger empties an old one": (
        "ALTER TABLE meddled ADD COLUMN more int; UPDATE meddled SET more = 1",
        {"rows updated: meddled, 5"},
    ),
    "a new column filled where the script made such a trigger": (
        "ALTER TABLE kept DISABLE TRIGGER ALL; ALTER TABLE twice ADD COLUMN y int; "
        "CREATE FUNCTION loses() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.x := 0; RETURN NEW; END'; CREATE TRIGGER loses BEFORE UPDATE ON twice FOR EACH ROW EXECUTE FUNCTION loses(); "
        "UPDATE twice SET y = 1",
        {"rows updated: twice, 4"},
    ),
    "an old column under its new name": (
        "ALTER TABLE pairs RENAME a TO c; UPDATE pairs SET c = 0",
        {"rows updated: pairs, 6"},
    ),
    "a prepared DELETE": ("PREPARE p AS DELETE FROM twice; EXECUTE p; DEALLOCATE p", {"rows deleted: twice, 4"}),
    "DELETE at a cursor": (
        "DO $$ DECLARE c CURSOR FOR SELECT * FROM kids WHERE id < 6; BEGIN FOR r IN c LOOP "
        "DELETE FROM kids WHERE CURRENT OF c; END LOOP; END $$",
        {"rows deleted: kids, 5"},
    ),
    "a duplicate removed": (
        "DELETE FROM twice a USING twice b WHERE a.ctid > b.ctid AND a.x = b.x",
        {"rows deleted: twice, 3"},
    ),
    "MERGE that deletes what has no source": (
        "MERGE INTO kids k USING (SELECT 1 AS id) s ON k.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
        {"rows deleted: kids, 29"},
    ),
    "a search_path that leads elsewhere": ("SET LOCAL search_path = old; DROP TABLE a", {"table dropped: old.a, 7"}),
    "a partition detached, then dropped": (
        "ALTER TABLE events DETACH PARTITION events_1; DROP TABLE events_1",
        {"table dropped: events_1, 62"},
    ),
    "TRUNCATE of a parent and its heirs": (
        "TRUNCATE animals",
        {"table truncated: animals, 1", "table truncated: dogs, 2"},
    ),
    "TRUNCATE of a parent alone": ("TRUNCATE ONLY animals", {"table truncated: animals, 1"}),
    "UPDATE of a parent and its heirs": (
        "UPDATE animals SET name = 'x'",
        {"rows updated: animals, 1", "rows updated: dogs, 2"},
    ),
    "DROP of a parent and its heirs": (
        "DROP TABLE animals CASCADE",
        {"table dropped: animals, 1", "table dropped: dogs, 2"},
    ),
    "DROP DOMAIN CASCADE": ("DROP DOMAIN email CASCADE", {"column dropped: people.mail, 2"}),
    "a column that another is generated from": (
        "ALTER TABLE doubled DROP COLUMN a CASCADE",
        {"column dropped: doubled.a, 8"},
    ),
    "the last column, and another statement": (
        "ALTER TABLE twice DROP COLUMN x; ALTER TABLE twice SET (fillfactor = 70)",
        {"column dropped: twice.x, 4"},
    ),
    "a column dropped and made again": (
        "ALTER TABLE pairs DROP COLUMN b; ALTER TABLE pairs ADD COLUMN b int",
        {"column dropped: pairs.b, 6"},
    ),
    "a table made anew": (
        "CREATE TABLE twice_new AS SELECT DISTINCT x FROM twice; DROP TABLE twice; ALTER TABLE twice_new RENAME TO twice",
        {"table dropped: twice, 4"},
    ),
    "columns swapped": ("UPDATE pairs SET a = b, b = a", {"rows updated: pairs, 6"}),
    "values set to NULL": ("UPDATE people SET mail = NULL", {"rows updated: people, 3"}),
    "a key taken out of JSON": ("UPDATE places SET data = data - 'b'", {"rows updated: places, 20"}),
    "rounding that keeps all apart": (
        "DROP MATERIALIZED VIEW totals; DROP VIEW open_orders; ALTER TABLE orders ALTER total TYPE numeric(10, 0)",
        {"type changed: orders.total, 200"},
    ),
    "leading zeros lost": ("ALTER TABLE places ALTER zip TYPE int USING zip::int", {"type changed: places.zip, 20"}),
    "text cut that stays apart": (
        "ALTER TABLE places ALTER code TYPE text USING substr(code, 2)",
        {"type changed: places.code, 20"},
    ),
    "milliseconds lost": ("ALTER TABLE places ALTER at TYPE timestamp(0)", {"type changed: places.at, 20"}),
    "float narrowed": ("ALTER TABLE places ALTER height TYPE real", {"type changed: places.height, 20"}),
    "numbers rounded by a wider type": (
        "ALTER TABLE places ALTER height TYPE numeric USING round(height)",
        {"type changed: places.height, 20"},
    ),
    "enum values merged": (
        "CREATE TYPE mood2 AS ENUM ('ok'); "
        "ALTER TABLE moods ALTER m TYPE mood2 USING CASE WHEN m IS NULL THEN NULL ELSE 'ok'::mood2 END",
        {"type changed: moods.m, 2"},
    ),
    "one value lost in a conversion": (
        "ALTER TABLE moods ALTER m TYPE text USING NULLIF(m::text, 'sad')",
        {"type changed: moods.m, 2"},
    ),
    "an array cut to its first": ("ALTER TABLE places ALTER tags TYPE text USING tags[1]", {"type changed: places.tags, 20"}),
}  # fmt: skip

HARMLESS: dict[str, str] = {
    "a new column of a parent filled": "ALTER TABLE base ADD COLUMN extra int; UPDATE base SET extra = 1 WHERE id > 1",
    "new columns and old ones only read": "ALTER TABLE pairs ADD c int, ADD d int; INSERT INTO pairs VALUES (9, 9); "
    "UPDATE pairs AS p SET (c, d) = (SELECT p.a, p.b); UPDATE ONLY pairs SET c = b WHERE a > 0",
    "a rule that stops the DELETE": "DELETE FROM ruled",
    "a trigger that stops the change": "DELETE FROM kept; UPDATE kept SET id = 0",
    "a temporary table in front": "CREATE TEMP TABLE twice AS SELECT * FROM public.twice; DELETE FROM twice; DROP TABLE twice",
    "a partition attached": (
        "CREATE TABLE events_3 (LIKE events); INSERT INTO events_3 VALUES (1, '2024-03-02', 'x'); "
        "ALTER TABLE events ATTACH PARTITION events_3 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')"
    ),
    "a partition detached and attached again": (
        "ALTER TABLE events DETACH PARTITION events_1; "
        "ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')"
    ),
    "an heir let go": "ALTER TABLE dogs NO INHERIT animals",
    "a generated column made plain, and dropped": (
        "ALTER TABLE doubled ALTER b DROP EXPRESSION; ALTER TABLE places ADD l int GENERATED ALWAYS AS (length(zip)) STORED, ADD m int"
    ),
    "a generated column dropped": "ALTER TABLE doubled DROP COLUMN b",
    "an enum value renamed": "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    "an enum made anew": (
        "CREATE TYPE mood2 AS ENUM ('sad', 'ok', 'great'); ALTER TABLE moods ALTER m TYPE mood2 USING m::text::mood2"
    ),
    "text to boolean": "ALTER TABLE places ALTER ok TYPE boolean USING ok = 'yes'",
    "text to varchar that fits": "ALTER TABLE places ALTER code TYPE varchar(10)",
    "timestamp to timestamptz": "ALTER TABLE places ALTER at TYPE timestamptz",
    "text array to JSON": "ALTER TABLE places ALTER tags TYPE jsonb USING to_jsonb(tags)",
    "a domain in place of its base": "ALTER TABLE people ALTER mail TYPE text",
    "another collation": 'ALTER TABLE places ALTER code TYPE text COLLATE "C"',
    "what is not there": "ALTER TABLE places DROP COLUMN IF EXISTS nope; DROP TABLE IF EXISTS nope; DELETE FROM kids WHERE false",
    "sequences": "CREATE SEQUENCE s; SELECT nextval('s'), setval('s', 1); ALTER SEQUENCE s RESTART; DROP SEQUENCE s",
    "a new column of a table with a trigger": "ALTER TABLE kept ADD COLUMN x int DEFAULT 1; UPDATE ruled SET id = id WHERE false",
    "storage, statistics, fill factor": (
        "ALTER TABLE places ALTER zip SET STATISTICS 500, ALTER data SET STORAGE EXTERNAL; ALTER TABLE places SET (fillfactor = 70)"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, SHOP)
        run(uri, MORE)
        yield uri


@pytest.mark.parametrize("case", LOSING)
async def test_a_hidden_loss_is_reported_with_its_rows(shop: str, case: str) -> None:
    sql, expected = LOSING[case]
    check_losses(await migrate(shop, sql, dry_run=True), expected)


@pytest.mark.parametrize("case", HARMLESS)
async def test_no_loss_is_invented_where_it_only_looks_like_one(shop: str, case: str) -> None:
    check_losses(await migrate(shop, HARMLESS[case], dry_run=True), set())
