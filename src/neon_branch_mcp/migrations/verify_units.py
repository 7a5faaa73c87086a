"""Numbers that are all the old ones in another unit: money in cents, seconds as milliseconds, in place and under the same name.

Such a column has lost nothing that a division would not bring back, and nobody has said that this is what is meant: it is unproven, with
the factor. Only factors between usual units count, only where every number of the column went along, each with its key, and only where
there are so many that it cannot be one wrong value.
"""

from decimal import Decimal, InvalidOperation

from .canonical import FLOATS, NUMBERS, VALUE
from .compare import Difference
from .fingerprint import row_hash
from .verify_catalogue import DataTable
from .verify_side import SideRun
from .verify_tables import ColumnPair, TableOutcome, filled

FEWEST = 10
UNITS = tuple(
    Decimal(n) for n in (100, 1_000, 1_000_000, 1_000_000_000, 60, 3_600, 86_400, 60_000, 3_600_000, 86_400_000)
)
KINDS = NUMBERS | FLOATS


async def find_units(base: SideRun, branch: SideRun, outcome: TableOutcome, seed: int) -> None:
    """Note in `outcome.units` of each such column what became of its numbers."""
    diff, now = outcome.difference, outcome.tables.branch
    if diff is None or now is None or not outcome.tables.base.key or diff.removed:
        return
    for place, pair in enumerate(outcome.tables.pairs):
        if (
            diff.columns.get(pair.base.name, 0) < FEWEST
            or not {pair.base.type.builtin, pair.branch.type.builtin} <= KINDS
        ):
            continue
        factor = _factor(diff, place)
        if factor is None:
            continue
        times, grown = factor
        ours = await _sum(base, outcome.tables.base, _values(outcome, pair, times if grown else None, "base"), seed)
        theirs = await _sum(branch, now, _values(outcome, pair, None if grown else times, "branch"), seed)
        if ours == theirs:
            outcome.units[pair.base.name] = f"the old one {'times' if grown else 'divided by'} {times:,f}"


def _factor(diff: Difference, place: int) -> tuple[Decimal, bool] | None:
    """The factor between units that a changed sample shows, and whether the numbers grew by it."""
    for sample in diff.samples:
        if sample.base is None or sample.branch is None:
            continue
        try:
            was, is_now = (Decimal(str(side[place])) for side in (sample.base, sample.branch))
            found = next((u for u in UNITS if was and is_now and is_now in (was * u, was / u)), None)
        except InvalidOperation:
            continue
        if found is not None:
            return found, is_now == was * found
    return None


def _values(outcome: TableOutcome, pair: ColumnPair, times: Decimal | None, side: str) -> list[str]:
    """Hash inputs of the key and of the column, multiplied."""
    paired = {p.base.name: p for p in outcome.tables.pairs}
    keys = [paired[k] for k in outcome.tables.base.key]
    column = pair.base if side == "base" else pair.branch
    number = "{c}::pg_catalog.text::pg_catalog.numeric" if column.type.builtin in FLOATS else "{c}::pg_catalog.numeric"
    form = VALUE.replace("{c}", f"({number}{f' * {times:f}' if times else ''})")
    forms = [
        filled(p.how.base if side == "base" else p.how.branch, (p.base if side == "base" else p.branch).name)
        for p in keys
    ]
    return [*forms, filled(form, column.name)]


async def _sum(side: SideRun, table: DataTable, values: list[str], seed: int) -> tuple[int, int]:
    n, total = await side.one(f"SELECT count(*), coalesce(sum({row_hash(values, seed)}), 0) FROM {table.from_sql}")
    return n, int(total)
