"""One branch with the sample shop or a public data set, a child of it per migration, and verify_migration on each.

A case with checks is verified without them first.
"""

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
from neon_branch_mcp.local.places import destroy

from ..benchmarks.servers import Peer, running

CASE = re.compile(r"^-- == (\w+): (keeping|losing)\n(.*?)(?=^-- == |\Z)", re.MULTILINE | re.DOTALL)
CHECK = re.compile(r"^-- (check|weak): (.*)\n-- against: (.*)\n", re.MULTILINE)
COPY = re.compile(r"^-- copy (\w+) from (\S+?)(?: null (\w+))?$", re.MULTILINE)
WHICH = ("shop", "ledger", "airports", "vega", "zabbix", "flights", "penguins")


@dataclass(frozen=True)
class Case:
    """A migration, whether something is lost in it, its author's checks, and others that prove too little to call it preserved."""

    name: str
    losing: bool
    checks: tuple[dict[str, str], ...]
    weak: tuple[dict[str, str], ...]
    sql: str


def cases(text: str) -> Iterator[Case]:
    """The cases of a file, in its order."""
    for name, kind, body in CASE.findall(text):
        given = [
            (k, {"name": f"{k} {i}", "base_sql": a, "branch_sql": b}) for i, (k, a, b) in enumerate(CHECK.findall(body))
        ]
        checks, weak = (tuple(c for k, c in given if k == wanted) for wanted in ("check", "weak"))
        yield Case(name, kind == "losing", checks, weak, body)


@contextmanager
def default_branch(folder: Path) -> Iterator[tuple[Peer, str]]:
    """A server over a local control plane of its own, and the URI of the shop on its default branch; database `corpus` there is empty."""
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
                conn.execute("CREATE DATABASE corpus")
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
    """Run what stands before the first case, with its `-- copy TABLE from FILE`, and the parts of a dump before it."""
    psql = [find_binaries(None).tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", uri]
    for dump in (data / f"{name}.sql.gz" for name in ("schema", "images", "data")):
        if dump.exists():
            subprocess.run(psql, input=gzip.decompress(dump.read_bytes()), check=True, stdout=subprocess.DEVNULL)
    setup = text.partition("-- == ")[0]
    with psycopg.connect(uri, autocommit=True) as conn:
        for part in re.split(r"^(?=-- copy )", setup, flags=re.MULTILINE):
            if found := COPY.match(part):
                null = f", NULL '{found[3]}'" if found[3] else ""
                with conn.cursor().copy(f"COPY {found[1]} FROM STDIN (FORMAT csv, HEADER{null})".encode()) as copy:
                    copy.write((data / found[2]).read_bytes())
            conn.execute(part.encode())
        conn.execute("ANALYZE")


@dataclass(frozen=True)
class Answer:
    """What verify_migration said with these checks, and how long it took."""

    given: tuple[dict[str, str], ...]
    report: dict[str, Any]
    seconds: float


def verified(peer: Peer, case: Case, database: str) -> Iterator[Answer]:
    """The answers about a fresh child that apply_migration has changed: without checks, with them, with each weak one."""
    peer.call("create_branch", name=case.name)
    try:
        peer.call("apply_migration", name=case.name, branch=case.name, database=database, sql=case.sql)
        for checks in [(), *([case.checks] if case.checks else []), *((weak,) for weak in case.weak)]:
            begin = time.perf_counter()
            result = peer.call("verify_migration", branch=case.name, database=database, checks=list(checks))
            report = result.get("structuredContent") or json.loads(result["content"][0]["text"])
            yield Answer(checks, report, time.perf_counter() - begin)
    finally:
        peer.call("delete_branch", branch=case.name)


def shown(case: Case, answer: Answer) -> bool:
    """Print it; whether a loss was called preserved, what survived lost, or what a weak check does not prove preserved."""
    report = answer.report
    verdict = report["verdict"]
    weak = bool(answer.given) and answer.given[0] in case.weak
    bad = bool(verdict == ("preserved" if case.losing or weak else "lost"))
    mark = "WRONG" if bad else "ok" if weak or verdict == ("lost" if case.losing else "preserved") else "open"
    kind = f"{'losing' if case.losing else 'keeping'}{', ' + answer.given[0]['name'] if answer.given else ''}"
    sys.stdout.write(f"{mark:5} {case.name}: {kind} → {verdict} ({report['base_is']}), {answer.seconds:.1f} s\n")
    for found in (f for f in report["tables"] if mark != "ok" and f["verdict"] != "preserved"):
        columns = [f"{c['column']}: {c['verdict']}, {c['reason']}" for c in found.get("columns", ())]
        sys.stdout.write(f"      {found['table']}: {found.get('reason', '')} {'; '.join(columns)}\n"[:500])
    sys.stdout.flush()
    return bad


def main(arguments: Sequence[str]) -> int:
    """0 when no loss was called preserved and nothing that survived was called lost."""
    parser = argparse.ArgumentParser(prog="tools/verify-corpus")
    parser.add_argument("which", choices=WHICH)
    parser.add_argument(
        "data", type=Path, nargs="?", help="folder of the data set's files; the shop and the ledger need none"
    )
    parser.add_argument("--only", nargs="+", help="names of cases")
    options = parser.parse_args(arguments)
    text = (Path(__file__).parent / f"{options.which}.sql").read_text(encoding="utf-8")
    database = "shop" if options.which == "shop" else "corpus"
    wrong = 0
    folder = Path(tempfile.mkdtemp(prefix="verify-corpus-"))
    try:
        with default_branch(folder) as (peer, uri):
            if options.which != "shop":
                load(make_conninfo(uri, dbname=database), text, options.data or Path())
            for case in cases(text):
                if not options.only or case.name in options.only:
                    try:
                        wrong += sum(shown(case, answer) for answer in verified(peer, case, database))
                    except RuntimeError as exc:
                        wrong += 1
                        sys.stdout.write(f"ERROR {case.name}: {exc}\n"[:600])
    finally:
        destroy(folder)  # with what it keeps elsewhere
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
