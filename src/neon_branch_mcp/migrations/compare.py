"""Two relations, one on each side, compared as multisets without moving their rows.

1. Both servers hash every row and return one sum per bucket: one scan each, at the same time, with parallel plans.
2. Only buckets whose sums differ are read again: keys and hashes, merged in key order with constant memory.
3. Only rows to show are read in full.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .fingerprint import NO_ROWS, Buckets, row_hash, value_hash
from .verify_report import Sample
from .verify_side import RowStream, SideRun, both

ROW_BUDGET = 200_000  # rows looked at one by one on each side; beyond it, counts are "at least"
SAMPLES = 5
SHOWN = 200  # characters of a shown value


@dataclass(frozen=True)
class Operand:
    """One side of a comparison: what stands after FROM, and per column its hash input and what a reader sees of it."""

    from_sql: str
    columns: tuple[str, ...]
    shown: tuple[str, ...]
    range_column: str = ""


@dataclass(frozen=True)
class Comparison:
    """What is compared: the same columns in the same order on both sides. `key` holds the places of the key's columns, if any.

    The key pairs rows so that a changed row is told from a removed and an added one. It need not be unique for the result to be right.
    """

    title: str
    names: tuple[str, ...]
    base: Operand
    branch: Operand
    key: tuple[int, ...]
    buckets: Buckets
    seed: int

    def key_hash(self, operand: Operand) -> str:
        """SQL: the hash that pairs rows: of the key, else of the whole row."""
        places = self.key or range(len(self.names))
        return value_hash([operand.columns[i] for i in places], self.seed)

    def whole_hash(self, operand: Operand) -> str:
        """SQL: the summable hash of all columns."""
        return row_hash(operand.columns, self.seed)


@dataclass
class Difference:
    """What a comparison found. `complete` is false when there was too much to count: then removed, added, changed are at least that."""

    rows_base: int = 0
    rows_branch: int = 0
    sum_base: int = 0
    sum_branch: int = 0
    removed: int = 0
    added: int = 0
    changed: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    complete: bool = True
    samples: list[Sample] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """The two multisets are the same."""
        return not (self.removed or self.added or self.changed) and self.complete


async def compare(base: SideRun, branch: SideRun, what: Comparison) -> Difference:
    """The difference between the two sides of `what`.

    Raises TimedOut at the deadline; a cancelled call stops the queries on both servers.
    """
    sums_base, sums_branch = await both(_sums(base, what, what.base), _sums(branch, what, what.branch))
    result = Difference(
        rows_base=sum(n for n, _ in sums_base.values()),
        rows_branch=sum(n for n, _ in sums_branch.values()),
        sum_base=sum(s for _, s in sums_base.values()),
        sum_branch=sum(s for _, s in sums_branch.values()),
    )
    buckets = sorted(sums_base.keys() | sums_branch.keys())
    differing = [b for b in buckets if sums_base.get(b) != sums_branch.get(b)]
    if differing:
        sizes = {b: max(side.get(b, (0, 0))[0] for side in (sums_base, sums_branch)) for b in differing}
        wanted = _within_budget(sizes)
        result.complete = len(wanted) == len(differing)
        keys = await _count(base, branch, what, wanted, result)
        result.samples = await _samples(base, branch, what, wanted, keys)
    return result


def _within_budget(sizes: dict[int, int]) -> list[int]:
    taken: list[int] = []
    total = 0
    for bucket, size in sizes.items():
        if taken and total + size > ROW_BUDGET:
            break
        taken.append(bucket)
        total += size
    return taken


async def _sums(side: SideRun, what: Comparison, operand: Operand) -> dict[int, tuple[int, int]]:
    key = what.key_hash(operand) if what.key else "0"
    bucket = what.buckets.expression(operand.range_column, key) if what.key else "0::pg_catalog.int8"
    inner = f"SELECT {bucket}, {what.whole_hash(operand)} FROM {operand.from_sql} {NO_ROWS}"
    group = "b" if what.key else what.buckets.expression("", "h")
    query = f"SELECT {group}, count(*), sum(h) FROM ({inner}) AS s(b, h) GROUP BY 1"
    return {b: (n, int(total)) for b, n, total in await side.rows(query)}


@dataclass
class _Keys:
    """Pairing hashes of rows to show."""

    removed: list[int] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)

    def note(self, kind: list[int], key: int, times: int) -> None:
        kind.extend([key] * min(times, SAMPLES - len(kind)))


def _where(what: Comparison, operand: Operand, wanted: Sequence[int]) -> str:
    hashed = what.key_hash(operand) if what.key else what.whole_hash(operand)
    return what.buckets.condition(operand.range_column, hashed, wanted)


def _detail_query(what: Comparison, operand: Operand, wanted: Sequence[int]) -> str:
    where = _where(what, operand, wanted)
    if not what.key:
        return (
            f"SELECT k, count(*) FROM (SELECT {what.key_hash(operand)} AS k FROM {operand.from_sql} WHERE {where}) s"
            " GROUP BY k ORDER BY k"
        )
    hashes = ", ".join(value_hash([column], what.seed) for column in operand.columns)
    return f"SELECT {what.key_hash(operand)} AS k, {hashes} FROM {operand.from_sql} WHERE {where} ORDER BY k"


async def _count(base: SideRun, branch: SideRun, what: Comparison, wanted: Sequence[int], result: Difference) -> _Keys:
    streams = (
        base.stream(_detail_query(what, what.base, wanted)),
        branch.stream(_detail_query(what, what.branch, wanted)),
    )
    await both(streams[0].start(), streams[1].start())
    keys = _Keys()
    groups = _Groups(streams[0]), _Groups(streams[1])
    left, right = await groups[0].next(), await groups[1].next()
    while left or right:
        key = min(g[0] for g in (left, right) if g)
        ours = left[1] if left and left[0] == key else []
        theirs = right[1] if right and right[0] == key else []
        if what.key:
            _tally(what, key, ours, theirs, result, keys)
        else:
            _tally_counts(key, ours, theirs, result, keys)
        if ours:
            left = await groups[0].next()
        if theirs:
            right = await groups[1].next()
    await both(streams[0].close(), streams[1].close())
    return keys


class _Groups:
    """Rows of a stream, those of one key together."""

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream
        self._ahead: tuple[Any, ...] | None = None
        self._begun = False

    async def next(self) -> tuple[int, list[tuple[Any, ...]]] | None:
        if not self._begun:
            self._ahead, self._begun = await self._stream.next(), True
        if self._ahead is None:
            return None
        key, rows = self._ahead[0], [self._ahead[1:]]
        while (row := await self._stream.next()) is not None and row[0] == key:
            rows.append(row[1:])
        self._ahead = row
        return key, rows


def _tally(
    what: Comparison,
    key: int,
    ours: list[tuple[Any, ...]],
    theirs: list[tuple[Any, ...]],
    result: Difference,
    keys: _Keys,
) -> None:
    if ours == theirs:
        return
    left, right = Counter(ours) - Counter(theirs), Counter(theirs) - Counter(ours)
    pairs = list(zip(left.elements(), right.elements(), strict=False))
    for a, b in pairs:
        result.columns.update(name for name, x, y in zip(what.names, a, b, strict=True) if x != y)
    removed, added = left.total() - len(pairs), right.total() - len(pairs)
    result.changed += len(pairs)
    result.removed += removed
    result.added += added
    keys.note(keys.changed, key, min(1, len(pairs)))
    keys.note(keys.removed, key, min(1, removed))
    keys.note(keys.added, key, min(1, added))


def _tally_counts(
    key: int, ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]], result: Difference, keys: _Keys
) -> None:
    more = (ours[0][0] if ours else 0) - (theirs[0][0] if theirs else 0)
    result.removed += max(0, more)
    result.added += max(0, -more)
    keys.note(keys.removed, key, min(1, max(0, more)))
    keys.note(keys.added, key, min(1, max(0, -more)))


async def _samples(
    base: SideRun, branch: SideRun, what: Comparison, wanted: Sequence[int], keys: _Keys
) -> list[Sample]:
    ours, theirs = await both(
        _shown(base, what, what.base, wanted, [*keys.removed, *keys.changed]),
        _shown(branch, what, what.branch, wanted, [*keys.added, *keys.changed]),
    )
    samples = [Sample("changed", ours.get(k), theirs.get(k)) for k in keys.changed]
    samples += [Sample("removed", ours.get(k), None) for k in keys.removed]
    samples += [Sample("added", None, theirs.get(k)) for k in keys.added]
    return sorted(samples, key=lambda s: (s.kind, [str(v) for v in s.base or s.branch or ()]))


async def _shown(
    side: SideRun, what: Comparison, operand: Operand, wanted: Sequence[int], keys: Sequence[int]
) -> dict[int, tuple[str | None, ...]]:
    if not keys:
        return {}
    columns = ", ".join(f"left({expression}, {SHOWN})" for expression in operand.shown)
    query = (
        f"SELECT {what.key_hash(operand)}, {columns} FROM {operand.from_sql}"
        f" WHERE ({_where(what, operand, wanted)}) AND {what.key_hash(operand)} IN ({', '.join(map(str, keys))})"
        f" LIMIT {len(keys) * 20}"
    )
    return {row[0]: row[1:] for row in reversed(await side.rows(query))}
