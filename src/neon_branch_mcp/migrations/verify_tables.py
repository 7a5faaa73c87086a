"""One table of the base against its counterpart on the branch: which column is which, and the comparison of their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import NeonBranchError, TimedOut
from .canonical import INTEGERS, Canonical, canonical, relabelled
from .compare import Comparison, Difference, Operand, compare
from .fingerprint import Buckets, hash_buckets, range_buckets
from .verify_catalogue import Catalogue, DataTable, TableColumn, quoted
from .verify_side import SideRun, both

SMALL = 2**62
TIMES = frozenset({"timestamp", "timestamptz", "date"})
TOUCHING = """
select string_agg(tgname::text, ', ' order by tgname) from pg_catalog.pg_trigger
where tgrelid = {oid} and not tgisinternal and tgenabled in ('O', 'A') and tgtype & 19 = 19 -- BEFORE UPDATE FOR EACH ROW
"""


@dataclass(frozen=True)
class ColumnPair:
    """A column of the base and the column of the branch that stands for it."""

    base: TableColumn
    branch: TableColumn
    how: Canonical

    @property
    def renamed(self) -> bool:
        """Known by the catalogue to be the same column under another name."""
        return self.base.name != self.branch.name


@dataclass(frozen=True)
class TablePair:
    """A table of the base, its counterpart on the branch if it has one, and what became of each stored column."""

    base: DataTable
    branch: DataTable | None
    pairs: tuple[ColumnPair, ...] = ()
    gone: tuple[TableColumn, ...] = ()


@dataclass
class TableOutcome:
    """What was measured about a table. `difference` is None where it could not be compared; `failure` then says why.

    `touched` names columns that a trigger seems to have set to the time of an UPDATE, with that trigger; `units` those whose numbers are
    all the old ones in another unit, with what was done to them (verify_units).
    """

    tables: TablePair
    difference: Difference | None = None
    rows_base: int | None = None
    non_null: dict[str, int] = field(default_factory=dict)
    touched: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    failure: str = ""

    def missing(self) -> list[TableColumn]:
        """Columns whose values are to be looked for: gone ones that held any, and those whose values certainly changed."""
        counts = self.difference.columns if self.difference else {}
        changed = [p.base for p in self.tables.pairs if counts.get(p.base.name) and p.how.conclusive]
        return [*(c for c in self.tables.gone if self.non_null.get(c.name)), *changed]


def pair_tables(base: Catalogue, branch: Catalogue, *, shared: bool) -> list[TablePair]:
    """Each table of the base with its counterpart: by name, else, where both sides are physical copies (`shared`), by oid.

    A name that exists on both sides wins: two columns that swapped names are compared by name, and differ. Only a new column of a type that
    cannot hold the old values does not: then the renamed column is the old one. A table that has become a partition is compared with it.
    """
    renamed = _renamed_labels(base, branch) if shared else {}
    whole = [t for t in base.tables if not t.partition]
    return [_pair(table, _counterpart(table, base, branch, shared), shared, renamed) for table in whole]


def _renamed_labels(base: Catalogue, branch: Catalogue) -> dict[int, dict[str, str]]:
    """Per enum the labels that have another name on the branch. A name that stands on both sides stands for itself."""
    found: dict[int, dict[str, str]] = {}
    for enum, labels in base.labels.items():
        now = branch.labels.get(enum, {})
        taken = {*labels.values()} & {*now.values()}
        renamed = {text: now[oid] for oid, text in labels.items() if oid in now and not {text, now[oid]} & taken}
        if renamed:
            found[enum] = renamed
    return found


def _counterpart(table: DataTable, base: Catalogue, branch: Catalogue, shared: bool) -> DataTable | None:
    if (same := branch.named(table.schema, table.name)) is not None:
        return same
    moved = branch.numbered(table.oid) if shared else None
    return moved if moved is not None and base.named(moved.schema, moved.name) is None else None


def _pair(
    base: DataTable, branch: DataTable | None, shared: bool, renamed: Mapping[int, Mapping[str, str]]
) -> TablePair:
    if branch is None:
        return TablePair(base, None, gone=base.stored)
    by_number = {c.number: c for c in branch.columns} if shared and base.oid == branch.oid else {}
    pairs, gone = [], []
    for column in base.stored:
        other = _column_of(column, base, branch, by_number)
        if other is None:
            gone.append(column)
        else:
            same_enum = column.type.oid == other.type.oid and column.type.oid in renamed
            how = relabelled(column.type, renamed[column.type.oid]) if same_enum else canonical(column.type, other.type)
            pairs.append(ColumnPair(column, other, how))
    return TablePair(base, branch, tuple(pairs), tuple(gone))


def _column_of(
    column: TableColumn, base: DataTable, branch: DataTable, by_number: Mapping[int, TableColumn]
) -> TableColumn | None:
    named, moved = branch.column(column.name), by_number.get(column.number)
    if moved is None or base.column(moved.name) is not None:
        return named
    is_new = named is not None and all(c.number != named.number for c in base.columns)
    if named is None or (is_new and not canonical(column.type, named.type).conclusive):
        return moved
    return named


def filled(form: str, column: str) -> str:
    """A hash input over the column of that name."""
    return form.replace("{c}", f"t.{quoted(column)}")


def operand(table: DataTable, columns: list[tuple[TableColumn, str]], leading: str = "") -> Operand:
    """The side of a comparison that reads these columns of `table`, each with its hash input."""
    return Operand(
        table.from_sql,
        tuple(filled(form, column.name) for column, form in columns),
        tuple(f"t.{quoted(column.name)}::pg_catalog.text" for column, _ in columns),
        f"t.{quoted(leading)}" if leading else "",
    )


async def measure(base: SideRun, branch: SideRun, tables: TablePair, seed: int) -> TableOutcome:
    """The outcome for one table. What fails for this table alone (a lock, a right, a policy) is its outcome, not an error.

    Raises TimedOut at the deadline.
    """
    outcome = TableOutcome(tables)
    try:
        async with base.savepoint(), branch.savepoint():
            if tables.branch is not None and tables.pairs:
                what = await comparison(base, branch, tables, seed)
                outcome.difference = await compare(base, branch, what)
                outcome.rows_base = outcome.difference.rows_base
                await _find_touched(base, branch, outcome)
            if tables.gone or tables.branch is None:
                await _count_gone(base, outcome)
    except TimedOut:
        raise
    except NeonBranchError as exc:
        outcome.failure = exc.message
    return outcome


async def _find_touched(base: SideRun, branch: SideRun, outcome: TableOutcome) -> None:
    """Columns like updated_at: every changed value is now later than all that the base has, and a trigger runs before each UPDATE."""
    now, diff = outcome.tables.branch, outcome.difference
    times = [p for p in outcome.tables.pairs if diff and diff.columns.get(p.base.name) and p.base.type.builtin in TIMES]
    if now is None or diff is None or not times:
        return
    trigger = (await branch.one(TOUCHING.format(oid=now.oid)))[0]
    if trigger is None:
        return
    for pair in times:
        table = outcome.tables.base
        latest = (await base.one(f"SELECT max(t.{quoted(pair.base.name)})::pg_catalog.text FROM {table.from_sql}"))[0]
        later = f"SELECT count(*) FROM {now.from_sql} WHERE t.{quoted(pair.branch.name)} > '{latest}'"
        if (await branch.one(later))[0] >= diff.columns[pair.base.name]:
            outcome.touched[pair.base.name] = trigger


async def _count_gone(base: SideRun, outcome: TableOutcome) -> None:
    table, gone = outcome.tables.base, outcome.tables.gone
    counts = ", ".join(["count(*)", *(f"count(t.{quoted(c.name)})" for c in gone)])
    total, *non_null = await base.one(f"SELECT {counts} FROM {table.from_sql}")
    outcome.rows_base = total
    outcome.non_null = {c.name: n for c, n in zip(gone, non_null, strict=True)}


async def comparison(base: SideRun, branch: SideRun, tables: TablePair, seed: int) -> Comparison:
    """How to compare the common columns of two tables: paired by the base's key where the branch still has its columns."""
    assert tables.branch is not None
    names = tuple(p.base.name for p in tables.pairs)
    key = tuple(names.index(k) for k in tables.base.key) if set(tables.base.key) <= set(names) else ()
    rows = max(_rows(tables.base), _rows(tables.branch))
    buckets, leading = hash_buckets(rows), ("", "")
    if key and {tables.pairs[key[0]].base.type.builtin, tables.pairs[key[0]].branch.type.builtin} <= INTEGERS:
        first = tables.pairs[key[0]]
        found = await _ranges(base, branch, tables.base, tables.branch, first, rows)
        if found is not None:
            buckets, leading = found, (first.base.name, first.branch.name)
    return Comparison(
        tables.base.label,
        names,
        operand(tables.base, [(p.base, p.how.base) for p in tables.pairs], leading[0]),
        operand(tables.branch, [(p.branch, p.how.branch) for p in tables.pairs], leading[1]),
        key,
        buckets,
        seed,
    )


def _rows(table: DataTable) -> int:
    return table.estimate if table.estimate > 0 else table.bytes // 64


async def _ranges(
    base: SideRun, branch: SideRun, left: DataTable, right: DataTable, first: ColumnPair, rows: int
) -> Buckets | None:
    def ends(table: DataTable, name: str) -> str:
        return (
            f"SELECT min({quoted(name)})::pg_catalog.int8, max({quoted(name)})::pg_catalog.int8 FROM {table.from_sql}"
        )

    found = await both(base.one(ends(left, first.base.name)), branch.one(ends(right, first.branch.name)))
    lows, highs = [lo for lo, _ in found if lo is not None], [hi for _, hi in found if hi is not None]
    if not lows or min(lows) < -SMALL or max(highs) > SMALL:
        return None
    return range_buckets(rows, min(lows), max(highs))
