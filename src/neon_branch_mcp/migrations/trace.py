"""What each statement of a migration did, measured: locks, rewrites, rows read, changed and lost.

The migrating connection is asked for its own locks, file numbers and transaction-local counters; locks are held to the end of the
transaction, so that nothing is missed between two questions. A second connection still sees the catalogue as it was before, and so knows
the name of what was dropped.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from ..postgres.in_flight import InFlight
from .advice import BACKFILL_ROWS
from .ahead import GUARDED, Question, Questions, Sent, Stretch
from .losses import Judge
from .measure import Counted, Measured, may_lose
from .plan import PlannedStatement
from .queries import query
from .relations import Answer, Before, Change, Now, Seen, Step
from .report import DataLoss, LockHeld, Rewrite, Scan

STRENGTH = {
    "ShareUpdateExclusiveLock": (1, "other schema changes"),
    "ShareLock": (2, "writes"),
    "ShareRowExclusiveLock": (3, "writes"),
    "ExclusiveLock": (4, "writes"),
    "AccessExclusiveLock": (5, "reads and writes"),
}
# Those of them that may be sent together; what returns rows, or changes how texts are sent, goes alone.
_GOES_ALONG = frozenset({
    "create", "alter", "drop", "comment", "grant", "revoke", "insert", "update", "delete", "truncate", "merge", "do", "savepoint",
    "release", "lock", "security", "reassign", "refresh",
})  # fmt: skip
PREPARED = "neon_branch_mcp_"
SAVEPOINT = "neon_branch_mcp"
TIMELINE = 500
"""Statements and locks in the picture."""
# A statement that changes the schema: what it reads is what it has to check or copy.
DDL = ("create", "alter", "drop", "cluster", "reindex", "refresh", "do", "call")


def strength(mode: str) -> int:
    """How strong a lock is, from 0 (RowExclusive and weaker) to 5."""
    return STRENGTH.get(mode, (0, ""))[0]


def goes_along(statement: PlannedStatement) -> bool:
    """Whether a statement returns no rows and changes nothing in how texts are sent."""
    if statement.kind.partition(" ")[0] not in _GOES_ALONG:
        return False
    return statement.kind not in ("insert", "update", "delete", "merge") or "RETURNING" not in statement.text.upper()


@dataclass
class Held:
    """A lock from when its statement was sent to the end of the transaction, in milliseconds of the script's own time."""

    statement: int
    relation: str
    mode: str
    since: float
    until: float | None = None
    sampled: bool = False

    def told(self, now: float) -> LockHeld:
        ms = round((now if self.until is None else self.until) - self.since, 1)
        blocks = STRENGTH[self.mode][1]
        return LockHeld(self.statement, self.relation, self.mode.removesuffix("Lock"), blocks, ms, self.sampled)


@dataclass
class Evidence:
    """What one transaction, or the whole script, did."""

    losses: list[DataLoss] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    locks: list[Held] = field(default_factory=list)
    taken: dict[int, set[str]] = field(default_factory=dict)
    """By statement: what it met of before and locked above RowExclusive."""
    backfills: dict[int, str] = field(default_factory=dict)
    """By statement: a table of which it updated many rows while an earlier statement's lock kept others out."""
    unindexed: list[tuple[str, str]] = field(default_factory=list)

    def take(self, other: "Evidence") -> None:
        self.losses += other.losses
        self.rewrites += other.rewrites
        self.scans += other.scans
        self.taken |= other.taken
        self.backfills |= other.backfills
        self.unindexed += other.unindexed

    @property
    def sizes(self) -> tuple[int, int, int]:
        return len(self.losses), len(self.rewrites), len(self.scans)

    def cut(self, sizes: tuple[int, int, int]) -> None:
        """Forget what came after `sizes` was asked for."""
        del self.losses[sizes[0] :], self.rewrites[sizes[1] :], self.scans[sizes[2] :]


@dataclass(frozen=True)
class _Savepoint:
    name: str
    sizes: tuple[int, int, int]
    seen: dict[int, Seen]


