"""A branch's schema as Neon's API gives it: pg_dump's SQL, a JSON of tables, a unified diff."""

import difflib
import os
import subprocess

from .cluster import Cluster
from .lifecycle import wake
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


def _cluster(service: Service, project_id: str, branch_id: str, database: str) -> Cluster:
    if database not in [d.name for d in service.databases(project_id, branch_id)]:
        raise not_found("database")
    return wake(service.core, branch_id)


def as_sql(service: Service, project_id: str, branch_id: str, database: str) -> str:
    """What `pg_dump --schema-only` writes, without owners and grants. Raises Problem where pg_dump fails."""
    cluster = _cluster(service, project_id, branch_id, database)
    with cluster.connect(database) as conn:
        host, port, user = conn.info.host, conn.info.port, conn.info.user
    done = subprocess.run(
        [
            service.core.binaries.tool("pg_dump"),
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


def as_json(service: Service, project_id: str, branch_id: str, database: str) -> Json:
    """The tables with their columns."""
    cluster = _cluster(service, project_id, branch_id, database)
    tables: dict[tuple[str, str], list[Json]] = {}
    with cluster.connect(database) as conn:
        for schema, table, column, type_name, nullable, generated in conn.execute(_COLUMNS):
            facts = {"name": column, "type": type_name, "nullable": nullable, "generated": generated}
            tables.setdefault((schema, table), []).append(facts)
    return {"tables": [{"schema": s, "name": t, "columns": columns} for (s, t), columns in tables.items()]}


def unified_diff(before: str, after: str, database: str) -> str:
    """The difference as `diff -u` writes it; empty where there is none."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{database}", f"b/{database}")
    return "".join(lines)
