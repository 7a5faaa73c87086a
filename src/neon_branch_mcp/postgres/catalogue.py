"""A database's word on its functions → FunctionCatalogue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ..guard.functions import FunctionCatalogue
from ..guard.functions_hidden import Behind, Body, find_hidden
from .wire import Moment, Statement, Wire


@cache
def query(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@cache
def _guarded() -> str:
    return query("guard_open").replace("{stamp}", query("guard_stamp"))


@dataclass(frozen=True)
class Opening:
    """What begins a READ ONLY transaction with time-outs (statement, lock, idle; in milliseconds), and fails unless its catalogue has a
    certain stamp; then with STAMP_DIFFERS.
    """

    statements: tuple[Statement, ...]
    stamp: str
    before: Moment | None
    is_quick: bool

    def moment(self, said: str | None) -> Moment | None:
        """What is known once it has ended well; `said` is what its last statement says is visible."""
        if self.is_quick:
            return self.before
        return (
            None if said is None else Moment(self.stamp, said, self.before is not None and self.before.visible == said)
        )


def openings(stamp: str, limits: Sequence[str], before: Moment | None) -> Iterator[Opening]:
    """The ways to begin, to be tried in turn until one does not end with STAMP_DIFFERS; `before` is the session's last moment."""

    def opening(query_text: str, first: str, *, is_quick: bool) -> Opening:
        values = [value.encode() for value in (first, *limits)]
        return Opening((Statement("BEGIN READ ONLY"), Statement(query_text, values)), stamp, before, is_quick)

    if before is not None and is_quiet(before, stamp):
        yield opening(query("guard_open_quiet"), before.visible, is_quick=True)
    yield opening(_guarded(), stamp, is_quick=False)


def is_quiet(before: Moment | None, stamp: str) -> bool:
    """Whether a catalogue with that stamp may well be the session's still, so that the first way to begin is the quick one."""
    return before is not None and before.steady and before.stamp == stamp


STAMP_DIFFERS = "22P02"
"""The SQLSTATE of an opening that found another catalogue, other transactions, or a transaction that may write."""


async def read_stamp(wire: Wire) -> tuple[bool, str]:
    """Whether this transaction is read-only, and a text that changes with the catalogue."""
    (row,) = await _rows(wire, "guard_stamp")
    return row[0] == "on", row[1]


async def read_catalogue(wire: Wire, stamp: str) -> FunctionCatalogue:
    """All of it, as this transaction sees it. The login's search_path is put aside: no operator there is taken for Postgres' own."""
    # Compiling these queries, where jit is on, takes many times what they take themselves.
    await wire.ours("SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off")
    # The query's order lets a user's function win over an extension's, and that over a built-in of the same name.
    volatile = {row[0]: row[1] for row in await _rows(wire, "guard_functions")}
    bodies = [Body(*row) for row in await _rows(wire, "guard_bodies")]
    traps = [Behind(kind, name, behind, flag == "t") for kind, name, behind, flag in await _rows(wire, "guard_traps")]
    await wire.ours("SET LOCAL search_path TO DEFAULT; SET LOCAL jit TO DEFAULT")
    foreign = frozenset(trap.name for trap in traps if trap.kind == "foreign")
    hidden = find_hidden(bodies, [trap for trap in traps if trap.kind != "foreign"], volatile)
    return FunctionCatalogue(
        stamp=stamp,
        volatile=volatile,
        mislabelled=hidden.functions,
        operators=hidden.operators,
        types=hidden.types,
        checked=hidden.checked,
        fields=hidden.fields,
        views=hidden.views,
        foreign=foreign,
        # A partition, what a policy calls, a cast in a view: none of them need be named by the text that meets them.
        shown_late=bool(foreign or hidden.checked or hidden.guarded),
    )


async def _rows(wire: Wire, name: str) -> list[tuple[str, ...]]:
    result = await wire.extended(query(name))
    return [
        tuple((result.get_value(row, column) or b"").decode() for column in range(result.nfields))
        for row in range(result.ntuples)
    ]
