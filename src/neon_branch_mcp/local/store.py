"""What the control plane knows, in SQLite with WAL: one writer at a time across processes, and every commit survives a kill.

Rows are frozen; a change is one `write()` block, which commits as a whole or not at all.
"""

import contextlib
import json
import os
import queue
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError
from .problems import DiskFull

FORMAT = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE projects (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, org_id TEXT NOT NULL, pg_version INTEGER NOT NULL, state TEXT NOT NULL,
  history_seconds INTEGER NOT NULL, settings TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL
) STRICT;
CREATE TABLE branches (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects (id), name TEXT NOT NULL, parent_id TEXT, parent_lsn TEXT,
  parent_timestamp REAL, state TEXT NOT NULL, pending_state TEXT, state_changed_at REAL NOT NULL, is_default INTEGER NOT NULL,
  is_protected INTEGER NOT NULL, init_source TEXT NOT NULL, cluster_id TEXT, expires_at REAL, ttl_seconds INTEGER,
  last_reset_at REAL, logical_size INTEGER, made_by TEXT, annotation TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
  UNIQUE (project_id, name)
) STRICT;
CREATE TABLE endpoints (
  id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects (id), branch_id TEXT NOT NULL REFERENCES branches (id),
  type TEXT NOT NULL, port INTEGER NOT NULL UNIQUE, settings TEXT NOT NULL, disabled INTEGER NOT NULL, last_active REAL,
  started_at REAL, suspended_at REAL, created_at REAL NOT NULL, updated_at REAL NOT NULL
) STRICT;
CREATE TABLE roles (
  branch_id TEXT NOT NULL REFERENCES branches (id), name TEXT NOT NULL, password TEXT, created_at REAL NOT NULL,
  updated_at REAL NOT NULL, PRIMARY KEY (branch_id, name)
) STRICT;
CREATE TABLE jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, project_id TEXT NOT NULL, branch_id TEXT, payload TEXT NOT NULL, status TEXT NOT NULL,
  worker TEXT NOT NULL, attempts INTEGER NOT NULL, created_at REAL NOT NULL
) STRICT;
CREATE TABLE operations (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL, project_id TEXT NOT NULL, branch_id TEXT,
  endpoint_id TEXT, action TEXT NOT NULL, status TEXT NOT NULL, error TEXT, failures INTEGER NOT NULL, created_at REAL NOT NULL,
  updated_at REAL NOT NULL
) STRICT;
CREATE INDEX operations_of_project ON operations (project_id, seq);
CREATE TABLE clusters (id TEXT PRIMARY KEY, project_id TEXT NOT NULL, job_id TEXT, purpose TEXT NOT NULL, created_at REAL NOT NULL) STRICT;
CREATE TABLE bases (
  id TEXT PRIMARY KEY REFERENCES clusters (id) ON DELETE CASCADE, of_cluster TEXT NOT NULL, start_lsn TEXT NOT NULL,
  end_lsn TEXT NOT NULL, taken_at REAL NOT NULL
) STRICT;
CREATE TABLE spares (
  id TEXT PRIMARY KEY REFERENCES clusters (id) ON DELETE CASCADE, of_cluster TEXT NOT NULL, port INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class ProjectRow:
    id: str
    name: str
    org_id: str
    pg_version: int
    state: str
    history_seconds: int
    settings: Mapping[str, Any]
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class BranchRow:
    """A branch; `cluster_id` is None until its first cluster is whole. `pending_state` is set while it changes.

    `made_by` says how its data came: a copy, a warm spare, …
    """

    id: str
    project_id: str
    name: str
    parent_id: str | None
    parent_lsn: str | None
    parent_timestamp: float | None
    state: str
    pending_state: str | None
    state_changed_at: float
    is_default: bool
    is_protected: bool
    init_source: str
    cluster_id: str | None
    expires_at: float | None
    ttl_seconds: int | None
    last_reset_at: float | None
    logical_size: int | None
    made_by: str | None
    annotation: Mapping[str, str]
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class EndpointRow:
    """A compute: the TCP port of its connection string and its settings. Whether it is active is a matter of the process, not of a row."""

    id: str
    project_id: str
    branch_id: str
    type: str
    port: int
    settings: Mapping[str, Any]
    disabled: bool
    last_active: float | None
    started_at: float | None
    suspended_at: float | None
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class RoleRow:
    """A role that the API made, with its password; roles made by SQL have no row."""

    branch_id: str
    name: str
    password: str | None
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class JobRow:
    """Work promised to a caller. Every kind can be run again from its beginning, so a job whose worker died is simply run again."""

    id: str
    kind: str
    project_id: str
    branch_id: str | None
    payload: Mapping[str, Any]
    status: str
    worker: str
    attempts: int
    created_at: float


@dataclass(frozen=True)
class OperationRow:
    """One step of a job, as the API shows it."""

    seq: int
    id: str
    job_id: str
    project_id: str
    branch_id: str | None
    endpoint_id: str | None
    action: str
    status: str
    error: str | None
    failures: int
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class ClusterRow:
    """A folder of clusters/ that has a reason to be there: a branch's, a spare, a snapshot, or the work of a job."""

    id: str
    project_id: str
    job_id: str | None
    purpose: str
    created_at: float


@dataclass(frozen=True)
class BaseRow:
    """A copy of a branch's cluster that is never started: where a recovery to a point in time begins. `id` is its own cluster's."""

    id: str
    of_cluster: str
    start_lsn: str
    end_lsn: str
    taken_at: float


@dataclass(frozen=True)
class SpareRow:
    """A standby of a default branch's cluster, kept to be promoted. `port` is the one on which it follows the branch's cluster."""

    id: str
    of_cluster: str
    port: int


Row = TypeVar(
    "Row",
    bound=ProjectRow | BranchRow | EndpointRow | RoleRow | JobRow | OperationRow | ClusterRow | BaseRow | SpareRow,
)
TABLES: Mapping[type, str] = {
    ProjectRow: "projects",
    BranchRow: "branches",
    EndpointRow: "endpoints",
    RoleRow: "roles",
    JobRow: "jobs",
    OperationRow: "operations",
    ClusterRow: "clusters",
    BaseRow: "bases",
    SpareRow: "spares",
}
JSON_COLUMNS = frozenset({"settings", "annotation", "payload"})
BOOL_COLUMNS = frozenset({"is_default", "is_protected", "disabled"})


class Transaction:
    """What can be read and, within `Store.write()`, changed. Column names come from our code, never from a caller's data."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self, kind: type[Row], where: str = "1", values: Sequence[Any] = (), *, order: str = "rowid") -> list[Row]:
        """Rows of a kind; `where` has a `?` for each of `values`."""
        names = [f.name for f in fields(kind)]
        found = self._connection.execute(
            f"SELECT {', '.join(names)} FROM {TABLES[kind]} WHERE {where} ORDER BY {order}", list(values)
        )
        return [kind(**{n: _load(n, v) for n, v in zip(names, row, strict=True)}) for row in found]

    def one(self, kind: type[Row], where: str, *values: Any) -> Row | None:
        """The first such row."""
        rows = self.all(kind, where, values)
        return rows[0] if rows else None

    def add(self, row: Any) -> None:
        """Insert a row. Raises sqlite3.IntegrityError where a name, id or port is taken."""
        names = [f.name for f in fields(row) if f.name != "seq"]  # SQLite numbers the operations
        marks = ", ".join("?" * len(names))
        self._connection.execute(
            f"INSERT INTO {TABLES[type(row)]} ({', '.join(names)}) VALUES ({marks})",
            [_dump(name, getattr(row, name)) for name in names],
        )

    def change(self, kind: type[Row], key: str, **columns: Any) -> None:
        """Set columns of the row with this id."""
        sets = ", ".join(f"{name} = ?" for name in columns)
        changed = [_dump(n, v) for n, v in columns.items()]
        self._connection.execute(f"UPDATE {TABLES[kind]} SET {sets} WHERE id = ?", [*changed, key])

    def put_role(self, role: RoleRow) -> None:
        """Insert the role, or replace its password."""
        self._connection.execute("DELETE FROM roles WHERE branch_id = ? AND name = ?", [role.branch_id, role.name])
        self.add(role)

    def drop(self, kind: type[Row], where: str, *values: Any) -> None:
        """Delete rows."""
        self._connection.execute(f"DELETE FROM {TABLES[kind]} WHERE {where}", values)

    def meta(self, key: str) -> str | None:
        """A single remembered value."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
        return None if row is None else str(row[0])

    def metas(self, prefix: str) -> dict[str, str]:
        """The remembered values whose keys begin so, by the rest of their keys."""
        rows = self._connection.execute(
            "SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", [len(prefix), prefix]
        )
        return {str(key)[len(prefix) :]: str(value) for key, value in rows}

    def drop_meta(self, key: str) -> None:
        """Forget a value."""
        self._connection.execute("DELETE FROM meta WHERE key = ?", [key])

    def set_meta(self, key: str, value: str) -> None:
        """Remember a single value."""
        self._connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [key, value])


