"""Catalogue → Schema: a handful of set-based queries in one snapshot, read-only, never one per table."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

from psycopg import AsyncConnection

from .schema import Schema
from .snapshot import Snapshot, in_snapshot, lock_error, locked_names

LOCK_TIMEOUT = 2.0


async def introspect(
    conn: AsyncConnection[Any],
    *,
    schemas: Sequence[str] | None = None,
    only: Collection[int] | None = None,
    bodies: bool = True,
    sizes: bool = False,
    depends: bool = True,
    lock_timeout: float = LOCK_TIMEOUT,
    locked: Literal["skip", "raise"] = "skip",
) -> Schema:
    """The schema of the connection's database; of `schemas`, where given, and of the objects with OIDs `only`, where given.

    Read-only: an idle connection gets its own READ ONLY, REPEATABLE READ transaction; within a caller's transaction that one is used, and
    its settings are as before afterwards. `bodies` reads functions' definitions, `sizes` the tables' sizes on disk, `depends` what must be
    made before what. Relations that another session holds ACCESS EXCLUSIVE are listed without their expressions, or, with
    `locked="raise"`, are TimedOut. Raises SqlError and the other errors that a statement can raise.
    """

    async def read(taken: Snapshot) -> Schema | None:
        if taken.held and locked == "raise":
            return None
        return await taken.read(schemas=schemas, only=only, bodies=bodies, sizes=sizes, depends=depends)

    found = await in_snapshot(conn, lock_timeout, read)
    if found is None:
        raise lock_error(await locked_names(conn), lock_timeout)
    return found
