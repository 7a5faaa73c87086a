"""What each statement of a migration did, measured: locks, rewrites, rows read, changed and lost.

The migrating connection is asked for its own locks, file numbers and transaction-local counters; locks are held to the end of the
transaction, so that nothing is missed between two questions. A second connection still sees the catalogue as it was before, and so knows
the name of what was dropped.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from .plan import PlannedStatement
from .queries import query
from .report import DataLoss, LockHeld, Rewrite, Scan

Columns = Mapping[str, tuple[str, str]]

STRENGTH = {
    "ShareUpdateExclusiveLock": (1, "other schema changes"),
    "ShareLock": (2, "writes"),
    "ShareRowExclusiveLock": (3, "writes"),
    "ExclusiveLock": (4, "writes"),
    "AccessExclusiveLock": (5, "reads and writes"),
}
# Nothing to see after these; and SET TRANSACTION must come before any query.
QUIET = frozenset(
    {"set", "reset", "savepoint", "release", "show", "begin", "comment", "notify", "listen", "deallocate"}
)


@dataclass(frozen=True)
class Before:
    """A relation as it was before the transaction."""

    oid: int
    schema: str
    name: str
    kind: str
    filenode: int | None
    estimate: int | None
    root: int | None
    table_oid: int | None
    columns: Columns | None

    @property
    def label(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def holds_rows(self) -> bool:
        return self.kind in ("r", "p")

    @property
    def is_index(self) -> bool:
        return self.kind in ("i", "I")


@dataclass(frozen=True)
class Now:
    """A relation as the migrating transaction sees it after a statement; not `present` when it was dropped."""

    oid: int
    modes: list[str]
    present: bool
    filenode: int | None
    read: int
    inserted: int
    updated: int
    deleted: int
    columns: Columns | None


@dataclass
class _Seen:
    """What is known so far of one relation, within one transaction."""

    strength: int = 0
    filenode: int | None = None
    read: int = 0
    updated: int = 0
    deleted: int = 0
    present: bool = True
    columns: Columns | None = None


@dataclass(frozen=True)
class Counted:
    """A table's rows before the migration, and of each column the values that were not NULL."""

    rows: int
    columns: Mapping[str, int]


@dataclass
class _Held:
    statement: int
    relation: str
    mode: str
    since: float
    until: float | None = None
    sampled: bool = False


@dataclass
class Tracer:
    """Gathers the evidence of one migration. `counted` holds what was counted before it began, by oid."""

    migrating: AsyncConnection[Any]
    watching: AsyncConnection[Any]
    counted: Mapping[int, Counted] = field(default_factory=dict)
    losses: list[DataLoss] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    _before: dict[int, Before] = field(default_factory=dict)
    _new: set[int] = field(default_factory=set)
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _held: dict[int, _Held] = field(default_factory=dict)
    _ended: list[_Held] = field(default_factory=list)
    _base: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    _kept: tuple[int, int, int] = (0, 0, 0)

    async def begin_transaction(self) -> None:
        """Call it before BEGIN."""
        counters = await self.migrating.execute(query("counters"), prepare=False)
        self._base = {oid: (read, updated, deleted) for oid, read, updated, deleted in await counters.fetchall()}

    async def after(self, statement: PlannedStatement, started: float) -> None:
        """Measure what `statement`, sent at `started` (perf_counter), did inside the open transaction."""
        if statement.kind in QUIET:
            return
        ms = (time.perf_counter() - started) * 1000
        async with self.migrating.cursor(row_factory=class_row(Now)) as cur:
            await cur.execute(query("trace"), {"known": list(self._new)}, prepare=False)
            rows = await cur.fetchall()
        await self._look_up(row.oid for row in rows if row.oid not in self._before)
        old = [(self._before[row.oid], row) for row in rows if row.oid in self._before]
        step = _Step(statement, started, ms)
        for before, now in old:
            self._compare(step, before, now)
        self.losses += step.losses()
        self.rewrites += step.rewrites()
        self.scans += step.scans()

    async def _look_up(self, oids: Iterable[int]) -> None:
        asked = [oid for oid in oids if oid not in self._new]
        if not asked:
            return
        async with self.watching.cursor(row_factory=class_row(Before)) as cur:
            await cur.execute(query("before"), {"oids": asked})
            found = {row.oid: row for row in await cur.fetchall()}
        # The ledger is ours, not the migration's.
        self._before |= {oid: b for oid, b in found.items() if b.schema != "neon_branch_mcp"}
        self._new |= {oid for oid in asked if oid not in self._before}

    def _compare(self, step: "_Step", before: Before, now: Now) -> None:
        if (seen := self._seen.get(before.oid)) is None:
            read, updated, deleted = self._base.get(before.oid, (0, 0, 0))
            seen = _Seen(0, before.filenode, read, updated, deleted, columns=before.columns)
            self._seen[before.oid] = seen
        self._compare_lock(step, before, now, seen)
        if not now.present:
            if seen.present:
                step.dropped.append((before, self.counted.get(before.oid)))
        elif now.filenode != seen.filenode and before.filenode is not None:
            step.renewed.append((before, now.read > seen.read, self.counted.get(before.oid)))
        if now.columns is not None and seen.columns is not None and now.present:
            step.compare_columns(before, seen.columns, now.columns, self.counted.get(before.oid))
        if before.holds_rows:
            step.count(before, now.read - seen.read, now.updated - seen.updated, now.deleted - seen.deleted)
        seen.present, seen.filenode = now.present, now.filenode
        seen.columns = now.columns or seen.columns
        seen.read, seen.updated, seen.deleted = now.read, now.updated, now.deleted

    def _compare_lock(self, step: "_Step", before: Before, now: Now, seen: _Seen) -> None:
        mode = max(now.modes, key=lambda m: STRENGTH.get(m, (0, ""))[0])
        strength = STRENGTH.get(mode, (0, ""))[0]
        if strength > seen.strength and before.kind in "rpmvfiI" and before.schema != "pg_toast":
            self._held[before.oid] = _Held(step.statement.index, before.label, mode, step.started)
            seen.strength = strength

    def end_transaction(self, *, kept: bool) -> None:
        """Locks end here: fix how long each was held, and start anew. Where nothing was `kept`, nothing was lost or rewritten."""
        if kept:
            self._kept = (len(self.losses), len(self.rewrites), len(self.scans))
        else:
            del self.losses[self._kept[0] :], self.rewrites[self._kept[1] :], self.scans[self._kept[2] :]
        now = time.perf_counter()
        for held in self._telling():
            held.until = now
            self._ended.append(held)
        self._held, self._seen, self._before = {}, {}, {}

    def _telling(self) -> list[_Held]:
        """The locks held now, but those on indexes of a table that is locked as strongly: nobody gets past the table to them."""
        telling = []
        for oid, held in self._held.items():
            table = self._before[oid].table_oid
            over = self._held.get(table) if table is not None else None
            if over is None or STRENGTH[over.mode][0] < STRENGTH[held.mode][0]:
                telling.append(held)
        return telling

    def locks(self) -> tuple[LockHeld, ...]:
        """The strongest lock above RowExclusive on each relation that was there before, in the order they were taken."""
        now = time.perf_counter()
        return tuple(
            LockHeld(
                statement=h.statement,
                relation=h.relation,
                mode=h.mode.removesuffix("Lock"),
                blocks=STRENGTH[h.mode][1],
                held_ms=round(((h.until or now) - h.since) * 1000, 1),
                sampled=h.sampled,
            )
            for h in [*self._ended, *self._telling()]
        )


