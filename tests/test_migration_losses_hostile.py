"""Migrations that somebody who wants to be missed would write, and as many that only look like that; all with a known effect."""

from collections.abc import Iterator

import pytest

from .conftest import Scratch
from .migration_kit import fresh_database, migrate, run
from .test_migration_losses import check_losses

pytestmark = pytest.mark.anyio

HOSTILE = """
CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL, note text, price numeric(12, 4));
INSERT INTO stock SELECT g, g * 10, 'Note ' || g, g + 0.1234 FROM generate_series(1, 50) g;
CREATE TABLE feed (id int PRIMARY KEY, n int);
INSERT INTO feed SELECT g, -g FROM generate_series(41, 60) g;
CREATE VIEW front AS SELECT id, n FROM stock;
CREATE FUNCTION write_front() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN DELETE FROM stock WHERE id <= OLD.id; RETURN OLD; END';
CREATE TRIGGER front INSTEAD OF DELETE ON front FOR EACH ROW EXECUTE FUNCTION write_front();
CREATE TABLE hook (id int); CREATE TABLE victims (id int PRIMARY KEY, v text);
INSERT INTO victims SELECT g, 'v' || g FROM generate_series(1, 25) g;
CREATE FUNCTION bite() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN EXECUTE ''UPDATE victims SET v = NULL WHERE id <= '' || NEW.id; RETURN NEW; END';
CREATE CONSTRAINT TRIGGER bite AFTER INSERT ON hook DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bite();
CREATE FUNCTION counted(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM victims WHERE id > n; RETURN n; END';
CREATE SCHEMA gone; CREATE TABLE gone.a AS SELECT g FROM generate_series(1, 9) g; CREATE TABLE gone.b (x int);
CREATE TABLE uses_gone (id int, d int); INSERT INTO uses_gone VALUES (1, 1), (2, NULL);
CREATE TYPE gone.pair AS (x int, y int); CREATE TABLE holds (id int, p gone.pair);
INSERT INTO holds VALUES (1, ROW(1, 2)), (2, NULL), (3, ROW(3, 4));
CREATE DOMAIN short AS varchar(40); CREATE TABLE named (id int, s short); INSERT INTO named VALUES (1, 'abc'), (2, 'defgh');
CREATE TYPE phase AS ENUM ('new', 'open', 'done'); CREATE TABLE tasks (id int, p phase DEFAULT 'new');
INSERT INTO tasks SELECT g, (ARRAY['new', 'open', 'done'])[1 + g % 3]::phase FROM generate_series(1, 9) g;
CREATE TABLE days (d date, x int) PARTITION BY LIST (x);
CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1); CREATE TABLE days_2 PARTITION OF days FOR VALUES IN (2);
INSERT INTO days SELECT date '2024-01-01' + g, 1 + g % 2 FROM generate_series(1, 30) g;
CREATE TABLE serials (id serial PRIMARY KEY, v text); INSERT INTO serials (v) SELECT 'x' FROM generate_series(1, 5);
CREATE UNIQUE INDEX victims_v ON victims (v); CREATE INDEX stock_n ON stock (n);
CREATE UNLOGGED TABLE scratchpad AS SELECT g FROM generate_series(1, 12) g;
CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM serials WHERE id = 1; RETURN 1; END';
"""