def _load(name: str, value: Any) -> Any:
    if name in JSON_COLUMNS:
        return json.loads(value)
    return bool(value) if name in BOOL_COLUMNS else value


def _dump(name: str, value: Any) -> Any:
    if name in JSON_COLUMNS:
        return json.dumps(value, ensure_ascii=False)
    return int(value) if name in BOOL_COLUMNS else value


class Store:
    """The state file of one data directory. Safe in threads; other processes may have it open too."""

    def __init__(self, path: Path, clusters: Path) -> None:
        """Open or make it. Raises ConfigError for a file that is damaged, of a newer version of ours, or lost while there are clusters."""
        self._path = path
        self._clusters = clusters
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._all: list[sqlite3.Connection] = []
        _close_to_others(path)
        try:
            with self.write() as tx:
                self._migrate(tx)
        except sqlite3.DatabaseError as exc:
            self.close()
            raise ConfigError(
                f"The state file {path} is damaged ({exc}); the clusters beside it are whole. "
                "Restore the file from a backup, or name another --data-dir."
            ) from exc
        except ConfigError:
            self.close()
            raise

    def _migrate(self, tx: Transaction) -> None:
        connection = tx._connection
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise ConfigError(
                f"{self._path.parent} was written by a newer neon-branch-mcp (format {version}, this one knows {FORMAT}); "
                "upgrade, or name another --data-dir."
            )
        if version == 0:
            if found := [path.name for path in self._clusters.iterdir()]:
                # To begin anew would sweep them away, and one of them may be all that there is of somebody's data.
                raise ConfigError(
                    f"The state file {self._path} is missing or empty, and {self._clusters} holds {len(found)} clusters that it should "
                    "name. Restore the file from a backup, move the clusters away, or name another --data-dir."
                )
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        self._all.append(connection)
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """The one writer: commits at the end of the block, undoes all of it on an exception. Raises DiskFull."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
                connection.execute("COMMIT")
            except BaseException as exc:
                if connection.in_transaction:  # some errors have undone it already
                    connection.execute("ROLLBACK")
                if isinstance(exc, sqlite3.OperationalError) and exc.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise DiskFull from exc
                raise

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One moment's view."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield Transaction(connection)
            finally:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close every connection; nobody may be using one."""
        for connection in self._all:
            connection.close()
        self._all.clear()


def _close_to_others(path: Path) -> None:
    """It holds passwords, and as root others can walk through its folder. SQLite gives its log the mode that the file itself has."""
    # A file that is there is not opened: closing it again would release this process' locks on it, which other connections hold
    # (SQLite, "How To Corrupt An SQLite Database File", 2.2).
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for file in (path, *path.parent.glob(f"{path.name}-*")):
        with contextlib.suppress(FileNotFoundError):
            file.chmod(0o600)


def now() -> float:
    """Seconds since the epoch, UTC."""
    return time.time()
