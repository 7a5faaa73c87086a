"""Whether a write reached another server, seen from inside its transaction, so that it can still be undone.

A text can put together at run time what the guard would have refused to see written. What it made shows in the catalogue, and a foreign
table that it touched in the locks, which last until the end of the transaction; postgres_fdw commits over there only with us. What
would run at COMMIT is run before we look. The text may have set a search_path of its own, so operators say their schema.
"""

from dataclasses import dataclass

from .wire import Wire

_MADE = """SELECT pg_catalog.md5(pg_catalog.concat(
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' ORDER BY oid) FROM pg_catalog.pg_foreign_server),
  (SELECT pg_catalog.string_agg(m::text, ',' ORDER BY umid) FROM pg_catalog.pg_user_mappings m),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, subname, subenabled, subslotname, subpublications), ',' ORDER BY oid)
   FROM pg_catalog.pg_subscription)))"""
_TOUCHED = """SELECT t.ftrelid::pg_catalog.regclass FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_foreign_table t ON t.ftrelid OPERATOR(pg_catalog.=) l.relation
WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() LIMIT 1"""


@dataclass(frozen=True)
class Connections:
    """What leads from this database to other servers, as far as this login sees it."""

    digest: str


async def connections(wire: Wire) -> Connections:
    """As they are now, in this transaction."""
    return Connections(((await wire.ours(_MADE)).get_value(0, 0) or b"").decode())


async def reached(wire: Wire, before: Connections) -> str:
    """How this transaction reached beyond, in words that follow «it»; empty when it did not."""
    await wire.ours("SET CONSTRAINTS ALL IMMEDIATE")
    touched = await wire.ours(_TOUCHED)
    if touched.ntuples:
        return f"touched {(touched.get_value(0, 0) or b'').decode()}, whose rows live on another server"
    if await connections(wire) != before:
        return "made or changed a foreign server, a user mapping or a subscription"
    return ""
