"""One branch with a public data set, a child of it per migration, and verify_migration on each."""

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from neon_branch_mcp.local.binaries import find_binaries

from ..benchmarks.servers import Peer, running

CASE = re.compile(r"^-- == (\w+): (keeping|losing)\n(.*?)(?=^-- == |\Z)", re.MULTILINE | re.DOTALL)
CHECK = re.compile(r"^-- check: (.*)\n-- against: (.*)\n", re.MULTILINE)
COPY = re.compile(r"^-- copy (\w+) from (\S+)$", re.MULTILINE)
DATABASE = "corpus"


@dataclass(frozen=True)
class Case:
    """A migration, its author's checks, and whether something is lost in it."""

    name: str
    losing: bool
    checks: tuple[dict[str, str], ...]
    sql: str


def cases(text: str) -> Iterator[Case]:
    """The cases of a file, in its order."""
    for name, kind, body in CASE.findall(text):
        checks = [
            {"name": f"check {i}", "base_sql": a, "branch_sql": b} for i, (a, b) in enumerate(CHECK.findall(body))
        ]
        yield Case(name, kind == "losing", tuple(checks), body)


@contextmanager
def default_branch(folder: Path) -> Iterator[tuple[Peer, str]]:
    """A server over a local control plane of its own, and the URI of a new database on its default branch."""
    program = str(Path(sys.executable).parent / "neon-branch-mcp")
    up = [program, "local", "up", "--json", "--port", "0", "--data-dir", str(folder)]
    with subprocess.Popen(up, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as plane:
        try:
            assert plane.stdout is not None
            at = json.loads(plane.stdout.readline())
            project = f"{at['api_host'].rstrip('/')}/projects/{at['project_id']}"
            with httpx.Client(headers={"Authorization": f"Bearer {at['api_key']}"}, timeout=60) as api:
                wanted = {"database_name": "shop", "role_name": "shop_owner"}
                uri = api.get(f"{project}/connection_uri", params=wanted).raise_for_status().json()["uri"]
            _until_ready(uri)
            with psycopg.connect(uri, autocommit=True) as conn:
                conn.execute(f"CREATE DATABASE {DATABASE}")
            uri = make_conninfo(uri, dbname=DATABASE)
            with running([program, "serve"], {"NEON_API_HOST": at["api_host"], "NEON_API_KEY": at["api_key"]}) as peer:
                yield peer, uri
        finally:
            plane.terminate()


def _until_ready(uri: str) -> None:
    for _ in range(100):
        with suppress(psycopg.OperationalError), psycopg.connect(uri):
            return
        time.sleep(0.2)


def load(uri: str, text: str, data: Path) -> None:
    """Run what stands before the first case, with its `-- copy TABLE from FILE`, and every `.sql.gz` of a dump before it."""
    psql = [find_binaries(None).tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", uri]
    for dump in sorted(
        data.glob("*.sql.gz"), key=lambda p: ("schema", "images", "data").index(p.name.partition(".")[0])
    ):
        subprocess.run(psql, input=gzip.decompress(dump.read_bytes()), check=True, stdout=subprocess.DEVNULL)
    setup = text.partition("-- == ")[0]
    with psycopg.connect(uri, autocommit=True) as conn:
        for part in re.split(r"^(?=-- copy )", setup, flags=re.MULTILINE):
            if found := COPY.match(part):
                with conn.cursor().copy(f"COPY {found[1]} FROM STDIN (FORMAT csv, HEADER)") as copy:
                    copy.write((data / found[2]).read_bytes())
            conn.execute(part.encode())
        conn.execute("ANALYZE")


def verified(peer: Peer, case: Case) -> tuple[dict[str, Any], float]:
    """The answer of verify_migration on a fresh child that the migration has changed; the child is deleted."""
    peer.call("create_branch", name=case.name)
    try:
        uri = json.loads(peer.call("get_connection_string", branch=case.name, database=DATABASE)["content"][0]["text"])[
            "uri"
        ]
        with psycopg.connect(uri, autocommit=True) as conn:
            conn.execute(case.sql.encode())
        begin = time.perf_counter()
        result = peer.call("verify_migration", branch=case.name, database=DATABASE, checks=list(case.checks))
        answer = result.get("structuredContent") or json.loads(result["content"][0]["text"])
        return answer, time.perf_counter() - begin
    finally:
        peer.call("delete_branch", branch=case.name)


def main(arguments: Sequence[str]) -> int:
    """0 when no loss was called preserved and nothing that survived was called lost."""
    parser = argparse.ArgumentParser(prog="tools/verify-corpus")
    parser.add_argument("which", choices=["zabbix", "vega"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", help="names of cases")
    options = parser.parse_args(arguments)
    text = (Path(__file__).parent / f"{options.which}.sql").read_text(encoding="utf-8")
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="verify-corpus-") as folder, default_branch(Path(folder)) as (peer, uri):
        load(uri, text, options.data)
        for case in cases(text):
            if options.only and case.name not in options.only:
                continue
            answer, took = verified(peer, case)
            verdict = answer["verdict"]
            bad = verdict == ("preserved" if case.losing else "lost")
            wrong += bad
            mark = "WRONG" if bad else "ok" if verdict == ("lost" if case.losing else "preserved") else "open"
            sys.stdout.write(
                f"{mark:5} {case.name}: {'losing' if case.losing else 'keeping'} → {verdict} ({answer['base_is']}), {took:.1f} s\n"
            )
            if mark != "ok":
                sys.stdout.write(f"      {answer.get('notes', '')}\n")
                for found in answer["tables"]:
                    if found["verdict"] != "preserved":
                        sys.stdout.write(
                            f"      {found['table']}: {found.get('reason', '')} {found.get('columns', '')}\n"[:400]
                        )
            sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
