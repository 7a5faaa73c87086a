"""From what was measured to what was lost: every row, column and value that was there before and is not any more, and nothing else.

Postgres' counters say what was attempted: they count what a rolled-back subtransaction did, rows that the migration made itself, and rows
that moved to another partition. Where that is possible the tables themselves are asked.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier

from ..postgres.in_flight import InFlight
from .measure import Columns, Counted, Measured, count_table, set_columns, target_of
from .relations import Before, Change, Seen, Step
from .report import DataLoss, LossKind

T = TypeVar("T")


@dataclass
class Judge:
    """Decides what was lost. Reads on both connections: `migrating` sees the changes, `watching` what was there before."""

    migrating: AsyncConnection[Any]
    watching: AsyncConnection[Any]
    measured: Measured
    read: set[int] = field(default_factory=set)
    """Tables that the judge itself has read on the migrating connection: that shows in the counters."""
    untouched: dict[int, int] = field(default_factory=dict)
    """Rows of before that are still as they were, by table, as long as the transaction stays where it is."""

    async def losses(self, step: Step, changes: Sequence[Change]) -> list[DataLoss]:
        """What one statement lost, the whole before the parts. Updates the `seen` of the changes with what it counts."""
        tables = [c for c in changes if c.before.is_table]
        truncated = [c for c in tables if c.renewed and await self._was_truncated(step, c)]
        found = self._fold(step, "table dropped", [c for c in tables if c.dropped], tables)
        found += self._fold(step, "table truncated", truncated, tables)
        found += await self._columns(step, tables)
        found += await self._rows(step, [c for c in tables if c not in truncated])
        return found

    def _fold(self, step: Step, kind: LossKind, changes: Sequence[Change], tables: Sequence[Change]) -> list[DataLoss]:
        """One loss per table; partitions count for their partitioned table when the statement took hold of that as well."""
        if not changes:
            return []
        whole = {c.before.oid for c in tables if "AccessExclusiveLock" in c.now.modes}
        whole &= {c.before.oid for c in changes if c.dropped} if kind == "table dropped" else whole
        groups: dict[int, list[Change]] = {}
        for c in changes:
            root = c.before.root
            groups.setdefault(root if root in whole and root is not None else c.before.oid, []).append(c)
        labels = {c.before.oid: c.before.label for c in tables}
        found = [self._whole(step, kind, labels[oid], members) for oid, members in groups.items()]
        # An empty table is not worth a line when TRUNCATE meets it; a dropped one is gone all the same.
        return [loss for loss in found if loss.rows != 0 or kind == "table dropped"]

    def _whole(self, step: Step, kind: LossKind, label: str, members: Sequence[Change]) -> DataLoss:
        holding = [c for c in members if c.before.kind == "r"]
        counts = [self._counted(c) for c in holding]
        if all(count is not None for count in counts):
            return DataLoss(kind, label, sum(c.rows for c in counts if c), step.statement.index)
        estimates = [c.before.estimate for c in holding]
        rows = None if None in estimates else sum(e for e in estimates if e is not None)
        return DataLoss(kind, label, rows, step.statement.index, exact=False, note="Postgres' estimate")

    def _counted(self, change: Change) -> Counted | None:
        return self.measured.tables.get(change.before.oid)

    async def _was_truncated(self, step: Step, change: Change) -> bool:
        """A new file is a rewrite, or the end of the rows in it."""
        if change.before.kind != "r" or step.statement.kind == "truncate":
            return change.before.kind == "r"
        if step.statement.kind.startswith(("alter", "vacuum", "cluster", "reindex", "refresh")):
            return False
        now = await self._number(change, SQL("SELECT pg_catalog.count(*) FROM ONLY {}").format(_name(change)))
        counted = self._counted(change)
        before = counted.rows if counted else change.before.estimate
        # After TRUNCATE the counters hold only what came later; a rewrite keeps every row.
        return now == change.now.inserted - change.now.deleted and before != 0

    async def _columns(self, step: Step, tables: Sequence[Change]) -> list[DataLoss]:
        found: list[DataLoss] = []
        for c in tables:
            if c.now.columns is None or c.seen.columns is None or not c.now.present:
                continue
            if c.before.kind == "p":
                continue  # its partitions hold the values
            for number, (name, type_) in c.seen.columns.items():
                if number not in c.now.columns:
                    values = self._value(c, number)
                    found.append(DataLoss("column dropped", f"{c.before.whole}.{name}", values, step.statement.index))
                elif c.renewed and (c.now.columns[number][1] != type_ or _meant(c, number)):
                    loss = await self._converted(step, c, number, f"{type_} → {c.now.columns[number][1]}")
                    found += [loss] if loss else []
        return _summed(found)

    def _value(self, change: Change, number: str) -> int | None:
        counted = self._counted(change)
        if counted is None:
            return 0 if change.before.estimate == 0 else None
        return counted.values.get(number)

    async def _converted(self, step: Step, change: Change, number: str, note: str) -> DataLoss | None:
        """A conversion loses nothing when the text of all values is as before, now or cast back to the old type; or, from one sort of value
        to another, when no two became one and none NULL. Within a sort that is no proof: 1.25 and 2.25 rounded are still two.
        """
        name = f"{change.before.whole}.{(change.seen.columns or {})[number][0]}"
        loss = DataLoss("type changed", name, self._value(change, number), step.statement.index, note=note)
        base = change.seen.base
        if loss.rows == 0:
            return None
        if base is None or number not in base.distinct or change.seen.stale:
            using = "USING" in step.statement.words() or step.statement.kind == "do"
            return _with_note(loss, f"{note}, values not compared") if using else None
        now = await self._count(change, digest=[number], distinct=[number])
        if now is None:
            return _with_note(loss, f"{note}, values could not be compared")
        if now.digests == {number: base.digests.get(number)} or await self._converts_back(change, number, base):
            return None
        apart = now.values[number] == base.values[number] and now.distinct[number] == base.distinct[number] > 1
        if not apart:
            became = f"{base.distinct[number]:,} distinct values became {now.distinct[number]:,}"
            return _with_note(loss, f"{note}, {became}")
        assert change.seen.columns is not None
        assert change.now.columns is not None
        old, new = change.seen.columns[number][1], change.now.columns[number][1]
        if _other_sort(await self._base(old), await self._base(new)):
            return None
        return _with_note(loss, f"{note}, as many distinct values, but others")

    async def _base(self, type_: str) -> str:
        """The type that a domain is made of, and that one of, to the end; else the type itself."""
        asked = (
            "WITH RECURSIVE made (oid, typmod) AS (SELECT pg_catalog.to_regtype(%s)::oid, -1 UNION ALL SELECT t.typbasetype, t.typtypmod "
            "FROM made m JOIN pg_catalog.pg_type t ON t.oid = m.oid AND t.typtype = 'd') "
            "SELECT pg_catalog.format_type(m.oid, m.typmod) FROM made m JOIN pg_catalog.pg_type t ON t.oid = m.oid AND t.typtype <> 'd'"
        )

        async def read() -> str:
            row = await (await self.migrating.execute(asked, [type_], prepare=False)).fetchone()
            return str(row[0]) if row else type_

        return await _attempt(self.migrating, read) or type_

    async def _converts_back(self, change: Change, number: str, base: Counted) -> bool:
        """Whether the new values, cast to the old type, are the old values."""
        assert change.seen.columns is not None
        assert change.now.columns is not None
        digest = SQL(
            "SELECT pg_catalog.sum(pg_catalog.hashtextextended(({}::{})::pg_catalog.text, 0)) FROM ONLY {}"
        ).format(
            # format_type's own text: it cannot be quoted as a name, and comes from the catalogue, not from the caller
            Identifier(change.now.columns[number][0]), SQL(change.seen.columns[number][1]), _name(change)
        )  # fmt: skip
        return str(await self._number(change, digest)) == base.digests.get(number)

    async def _rows(self, step: Step, tables: Sequence[Change]) -> list[DataLoss]:
        moved = _moved_between_partitions(tables) if step.statement.kind in ("update", "merge") else {}
        found: list[DataLoss] = []
        for c in tables:
            deleted, updated = max(0, c.deleted), max(0, c.updated)
            if not deleted and not updated:
                continue
            root = c.before.root
            if root in moved and deleted:
                back = min(deleted, moved[root])
                moved[root] -= back
                deleted, updated = deleted - back, updated + back
            exact = True
            all_updated = updated
            if _counts_its_own(c):
                deleted, updated, exact = await self._really_touched(c, deleted, updated)
            else:
                # One UPDATE touches a row once; a trigger or a loop may touch it again.
                once = step.statement.kind in ("update", "delete") and not c.now.acts and _is_target(step, c)
                c.seen.touched = deleted + updated if once and c.seen.touched == 0 else None
            c.seen.changed |= (updated if exact else all_updated) > 0
            note = "" if exact else "at most; some may be the migration's own"
            if deleted:
                found.append(DataLoss("rows deleted", c.before.whole, deleted, step.statement.index, exact, note))
            if updated and (columns := await self._overwritten(step, c, updated)) is not None:
                note = columns if exact else f"{note}; {columns}" if columns else note
                found.append(DataLoss("rows updated", c.before.whole, updated, step.statement.index, exact, note))
        return _summed(found)

    async def _really_touched(self, change: Change, deleted: int, updated: int) -> tuple[int, int, bool]:
        """Rows of before that are deleted or updated, by the rows that are still untouched; False where that cannot be told."""
        seen = change.seen
        untouched, before = await self._untouched(change), await self._rows_before(change)
        known, seen.touched = seen.touched, None
        if untouched is None or before is None or seen.rewritten:
            return deleted, updated, False
        seen.touched = max(0, before - untouched)
        if known is None:
            return deleted, updated, False
        lost = max(0, seen.touched - known)
        if lost >= deleted + updated:
            return deleted, updated, True
        if seen.changed:
            return (
                deleted,
                updated,
                False,
            )  # the rest may be rows that the migration made, or rows of before that it changed already
        if deleted and updated:
            return min(deleted, lost), lost - min(deleted, lost), False
        return (lost, 0, True) if deleted else (0, lost, True)

    async def look_ahead(self, changes: Iterable[Change]) -> None:
        """Count together what the changes will need: the transaction stays where it is until they are judged."""
        asked = {c.before.oid: c for c in changes if _counts_its_own(c) and c.now.present and c.before.kind == "r"}
        if len(asked) < 2 or _has_failed(self.migrating):
            return
        self.read |= asked.keys()
        async with InFlight(self.migrating) as flight:
            for c in asked.values():
                flight.add_unhurried("SAVEPOINT neon_branch_mcp")
                flight.add_unhurried(_still_untouched(c).as_string(self.migrating))
                flight.add_unhurried("RELEASE neon_branch_mcp")
            flight.go()
            try:
                for oid in asked:
                    await flight.next()
                    self.untouched[oid] = int((await flight.next()).get_value(0, 0) or 0)
                    await flight.next()
            except psycopg.Error:
                if self.migrating.closed:
                    raise
        if _has_failed(self.migrating):
            await self.migrating.execute("ROLLBACK TO neon_branch_mcp; RELEASE neon_branch_mcp")

    async def _untouched(self, change: Change) -> int | None:
        if not change.now.present:
            return 0
        known = self.untouched.get(change.before.oid)
        return await self._number(change, _still_untouched(change)) if known is None else known

    async def _rows_before(self, change: Change) -> int | None:
        counted = self._counted(change)
        # The migration's own lock keeps the watching connection out; then the count from the beginning must do.
        if "AccessExclusiveLock" not in change.now.modes:
            name = Identifier(change.before.schema, change.before.name)
            count = SQL("SELECT pg_catalog.count(*) FROM ONLY {}").format(name)
            if (found := await _attempt(self.watching, lambda: _scalar(self.watching, count))) is not None:
                return found
        return counted.rows if counted else None

    async def _overwritten(self, step: Step, change: Change, updated: int) -> str | None:
        """Which old columns an UPDATE overwrote, in words; None when every value of before is still there."""
        base, columns = change.seen.base, change.columns
        if base is None or not base.digests or columns is None or not change.now.present:
            return self._overwritten_by_text(step, change)
        if change.seen.stale or change.inserted or change.deleted:
            return ""  # other rows than before: the digests say nothing
        now = await self._count(change, digest=[n for n in base.digests if n in columns])
        if now is None:
            return ""
        changed = [
            columns[n][0]
            for n, digest in now.digests.items()
            if digest != base.digests[n] and now.values[n] - base.values.get(n, 0) != updated
        ]
        change.seen.base = now
        if not changed:
            return None
        return "columns " + ", ".join(changed) if len(changed) <= 4 else f"{len(changed)} columns"

    def _overwritten_by_text(self, step: Step, change: Change) -> str | None:
        """Only of the table that it names: triggers, keys that cascade and views write to columns that stand nowhere in the text."""
        if step.statement.kind != "update":
            return ""
        before, columns, sets = change.before, change.columns or {}, set_columns(step.statement)
        if not _is_target(step, change):
            return ""
        # A name that no column of before has now is a new column's.
        old = [column[0] for number, column in columns.items() if number in (before.columns or {})]
        if sets and old and not change.now.acts and sets.isdisjoint(old):
            return None
        return "columns " + ", ".join(sorted(sets)[:4]) if sets else ""

    async def refresh(self, tables: Iterable[tuple[Before, Seen]]) -> None:
        """Count anew before a statement that may update a table whose rows this migration changed already."""
        for before, seen in tables:
            if seen.base is None or not seen.base.digests or not seen.stale or not seen.present:
                continue
            columns = {n: c for n, c in (seen.columns or {}).items() if n in seen.base.digests}
            distinct = [n for n in columns if n in seen.base.distinct]
            fresh = await self._count_named(before.oid, before.schema, before.name, columns, list(columns), distinct)
            if fresh is not None:
                seen.base, seen.stale = fresh, False

    async def _count(
        self, change: Change, *, digest: Collection[str], distinct: Collection[str] = ()
    ) -> Counted | None:
        columns: Columns = change.columns or {}
        assert change.now.schema is not None
        assert change.now.name is not None
        return await self._count_named(change.before.oid, change.now.schema, change.now.name, columns, digest, distinct)

    async def _count_named(
        self, oid: int, schema: str, name: str, columns: Columns, digest: Collection[str], distinct: Collection[str]
    ) -> Counted | None:
        self.read.add(oid)
        conn = self.migrating
        return await _attempt(conn, lambda: count_table(conn, schema, name, columns, digest=digest, distinct=distinct))

    async def _number(self, change: Change, statement: Composed) -> int | None:
        self.read.add(change.before.oid)
        return await _attempt(self.migrating, lambda: _scalar(self.migrating, statement))


def _is_target(step: Step, change: Change) -> bool:
    """Whether a plain UPDATE or DELETE is of this table, or of one that it is a part of."""
    return target_of(step.statement) in (change.before.name, change.now.name, *(change.before.parents or ()))


def _counts_its_own(change: Change) -> bool:
    """Whether the counters may count rows that the migration made, or what was rolled back."""
    return (change.deleted > 0 or change.updated > 0) and bool(change.now.doubt or change.now.inserted)


def _still_untouched(change: Change) -> Composed:
    return SQL(
        "SELECT pg_catalog.count(*) FROM ONLY {} WHERE pg_catalog.age(xmin) > "
        "pg_catalog.age(pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.xid)"
    ).format(_name(change))


def _has_failed(conn: AsyncConnection[Any]) -> bool:
    return conn.info.transaction_status == psycopg.pq.TransactionStatus.INERROR


async def _attempt(conn: AsyncConnection[Any], read: Callable[[], Awaitable[T]]) -> T | None:
    """Read without harm: inside a transaction in a savepoint, and what goes wrong only leaves the question unanswered."""
    try:
        async with conn.transaction():
            return await read()
    except psycopg.Error:
        if conn.closed:
            raise
        return None


async def _scalar(conn: AsyncConnection[Any], statement: Composed) -> int:
    cursor = await conn.execute(statement, prepare=False)
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY always gives one row
    return int(row[0])


_SORTS = {
    "number": ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money"),
    "text": ("text", "character varying", "character", "citext", "name"),
    "time": ("date", "timestamp", "time", "interval"),
}

_MANY = "many in one:"


def _sort(type_: str) -> str:
    """What sort of value a type holds, by format_type's name of it; a type of no family is its own."""
    if type_.endswith("]") or type_ in ("json", "jsonb", "hstore", "xml"):
        return f"{_MANY} {type_}"
    return next((sort for sort, names in _SORTS.items() if re.match(rf"({'|'.join(names)})\b", type_)), type_)


