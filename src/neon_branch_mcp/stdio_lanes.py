"""Requests of one client in their order: so many run at once, the others wait, and one that is given up while it waits never runs.

A request that waits costs its line and little more; a task for each of ten thousand would cost all that a call takes.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OVERHEAD = 1_000
"""Bytes that a waiting request takes beside its line, about."""


@dataclass(frozen=True)
class _Waiting:
    id: Any
    size: int
    begin: Callable[[], None]


class Lane:
    """At most `most` requests that run. Ids are the client's: nothing is relied on but that it gives up a request by its own."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._by_id: defaultdict[Any, set[int]] = defaultdict(set)
        self._next = 0
        self.size = 0
        """Bytes of what waits."""

    def enter(self, number: Any, size: int, begin: Callable[[], None]) -> None:
        """Calls `begin` for the request, which has `size` bytes, once there is room: at once, or when others have left."""
        if self._running < self._most:
            self._running += 1
            begin()
            return
        waiting = _Waiting(number, size + OVERHEAD, begin)
        self._waiting[self._next] = waiting
        self._by_id[number].add(self._next)
        self._next += 1
        self.size += waiting.size

    def leave(self) -> None:
        """A request that ran has ended: the next one begins."""
        self._running -= 1
        if self._waiting:
            self._running += 1
            self._remove(next(iter(self._waiting))).begin()

    def give_up(self, number: Any) -> bool:
        """Whether requests with this id waited, which are gone now."""
        given_up = list(self._by_id.get(number, ()))
        for key in given_up:
            self._remove(key)
        return bool(given_up)

    def clear(self) -> list[Any]:
        """The ids of all that waited, in their order; none of it runs."""
        waited = [waiting.id for waiting in self._waiting.values()]
        self._waiting.clear()
        self._by_id.clear()
        self.size = 0
        return waited

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __len__(self) -> int:
        """How many run or wait."""
        return self._running + len(self._waiting)

    def _remove(self, key: int) -> _Waiting:
        waiting = self._waiting.pop(key)
        keys = self._by_id[waiting.id]
        keys.remove(key)
        if not keys:
            del self._by_id[waiting.id]
        self.size -= waiting.size
        return waiting
