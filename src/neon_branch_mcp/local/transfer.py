"""Copies a database of the user's into a branch: from a pg_dump file of any format, or from a live database."""

import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from ..errors import ConfigError, NotFound, Unreachable
from .binaries import Binaries

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
        self.name = re.sub(r"[^a-z0-9_]+", "_", plain.lower()).strip("_")[:60] or "imported"

    def into(self, uri: str) -> list[str]:
        """Fill the empty database at `uri`; returns what could not be restored, a line each.

        Raises Unreachable when the live database cannot be dumped, ConfigError when the file is no dump.
        """
        if not self.is_uri:
            return self._restore(Path(self._source), uri)
        with tempfile.TemporaryDirectory(prefix="neon-branch-mcp-import-") as folder:
            dump = Path(folder) / "dump"
            command = [self._binaries.tool("pg_dump"), "--format=custom", *_KEPT, f"--file={dump}", self._source]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                host = urlsplit(self._source).hostname
                older = "version mismatch" in done.stderr
                hint = " Set local.bin_dir to a Postgres that is at least as new as that server." if older else ""
                raise Unreachable(f"pg_dump of the database at {host} failed: {done.stderr.strip()[-800:]}{hint}")
            return self._restore(dump, uri)

    def _restore(self, dump: Path, uri: str) -> list[str]:
        if dump.is_dir() or _is_archive(dump):
            command = [self._binaries.tool("pg_restore"), *_KEPT, f"--dbname={uri}", str(dump)]
        else:
            command = [self._binaries.tool("psql"), "--no-psqlrc", "--quiet", f"--dbname={uri}", f"--file={dump}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        problems = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        went_on = not done.returncode or "errors ignored on restore" in done.stderr
        if not went_on or (problems and _is_empty(uri)):
            raise ConfigError(f"{dump.name} could not be restored: {done.stderr.strip()[-800:]}")
        more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        return problems[:SHOWN] + more


def _is_empty(uri: str) -> bool:
    """Whether nothing of a user's is there: no relation, no function, no schema."""
    with psycopg.connect(uri) as conn:
        row = conn.execute(
            "SELECT 1 FROM pg_class WHERE oid >= 16384 AND relkind NOT IN ('t', 'i')"
            " UNION ALL SELECT 1 FROM pg_proc WHERE oid >= 16384 UNION ALL SELECT 1 FROM pg_namespace WHERE oid >= 16384 LIMIT 1"
        ).fetchone()
    return row is None


def _is_archive(dump: Path) -> bool:
    """pg_dump's custom format begins with PGDMP, its tar format is a tar with a toc.dat."""
    with dump.open("rb") as file:
        head = file.read(512)
    return head.startswith(b"PGDMP") or head[257:262] == b"ustar"
