"""The schema before and after a migration, read without standing in its way."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from ..errors import NeonBranchError
from ..postgres.ddl import statements
from ..postgres.introspect import introspect
from ..postgres.schema import Schema
from .diff import diff
from .schema_after import schema_after


@dataclass(frozen=True)
class Before:
    """The schema as it was."""

    schema: Schema
    fingerprint: str


@dataclass
class SchemaChange:
    """What the script does to the schema, as short DDL.

    `watcher` reads the schema as it was; `stamp` says which of the server's transactions had ended before.
    """

    reading: "asyncio.Task[Before | None]"
    watcher: AsyncConnection[Any]
    stamp: str
    diff: str = ""
    fingerprint_before: str = ""
    fingerprint_after: str = ""
    notes: tuple[str, ...] = ()

    async def watch_free(self) -> None:
        """Wait until the watching connection has read the schema: it does so while statements run that meet nothing of before."""
        await asyncio.wait([self.reading])

    async def complete(self, conn: AsyncConnection[Any]) -> None:
        """Compare with what `conn` sees now."""
        before = await self.reading
        after = None if before is None else await schema_after(conn, self.watcher, before.schema, self.stamp)
        after = after or await read_schema(conn)
        if before is None or after is None:
            self.notes = ("The schema could not be read before and after: no schema diff.",)
            return
        self.fingerprint_before = self.fingerprint_after = before.fingerprint
        if after is not before.schema:
            self.diff = diff(before.schema, after, same_database=True).ddl.rstrip()
            self.fingerprint_after = fingerprint(after)


def fingerprint(schema: Schema) -> str:
    """Equal for two schemas that the same DDL makes, whoever owns them and whatever their OIDs."""
    text = "\n".join(sorted(statements(schema, owners=False)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def read_before(conn: AsyncConnection[Any]) -> Before | None:
    """What `complete` compares with; its fingerprint is made here, where the script's statements run meanwhile."""
    schema = await read_schema(conn)
    return None if schema is None else Before(schema, fingerprint(schema))


async def read_schema(conn: AsyncConnection[Any]) -> Schema | None:
    """The schema as `conn` sees it; inside a transaction in a savepoint, so that a failure leaves only the question open."""
    try:
        async with conn.transaction():
            return await introspect(conn, depends=False, lock_timeout=1)
    except NeonBranchError:
        return None
