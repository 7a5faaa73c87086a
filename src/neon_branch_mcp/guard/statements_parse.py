"""sqlglot's verdict on a statement that should only read. Imported in the worker process only."""

import logging
from collections.abc import Iterable, Iterator

from sqlglot import Dialect, exp
from sqlglot.errors import ParseError

from .statements import TreeVerdict

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

_POSTGRES = Dialect.get_or_raise("postgres")
ROOTS = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)

# What may not stand anywhere in a read. By name, because releases move classes; a name that is gone fails at import.
_FORBIDDEN_NAMES = """
    Insert Update Delete Merge Into Lock Command Create Drop Alter Copy Set SetItem Transaction Commit Rollback Use Kill Pragma
    TruncateTable Describe Cache Uncache Refresh LoadData Export Analyze Attach Detach Comment Grant Revoke Execute Declare Block
    Put Get Show Semicolon Undrop Install StoredProcedure Return IfBlock WhileBlock ExecuteSql Heredoc MultitableInserts
    LockingStatement Connect AddConstraint AlterColumn Returning Summarize
"""
FORBIDDEN = tuple(getattr(exp, name) for name in _FORBIDDEN_NAMES.split())


def _below(classes: Iterable[type[exp.Expr]]) -> Iterator[type[exp.Expr]]:
    for found in classes:
        yield found
        yield from _below(found.__subclasses__())


# A walk asks for every node, and isinstance with a long tuple is slow.
_FORBIDDEN: frozenset[object] = frozenset(_below(FORBIDDEN))

UNPARSED = "could not be parsed, so it cannot be shown that it only reads"
_REASONS: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Into: ("creates", "SELECT … INTO creates a table"),
    exp.Lock: ("statement", "FOR UPDATE or FOR SHARE locks rows"),
}


def parse(sql: str) -> TreeVerdict:
    """`sql` is one statement by the lexer's count. A reason says why it is not a plain read."""
    try:
        found = [tree for tree in _POSTGRES.parse(sql) if tree is not None]
    except ParseError as exc:
        return _unparsed(sql, exc)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - its code trips over some texts (RecursionError), compiled over others (TypeError)
        return TreeVerdict(UNPARSED, "parse", parsed=False)
    if len(found) != 1:
        return TreeVerdict(f"{len(found)} statements in one call", "one-statement")
    return judge(found[0])


def judge(root: exp.Expr) -> TreeVerdict:
    """Root by allow-list, then nothing forbidden anywhere below, and every WITH a read itself."""
    if not isinstance(root, ROOTS):
        return TreeVerdict(f"this is not a plain SELECT, VALUES or TABLE ({type(root).__name__})")
    for node in root.walk():
        kind = type(node)
        if kind in _FORBIDDEN:
            return _reason(node)
        if issubclass(kind, exp.CTE) and not isinstance(node.this, (*ROOTS, *FORBIDDEN)):
            return TreeVerdict(f"WITH contains something that is not a read ({type(node.this).__name__})")
    return TreeVerdict()


def _reason(node: exp.Expr) -> TreeVerdict:
    if (known := _REASONS.get(type(node))) is not None:
        return TreeVerdict(known[1], known[0])
    name = type(node).__name__.upper()
    if isinstance(node, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
        article = "an" if name[0] in "AEIOU" else "a"
        return TreeVerdict(f"WITH contains {article} {name}")
    return TreeVerdict(f"it contains a {name}, which is not part of a read")


def _unparsed(sql: str, exc: ParseError) -> TreeVerdict:
    first = exc.errors[0] if exc.errors else {}
    line, column = first.get("line"), first.get("col")
    offset = None
    if line and column:
        starts = [0, *(i + 1 for i, char in enumerate(sql) if char == "\n")]
        if line <= len(starts):
            offset = min(len(sql), starts[line - 1] + max(0, column - len(first.get("highlight") or "x")))
    return TreeVerdict(UNPARSED, "parse", parsed=False, offset=offset)
