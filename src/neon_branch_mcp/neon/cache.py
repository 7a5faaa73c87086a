"""A small cache for answers of the API: bounded in age and size, one load at a time for each key."""

import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class _Entry(Generic[V]):
    value: V
    asked_at: float


class Cache(Generic[K, V]):
    """Values by key, at most `ttl` seconds old and at most `size` of them.

    Callers that ask at the same time share one load. A fresh value is one whose load began after the caller asked.
    """

    def __init__(self, ttl: float, size: int = 1024) -> None:
        self._ttl = ttl
        self._size = size
        self._entries: dict[K, _Entry[V]] = {}
        self._locks: dict[K, anyio.Lock] = {}
        self._forgotten = 0

    async def get(self, key: K, load: Callable[[], Awaitable[V]], *, fresh: bool = False) -> V:
        """The value of `key`, loaded unless a young enough one is here."""
        asked = time.monotonic()
        oldest = asked if fresh else asked - self._ttl
        if (entry := self._entries.get(key)) is not None and entry.asked_at >= oldest:
            return entry.value
        lock = self._locks.setdefault(key, anyio.Lock())
        try:
            async with lock:
                if (entry := self._entries.get(key)) is not None and entry.asked_at >= oldest:
                    return entry.value
                began, forgotten = time.monotonic(), self._forgotten
                value = await load()
                # What was forgotten while it was on its way must not come back.
                if forgotten == self._forgotten:
                    self.put(key, value, began)
                return value
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._locks.pop(key, None)

    def put(self, key: K, value: V, asked_at: float) -> None:
        """Stores a value that was asked for at `asked_at` (`time.monotonic()`)."""
        self._entries.pop(key, None)
        self._entries[key] = _Entry(value, asked_at)
        while len(self._entries) > self._size:
            del self._entries[next(iter(self._entries))]

    def peek(self, key: K) -> V | None:
        """What is stored for `key`, however old."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def forget(self, matches: Callable[[K], bool]) -> None:
        """Drops the entries whose key matches."""
        self._forgotten += 1
        for key in [k for k in self._entries if matches(k)]:
            del self._entries[key]
