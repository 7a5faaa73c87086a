"""What a check's query on the branch says of its own accord: values that are written in its text are not held by the branch.

A query that reads no table proves nothing, however well its rows fit; a column that is one literal for all rows, or a CASE over nothing but
the key, proves nothing about that column. All this is Postgres' own word: the plan, in which constants are folded. A literal that differs
from row to row for another reason (the year of each part of a UNION, a CASE that maps labels) follows from what the branch has: let be.
"""

import re
from collections.abc import Iterator, Set
from typing import Any

from .canonical import TEXT
from .fingerprint import value_hash
from .verify_checks import PreparedCheck, over
from .verify_side import SideRun

LITERAL = re.compile(r"\(*(?:[EB]?'(?:[^']|'')*'|-?\d[\d.e+-]*|true|false)(?:::[^']+)?\)*")
# In a verbose plan every column has its table before it; so may have types, after ::, and functions, before (.
COLUMN = re.compile(r"""(?<![:\w."])(?:\w+|"(?:[^"]|"")+")\.(?:\w+|"(?:[^"]|"")+")(?!\()""")
STRING = re.compile(r"'(?:[^']|'')*'")


async def literals(branch: SideRun, check: PreparedCheck, keys: frozenset[int]) -> frozenset[int] | None:
    """The places of the result whose values the query writes itself; None where no table is read at all. `keys` are those of keys.

    Nothing is run but a count for each literal.
    """
    names = ", ".join(f"t.c{i + 1}" for i in range(len(check.columns)))
    [plan] = await branch.one(f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT {names} FROM {check.branch_from}")
    top = plan[0]["Plan"]
    if not any(_reads(node) for node in _nodes(top)):
        return None
    told = top.get("Output", [])[: len(check.columns)]
    key = {told[place] for place in keys if place < len(told)}
    found = {place for place, text in enumerate(told) if _maps(text, key)}
    for place, text in enumerate(told):
        if LITERAL.fullmatch(text) and await _same_for_all(branch, check, place):
            found.add(place)
    return frozenset(found)


def _maps(expression: str, key: Set[str]) -> bool:
    """A CASE whose only columns are the key's."""
    columns = set(COLUMN.findall(STRING.sub("''", expression)))
    return expression.lstrip("(").startswith("CASE ") and "Plan" not in expression and bool(columns) and columns <= key


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _reads(node: dict[str, Any]) -> bool:
    """A table, or a function of the user's own that may read one."""
    own = node.get("Function Name") and node.get("Schema") != "pg_catalog"
    return bool(own) or "Relation Name" in node or node["Node Type"] == "Foreign Scan"


async def _same_for_all(branch: SideRun, check: PreparedCheck, place: int) -> bool:
    value = value_hash([over(TEXT, place)], 1)
    [same] = await branch.one(f"SELECT min({value}) IS NOT DISTINCT FROM max({value}) FROM {check.branch_from}")
    return bool(same)
