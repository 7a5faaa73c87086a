"""Rows → 64-bit fingerprints, summed: the SQL text, and why equal sums mean equal rows.

Each value is hashed exactly (canonical.py) under a random seed of its column's own, so equal values in two columns do not look alike; the
hashes of a row are XORed and mixed once more. Without that last step the fingerprint would be linear, and sums would not see two rows that
exchange a value (this is so for Postgres' own `hash_record_extended`, 31·h(first) + h(second)). The sum of the mixed hashes does not depend
on the order of rows and counts duplicates, which an XOR would lose in pairs. Postgres adds bigint in 128 bits, so sums are exact.

Seeds are new for each call. Two different multisets of rows get equal sums with a chance of about 1 in 2^64 per bucket, whatever the data,
and nobody can plant a collision for seeds he does not know.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

BIG_BUCKETS = 2_048
# An arm of a UNION that is never there. It keeps Postgres from evaluating the hash again in the outer query, and from taking the bucket for
# a column of many values, for which it would plan no parallel aggregate. The planner drops it.
NO_ROWS = "UNION ALL SELECT 0::pg_catalog.int8, 0::pg_catalog.int8 FROM pg_catalog.pg_class WHERE false"


def new_seed() -> int:
    """A seed for one call."""
    return secrets.randbits(62)


def value_hash(inputs: Sequence[str], seed: int) -> str:
    """SQL: a bigint that stands for these values together, for pairing and comparing; not fit for sums. Never null."""
    columns = random.Random(seed)
    terms = []
    for form in inputs:
        own, null = columns.getrandbits(62), columns.getrandbits(62)
        terms.append(f"coalesce({form.replace('{s}', str(own))}, {null})")
    return f"({' # '.join(terms)})"


def row_hash(inputs: Sequence[str], seed: int) -> str:
    """SQL: a bigint that stands for these values together and is fit for sums."""
    return f"pg_catalog.hashint4extended(1, {value_hash(inputs, seed)})"


@dataclass(frozen=True)
class Buckets:
    """Rows cut into parts: by 2^`shift` values of an integer column from `low` on, or by `count` (a power of two) values of their hash.

    A range can be read again through the key's index; hash buckets need another scan.
    """

    count: int
    low: int | None = None
    shift: int = 0

    def expression(self, column: str, hashed: str) -> str:
        """SQL: the number of a row's bucket. `column` is the integer column, `hashed` the hash to fall back on."""
        if self.low is None:
            return f"({hashed} & {self.count - 1})"
        return f"coalesce(({column} - ({self.low})::pg_catalog.int8) >> {self.shift}, -1)"

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
            lo, hi = self.low + (number << self.shift), self.low + ((number + 1) << self.shift)
            if merged and merged[-1][1] == lo:
                lo = merged.pop()[0]
            merged.append((lo, hi))
        return merged


def hash_buckets(rows: int) -> Buckets:
    """Buckets by hash for about `rows` rows: some thousand rows each."""
    count = 16
    while count < BIG_BUCKETS and count * 2_000 < rows:
        count *= 2
    return Buckets(count)


def range_buckets(rows: int, low: int, high: int) -> Buckets:
    """Buckets by ranges of an integer from `low` to `high`."""
    count = hash_buckets(rows).count
    return Buckets(count, low, max(0, ((high - low) // count).bit_length()))
