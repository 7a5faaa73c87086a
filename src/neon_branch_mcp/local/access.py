"""Roles and databases inside a cluster, made by the superuser on behalf of the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from .cluster import Cluster
from .problems import Problem
from .settings import SUPERUSER

GROUP = "neon_superuser"
HIDDEN_DATABASES = ("template0", "template1", "postgres")
RESERVED_ROLES = (GROUP, SUPERUSER, "public", "none")
MOST_BYTES = 63


@dataclass(frozen=True)
class FoundDatabase:
    oid: int
    name: str
    owner: str


Connection = psycopg.Connection[tuple[Any, ...]]


def check_role_name(name: str) -> None:
    """Raises Problem for a name that a role of a user's cannot have."""
    _check_name("role", name)
    if name in RESERVED_ROLES or name.startswith("pg_"):
        raise Problem(422, f"role name {name} is reserved")


def check_database_name(name: str) -> None:
    """Raises Problem for a name that a database of a user's cannot have."""
    _check_name("database", name)
    if name in HIDDEN_DATABASES:
        raise Problem(422, f"database name {name} is reserved")


def _check_name(what: str, name: str) -> None:
    """Postgres would cut a longer one short without a word."""
    if not name or "\0" in name or len(name.encode()) > MOST_BYTES:
        raise Problem(400, f"a {what} name has 1 to {MOST_BYTES} bytes, and no zero byte")


def create_group(conn: Connection, major: int) -> None:
    """Neon's group role: what its members may do beyond their own objects. Not a superuser."""
    conn.execute(
        sql.SQL("CREATE ROLE {} NOLOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS").format(sql.Identifier(GROUP))
    )
    for given in ("pg_read_all_data", "pg_write_all_data", "pg_monitor", "pg_signal_backend"):
        conn.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(sql.Identifier(given), sql.Identifier(GROUP)))
    if major >= 16:
        conn.execute(sql.SQL("GRANT pg_create_subscription TO {} WITH ADMIN OPTION").format(sql.Identifier(GROUP)))


def create_role(conn: Connection, name: str, password: str) -> None:
    """A login as Neon's API makes it: a member of the group, with its attributes, which membership does not hand down."""
    conn.execute(
        sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS PASSWORD {} IN ROLE {}").format(
            sql.Identifier(name), sql.Literal(password), sql.Identifier(GROUP)
        )
    )


def set_password(conn: Connection, name: str, password: str) -> None:
    """Give the role a new password and end its sessions, as Neon's reset does."""
    conn.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(password)))
    conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name])


def create_database(conn: Connection, name: str, owner: str) -> None:
    """An empty database of this owner."""
    conn.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner)))


def databases(conn: Connection) -> Sequence[FoundDatabase]:
    """The users' databases, by name."""
    rows = conn.execute(
        "SELECT oid::int8, datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname <> ALL(%s) AND datallowconn ORDER BY datname",
        [list(HIDDEN_DATABASES)],
    ).fetchall()
    return [FoundDatabase(int(oid), str(name), str(owner)) for oid, name, owner in rows]


def login_roles(conn: Connection) -> Sequence[str]:
    """The users' logins, by name; roles of the system and the group are not theirs."""
    rows = conn.execute(
        "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname !~ '^pg_' AND rolname <> %s ORDER BY rolname",
        [SUPERUSER],
    ).fetchall()
    return [str(name) for (name,) in rows]


def run_as(cluster: Cluster, database: str, role: str, text: str) -> None:
    """Run a script of several statements in one transaction, with the rights of `role`."""
    with cluster.connect(database) as conn, conn.transaction():
        conn.execute(sql.SQL("SET LOCAL SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
        conn.execute(text.encode())