def _other_sort(old: str, new: str) -> bool:
    """Whether values that stay apart in the conversion are all still there: 'yes' as true, 7 as 'r7'. Not '007' as 7, nor an array as its
    first.
    """
    was, now = _sort(old), _sort(new)
    narrower = (was, now) == ("text", "number") or (was.startswith(_MANY) and not now.startswith(_MANY))
    return was != now and not narrower


def _meant(change: Change, number: str) -> bool:
    """Whether the script speaks of converting this column: `TYPE int USING 0` of an int keeps the type, and no value."""
    return change.seen.base is not None and number in change.seen.base.distinct


def _with_note(loss: DataLoss, note: str) -> DataLoss:
    return DataLoss(loss.kind, loss.object, loss.rows, loss.statement, loss.exact, note)


def _name(change: Change) -> Identifier:
    return Identifier(change.now.schema or change.before.schema, change.now.name or change.before.name)


def _moved_between_partitions(tables: Sequence[Change]) -> dict[int | None, int]:
    """An UPDATE that changes the partition key deletes here and inserts there: by root, how many rows did so."""
    inserted: dict[int | None, int] = {}
    deleted: dict[int | None, int] = {}
    for c in tables:
        if c.before.root is not None:
            inserted[c.before.root] = inserted.get(c.before.root, 0) + max(0, c.inserted)
            deleted[c.before.root] = deleted.get(c.before.root, 0) + max(0, c.deleted)
    return {root: min(n, deleted[root]) for root, n in inserted.items()}


def _summed(losses: Sequence[DataLoss]) -> list[DataLoss]:
    """Losses of one kind in one object, which are those of its partitions, become one."""
    merged: dict[tuple[str, str], DataLoss] = {}
    for loss in losses:
        key = (loss.kind, loss.object)
        if (other := merged.get(key)) is None:
            merged[key] = loss
            continue
        rows = None if loss.rows is None or other.rows is None else loss.rows + other.rows
        merged[key] = DataLoss(
            loss.kind,
            loss.object,
            rows,
            loss.statement,
            loss.exact and other.exact,
            max(other.note, loss.note, key=len),
        )
    return list(merged.values())
