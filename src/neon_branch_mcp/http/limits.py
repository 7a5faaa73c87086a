"""Token buckets: how fast somebody may go on, in bounded memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 10_000
"""Keys remembered at once; the longest unused are forgotten, and start anew with a full bucket."""


@dataclass
class _Bucket:
    level: float
    at: float


class Rate:
    """`per_minute` units a minute for each key, all of which may be spent at once; 0 is no limit."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, amount: float = 1) -> float:
        """Takes `amount` and answers 0, or takes nothing and answers the seconds until a retry makes sense."""
        if not self._per_minute:
            return 0.0
        bucket = self._filled(key)
        if bucket.level >= min(amount, self._per_minute):
            bucket.level -= amount
            return 0.0
        return max(1.0, (amount - bucket.level) * 60 / self._per_minute)

    def charge(self, key: str, amount: float) -> None:
        """Takes what has been used already, even beyond what is left."""
        if self._per_minute:
            self._filled(key).level -= amount

    def _filled(self, key: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(self._per_minute, now)
        bucket.level = min(self._per_minute, bucket.level + (now - bucket.at) * self._per_minute / 60)
        bucket.at = now
        self._buckets[key] = bucket
        while len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        return bucket


class Gauge:
    """How many things of each key are open now; `most` is the limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: dict[str, int] = {}

    def enter(self, key: str) -> bool:
        """Counts one more, unless the limit is reached. Every True needs one `leave`."""
        count = self._open.get(key, 0)
        if count >= self.most:
            return False
        self._open[key] = count + 1
        return True

    def leave(self, key: str) -> None:
        """Counts one less, and forgets a key with none."""
        count = self._open[key] - 1
        if count:
            self._open[key] = count
        else:
            del self._open[key]