LOSING: dict[str, tuple[str, set[str]]] = {
    "MERGE that overwrites": (
        "MERGE INTO stock s USING feed f ON s.id = f.id WHEN MATCHED THEN UPDATE SET n = f.n "
        "WHEN NOT MATCHED THEN INSERT VALUES (f.id, f.n, NULL, NULL)",
        {"rows updated: stock, 10"},
    ),
    "MERGE that deletes some and updates others": (
        "MERGE INTO stock s USING feed f ON s.id = f.id WHEN MATCHED AND s.id > 45 THEN DELETE WHEN MATCHED THEN UPDATE SET note = ''",
        {"rows deleted: stock, 5", "rows updated: stock, 5"},
    ),
    "ON CONFLICT DO UPDATE": (
        "INSERT INTO stock SELECT id, n, '', 0 FROM feed ON CONFLICT (id) DO UPDATE SET note = excluded.note",
        {"rows updated: stock, 10"},
    ),
    "an INSTEAD OF trigger": ("DELETE FROM front WHERE id = 7", {"rows deleted: stock, 7"}),
    "a deferred trigger with dynamic SQL": ("INSERT INTO hook VALUES (3)", {"rows updated: victims, 3"}),
    "a function in a WHERE": ("SELECT id FROM hook RIGHT JOIN (SELECT 1) s ON true WHERE counted(20) = 20", {"rows deleted: victims, 5"}),
    "a function in VALUES": ("INSERT INTO named (id) VALUES (noisy())", {"rows deleted: serials, 1"}),
    "WITH that deletes and inserts elsewhere": (
        "WITH g AS (DELETE FROM victims WHERE id < 6 RETURNING id) INSERT INTO hook SELECT 0 FROM g",
        {"rows deleted: victims, 5"},
    ),
    "DO in DO": (
        "DO $a$ BEGIN EXECUTE 'DO $b$ BEGIN DELETE FROM gone.a WHERE g > 6; END $b$'; END $a$",
        {"rows deleted: gone.a, 3"},
    ),
    "an exception that hides a part": (
        "DO $$ BEGIN DELETE FROM serials WHERE id = 2; BEGIN DELETE FROM victims; PERFORM 1 / 0; "
        "EXCEPTION WHEN others THEN NULL; END; END $$",
        {"rows deleted: serials, 1"},
    ),
    "DROP SCHEMA CASCADE": (
        "DROP SCHEMA gone CASCADE",
        {"table dropped: gone.a, 9", "table dropped: gone.b, 0", "column dropped: holds.p, 2"},
    ),
    "DROP TYPE CASCADE": ("DROP TYPE phase CASCADE", {"column dropped: tasks.p, 9"}),
    "a partition dropped": ("DROP TABLE days_2", {"table dropped: days_2, 15"}),
    "a partition truncated through DO": ("DO $$ BEGIN TRUNCATE days_1; END $$", {"table truncated: days_1, 15"}),
    "numbers with fewer digits": ("ALTER TABLE stock ALTER price TYPE numeric(12, 2)", {"type changed: stock.price, 50"}),
    "a type that cuts": ("ALTER TABLE stock ALTER note TYPE varchar(4) USING left(note, 4)", {"type changed: stock.note, 50"}),
    "a domain's column cut": ("ALTER TABLE named ALTER s TYPE varchar(3) USING s::varchar(3)", {"type changed: named.s, 2"}),
    "an enum mapped many to one": (
        "CREATE TYPE phase2 AS ENUM ('open', 'done'); ALTER TABLE tasks ALTER p DROP DEFAULT; "
        "ALTER TABLE tasks ALTER p TYPE phase2 USING CASE WHEN p = 'new' THEN 'open' ELSE p::text END::phase2",
        {"type changed: tasks.p, 9"},
    ),
    "a column made generated": (
        "ALTER TABLE stock DROP COLUMN note; ALTER TABLE stock ADD COLUMN note text GENERATED ALWAYS AS ('n') STORED",
        {"column dropped: stock.note, 50"},
    ),
    "a column dropped behind a renaming": (
        "ALTER TABLE stock RENAME note TO old_note; ALTER TABLE stock ADD COLUMN note text; ALTER TABLE stock DROP COLUMN old_note",
        {"column dropped: stock.old_note, 50"},
    ),
    "tables swapped, and the old one dropped": (
        "CREATE TABLE s2 (LIKE serials); ALTER TABLE serials RENAME TO s1; ALTER TABLE s2 RENAME TO serials; DROP TABLE s1",
        {"table dropped: serials, 5"},
    ),
    "UPDATE to the empty text": ("UPDATE victims SET v = '' WHERE id = 1", {"rows updated: victims, 1"}),
    "UPDATE to lower case": ("UPDATE stock SET note = lower(note)", {"rows updated: stock, 50"}),
    "rows put aside, deleted and brought back as others": (
        "CREATE TEMP TABLE aside AS SELECT * FROM stock; DELETE FROM stock; INSERT INTO stock SELECT id, n, NULL, price FROM aside",
        {"rows deleted: stock, 50"},
    ),
    "DROP OWNED of one's own": ("CREATE TABLE mine (x int); DROP TABLE mine, victims", {"table dropped: victims, 25"}),
    "UPDATE with a savepoint that stays": (
        "SAVEPOINT a; UPDATE victims SET v = 'x' || id WHERE id <= 4; RELEASE a; SAVEPOINT b; DELETE FROM victims; ROLLBACK TO b",
        {"rows updated: victims, 4"},
    ),
    "an insert and the same rows deleted, with one more": (
        "INSERT INTO victims VALUES (100, 'new'); DELETE FROM victims WHERE id IN (100, 25)",
        {"rows deleted: victims, 1"},
    ),
}  # fmt: skip