DDL = ("create", "alter", "drop", "cluster", "reindex", "refresh", "do", "call")


class _Step:
    """The effects of one statement, before they are put into words."""

    def __init__(self, statement: PlannedStatement, started: float, ms: float) -> None:
        self.statement = statement
        self.started = started
        self.ms = ms
        self.dropped: list[tuple[Before, Counted | None]] = []
        self.renewed: list[tuple[Before, bool, Counted | None]] = []
        self._columns: list[DataLoss] = []
        self._rows: list[DataLoss] = []
        self._read: list[tuple[Before, int]] = []

    def count(self, before: Before, read: int, updated: int, deleted: int) -> None:
        index = self.statement.index
        if deleted > 0:
            self._rows.append(DataLoss("rows deleted", before.label, deleted, index))
        if updated > 0:
            self._rows.append(DataLoss("rows updated", before.label, updated, index))
        if read > 0:
            self._read.append((before, read))

    def compare_columns(self, before: Before, was: Columns, now: Columns, counted: Counted | None) -> None:
        for number, (name, type_) in was.items():
            values = counted.columns.get(name) if counted else None
            where = f"{before.label}.{name}"
            if number not in now:
                self._columns.append(DataLoss("column dropped", where, values, self.statement.index))
            elif now[number][1] != type_:
                note = f"{type_} → {now[number][1]}"
                using = "USING" in self.statement.words()
                if using:
                    self._columns.append(
                        DataLoss(
                            "type changed", where, values, self.statement.index, note=f"{note} USING an expression"
                        )
                    )

    def losses(self) -> list[DataLoss]:
        tables = [
            _whole_table("table dropped", before, counted, self.statement.index)
            for before, counted in self.dropped
            if before.holds_rows and not self._is_partition_of_dropped(before)
        ]
        truncated = [
            _whole_table("table truncated", before, counted, self.statement.index)
            for before, read, counted in self.renewed
            if before.kind == "r" and (self.statement.kind == "truncate" or not read) and _had_rows(before, counted)
        ]
        return [*tables, *truncated, *self._columns, *self._rows]

    def _is_partition_of_dropped(self, before: Before) -> bool:
        gone = {b.oid for b, _ in self.dropped}
        return before.root is not None and before.root != before.oid and before.root in gone

    def rewrites(self) -> list[Rewrite]:
        if self.statement.kind == "truncate":
            return []
        tables = {
            b.oid: b
            for b, read, counted in self.renewed
            if b.kind in ("r", "m") and (read or not _had_rows(b, counted))
        }
        indexes: dict[int, int] = {}
        lone: list[Before] = []
        for b, _, _ in self.renewed:
            if b.is_index and b.table_oid is not None:
                indexes[b.table_oid] = indexes.get(b.table_oid, 0) + 1
                if b.table_oid not in tables and not any(r.oid == b.table_oid for r, _, _ in self.renewed):
                    lone.append(b)
        found = [
            Rewrite(self.statement.index, b.label, round(self.ms, 1), indexes.get(b.oid, 0)) for b in tables.values()
        ]
        return found + [Rewrite(self.statement.index, b.label, round(self.ms, 1)) for b in lone]

    def scans(self) -> list[Scan]:
        if not self.statement.kind.startswith(DDL):
            return []
        return [Scan(self.statement.index, b.label, read) for b, read in self._read]


def _had_rows(before: Before, counted: Counted | None) -> bool:
    return counted.rows > 0 if counted else before.estimate != 0


def _whole_table(kind: Any, before: Before, counted: Counted | None, index: int) -> DataLoss:
    if counted is not None:
        return DataLoss(kind, before.label, counted.rows, index)
    return DataLoss(kind, before.label, before.estimate, index, exact=False, note="not counted before")
