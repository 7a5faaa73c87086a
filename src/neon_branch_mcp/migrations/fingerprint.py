"""Rows → 64-bit fingerprints, summed: the SQL text, and why equal sums mean equal rows.

A row's canonical values go through `hash_record_extended`, whose result is 31·h(first) + h(second) + … : linear in its columns. Sums of it
would not see two rows that exchange a value, so every row's hash is mixed once more (`hashint8extended`). The sum of mixed hashes does not
depend on the order of the rows and counts duplicates (an XOR would lose them in pairs). Sums are exact: Postgres adds bigint in 128 bits.

Both sides use one random seed per call. Two different multisets get equal sums with a chance of about 1 in 2^64 per bucket, whatever the
data, and nobody can plant a collision for a seed he does not know.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BIG_BUCKETS = 2_048


def new_seed() -> int:
    """A seed for one call."""
    return secrets.randbelow(2**62) + 1


def value_hash(expressions: Iterable[str], seed: int) -> str:
    """SQL: a hash of these values together, not yet fit for sums. Nulls have their own hash; the result is never null."""
    return f"pg_catalog.hash_record_extended(ROW({', '.join(expressions)}), {seed})"


def row_hash(expressions: Iterable[str], seed: int) -> str:
    """SQL: a hash of these values together that is fit for sums."""
    return f"pg_catalog.hashint8extended({value_hash(expressions, seed)}, {seed})"


@dataclass(frozen=True)
class Buckets:
    """Rows cut into `count` parts by a range of an integer column (`low`, `width` set) or by their hash.

    A range can be read again through the key's index; hash buckets need another scan.
    """

    count: int
    low: int | None = None
    width: int = 0

    def expression(self, column: str, hashed: str) -> str:
        """SQL: the number of a row's bucket. `column` is the integer column, `hashed` the hash to fall back on."""
        if self.low is None:
            return f"({hashed} & {self.count - 1})"
        return f"coalesce(({column} - ({self.low})::pg_catalog.int8) / {self.width}, -1)"

    def condition(self, column: str, hashed: str, wanted: Sequence[int]) -> str:
        """SQL: the row is in one of the `wanted` buckets."""
        if self.low is None or len(wanted) > 200:
            return f"{self.expression(column, hashed)} IN ({', '.join(map(str, wanted))})"
        ranges = [f"({column} >= {lo} AND {column} < {hi})" for lo, hi in self._ranges(wanted)]
        return " OR ".join([*ranges, f"{column} IS NULL"] if -1 in wanted else ranges)

    def _ranges(self, wanted: Sequence[int]) -> list[tuple[int, int]]:
        assert self.low is not None
        merged: list[tuple[int, int]] = []
        for number in sorted(n for n in wanted if n >= 0):
            lo, hi = self.low + number * self.width, self.low + (number + 1) * self.width
            if merged and merged[-1][1] == lo:
                lo = merged.pop()[0]
            merged.append((lo, hi))
        return merged


def hash_buckets(rows: int) -> Buckets:
    """Buckets by hash for about `rows` rows: some thousand rows each, a power of two of them."""
    count = 16
    while count < BIG_BUCKETS and count * 2_000 < rows:
        count *= 2
    return Buckets(count)


def range_buckets(rows: int, low: int, high: int) -> Buckets:
    """Buckets by ranges of an integer from `low` to `high`."""
    count = hash_buckets(rows).count
    return Buckets(count, low, (high - low) // count + 1)