HARMLESS: dict[str, str] = {
    "sequences restarted": "ALTER SEQUENCE serials_id_seq RESTART; SELECT setval('serials_id_seq', 1)",
    "heirs made and let go": "CREATE TABLE heir (LIKE stock); ALTER TABLE heir INHERIT stock; ALTER TABLE heir NO INHERIT stock",
    "CHECK NOT VALID and VALIDATE": (
        "ALTER TABLE stock ADD CONSTRAINT c CHECK (n > 0) NOT VALID; ALTER TABLE stock VALIDATE CONSTRAINT c"
    ),
    "SET NOT NULL": "ALTER TABLE victims ALTER v SET NOT NULL",
    "a key from an index": (
        "ALTER TABLE victims DROP CONSTRAINT victims_pkey; CREATE UNIQUE INDEX k ON victims (id); "
        "ALTER TABLE victims ADD CONSTRAINT victims_pkey PRIMARY KEY USING INDEX k"
    ),
    "a view replaced": "DROP VIEW front; CREATE VIEW front AS SELECT id FROM stock",
    "a domain that allows more": "ALTER DOMAIN short DROP NOT NULL; ALTER DOMAIN short SET DEFAULT 'x'",
    "numbers with more digits": "ALTER TABLE stock ALTER price TYPE numeric(14, 6)",
    "an enum value added and used": "ALTER TYPE phase RENAME VALUE 'new' TO 'fresh'",
    "new rows changed and deleted": "INSERT INTO victims VALUES (100, 'a'), (101, 'b'); UPDATE victims SET v = 'c' WHERE id = 100; "
    "DELETE FROM victims WHERE id >= 100",
    "a column filled that is new": "ALTER TABLE stock ADD COLUMN twice int; UPDATE stock SET twice = n * 2",
    "a loss that is rolled back": "SAVEPOINT a; DELETE FROM stock; TRUNCATE victims; DROP TABLE tasks; ROLLBACK TO a",
}  # fmt: skip

REWRITING: dict[str, tuple[str, dict[str, int]]] = {
    "CLUSTER": ("CLUSTER stock USING stock_n", {"stock": 2}),
    "a volatile default": ("ALTER TABLE stock ADD COLUMN r float8 DEFAULT random()", {"stock": 2}),
    "SET UNLOGGED": ("ALTER TABLE victims SET UNLOGGED", {"victims": 2}),
    "SET LOGGED": ("ALTER TABLE scratchpad SET LOGGED", {"scratchpad": 0}),
    "REINDEX": ("REINDEX INDEX stock_n", {"stock_n": 0}),
    "a tablespace that is the same": ("ALTER TABLE stock SET TABLESPACE pg_default", {}),
    "VACUUM FULL": ("VACUUM FULL stock", {"stock": 2}),
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(scratch: Scratch) -> Iterator[str]:
    with fresh_database(scratch) as uri:
        run(uri, HOSTILE)
        yield uri


@pytest.mark.parametrize("case", LOSING)
async def test_a_loss_that_somebody_hid_is_reported_with_its_rows(shop: str, case: str) -> None:
    sql, expected = LOSING[case]
    check_losses(await migrate(shop, sql, dry_run=True), expected)


@pytest.mark.parametrize("case", HARMLESS)
async def test_no_loss_is_invented(shop: str, case: str) -> None:
    check_losses(await migrate(shop, HARMLESS[case], dry_run=True), set())


@pytest.mark.parametrize("case", REWRITING)
async def test_what_is_written_anew_is_said_and_is_no_loss(shop: str, case: str) -> None:
    sql, expected = REWRITING[case]
    report = await migrate(shop, sql, dry_run=not sql.startswith("VACUUM"))
    check_losses(report, set())
    assert {r.relation: r.indexes for r in report.rewrites} == expected