class Tracer:
    """Gathers the evidence of one script, transaction by transaction."""

    def __init__(
        self,
        migrating: AsyncConnection[Any],
        watching: AsyncConnection[Any],
        measured: Measured,
        *,
        prepare: bool,
        watch_free: Callable[[], Awaitable[object]],
    ) -> None:
        self.watch_free = watch_free
        self.prepare = prepare  # not where the script could deallocate what was prepared
        self.migrating = migrating
        self.watching = watching
        self.measured = measured
        self.times: list[Step] = []
        self.clock = 0.0
        """Milliseconds that the script's own statements took: what measuring takes between them is not the script's."""
        self.new: set[int] = set()
        self._questions: Questions | None = None
        self._prepared: set[Question] = set()
        self._judge = Judge(migrating, watching, measured)
        self._whole = Evidence()
        self._bases: dict[int, tuple[Counted, bool]] = {oid: (c, False) for oid, c in measured.tables.items()}
        self._forget()

    def _forget(self) -> None:
        self._open = Evidence()
        self._before: dict[int, Before] = {}
        self._seen: dict[int, Seen] = {}
        self._held: dict[int, Held] = {}
        self._counters: dict[int, tuple[int, int, int, int]] = {}
        self._savepoints: list[_Savepoint] = []
        self._last: frozenset[str] = frozenset()
        self._now: dict[int, Now] = {}

    async def begin_transaction(self) -> None:
        """Call it before BEGIN."""
        self._forget()
        rows = await self.migrating.execute(query("counters"), prepare=False)
        found = await rows.fetchall()
        # What an earlier transaction of the script made is the migration's own too.
        if self._questions is None:
            self._questions = Questions.of(query("trace").replace("{newest}", str(int(found[0][0]))))
        self._counters = {oid: (r, i, u, d) for _, oid, r, i, u, d in found if oid is not None}

    def step(self, statement: PlannedStatement, started: float, *, deferred: bool = False) -> Step:
        """A statement that was sent at `started` (perf_counter) has ended now; the clock goes on by what it took."""
        step = Step(statement, self.clock, (time.perf_counter() - started) * 1000, deferred)
        self.clock += step.ms
        self.times.append(step)
        if statement.kind == "savepoint" and not deferred:
            self.save(statement.tokens()[1].name)
        return step

    def goes_along(self, statement: PlannedStatement) -> bool:
        """Whether a statement may be on its way before what came of those before it is known: nothing has to be counted in between, it
        returns no rows, and it does not change how texts are sent.
        """
        return goes_along(statement) and not self._counts_before(statement)

    def _counts_before(self, statement: PlannedStatement) -> bool:
        return bool(self._seen) and self.measured.compares and may_lose(statement, self.measured.functions)

    async def before(self, statement: PlannedStatement) -> None:
        """Call it before a statement: what it may overwrite is counted anew where the script itself changed it since."""
        if self._counts_before(statement):
            await self._judge.refresh((self._before[oid], seen) for oid, seen in self._seen.items())
            await self._leave_out_own_reading()

    async def after(self, statement: PlannedStatement, started: float, *, deferred: bool = False) -> None:
        """Measure what `statement`, sent at `started` (perf_counter), did inside the open transaction; `deferred`: at its end."""
        step = self.step(statement, started, deferred=deferred)
        if statement.kind == "rollback" and not deferred:
            await self.back_to(statement.tokens()[-1].name)
        elif deferred or self.measured.meets_old(statement):
            await self.take([Answer(step, await self._asked())])

    def stretch(self, statements: Sequence[PlannedStatement]) -> list[Sent]:
        """The first, and what can be sent with it: up to the next after which something may have to be asked before the next one runs."""
        # What Postgres has not yet counted of an earlier transaction would be taken for this one's.
        uncounted = any(updated + deleted for _, _, updated, deleted in self._counters.values())
        stretch = Stretch(self.measured, foresees=self.prepare and not uncounted)
        for n, statement in enumerate(statements):
            old = self.measured.meets_old(statement)
            if n and not (self.goes_along(statement) and stretch.takes(statement, meets_old=old)):
                break
            if not stretch.add(statement, meets_old=old) or not self.goes_along(statement):
                break
        return stretch.closed()

    def send(self, flight: InFlight, stretch: Sequence[Sent]) -> None:
        """Put a stretch on its way, each statement with the question about it."""
        sent: set[Question] = set(self._prepared)
        if _expects(stretch):
            flight.add(Questions.expecting(self._now.values()))
        for one in stretch:
            flight.add(one.statement.text)
            if one.question is not None:
                self._ask(flight, one.question, sent)

    def _ask(self, flight: InFlight, question: Question, sent: set[Question]) -> None:
        assert self._questions is not None  # a transaction has begun
        text = getattr(self._questions, question)
        if question in GUARDED:
            flight.add_unhurried(f"SAVEPOINT {SAVEPOINT}")
        if not self.prepare:
            flight.add(text)
            return
        name = f"{PREPARED}{question}".encode()
        if question not in sent:
            flight.prepare(name, text)
            sent.add(question)
        flight.add_prepared(name)
        if question in GUARDED:
            flight.add_unhurried(f"RELEASE {SAVEPOINT}")

    async def begun(self, flight: InFlight, stretch: Sequence[Sent]) -> None:
        """Take in what comes before the first statement's result."""
        if _expects(stretch):
            await flight.next()

    async def answer(self, flight: InFlight, question: Question) -> str:
        """What a question that was sent with a statement was answered."""
        if question in GUARDED:
            await flight.next()
        if self.prepare and question not in self._prepared:
            await flight.next()
            self._prepared.add(question)
        value = (await flight.next()).get_value(0, 0)
        if question in GUARDED:
            await flight.next()
        return (value or b"").decode(self.migrating.info.encoding)

    async def surprised(self, step: Step, earlier: Sequence[tuple[Step, str]]) -> None:
        """A statement did what was not foreseen; nothing after it has run, and it is looked at by itself."""
        await self.migrating.execute(f"ROLLBACK TO {SAVEPOINT}; RELEASE {SAVEPOINT}")
        await self.take([Answer(step, await self._asked(), earlier)])

    async def take(self, answers: Sequence[Answer]) -> None:
        """Take in what the questions after some statements were answered, in their order."""
        found = [(answer, self._rows(answer.text)) for answer in answers]
        await self._look_up(row.oid for _, rows in found for row in rows)
        await self._judge.look_ahead(c for _, rows in found for c in self._changes(rows))
        for answer, rows in found:
            for step, table in answer.earlier:
                own = self._of(table)
                await self._take(step, [row for row in rows if row.oid in own])
                rows = [row for row in rows if row.oid not in own]
            await self._take(answer.step, rows)
        self._judge.untouched.clear()
        await self._leave_out_own_reading()

    def _of(self, table: str) -> set[int]:
        """A table that was the only one of its name, and its indexes, as far as they are held."""
        oid = self.measured.alone[table]
        return {oid, *(b.oid for b in self._before.values() if b.table_oid == oid)}

    async def take_unasked(self, statements: Sequence[tuple[Step, str]]) -> None:
        """The transaction has failed before these were asked about: of the locks that they held, the strong ones are Postgres' rule."""
        altering = [
            (step, self.measured.alone[table]) for step, table in statements if step.statement.kind == "alter table"
        ]
        await self._look_up(oid for _, oid in altering)
        for step, oid in altering:
            held = Now(oid, ["AccessExclusiveLock"], True, None, None, None, 0, 0, 0, 0, False, False, None)
            self._take_locks(step, self._changes([held]))

    async def _take(self, step: Step, rows: Sequence[Now]) -> None:
        statement = step.statement
        self._now |= {row.oid: row for row in rows}
        changes = self._changes(rows)
        if any(c.dropped or c.renewed for c in changes):
            # What was dropped or emptied as a whole is told by the whole, which the statement may have changed nothing of.
            changes = self._changes([row for _, row in sorted(self._now.items())])
        self._take_locks(step, changes)
        self._open.rewrites += _rewrites(step, changes)
        if statement.kind.startswith(DDL):
            self._open.scans += [
                Scan(statement.index, c.before.label, c.read) for c in changes if c.read > 0 and c.before.kind in "rm"
            ]
        self._open.losses += await self._judge.losses(step, changes)
        for change in changes:
            _remember(change)

    def save(self, name: str) -> None:
        """A savepoint was set."""
        seen = {oid: replace(s) for oid, s in self._seen.items()}
        self._savepoints.append(_Savepoint(name, self._open.sizes, seen))

    async def back_to(self, name: str) -> None:
        """The transaction is back at a savepoint: what came after it is undone, though Postgres' counters still count it."""
        while self._savepoints and self._savepoints[-1].name != name:
            self._savepoints.pop()
        if not self._savepoints:
            return
        self._open.cut(self._savepoints[-1].sizes)
        # What was locked since then is no longer held, but when it is met again its counters still count what is undone.
        self._counters |= {row.oid: (row.read, row.inserted, row.updated, row.deleted) for row in self._now.values()}
        self._seen = {oid: replace(s) for oid, s in self._savepoints[-1].seen.items()}
        self._last, self._now = frozenset(), {}
        rows = self._rows(await self._asked())
        self._now = {row.oid: row for row in rows}
        await self._look_up(row.oid for row in rows)
        for change in self._changes(rows):
            stale = change.seen.stale
            _remember(change)
            change.seen.stale = stale
        # Locks that were taken since the savepoint are looked at again.
        self._last = frozenset()

    async def _asked(self) -> str:
        assert self._questions is not None  # a transaction has begun
        row = await (await self.migrating.execute(self._questions.plain, prepare=False)).fetchone()
        assert row is not None  # an aggregate without GROUP BY always gives one row
        return str(row[0])

    def _rows(self, answer: str) -> list[Now]:
        """Those relations that are not as they were in the answer before."""
        lines = [line for line in answer.split("\n") if line]
        rows = [Now(**json.loads(line)) for line in lines if line not in self._last]
        self._last = frozenset(lines)
        return rows

    def _changes(self, rows: Iterable[Now]) -> list[Change]:
        return [Change(self._before[row.oid], self._seen_of(row.oid), row) for row in rows if row.oid in self._before]

    def take_lone(self, found: Evidence) -> None:
        """The evidence of a statement that ran outside a transaction."""
        self._whole.take(found)
        self._whole.locks += found.locks

    async def _leave_out_own_reading(self) -> None:
        if self._judge.read:
            asked = "SELECT o::int8, pg_catalog.pg_stat_get_xact_tuples_returned(o) FROM pg_catalog.unnest(%s::oid[]) o"
            rows = await self.migrating.execute(asked, [list(self._judge.read)], prepare=False)
            for oid, read in await rows.fetchall():
                self._seen[oid].read = read
            self._judge.read.clear()

    async def _look_up(self, oids: Iterable[int]) -> None:
        asked = sorted({oid for oid in oids if oid not in self.new and oid not in self._before})
        if not asked:
            return
        await self.watch_free()
        async with self.watching.cursor(row_factory=class_row(Before)) as cur:
            await cur.execute(query("before"), {"oids": asked})
            found = {row.oid: row for row in await cur.fetchall()}
        # The ledger is ours, not the migration's.
        self._before |= {oid: b for oid, b in found.items() if b.schema != "neon_branch_mcp"}
        self.new |= {oid for oid in asked if oid not in self._before}

    def _seen_of(self, oid: int) -> Seen:
        if oid not in self._seen:
            before = self._before[oid]
            base, stale = self._bases.get(oid, (None, False))
            counters = self._counters.get(oid, (0, 0, 0, 0))
            self._seen[oid] = Seen(before.filenode, before.columns, *counters, base=base, stale=stale)
        return self._seen[oid]

    async def before_commit(self) -> None:
        """Call it at the end of a transaction that may have made foreign keys."""
        rows = await self.migrating.execute(query("unindexed"), {}, prepare=False)
        self._open.unindexed = [(name, columns) for name, columns in await rows.fetchall()]

    def _take_locks(self, step: Step, changes: Sequence[Change]) -> None:
        index = step.statement.index
        for c in changes:
            strong = {m for m in c.now.modes if strength(m) > 0}
            if not strong <= c.seen.modes and c.before.kind in "rpmv":
                self._open.taken.setdefault(index, set()).add(c.before.whole)
            if c.seen.modes and c.updated >= BACKFILL_ROWS and "AccessExclusiveLock" in c.seen.modes:
                self._open.backfills[index] = c.before.whole
            c.seen.modes |= strong
            mode = max(c.now.modes, key=strength)
            if strength(mode) > c.seen.strength and c.before.kind in "rpmvfiI" and c.before.schema != "pg_toast":
                self._held[c.before.oid] = Held(step.statement.index, c.before.label, mode, step.at)
                c.seen.strength = strength(mode)

    def end_transaction(self, *, kept: bool) -> None:
        """Locks end here: fix how long each was held. Where nothing was `kept`, nothing was lost or rewritten."""
        for held in self._telling():
            held.until = self.clock
            self._whole.locks.append(held)
        if kept:
            self._whole.take(self._open)
            self._bases |= {oid: (s.base, s.stale) for oid, s in self._seen.items() if s.base is not None}
        self._forget()

    def _telling(self) -> list[Held]:
        """The locks held now, but those on indexes of a table that is locked as strongly: nobody gets past the table to them."""
        telling = []
        for oid, held in self._held.items():
            table = self._before[oid].table_oid
            over = self._held.get(table) if table is not None else None
            if over is None or strength(over.mode) < strength(held.mode):
                telling.append(held)
        return telling

    def timeline(self) -> dict[str, Any]:
        """When each statement ran and each lock was held, on the script's own clock: for a picture."""
        steps = [
            {
                "statement": s.statement.index,
                "summary": "deferred constraints and triggers" if s.deferred else s.statement.summary,
                "deferred": s.deferred,
                "from_ms": round(s.at, 1),
                "ms": round(s.ms, 1),
            }
            for s in self.times[:TIMELINE]
        ]
        locks = [
            {
                "relation": h.relation,
                "mode": h.mode.removesuffix("Lock"),
                "statement": h.statement,
                "from_ms": round(h.since, 1),
                "to_ms": round(self.clock if h.until is None else h.until, 1),
                "sampled": h.sampled,
            }
            for h in self.evidence().locks[:TIMELINE]
        ]
        return {"steps": steps, "locks": locks}

    def evidence(self) -> Evidence:
        """Everything so far, the open transaction included."""
        found = Evidence(locks=[*self._whole.locks, *self._telling()])
        found.take(self._whole)
        found.take(self._open)
        return found


