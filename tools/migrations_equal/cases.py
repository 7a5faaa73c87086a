"""Scripts over known data: those of the tests, mixtures of them, and long ones made at random."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from neon_branch_mcp.local.sample import shop_sql
from neon_branch_mcp.migrations.plan import plan
from tests import test_migration_losses, test_migration_losses_hidden, test_migration_losses_hostile
from tests.test_migration_evidence import ADVICE, BIG, ROWS, TABLE
from tests.test_verify_migrations import cases as verified

SHOP = test_migration_losses.SHOP
SETUPS = {
    "shop": SHOP,
    "hidden": SHOP + test_migration_losses_hidden.MORE,
    "hostile": test_migration_losses_hostile.HOSTILE,
    "big": BIG.replace(str(ROWS), "3000"),
    "sample": shop_sql(),
    "mixed": """
        CREATE TABLE plain (id int PRIMARY KEY, n int, note text); INSERT INTO plain SELECT g, g, 'n' || g FROM generate_series(1, 40) g;
        CREATE TABLE owner (id int PRIMARY KEY, name text); INSERT INTO owner SELECT g, 'o' || g FROM generate_series(1, 10) g;
        CREATE TABLE owned (id int PRIMARY KEY, n int, owner int REFERENCES owner ON DELETE CASCADE ON UPDATE CASCADE);
        INSERT INTO owned SELECT g, g, g % 10 + 1 FROM generate_series(1, 30) g;
        CREATE TABLE parts (id int, n int, note text) PARTITION BY RANGE (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (1000);
        INSERT INTO parts SELECT g, g, 'p' || g FROM generate_series(1, 99) g;
        CREATE TABLE base (id int, n int, note text); CREATE TABLE heir (more text) INHERITS (base);
        INSERT INTO base SELECT g, g, 'b' FROM generate_series(1, 10) g;
        INSERT INTO heir SELECT g, g, 'h', 'm' FROM generate_series(11, 25) g;
        CREATE TABLE audit (at timestamptz DEFAULT now(), n int); INSERT INTO audit (n) SELECT generate_series(1, 7);
        CREATE TABLE watched (id int PRIMARY KEY, n int, note text);
        INSERT INTO watched SELECT g, g, 'w' || g FROM generate_series(1, 20) g;
        CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN UPDATE audit SET n = n + 1 WHERE n <= 2; INSERT INTO audit (n) VALUES (99); RETURN NULL; END';
        CREATE TRIGGER logs AFTER UPDATE ON watched FOR EACH STATEMENT EXECUTE FUNCTION logs();
        CREATE TABLE meddled (id int PRIMARY KEY, n int, note text);
        INSERT INTO meddled SELECT g, g, 'm' || g FROM generate_series(1, 20) g;
        CREATE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NULL; RETURN NEW; END';
        CREATE TRIGGER meddles BEFORE UPDATE ON meddled FOR EACH ROW EXECUTE FUNCTION meddles();
        CREATE TABLE ruled (id int PRIMARY KEY, n int, note text); INSERT INTO ruled SELECT g, g, 'r' || g FROM generate_series(1, 20) g;
        CREATE RULE also AS ON INSERT TO ruled DO ALSO DELETE FROM audit WHERE n = 5;
        CREATE TABLE made (id int PRIMARY KEY, n int, note text, twice int GENERATED ALWAYS AS (n * 2) STORED);
        INSERT INTO made SELECT g, g, 'x' FROM generate_series(1, 15) g;
        CREATE FUNCTION bites() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM audit WHERE n = 6; RETURN 1; END';
        CREATE TABLE biting (id int PRIMARY KEY, n int DEFAULT bites(), note text); INSERT INTO biting VALUES (1, 1), (2, 2);
        CREATE VIEW seen AS SELECT id, n FROM plain;
    """,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One script over one of the `SETUPS`. What is not a dry run gets a database of its own."""

    name: str
    setup: str
    sql: str
    dry_run: bool = True


def known() -> Iterator[Case]:
    """The tests' own scripts."""
    losing = {
        "shop": test_migration_losses.LOSING,
        "hidden": test_migration_losses_hidden.LOSING,
        "hostile": test_migration_losses_hostile.LOSING,
    }
    harmless = {
        "shop": test_migration_losses.HARMLESS,
        "hidden": test_migration_losses_hidden.HARMLESS,
        "hostile": test_migration_losses_hostile.HARMLESS,
    }
    for setup, told in losing.items():
        for name, (sql, _) in told.items():
            yield Case(f"{setup}: {name}", setup, sql)
    for setup, quiet in harmless.items():
        for name, sql in quiet.items():
            yield Case(f"{setup}: {name}", setup, sql)
    for name, (sql, _) in test_migration_losses_hostile.REWRITING.items():
        yield Case(f"rewriting: {name}", "hostile", sql, dry_run=not sql.startswith("VACUUM"))
    for name, (sql, _) in TABLE.items():
        yield Case(f"evidence: {name}", "big", sql)
    for name, (sql, _) in ADVICE.items():
        yield Case(f"advice: {name}", "big", sql)
    for case in verified():
        yield Case(f"sample: {case.name}", "sample", case.sql)


def mixtures(chance: random.Random, number: int) -> Iterator[Case]:
    """Statements of several of the known scripts in one; many fail, and that must be told the same way too."""
    by_setup: dict[str, list[str]] = {}
    for case in known():
        if case.setup != "big" and all(g.transactional and g.begin is None for g in plan(case.sql).groups):
            by_setup.setdefault(case.setup, []).append(case.sql)
    for i in range(number):
        setup = chance.choice(list(by_setup))
        scripts = chance.sample(by_setup[setup], chance.randint(2, 5))
        yield Case(f"mixture {i} of {setup}", setup, ";\n".join(s.rstrip().rstrip(";") for s in scripts))


_TABLES = (
    "plain",
    "owned",
    "owner",
    "parts",
    "parts_1",
    "base",
    "heir",
    "watched",
    "meddled",
    "ruled",
    "made",
    "biting",
)


class _Script:
    """A long script of small statements; nearly all succeed."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.number = 0
        self.columns: dict[str, list[str]] = {
            t: ["n"] if t == "owned" else ["name"] if t == "owner" else ["n", "note"] for t in _TABLES
        }
        self.new: list[str] = []

    def _next(self) -> int:
        self.number += 1
        return self.number

    def statement(self) -> str:
        table, pick = self.chance.choice(_TABLES), self.chance.random()
        if pick < 0.22:
            return self._add(table)
        if pick < 0.37:
            return self._insert(table)
        if pick < 0.62:
            return self._update(table)
        if pick < 0.72:
            return (
                f"DELETE FROM {table} WHERE id {self.chance.choice(['<', '=', '>'])} {self.chance.choice([2, 9, 500])}"
            )
        if pick < 0.80:
            self.new.append(f"fresh_{self._next()}")
            return f"CREATE TABLE {self.new[-1]} (id int PRIMARY KEY, note text)"
        return self._rare(table)

    def _add(self, table: str) -> str:
        column = f"c{self._next()}"
        if table != "parts_1":
            # An heir's and a partition's columns are those of its parent too.
            for t in {"parts": ("parts", "parts_1"), "base": ("base", "heir")}.get(table, (table,)):
                self.columns[t].append(column)
            kind = self.chance.choice(["int", "text", "int DEFAULT 1", "text DEFAULT clock_timestamp()::text"])
            return f"ALTER TABLE {table} ADD COLUMN {column} {kind}"
        return "ALTER TABLE parts_1 ALTER n SET DEFAULT 1"

    def _insert(self, table: str) -> str:
        if self.new and self.chance.random() < 0.3:
            return f"INSERT INTO {self.chance.choice(self.new)} VALUES ({self._next()}, 'x') ON CONFLICT DO NOTHING"
        key = (
            {"parts": 100, "parts_1": 40}.get(table, 1000)
            + self._next() % 9
            + (self._next() if table not in ("parts_1",) else 0)
        )
        text = f"INSERT INTO {table} (id) VALUES ({key})"
        if table in ("plain", "owner", "made"):
            text += self.chance.choice(
                ["", " ON CONFLICT DO NOTHING", f" ON CONFLICT (id) DO UPDATE SET {self.columns[table][0]} = NULL"]
            )
        return text

    def _update(self, table: str) -> str:
        column = self.chance.choice(self.columns[table])
        value = self.chance.choice(["NULL", "'1'", f"{column}", f"coalesce({column}, '7')"])
        return f"UPDATE {table} SET {column} = {value}" + self.chance.choice(
            ["", " WHERE id > 5", " WHERE id = 3", f" WHERE {column} IS NULL"]
        )

    def _rare(self, table: str) -> str:
        old = self.chance.choice(self.columns[table])
        fresh, column = f"r{self._next()}", self.columns[table].index(old)
        choices = [
            f"CREATE INDEX ON {table} (id)", f"DO $$ BEGIN UPDATE {table} SET id = id WHERE id = 1; END $$", "SELECT 1",
            f"DO $$ BEGIN DELETE FROM {table} WHERE id = 4; RAISE division_by_zero; EXCEPTION WHEN others THEN NULL; END $$",
            f"COMMENT ON TABLE {table} IS 'x'", f"SAVEPOINT s; DELETE FROM {table}; ROLLBACK TO s",
            f"SAVEPOINT s; UPDATE {table} SET id = id; RELEASE s", "SET LOCAL work_mem = '5MB'", "SELECT bites()",
            f"ALTER TABLE {table} ADD CHECK (id >= 0)", "UPDATE seen SET n = n + 1 WHERE id < 3", f"LOCK TABLE {table}",
            "TRUNCATE audit", "INSERT INTO audit (n) VALUES (5), (6)", "GRANT SELECT ON plain TO PUBLIC",
            f"WITH g AS (DELETE FROM {table} WHERE id = 7 RETURNING id) INSERT INTO audit (n) SELECT id FROM g",
            f"MERGE INTO {table} t USING (SELECT 8 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE",
            f"CREATE TABLE copy_{self._next()} AS SELECT * FROM {table}",
        ]  # fmt: skip
        if table == "plain" and old != "n":
            self.columns[table][column] = fresh
            return f"ALTER TABLE {table} RENAME {old} TO {fresh}"
        if table in ("owned", "made", "watched") and old not in ("n", "note") and self.chance.random() < 0.5:
            del self.columns[table][column]
            return f"ALTER TABLE {table} DROP COLUMN {old}"
        return self.chance.choice(choices)


def made(chance: random.Random, number: int) -> Iterator[Case]:
    """Long scripts, some of which are applied and not only tried."""
    for i in range(number):
        script = _Script(chance)
        statements = [script.statement() for _ in range(chance.randint(5, 40))]
        yield Case(f"made {i}", "mixed", ";\n".join(statements), dry_run=i % 4 != 0)
