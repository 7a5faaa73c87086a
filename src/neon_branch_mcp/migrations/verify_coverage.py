"""Which columns of the base a passed check proves, and on what grounds.

A passed check says: these rows of the base and those rows of the branch are the same multiset. That proves a column `c` of a table `t` only
if the rows of the base's query hold **every non-null value of `c`, each with the key of its row**. That is not concluded from the query's
text but counted: the (key, value) pairs in its result are compared, as fingerprints, with the (key, value) pairs in the table. So

- a column that is only read in a WHERE or a join proves nothing about itself: it is not in the result;
- a condition or a join that leaves out rows with a value shows as `partly`; one that leaves out nulls does no harm;
- rows that a join doubles do not make up for rows that it loses: pairs are counted once;
- a computed column (`trim(street)`) proves nothing, unless its values turn out to be those of the column of the same name;
- a value that the branch's query writes itself proves nothing, for the branch need not hold it (see verify_literals);
- without the table's key in the result it is not proven whose value it is, so nothing is covered. A table without a key is covered only
  by a check that reads all its columns.

Which result column is which table column is Postgres' own word: the origin in the RowDescription message. Several passed checks that read
separate parts of a column add up. A view, a UNION or an expression has no origin: a check through one proves nothing, and says so.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from .canonical import TEXTS, canonical, exact
from .fingerprint import row_hash
from .verify_catalogue import Catalogue, ColumnType, DataTable, TableColumn, quoted
from .verify_checks import PreparedCheck, comparable, over
from .verify_literals import literals
from .verify_side import SideRun
from .verify_tables import filled

Column = tuple[int, str]


@dataclass
class Coverage:
    """What passed checks prove. `proven` maps (table oid, column) to the names of the checks; `reads` holds counts: values read, of;
    `silent` says of a check that proves nothing why, and what to write instead.
    """

    proven: dict[Column, str] = field(default_factory=dict)
    reads: dict[str, dict[Column, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    silent: dict[str, str] = field(default_factory=dict)
    literal: dict[str, list[Column]] = field(default_factory=lambda: defaultdict(list))
    """Columns that a check does not prove, since its query on the branch writes the value itself."""

    def whole_table(self, table: DataTable) -> str:
        """The checks that prove all stored columns of the table, its key for every row included; empty if one is missing."""
        names = [self.proven.get((table.oid, c.name), "") for c in table.stored]
        return ", ".join(dict.fromkeys(names)) if names and all(names) else ""


@dataclass(frozen=True)
class _Read:
    """A table that a check reads so that it can be judged: places of the key's columns and of the others in the result."""

    table: DataTable
    key: tuple[tuple[TableColumn, int], ...]
    columns: tuple[tuple[TableColumn, int], ...]


Sum = tuple[int, int]


async def cover(
    base: SideRun, branch: SideRun, catalogue: Catalogue, checks: Sequence[PreparedCheck], seed: int
) -> Coverage:
    """The coverage of these passed checks."""
    coverage = Coverage()
    parts: dict[Column, list[tuple[str, Sum]]] = defaultdict(list)
    totals: dict[Column, Sum] = {}
    for check in checks:
        found = _reads(check, catalogue)
        written = await literals(branch, check, frozenset(place for read in found for _, place in read.key))
        if written is None:
            coverage.silent[check.name] = "branch_sql reads no table of the branch."
            continue
        if not found:
            coverage.silent[check.name] = _why_silent(check, catalogue)
        for read in found:
            for column, place in read.columns:
                at = (read.table.oid, column.name)
                if place in written and column.name not in read.table.key:
                    coverage.literal[check.name].append(at)
                    continue
                ours = await _sum(base, read, column, place, check, seed)
                totals[at] = await _table_sum(base, read, column, check, place, seed)
                if ours[0] > totals[at][0]:
                    ours = await _sum(base, read, column, place, check, seed, distinct=True)
                coverage.reads[check.name][at] = (ours[0], totals[at][0])
                parts[at].append((check.name, ours))
    for at, sums in parts.items():
        whole = [name for name, part in sums if part == totals[at]]
        if whole:
            coverage.proven[at] = whole[0]
        elif (sum(n for _, (n, _) in sums), sum(s for _, (_, s) in sums)) == totals[at]:
            coverage.proven[at] = " + ".join(name for name, _ in sums)
    return coverage


def _reads(check: PreparedCheck, catalogue: Catalogue) -> list[_Read]:
    found = []
    for oid in dict.fromkeys(c.table for c in check.columns if c.table):
        table = catalogue.numbered(oid)
        if table is not None and (read := _read(check, table)) is not None:
            found.append(read)
    return found


def _why_silent(check: PreparedCheck, catalogue: Catalogue) -> str:
    tables = [t for oid in dict.fromkeys(c.table for c in check.columns) if (t := catalogue.numbered(oid)) is not None]
    if not tables:
        return "base_sql reads through a view, a UNION or expressions. Select the key and the columns from the table itself."
    wanting = [f"the key of {t.label} ({', '.join(t.key)})" if t.key else f"every column of {t.label}" for t in tables]
    return f"base_sql has to select {' or '.join(wanting)} as well."


def _read(check: PreparedCheck, table: DataTable) -> _Read | None:
    places: dict[str, int] = {}
    for i, output in enumerate(check.columns):
        for column in table.stored:
            origin = (output.table, output.number) == (table.oid, column.number)
            named = output.table == 0 and output.name == column.name and _tells(column.type, output.type)
            if origin or (named and column.name not in places):
                places[column.name] = i
    key = table.key or tuple(c.name for c in table.stored)
    if not set(key) <= places.keys():
        return None
    columns = {c.name: c for c in table.stored}
    return _Read(
        table,
        tuple((columns[k], places[k]) for k in key if k in columns),
        tuple((columns[name], place) for name, place in places.items()),
    )


def _tells(column: ColumnType, output: ColumnType) -> bool:
    """A computed value of that type can be the column's own: of the same type, or its text, which no two different values share."""
    return comparable(column, output) or output.builtin in TEXTS


async def _sum(
    base: SideRun,
    read: _Read,
    column: TableColumn,
    place: int,
    check: PreparedCheck,
    seed: int,
    *,
    distinct: bool = False,
) -> Sum:
    values = [over(_forms(check, c, i)[1], i) for c, i in (*read.key, (column, place))]
    hashes = f"SELECT {row_hash(values, seed)} AS h FROM {check.base_from} WHERE t.c{place + 1} IS DISTINCT FROM NULL"
    if distinct and read.table.key:
        hashes = f"SELECT DISTINCT h FROM ({hashes}) d"
    n, total = await base.one(f"SELECT count(*), coalesce(sum(h), 0) FROM ({hashes}) s")
    return n, int(total)


async def _table_sum(
    base: SideRun, read: _Read, column: TableColumn, check: PreparedCheck, place: int, seed: int
) -> Sum:
    values = [filled(_forms(check, c, i)[0], c.name) for c, i in (*read.key, (column, place))]
    n, total = await base.one(
        f"SELECT count(*), coalesce(sum({row_hash(values, seed)}), 0) FROM {read.table.from_sql}"
        f" WHERE t.{quoted(column.name)} IS DISTINCT FROM NULL"
    )
    return n, int(total)


def _forms(check: PreparedCheck, column: TableColumn, place: int) -> tuple[str, str]:
    output = check.columns[place]
    if output.table:
        return exact(column.type), exact(column.type)
    how = canonical(column.type, output.type)
    return how.base, how.branch
