"""Evidence of a statement that runs outside a transaction (CREATE INDEX CONCURRENTLY, VACUUM, DO with COMMIT).

Its locks come and go, so they are sampled; what it changed is the difference of the catalogue and of Postgres' cumulative counters before
and after it. Another session's work at the same time would show in these counters too: on a branch there is rarely one.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier

from .measure import Measured
from .queries import query
from .relations import Step
from .report import DataLoss, Rewrite, Scan
from .trace import Evidence, Held, strength


@dataclass(frozen=True)
class Relation:
    """A relation at one moment; the counters run since the database's statistics were last reset."""

    oid: int
    schema: str
    name: str
    kind: str
    filenode: int | None
    table_oid: int | None
    invalid: bool
    detaching_from: str | None
    read: int
    updated: int
    deleted: int
    columns: Mapping[str, str] | None

    @property
    def label(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return Identifier(self.schema, self.name).as_string()


State = dict[tuple[str, str], Relation]


@dataclass
class LoneWatch:
    """What one statement did that ran on its own. `before` is the state when it was sent."""

    migrating: AsyncConnection[Any]
    watching: AsyncConnection[Any]
    measured: Measured
    started: float = 0.0
    before: State = field(default_factory=dict)
    _sampled: dict[int, tuple[str, float, float]] = field(default_factory=dict)

    async def begin(self) -> None:
        """Call it before the statement."""
        await self._flush()
        self.before = await self._state()

    async def sample(self) -> None:
        """Note the locks that the statement holds at this moment."""
        now = (time.perf_counter() - self.started) * 1000
        rows = await self.watching.execute(query("locks"), {"pid": self.migrating.info.backend_pid})
        for oid, mode in await rows.fetchall():
            known, first, _ = self._sampled.get(oid, (mode, now, now))
            self._sampled[oid] = (max(known, mode, key=strength), first, now)

    async def end(self, step: Step) -> Evidence:
        """What it did, once it has succeeded."""
        await self._flush()
        after = await self._state()
        index = step.statement.index
        locks = self.locks(step)
        found = Evidence(locks=locks, taken={index: {h.relation for h in locks}})
        # Tables first: an index is only told of when its table was not rewritten with it.
        for key, old in sorted(self.before.items(), key=lambda item: item[1].kind not in ("r", "m")):
            now = after.get(key)
            if now is None or (now.oid != old.oid and old.kind == "r"):
                found.losses += self._dropped(old, index)
                continue
            if now.filenode != old.filenode and old.kind != "p":
                await self._renewed(found, step, old, now)
            found.losses += self._columns(old, now, index)
            if now.kind == "r":
                self._rows(found, old, now, index)
        return found

    def locks(self, step: Step) -> list[Held]:
        """The sampled locks above RowExclusive, each from when it was first seen to when it was last seen."""
        known = {r.oid: r for r in self.before.values()}
        held = {oid: seen for oid, seen in self._sampled.items() if strength(seen[0]) > 0 and oid in known}
        return [
            Held(step.statement.index, known[oid].label, mode, step.at + first, step.at + last, sampled=True)
            for oid, (mode, first, last) in held.items()
            if known[oid].table_oid not in held or strength(held[known[oid].table_oid or 0][0]) < strength(mode)
        ]

    async def left_behind(self) -> list[str]:
        """What a failed statement left, each with its clean-up."""
        left: list[str] = []
        for key, now in (await self._state()).items():
            old = self.before.get(key)
            if now.invalid and (old is None or not old.invalid):
                left.append(f"INVALID index {now.label}; remove it: DROP INDEX CONCURRENTLY {now.quoted};")
            if now.detaching_from and (old is None or not old.detaching_from):
                clean = f"ALTER TABLE {now.detaching_from} DETACH PARTITION {now.quoted} FINALIZE;"
                left.append(f"partition {now.label}, half detached; complete it: {clean}")
        return left

    async def _state(self) -> State:
        async with self.watching.cursor(row_factory=class_row(Relation)) as cur:
            await cur.execute(query("state"), {})
            return {(r.schema, r.name): r for r in await cur.fetchall()}

    async def _flush(self) -> None:
        # Without this (PostgreSQL 15 and later) counters reach other sessions up to a second later.
        if self.migrating.info.server_version >= 150000:
            for conn in (self.migrating, self.watching):
                await conn.execute("SELECT pg_catalog.pg_stat_force_next_flush()")

    def _dropped(self, old: Relation, index: int) -> list[DataLoss]:
        if old.kind != "r":
            return []
        counted = self.measured.tables.get(old.oid)
        return [DataLoss("table dropped", old.label, counted.rows if counted else None, index, counted is not None)]

    async def _renewed(self, found: Evidence, step: Step, old: Relation, now: Relation) -> None:
        index = step.statement.index
        counted = self.measured.tables.get(old.oid)
        if old.kind == "r" and step.statement.kind == "do" and (counted is None or counted.rows):
            count = await self.watching.execute(
                SQL("SELECT pg_catalog.count(*) FROM ONLY {}").format(Identifier(now.schema, now.name))
            )
            row = await count.fetchone()
            if row and row[0] == 0:
                found.losses.append(
                    DataLoss(
                        "table truncated", old.label, counted.rows if counted else None, index, counted is not None
                    )
                )
                return
        if old.kind in ("r", "m"):
            indexes = sum(r.table_oid == old.oid for r in self.before.values())
            found.rewrites.append(Rewrite(index, old.label, round(step.ms, 1), indexes))
        elif not any(r.relation == self._table_of(old) and r.statement == index for r in found.rewrites):
            found.rewrites.append(Rewrite(index, old.label, round(step.ms, 1)))

    def _table_of(self, index: Relation) -> str:
        return next((r.label for r in self.before.values() if r.oid == index.table_oid), "")

    def _columns(self, old: Relation, now: Relation, index: int) -> list[DataLoss]:
        gone = [(n, name) for n, name in (old.columns or {}).items() if n not in (now.columns or {})]
        counted = self.measured.tables.get(old.oid)
        return [
            DataLoss("column dropped", f"{old.label}.{name}", counted.values.get(n) if counted else None, index)
            for n, name in gone
        ]

    def _rows(self, found: Evidence, old: Relation, now: Relation, index: int) -> None:
        for kind, rows in (("deleted", now.deleted - old.deleted), ("updated", now.updated - old.updated)):
            if rows > 0:
                found.losses.append(
                    DataLoss(
                        "rows deleted" if kind == "deleted" else "rows updated",
                        old.label,
                        rows,
                        index,
                        note="by the counters",
                    )
                )
        if now.read > old.read:
            found.scans.append(Scan(index, old.label, now.read - old.read))
