"""Rows that are missing from a table, looked for in new tables and in those that have got more rows.

Found whole, under the same column names and types, with their duplicates, by fingerprint: that is proof. What holds the rows of one table
is not counted for a second one: of two equal tables merged into one without duplicates, one is not found.

Rows that are not found may still be there in another shape: such rows are unproven, not lost. A place for them is a table that has gained
exactly their keys (an archive with other columns), or a new one with documents, arrays or composites, in which any number of rows can be
packed; not one where each row has the same document, as a default has it, and none that holds other rows: one row lost beside a new table
of addresses is lost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from .canonical import TEXT, exact
from .verify_catalogue import DataTable, TableColumn, quoted
from .verify_search import Finder, Place, Sum
from .verify_side import SideRun
from .verify_tables import TableOutcome, filled

MOST_PLACES = 12
"""Tables of one shape of which every choice is tried; of more, only all together."""
CONTAINERS = frozenset({"json", "jsonb", "xml"})


@dataclass(frozen=True)
class _Gaining:
    """A table of the branch that holds rows which the base does not have there; `before` is the same table on the base, if it has one."""

    table: DataTable
    before: DataTable | None = None

    def fits(self, shape: DataTable) -> bool:
        """It has all the columns of `shape`, before and after."""
        return _same_shape(shape, self.table) and (self.before is None or _same_shape(shape, self.before))


class RowFinder:
    """Looks for missing rows, table by table."""

    def __init__(
        self, branch: SideRun, finder: Finder, places: Sequence[Place], outcomes: Sequence[TableOutcome]
    ) -> None:
        self._branch = branch
        self._finder = finder
        new = [_Gaining(p.table) for p in places if p.new]
        self._gaining = [*new, *_grown(outcomes)]
        self._new = [p for p in places if p.new]
        self._taken: set[int] = set()

    async def rows(self, outcome: TableOutcome) -> tuple[DataTable, ...]:
        """The tables that together gained exactly the rows that are missing; () if there are none."""
        base, now = outcome.tables.base, outcome.tables.branch
        candidates = [g for g in self._gaining if g.table.oid not in self._taken and g.fits(base)]
        if not candidates or (now is not None and not _same_shape(base, now)):
            return ()
        values = [filled(exact(c.type), c.name) for c in base.stored]
        missing = await self._less(base, now, values, values)
        sums = {g.table.oid: await self._gained(g, values) for g in candidates}
        few = len(candidates) <= MOST_PLACES
        for size in range(1, len(candidates) + 1) if few else (len(candidates),):
            for some in combinations(candidates, size):
                if (sum(sums[g.table.oid][0] for g in some), sum(sums[g.table.oid][1] for g in some)) == missing:
                    self._taken |= {g.table.oid for g in some}
                    return tuple(g.table for g in some)
        return ()

    async def may_be_in(self, outcome: TableOutcome) -> str:
        """The name of the first table that may hold the missing rows in another shape, or an empty string."""
        for gaining in self._gaining:
            if await self._has_missing_keys(outcome, gaining):
                return gaining.table.label
        for place in self._new:
            if await self._packs(place):
                return place.table.label
        return ""

    async def _has_missing_keys(self, outcome: TableOutcome, gaining: _Gaining) -> bool:
        base, now, diff = outcome.tables.base, outcome.tables.branch, outcome.difference
        called = {p.base.name: p.branch.name for p in outcome.tables.pairs}
        if now is None or diff is None or diff.added or not base.key or not called.keys() >= set(base.key):
            return False
        missing = await self._less(base, now, _texts(base.key), _texts([called[k] for k in base.key]))
        for columns in _candidates(base, gaining.table):
            was_there = gaining.before is None or all(gaining.before.column(c) for c in columns)
            if was_there and await self._gained(gaining, _texts(columns)) == missing:
                return True
        return False

    async def _packs(self, place: Place) -> bool:
        for column in filter(_is_container, place.columns):
            text = f"t.{quoted(column.name)}::pg_catalog.text"
            if (await self._branch.one(f"SELECT min({text}) <> max({text}) FROM {place.table.from_sql}"))[0]:
                return True
        return False

    async def _less(self, base: DataTable, now: DataTable | None, ours: Sequence[str], theirs: Sequence[str]) -> Sum:
        """What the base has more than the branch."""
        there = await self._finder.total("base", base, ours, "")
        kept = await self._finder.total("branch", now, theirs, "") if now is not None else (0, 0)
        return there[0] - kept[0], there[1] - kept[1]

    async def _gained(self, gaining: _Gaining, values: Sequence[str]) -> Sum:
        """What the branch has more than the base."""
        now = await self._finder.total("branch", gaining.table, values, "")
        had = await self._finder.total("base", gaining.before, values, "") if gaining.before else (0, 0)
        return now[0] - had[0], now[1] - had[1]


def _grown(outcomes: Sequence[TableOutcome]) -> Iterator[_Gaining]:
    for outcome in outcomes:
        diff, now = outcome.difference, outcome.tables.branch
        if diff is not None and now is not None and diff.added and not (diff.removed or diff.changed) and diff.complete:
            yield _Gaining(now, outcome.tables.base)


def _texts(columns: Sequence[str]) -> list[str]:
    """Keys may have got another type: they are compared by their text."""
    return [filled(TEXT, column) for column in columns]


def _candidates(base: DataTable, place: DataTable) -> Iterator[Sequence[str]]:
    """Columns that may hold the key: of one column any, of several those of the same names."""
    if len(base.key) == 1:
        yield from ([c.name] for c in place.columns)
    elif {c.name for c in place.columns} >= set(base.key):
        yield base.key


def _is_container(column: TableColumn) -> bool:
    kind = column.type
    array = kind.builtin.startswith("_") or kind.declared.endswith("[]")
    return kind.builtin in CONTAINERS or kind.kind == "c" or array or kind.declared.endswith("hstore")


def _same_shape(base: DataTable, other: DataTable) -> bool:
    found = [other.column(c.name) for c in base.stored]
    return all(f is not None and f.type.declared == c.type.declared for f, c in zip(found, base.stored, strict=True))
