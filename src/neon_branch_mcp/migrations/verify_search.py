"""Where did it go? Columns that are gone, looked for among what is new on the branch. Rows are looked for in verify_moved.

Found means: every (key, value) pair is there with its duplicates, by fingerprint. Under the same column names that is proof, as a check
would give. Under other names it is a finding only: `city` found in `state` may be the very mistake to be noticed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .canonical import Canonical, canonical
from .fingerprint import row_hash
from .verify_catalogue import Catalogue, DataTable, Reference, TableColumn, quoted
from .verify_side import SideRun
from .verify_tables import TableOutcome, filled

Sum = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """A table of the branch with columns that the base does not have there; all columns when the table itself is new."""

    table: DataTable
    columns: tuple[TableColumn, ...]
    new: bool


@dataclass(frozen=True)
class ColumnFound:
    """All values of a column that is gone, found in `table.column`; `by` are the columns there that hold the key, if that fits too."""

    table: DataTable
    column: str
    by: tuple[str, ...]

    def same_name(self, name: str) -> bool:
        """Found under its own name, each value with its key."""
        return bool(self.by) and self.column == name


def places(outcomes: Sequence[TableOutcome], branch: Catalogue, ours: str) -> list[Place]:
    """What is new on the branch; `ours` is the schema that this server keeps its ledger in."""
    known = {o.tables.branch.oid: o for o in outcomes if o.tables.branch is not None}
    found = []
    for table in branch.tables:
        if table.schema == ours or table.partition:
            continue
        outcome = known.get(table.oid)
        if outcome is None:
            found.append(Place(table, table.columns, new=True))
            continue
        paired = {p.branch.number for p in outcome.tables.pairs}
        base_names = {c.name for c in outcome.tables.base.columns}
        fresh = tuple(c for c in table.columns if c.number not in paired and c.name not in base_names)
        if fresh:
            found.append(Place(table, fresh, new=False))
    return found


class Finder:
    """Looks for what is gone. It remembers the fingerprints it has taken: each needs a scan."""

    def __init__(
        self, base: SideRun, branch: SideRun, where: Sequence[Place], references: Sequence[Reference], seed: int
    ) -> None:
        self._sides = {"base": base, "branch": branch}
        self._places = where
        self._references = references
        self._seed = seed
        self._sums: dict[tuple[str, int, tuple[str, ...], str], Sum] = {}
        self._counts: dict[int, dict[str, int]] = {}

    async def column(self, outcome: TableOutcome, column: TableColumn) -> ColumnFound | None:
        """The place that holds all old values of a column that is gone or changed, best under its own name and with its key."""
        best: ColumnFound | None = None
        for place in self._places:
            for other in sorted(place.columns, key=lambda c: c.name != column.name):
                how = canonical(column.type, other.type)
                if not how.conclusive or not await self._same_values(outcome, column, place, other, how):
                    continue
                found = ColumnFound(place.table, other.name, await self._keyed_by(outcome, column, place, other, how))
                if found.same_name(column.name):
                    return found
                if best is None or (not best.by and found.by):
                    best = found
        return best

    async def _same_values(
        self, outcome: TableOutcome, column: TableColumn, place: Place, other: TableColumn, how: Canonical
    ) -> bool:
        ours = await self.total("base", outcome.tables.base, [filled(how.base, column.name)], column.name)
        # One scan counts all columns of the place; only those that hold as many values are hashed.
        if (await self._non_null(place))[other.name] != ours[0]:
            return False
        return ours == await self.total("branch", place.table, [filled(how.branch, other.name)], other.name)

    async def _keyed_by(
        self, outcome: TableOutcome, column: TableColumn, place: Place, other: TableColumn, how: Canonical
    ) -> tuple[str, ...]:
        base = outcome.tables.base
        key = [c for k in base.key if (c := base.column(k))]
        for candidate in self._key_candidates(outcome, key, place, other):
            ways = [canonical(k.type, c.type) for k, c in zip(key, candidate, strict=True)]
            if not all(w.conclusive for w in ways):
                continue
            ours = [
                *(filled(w.base, k.name) for w, k in zip(ways, key, strict=True)),
                filled(how.base, column.name),
            ]
            theirs = [filled(w.branch, c.name) for w, c in zip(ways, candidate, strict=True)]
            theirs.append(filled(how.branch, other.name))
            if await self.total("base", base, ours, column.name) == await self.total(
                "branch", place.table, theirs, other.name
            ):
                return tuple(c.name for c in candidate)
        return ()

    def _key_candidates(
        self, outcome: TableOutcome, key: Sequence[TableColumn], place: Place, other: TableColumn
    ) -> Iterator[tuple[TableColumn, ...]]:
        """Columns of the place that may hold the key: the same table's own, else by name, else by foreign key, else of a fitting type."""
        if not key:
            return
        table = place.table
        if outcome.tables.branch is not None and outcome.tables.branch.oid == table.oid:
            paired = {p.base.name: p.branch for p in outcome.tables.pairs}
            if all(k.name in paired for k in key):
                yield tuple(paired[k.name] for k in key)
            return
        by_name = [c for k in key if (c := table.column(k.name))]
        if len(key) > 1:
            if len(by_name) == len(key):
                yield tuple(by_name)
            return
        pointing = {r.column for r in self._references if r.table == table.oid}
        fitting = [c for c in table.columns if c.name != other.name and canonical(key[0].type, c.type).conclusive]
        for column in sorted(fitting, key=lambda c: (c.name not in pointing, c not in by_name)):
            yield (column,)

    async def total(self, role: str, table: DataTable, values: Sequence[str], not_null: str) -> Sum:
        """How many rows a table has whose `not_null` is not null (all rows when empty), and the sum of the hashes of these values."""
        at = (role, table.oid, tuple(values), not_null)
        if at not in self._sums:
            condition = f" WHERE t.{quoted(not_null)} IS DISTINCT FROM NULL" if not_null else ""
            n, total = await self._sides[role].one(
                f"SELECT count(*), coalesce(sum({row_hash(values, self._seed)}), 0) FROM {table.from_sql}{condition}"
            )
            self._sums[at] = n, int(total)
        return self._sums[at]

    async def _non_null(self, place: Place) -> dict[str, int]:
        if place.table.oid not in self._counts:
            counts = ", ".join(f"count(t.{quoted(c.name)})" for c in place.columns)
            row = await self._sides["branch"].one(f"SELECT {counts} FROM {place.table.from_sql}")
            self._counts[place.table.oid] = {c.name: n for c, n in zip(place.columns, row, strict=True)}
        return self._counts[place.table.oid]