def _expects(stretch: Sequence[Sent]) -> bool:
    return any(one.question in GUARDED for one in stretch)


def _remember(change: Change) -> None:
    seen, now = change.seen, change.now
    # A digest is of certain rows and types: with others there, it is counted anew before it is used.
    seen.stale |= change.inserted > 0 or change.deleted > 0 or change.renewed
    seen.rewritten |= change.renewed
    seen.present, seen.filenode, seen.columns = now.present, now.filenode, change.columns
    seen.read, seen.inserted, seen.updated, seen.deleted = now.read, now.inserted, now.updated, now.deleted


def _rewrites(step: Step, changes: Sequence[Change]) -> list[Rewrite]:
    """New files: a table with how many of its indexes, or an index alone. What TRUNCATE made empty is not among them."""
    if step.statement.kind == "truncate":
        return []
    renewed = [c.before for c in changes if c.renewed]
    tables = {b.oid: b for b in renewed if b.kind in ("r", "m")}
    indexes: dict[int, int] = {}
    # The index of a column whose type changes is dropped and made anew: written again all the same.
    remade = [c.before for c in changes if c.dropped and c.before.table_oid in tables]
    for b in [*renewed, *remade]:
        if b.is_index and b.table_oid is not None:
            indexes[b.table_oid] = indexes.get(b.table_oid, 0) + 1
    lone = [b for b in renewed if b.is_index and b.table_oid not in tables and b.schema != "pg_toast"]
    found = [Rewrite(step.statement.index, b.label, round(step.ms, 1), indexes.get(b.oid, 0)) for b in tables.values()]
    return found + [Rewrite(step.statement.index, b.label, round(step.ms, 1)) for b in lone]
