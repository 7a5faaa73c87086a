"""The check that would prove what is unproven, as far as it can be written without knowing the author's mind."""

import re
from collections.abc import Mapping, Sequence

from .verify_catalogue import TableColumn, quoted
from .verify_report import SuggestedCheck
from .verify_search import ColumnFound
from .verify_tables import TableOutcome

PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")


def bare(name: str) -> str:
    """The name as a person would write it: quoted only where it must be."""
    return name if PLAIN.match(name) else quoted(name)


def suggest(
    outcome: TableOutcome,
    columns: Sequence[TableColumn],
    found: Mapping[tuple[int, str], ColumnFound],
    somewhere_new: Sequence[str],
) -> SuggestedCheck | None:
    """A check over the table's key and these columns (all columns when none is named); None where there is nothing to ask.

    The branch's query is complete when all values were found in one place with their key, else it holds <…> to fill in.
    """
    table = outcome.tables.base
    wanted = [c.name for c in columns] or [c.name for c in table.stored if c.name not in table.key]
    if not wanted and not table.key:
        return None
    keyed = [*table.key, *(c for c in wanted if c not in table.key)]
    name = f"{table.schema}.{table.name}" if table.schema != "public" else table.name
    only_some = bool(columns) and outcome.tables.branch is not None
    base_sql = f"select {', '.join(map(bare, keyed))} from {'.'.join(map(bare, name.split('.')))}"
    if only_some:
        base_sql += f" where {' or '.join(f'{bare(c)} is not null' for c in wanted)}"
    places = [found.get((table.oid, c)) for c in wanted]
    if (
        places
        and (first := places[0]) is not None
        and all(p and p.by and (p.table, p.by) == (first.table, first.by) for p in places)
    ):
        theirs = [p.column for p in places if p]
        branch_sql = f"select {', '.join(map(bare, [*first.by, *theirs]))} from {_label(first)}"
        if only_some:
            branch_sql += f" where {' or '.join(f'{bare(c)} is not null' for c in theirs)}"
        return SuggestedCheck(table.name, base_sql, branch_sql, fill_in=False)
    parts = [
        *(f"<{k} of {table.name}>" for k in table.key),
        *(bare(c) if _in_reach(c, somewhere_new) else f"<{c}>" for c in wanted),
    ]
    return SuggestedCheck(table.name, base_sql, f"select {', '.join(parts)} from <where it is now>", fill_in=True)


def _label(found: ColumnFound) -> str:
    return (
        bare(found.table.name)
        if found.table.schema == "public"
        else f"{bare(found.table.schema)}.{bare(found.table.name)}"
    )


def _in_reach(column: str, somewhere_new: Sequence[str]) -> bool:
    return any(place.endswith(f".{column}") for place in somewhere_new)
