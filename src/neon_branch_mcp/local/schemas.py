"""A branch's schema, now or at a moment of its history, as Neon's API gives it: pg_dump's SQL, a JSON of tables, a unified diff."""

import difflib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import access, ids
from .cluster import Cluster
from .core import branch_in
from .history import Moment, base_for, check_not_ahead, recover
from .lifecycle import discard, wake
from .objects import Json
from .problems import Problem, not_found
from .service import Service

_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attgenerated <> ''
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2, a.attnum
"""


PURPOSE = "past"


@contextmanager
def _opened(service: Service, project_id: str, branch_id: str, database: str, moment: Moment) -> Iterator[Cluster]:
    """The branch's cluster, which runs and has this database; for an earlier moment one as it was then, thrown away afterwards."""
    if moment != Moment():
        with _past(service, project_id, branch_id, moment) as cluster:
            with cluster.connect() as conn:
                found = access.databases(conn)
            _check_database(database, found)
            yield cluster
        return
    _check_database(database, service.databases(project_id, branch_id))
    yield wake(service.core, branch_id)


def _check_database(name: str, found: Sequence[access.FoundDatabase]) -> None:
    if name not in [d.name for d in found]:
        raise not_found("database")


@contextmanager
def _past(service: Service, project_id: str, branch_id: str, moment: Moment) -> Iterator[Cluster]:
    """Only the cluster's row says what it is for: one that a kill leaves behind belongs to nothing and is swept away."""
    core = service.core
    service.branch(project_id, branch_id)
    with core.store.read() as tx:
        base = base_for(tx, branch_in(tx, branch_id), moment)
    source = wake(core, branch_id)
    check_not_ahead(source, moment)
    cluster = core.register_cluster(ids.cluster_id(), project_id, None, PURPOSE)
    try:
        recover(core, base, source, cluster, moment, durable=False)
        yield cluster
    finally:
        discard(core, cluster.id)


def as_sql(service: Service, project_id: str, branch_id: str, database: str, moment: Moment) -> str:
    """What `pg_dump --schema-only` writes, without owners and grants. Raises Problem where pg_dump fails."""
    with _opened(service, project_id, branch_id, database, moment) as cluster:
        return _dump(cluster, database)


def _dump(cluster: Cluster, database: str) -> str:
    with cluster.connect(database) as conn:
        host, port, user = conn.info.host, conn.info.port, conn.info.user
    done = subprocess.run(
        [
            cluster.binaries.tool("pg_dump"),
            *("--schema-only", "--no-owner", "--no-privileges", "--no-password"),
            *(f"--host={host}", f"--port={port}", f"--username={user}", f"--dbname={database}"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
    )
    if done.returncode:
        raise Problem(500, f"pg_dump failed: {done.stderr.strip()[-400:]}")
    # pg_dump guards its text with a random token, which would make every two dumps differ.
    lines = (line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))
    return "\n".join(lines) + "\n"


def as_json(service: Service, project_id: str, branch_id: str, database: str, moment: Moment) -> Json:
    """The tables with their columns."""
    tables: dict[tuple[str, str], list[Json]] = {}
    with _opened(service, project_id, branch_id, database, moment) as cluster, cluster.connect(database) as conn:
        for schema, table, column, type_name, nullable, generated in conn.execute(_COLUMNS):
            facts = {"name": column, "type": type_name, "nullable": nullable, "generated": generated}
            tables.setdefault((schema, table), []).append(facts)
    return {"tables": [{"schema": s, "name": t, "columns": columns} for (s, t), columns in tables.items()]}


def unified_diff(before: str, after: str, database: str) -> str:
    """The difference as `diff -u` writes it; empty where there is none."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{database}", f"b/{database}")
    return "".join(lines)
