"""Makes a login that can only read: the layer of the guard that is Postgres' own.

By SQL, not by Neon's API: roles that the API makes get neon_superuser. Run once by the operator, as the owner of the databases.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from ..config import Secret
from ..errors import ConfigError
from .executor import Executor
from .target import Target

SAFE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
# Every table that is there or that a later version makes, and the views of the statistics.
PREDEFINED = ("pg_read_all_data", "pg_monitor")
SETTINGS = (
    ("default_transaction_read_only", "on"),
    ("row_security", "off"),
    ("idle_in_transaction_session_timeout", "30s"),
)


@dataclass(frozen=True)
class ReaderReport:
    """What was made. `notes` say what the login can do that it would better not, and what it cannot see."""

    role: str
    password: Secret
    created: bool
    grants: tuple[str, ...]
    notes: tuple[str, ...]


async def make_reader(executor: Executor, targets: Sequence[Target], *, role: str) -> ReaderReport:
    """Make the login `role`, or give it a new password, and let it read every database of `targets` (of one branch).

    The targets log in as the databases' owners. Raises ConfigError for a name that would need quoting, SqlError where the owner may
    not make roles.
    """
    if not SAFE_NAME.match(role) or role.startswith("pg_"):
        raise ConfigError(
            f"{role!r} is no name for the reader: lower-case letters, digits and _, not beginning with pg_."
        )
    password = secrets.token_urlsafe(24)
    grants: list[str] = []
    notes: list[str] = []
    created = False
    for i, target in enumerate(targets):
        async with executor.session(target, purpose="setup-reader") as conn, conn.transaction():
            if i == 0:
                created = await _login(conn, role, password)
                grants += await _predefined(conn, role)
            if PREDEFINED[0] not in grants:
                grants.append(await _every_table(conn, role, target.database))
            notes += await _shortcomings(conn, role, target.database)
    return ReaderReport(role, Secret(password), created, tuple(grants), tuple(dict.fromkeys(notes)))


Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def _login(conn: Connection, role: str, password: str) -> bool:
    """True when the role is new. An existing one is stripped of what a reader does not have."""
    found = await (await conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])).fetchone()
    verb = "ALTER" if found is not None else "CREATE"
    await conn.execute(
        sql.SQL("{} ROLE {} LOGIN NOCREATEDB NOCREATEROLE INHERIT PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.Literal(password)
        )
    )
    for name, value in SETTINGS:
        await conn.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(sql.Identifier(role), sql.Identifier(name), sql.Literal(value))
        )
    return found is None


async def _predefined(conn: Connection, role: str) -> list[str]:
    """Memberships that could be granted; from Postgres 16 on an owner may lack the ADMIN OPTION for them."""
    granted = []
    for name in PREDEFINED:
        try:
            async with conn.transaction():
                await conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(name), sql.Identifier(role)))
            granted.append(name)
        except psycopg.errors.InsufficientPrivilege:
            continue
    return granted


async def _every_table(conn: Connection, role: str, database: str) -> str:
    """SELECT on all there is, and by default privileges on what this owner makes later."""
    rows = await conn.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' "
        "AND has_schema_privilege(oid, 'USAGE WITH GRANT OPTION')"
    )
    schemas = [row[0] for row in await rows.fetchall()]
    reader = sql.Identifier(role)
    for schema in map(sql.Identifier, schemas):
        for statement in (
            "GRANT USAGE ON SCHEMA {schema} TO {reader}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {reader}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
        ):
            await conn.execute(sql.SQL(statement).format(schema=schema, reader=reader))
    return f"SELECT on all tables in {database}: {', '.join(schemas)}"


_SHORTCOMINGS = (
    (
        "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(%(role)s, oid, 'CREATE')",
        "can create objects in schema {found} of {database}: REVOKE CREATE ON SCHEMA … FROM PUBLIC",
    ),
    (
        "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace >= 16384 "
        "AND has_table_privilege(%(role)s, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')",
        "can write {found} in {database}: REVOKE what PUBLIC was granted",
    ),
    (
        "SELECT c.oid::regclass::text FROM pg_class c WHERE relrowsecurity AND NOT (SELECT rolbypassrls OR rolsuper FROM pg_roles "
        "WHERE rolname = %(role)s)",
        "gets an error, not silently missing rows, from tables with row-level security ({found} in {database})",
    ),
    (
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.prosecdef AND p.oid >= 16384 "
        "AND has_function_privilege(%(role)s, p.oid, 'EXECUTE')",
        "may call SECURITY DEFINER functions ({found} in {database}); the guard refuses the volatile ones",
    ),
    (
        "SELECT r.rolname FROM pg_roles r WHERE r.rolname NOT IN ('pg_read_all_data', 'pg_monitor', 'pg_read_all_settings', "
        "'pg_read_all_stats', 'pg_stat_scan_tables', %(role)s) AND pg_has_role(%(role)s, r.oid, 'MEMBER')",
        "is also a member of {found}: REVOKE that",
    ),
)
SHOWN = 5


async def _shortcomings(conn: Connection, role: str, database: str) -> list[str]:
    """What stands between this login and «can only read all»."""
    notes = []
    for query, text in _SHORTCOMINGS:
        found = [row[0] for row in await (await conn.execute(query, {"role": role})).fetchall()]
        if found:
            names = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
            notes.append(f"{role} " + text.format(found=names, database=database))
    return notes
