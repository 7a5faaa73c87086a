"""What measuring on a quiet branch cannot show: what a statement would do to running clients, and the safer way to the same end.

Only statements that meet something that was there before are advised on; what a migration made itself, nobody waits for. Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .plan import PlannedStatement
from .report import Advice, Rewrite

BACKFILL_ROWS = 10_000


@dataclass(frozen=True)
class Facts:
    """One statement with what it did: relations of before that it locked above RowExclusive (`taken`), and rewrote."""

    statement: PlannedStatement
    words: tuple[str, ...]
    taken: frozenset[str]
    rewritten: tuple[Rewrite, ...] = ()
    backfilled: str = ""

    def has(self, *sequence: str) -> bool:
        """Whether the words stand in the statement one after the other."""
        n = len(sequence)
        return any(self.words[i : i + n] == sequence for i in range(len(self.words) - n + 1))

    @property
    def tables(self) -> str:
        """What was locked, in words."""
        names = sorted(self.taken)
        return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


@dataclass(frozen=True)
class Rule:
    """`applies` is asked of statements that locked something of before. A rule that does not `warn` leaves the verdict at ok."""

    name: str
    applies: Callable[[Facts], bool]
    problem: str
    instead: str
    warns: bool = True


def _constraint(f: Facts) -> bool:
    added = f.has("FOREIGN", "KEY") or "REFERENCES" in f.words or (f.has("CHECK", "(") and "ADD" in f.words)
    return f.statement.kind == "alter table" and added and not f.has("NOT", "VALID")


def _unique(f: Facts) -> bool:
    adds = any(f.has("ADD", *w) for w in (("UNIQUE",), ("PRIMARY", "KEY")))
    named = "CONSTRAINT" in f.words and "ADD" in f.words and ("UNIQUE" in f.words or f.has("PRIMARY", "KEY"))
    return f.statement.kind == "alter table" and (adds or named) and not f.has("USING", "INDEX")


def _column_dropped(f: Facts) -> bool:
    kept = ("DEFAULT", "NOT", "CONSTRAINT", "IDENTITY", "EXPRESSION")
    drops = any(w == "DROP" and f.words[i + 1 : i + 2] and f.words[i + 1] not in kept for i, w in enumerate(f.words))
    return f.statement.kind in ("drop table", "drop view") or (f.statement.kind == "alter table" and drops)


RULES: tuple[Rule, ...] = (
    Rule("index-blocks-writes",
         lambda f: f.statement.kind == "create index" and "CONCURRENTLY" not in f.words,
         "Building the index blocks writes to {tables} until the transaction ends.",
         "CREATE INDEX CONCURRENTLY, outside a transaction."),
    Rule("drop-index-blocks",
         lambda f: f.statement.kind == "drop index" and "CONCURRENTLY" not in f.words,
         "DROP INDEX blocks reads and writes of {tables}.",
         "DROP INDEX CONCURRENTLY."),
    Rule("constraint-scan-under-lock", _constraint,
         "All rows are checked while {tables} is locked.",
         "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own."),
    Rule("unique-under-lock", _unique,
         "The index is built while reads and writes of {tables} wait.",
         "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX."),
    Rule("set-not-null-scan",
         lambda f: f.statement.kind == "alter table" and f.has("SET", "NOT", "NULL"),
         "SET NOT NULL reads all of {tables} under AccessExclusive.",
         "ADD CHECK (column IS NOT NULL) NOT VALID, VALIDATE it, then SET NOT NULL (which then reads nothing)."),
    Rule("rewrite-under-lock",
         lambda f: bool(f.rewritten) and f.statement.kind not in ("do", "call"),
         "{tables} is written anew while nobody can read it.",
         "Expand and contract: a new column, a backfill in batches, then the switch. For volatile defaults: add without, backfill."),
    Rule("backfill-under-lock",
         lambda f: bool(f.backfilled),
         "The backfill runs while {tables} is locked by an earlier statement.",
         "COMMIT after the ALTER TABLE and backfill in batches of their own."),
    Rule("rename-breaks-clients",
         lambda f: f.statement.kind in ("alter table", "alter view") and "RENAME" in f.words and not f.has("RENAME", "CONSTRAINT"),
         "Running clients still use the old name of what is renamed in {tables}.",
         "Expand and contract: add the new one, write both, move readers, drop the old one later."),
    Rule("drop-breaks-clients", _column_dropped,
         "Running clients may still read what is dropped from {tables}.",
         "Deploy code that no longer uses it first; drop it in a later migration."),
    Rule("refresh-blocks-reads",
         lambda f: f.statement.kind == "refresh materialized view" and "CONCURRENTLY" not in f.words,
         "REFRESH blocks reads of {tables}.",
         "REFRESH MATERIALIZED VIEW CONCURRENTLY (needs a unique index)."),
    Rule("detach-blocks",
         lambda f: f.statement.kind == "alter table" and "DETACH" in f.words and "CONCURRENTLY" not in f.words,
         "DETACH PARTITION blocks reads and writes of {tables}.",
         "DETACH PARTITION … CONCURRENTLY."),
)  # fmt: skip

ANYWHERE: tuple[Rule, ...] = (
    Rule("enum-value-stays",
         lambda f: f.statement.kind == "alter type" and f.has("ADD", "VALUE"),
         "A value cannot be removed from an enum again, nor used before COMMIT.",
         "A lookup table, where values come and go.", warns=False),
    Rule("serial",
         lambda f: f.statement.kind in ("create table", "alter table") and not {"SERIAL", "SERIAL4", "SMALLSERIAL"}.isdisjoint(f.words),
         "serial is a 32-bit counter with rights of its own.",
         "bigint GENERATED ALWAYS AS IDENTITY.", warns=False),
)  # fmt: skip


def advise(
    facts: Sequence[Facts], unindexed: Iterable[tuple[str, str]], *, sets_lock_timeout: bool
) -> tuple[Advice, ...]:
    """The advice on a script, one line per rule. `unindexed` are (table, columns) of new foreign keys without an index."""
    found: dict[str, Advice] = {}
    for f in facts:
        for rule in (*(RULES if f.taken or f.backfilled else ()), *ANYWHERE):
            if rule.name not in found and rule.applies(f):
                tables = f.backfilled or f.tables
                found[rule.name] = Advice(
                    rule.name, rule.problem.format(tables=tables), rule.instead, f.statement.index, rule.warns
                )
    keys = [f"{table} ({columns})" for table, columns in unindexed]
    if keys:
        problem = f"No index serves the foreign key of {', '.join(keys[:4])}: deleting a parent row reads all of it."
        found["foreign-key-without-index"] = Advice(
            "foreign-key-without-index", problem, "CREATE INDEX on these columns."
        )
    strong = any(f.taken and f.statement.kind != "create index" for f in facts)
    if strong and not sets_lock_timeout:
        problem = "In production the script would queue behind a long read, and everybody behind it."
        found["lock-timeout"] = Advice(
            "lock-timeout", problem, "Begin it with SET lock_timeout = '5s' and retry.", warns=False
        )
    return tuple(found.values())
