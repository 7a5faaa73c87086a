"""Copies a database of the user's into a branch: from a pg_dump file of any format, or from a live database."""

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from ..errors import ConfigError, NotFound, Unreachable
from .access import HIDDEN_DATABASES
from .binaries import Binaries
from .problems import Problem
from .service import Service

SHOWN = 20
_KEPT = ["--no-owner", "--no-privileges"]


class Transfer:
    """One import. Owners and grants are left out: everything belongs to the branch's owner role.

    Raises NotFound when `source` is neither a file, a folder nor a URI.
    """

    def __init__(self, binaries: Binaries, source: str) -> None:
        self._binaries = binaries
        self._source = source
        self.is_uri = source.startswith(("postgres://", "postgresql://"))
        path = Path(source)
        if not self.is_uri and not path.exists():
            raise NotFound(f"{source} is neither a file nor a postgresql:// URI.")
        plain = unquote(urlsplit(source).path.lstrip("/")) if self.is_uri else path.name.split(".")[0]
        name = re.sub(r"[^a-z0-9_]+", "_", plain.lower()).strip("_")[:60]
        self.name = name if name and name not in HIDDEN_DATABASES else "imported"

    def into(self, uri: str) -> list[str]:
        """Fill the empty database at `uri`; returns what could not be restored, a line each.

        Raises Unreachable when the live database cannot be dumped, ConfigError when the file is no dump.
        """
        restore = [self._binaries.tool("pg_restore"), *_KEPT, f"--dbname={uri}"]
        if self.is_uri:
            return _outcome(self._copied(restore), urlsplit(self._source).hostname or "the source", uri)
        dump = Path(self._source)
        if dump.is_dir() or _is_archive(dump):
            command = [*restore, str(dump)]
        else:
            command = [self._binaries.tool("psql"), "--no-psqlrc", "--quiet", f"--dbname={uri}", f"--file={dump}"]
        return _outcome(
            subprocess.run(command, capture_output=True, text=True, errors="replace", check=False), dump.name, uri
        )

    def _copied(self, restore: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """From pg_dump straight into pg_restore: nothing is left on the disk, and neither outlives the database that is filled."""
        command = [self._binaries.tool("pg_dump"), "--format=custom", *_KEPT, self._source]
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as dump,
        ):
            try:
                done = subprocess.run(
                    restore, stdin=dump.stdout, capture_output=True, text=True, errors="replace", check=False
                )
            except BaseException:
                dump.kill()
                raise
            assert dump.stdout is not None
            dump.stdout.close()  # where pg_restore has given up, pg_dump ends by this
            failed = dump.wait() > 0
            said.seek(0)
            words = said.read().strip()
        if failed:
            host = urlsplit(self._source).hostname
            older = "version mismatch" in words
            hint = " Set local.bin_dir to a Postgres that is at least as new as that server." if older else ""
            raise Unreachable(f"pg_dump of the database at {host} failed: {words[-800:]}{hint}")
        return done


def _outcome(done: "subprocess.CompletedProcess[str]", name: str, uri: str) -> list[str]:
    """What could not be restored. Raises ConfigError where that is all."""
    problems = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    went_on = not done.returncode or "errors ignored on restore" in done.stderr
    if not went_on or (problems and _is_empty(uri)):
        raise ConfigError(f"{name} could not be restored: {done.stderr.strip()[-800:]}")
    more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return problems[:SHOWN] + more


def import_project(service: Service, source: str, name: str | None = None) -> tuple[str, list[str]]:
    """A new project that holds a copy of the source; its id, and what could not be restored.

    Only a whole one stays: after an error, and after the end of this process in the middle of it, there is no such project.
    """
    transfer = Transfer(service.core.binaries, source)
    made = service.create_project(name or transfer.name, database=transfer.name, importing=True)
    assert made.project is not None
    assert made.branch is not None
    project_id = made.project.id
    try:
        service.finish(made)
        (database,) = service.databases(project_id, made.branch.id)
        uri = service.connection_uri(
            project_id, database.name, database.owner, branch_id=made.branch.id, endpoint_id=None
        )
        warnings = transfer.into(uri)
    except BaseException:
        with contextlib.suppress(Problem):  # it is gone already
            service.finish(service.delete_project(project_id))
        raise
    service.imported(project_id)
    return project_id, warnings


def _is_empty(uri: str) -> bool:
    """Whether nothing of a user's is there: no relation, no function, no schema."""
    with psycopg.connect(uri) as conn:
        row = conn.execute(
            "SELECT 1 FROM pg_class WHERE oid >= 16384 AND relkind NOT IN ('t', 'i')"
            " UNION ALL SELECT 1 FROM pg_proc WHERE oid >= 16384 UNION ALL SELECT 1 FROM pg_namespace WHERE oid >= 16384 LIMIT 1"
        ).fetchone()
    return row is None


def _is_archive(dump: Path) -> bool:
    """pg_dump's custom format begins with PGDMP, its tar format is a tar with a toc.dat. Raises ConfigError for a compressed file."""
    with dump.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\3\4")):
        raise ConfigError(
            f"{dump.name} is a compressed file; unpack it first. pg_dump's own formats need no unpacking."
        )
    return head.startswith(b"PGDMP") or head[257:262] == b"ustar"
