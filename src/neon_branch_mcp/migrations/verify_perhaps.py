"""Rows that are missing from a table and are not found whole in another one: is there a place that may hold them in another shape?

Such rows are unproven, not lost. A place that may hold them is a new table that has exactly their keys (an archive with other columns), or
one with documents, arrays or composites, in which any number of rows can be packed; not one where each row has the same document, as a
default has it, and no table that holds rows as they are: one row lost beside a new table of addresses is lost.
"""

from collections.abc import Iterator, Sequence

from .canonical import TEXT
from .verify_catalogue import DataTable, TableColumn, quoted
from .verify_search import Finder, Place
from .verify_side import SideRun
from .verify_tables import TableOutcome, filled

CONTAINERS = frozenset({"json", "jsonb", "xml"})


async def may_be_in(branch: SideRun, finder: Finder, outcome: TableOutcome, places: Sequence[Place]) -> str:
    """The name of the first such table, or an empty string."""
    for place in (p for p in places if p.new):
        if await _has_missing_keys(finder, outcome, place.table) or await _packs(branch, place):
            return place.table.label
    return ""


async def _has_missing_keys(finder: Finder, outcome: TableOutcome, place: DataTable) -> bool:
    base, now, diff = outcome.tables.base, outcome.tables.branch, outcome.difference
    now_called = {p.base.name: p.branch.name for p in outcome.tables.pairs}
    if now is None or diff is None or diff.added or not base.key or not now_called.keys() >= set(base.key):
        return False
    there = await finder.total("base", base, _texts(base.key), "")
    kept = await finder.total("branch", now, _texts([now_called[k] for k in base.key]), "")
    missing = (there[0] - kept[0], there[1] - kept[1])
    for columns in _candidates(base, place):
        if await finder.total("branch", place, _texts(columns), "") == missing:
            return True
    return False


def _texts(columns: Sequence[str]) -> list[str]:
    """Keys may have got another type: they are compared by their text."""
    return [filled(TEXT, column) for column in columns]


def _candidates(base: DataTable, place: DataTable) -> Iterator[Sequence[str]]:
    """Columns that may hold the key: of one column any, of several those of the same names."""
    if len(base.key) == 1:
        yield from ([c.name] for c in place.columns)
    elif {c.name for c in place.columns} >= set(base.key):
        yield base.key


async def _packs(branch: SideRun, place: Place) -> bool:
    for column in filter(_is_container, place.columns):
        text = f"t.{quoted(column.name)}::pg_catalog.text"
        if (await branch.one(f"SELECT min({text}) <> max({text}) FROM {place.table.from_sql}"))[0]:
            return True
    return False


def _is_container(column: TableColumn) -> bool:
    kind = column.type
    return (
        kind.builtin in CONTAINERS
        or kind.kind == "c"
        or kind.builtin.startswith("_")
        or kind.declared.endswith(("[]", "hstore"))
    )
