"""Whether a write reached another server, seen from inside its transaction, so that it can still be undone.

A text can put together at run time what the guard would have refused to see written. What it made shows in the catalogue, and a foreign
table that it touched in the locks, which last until the end of the transaction; postgres_fdw commits over there only with us. What
would run at COMMIT is run before we look. The text may have set a search_path of its own, so operators say their schema.
"""

import re
from dataclasses import dataclass

import psycopg

from .wire import Statement, Wire

_MADE = """pg_catalog.md5(pg_catalog.concat(
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' ORDER BY oid) FROM pg_catalog.pg_foreign_server),
  (SELECT pg_catalog.string_agg(m::text, ',' ORDER BY umid) FROM pg_catalog.pg_user_mappings m),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, subname, subenabled, subslotname, subpublications), ',' ORDER BY oid)
   FROM pg_catalog.pg_subscription)))"""
_TOUCHED = """(SELECT pg_catalog.concat('{mark}touched ', t.ftrelid::pg_catalog.regclass, ', whose rows live on another server')
 FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_foreign_table t ON t.ftrelid OPERATOR(pg_catalog.=) l.relation
 WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() LIMIT 1)"""
MARK = "neon-branch-mcp: it "
MADE = "made or changed a foreign server, a user mapping or a subscription"
# A text that is no truth value ends the transaction, and says why.
_STAYED = f"""SELECT COALESCE({_TOUCHED.format(mark=MARK)},
 CASE WHEN {_MADE} OPERATOR(pg_catalog.=) '{{before}}' THEN 'yes' ELSE '{MARK}{MADE}' END)::pg_catalog.bool"""
_SAID = re.compile(f'"{MARK}(.*)"', re.DOTALL)


@dataclass(frozen=True)
class Connections:
    """What leads from this database to other servers, as far as this login sees it."""

    digest: str

    def stayed(self) -> str:
        """Statements that fail, and with them the transaction, unless it stayed on this server; `reached` reads their error."""
        return f"SET CONSTRAINTS ALL IMMEDIATE; {_STAYED.format(before=self.digest)}"


async def connections(wire: Wire, *then: Statement) -> Connections:
    """As they are now; `then` follows in the same round trip, in a transaction of its own, so that nothing ran in that one before."""
    wire.send([Statement(f"SELECT {_MADE}")], *([one] for one in then))
    results = (await wire.received(1 + len(then))).all()
    return Connections((results[0].get_value(0, 0) or b"").decode())


def reached(error: psycopg.Error) -> str:
    """How the transaction reached beyond, in words that follow «it»; empty when that is not what ended it."""
    said = _SAID.search(error.diag.message_primary or "")
    return said[1] if said and error.sqlstate == "22P02" else ""
