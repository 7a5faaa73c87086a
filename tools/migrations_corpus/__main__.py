"""One database by apply_migration, one by psql, and at every step: are both the same, and is the report true?"""

import argparse
import difflib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.local.binaries import find_binaries
from neon_branch_mcp.migrations.plan import plan

from ..benchmarks.databases import branch_of
from ..benchmarks.servers import Peer
from .filling import Filler
from .oracle import judge, snapshot, truth

BRANCH, OURS, THEIRS = "corpus", "corpus_ours", "corpus_psql"


@dataclass
class Tally:
    """What came out, over all projects."""

    applied: int = 0
    statements: int = 0
    both_refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    losses: int = 0
    filled: int = 0
    ours: float = 0.0
    psql: float = 0.0


@dataclass(frozen=True)
class Bench:
    """The two databases, and the ways into them."""

    peer: Peer
    uri: str
    folder: Path

    def of(self, database: str) -> str:
        return make_conninfo(self.uri, dbname=database)

    @contextmanager
    def databases(self) -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
        """Both databases, new and empty; dropped at the end."""
        with psycopg.connect(self.uri, autocommit=True) as admin:
            for name in (OURS, THEIRS):
                admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
                admin.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            with (
                psycopg.connect(self.of(OURS), autocommit=True) as ours,
                psycopg.connect(self.of(THEIRS), autocommit=True) as theirs,
            ):
                yield ours, theirs

    def apply(self, name: str, sql: str) -> tuple[dict[str, Any] | None, str]:
        """The report, or the error that the tool gave."""
        arguments = {"name": name, "sql": sql, "branch": BRANCH, "database": OURS}
        result = self.peer.request("tools/call", {"name": "apply_migration", "arguments": arguments})
        text = "\n".join(part["text"] for part in result["content"])
        if result.get("isError"):
            return None, text
        return result.get("structuredContent") or json.loads(text), text

    def psql(self, sql: str) -> str:
        """Run the text as psql would run the file; what it complained of when it failed, else nothing."""
        file = self.folder / "migration.sql"
        file.write_text(sql, encoding="utf-8")
        groups = plan(sql).groups
        alone = len(groups) == 1 and groups[0].transactional and groups[0].begin is None
        command = [find_binaries(None).tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]
        command += ["-1"] if alone else []
        ran = subprocess.run([*command, "-f", file, self.of(THEIRS)], capture_output=True, text=True, check=False)
        return ran.stderr if ran.returncode else ""

    def dump(self, database: str, *options: str) -> str:
        """pg_dump's text without what differs at every run."""
        command = [find_binaries(None).tool("pg_dump"), *options, "-N", "neon_branch_mcp", self.of(database)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return re.sub(r"^\\(un)?restrict .*\n", "", text, flags=re.MULTILINE)

    def data(self, database: str) -> str:
        """All rows, without the moment and the chance at which they were made."""
        text = self.dump(database, "-a", "--rows-per-insert=1", "--on-conflict-do-nothing")
        text = re.sub(r"'20(2[4-9]|3\d)-\d\d-\d\d[ \d:.+]*'", "'NOW'", text)
        text = re.sub(r"\b1[78]\d{11}\b", "'NOW'", text)  # milliseconds of this age
        text = re.sub(r"'[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}'", "'UUID'", text)
        return "\n".join(sorted(text.splitlines()))


def files(where: Path) -> list[Path]:
    """The migrations of a folder in the order of their names, numbers by value; or those a `.list` file names, in its order."""
    if where.is_file():
        return [Path(line) for line in where.read_text(encoding="utf-8").split()]
    found = [p for p in where.rglob("*") if p.name.endswith((".sql", ".sql.postgres", ".up.sql"))]

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]

    return sorted((p for p in found if not p.name.endswith(".down.sql")), key=key)


def project(bench: Bench, where: Path, tally: Tally, *, every: int) -> None:
    """All migrations of one project."""
    with bench.databases() as (ours, theirs):
        filler, before, schema = Filler(), snapshot(ours), bench.dump(OURS, "-s")
        for number, file in enumerate(files(where), 1):
            sql, name = file.read_text(encoding="utf-8"), f"{number:04} {'/'.join(file.parts[-2:])}"
            begin = time.perf_counter()
            report, text = bench.apply(name, sql)
            tally.ours += time.perf_counter() - begin
            if report is None:
                _refused(bench, name, sql, text, tally)
                continue
            begin = time.perf_counter()
            complaint = bench.psql(sql)
            tally.psql += time.perf_counter() - begin
            if complaint:
                tally.wrong.append(f"{name}: applied here, refused by psql: {complaint.strip()[:200]}")
            after, new_schema = snapshot(ours), bench.dump(OURS, "-s")
            wrong = judge(report, truth(before, after))
            if bool(report["schema_diff"]) != (schema != new_schema):
                wrong.append(
                    f"schema_diff {report['schema_diff'][:80]!r}, pg_dump says {schema != new_schema}; {report.get('notes')}"
                )
                wrong += [f"    {line}" for line in _different(schema, new_schema)]
            for line in wrong:
                (tally.doubtful if line.startswith("?") else tally.wrong).append(f"{name}: {line}")
            tally.applied += 1
            tally.statements += report.get("statements", 0)
            tally.losses += len(report["data_loss"])
            for statement in (made := filler.statements(ours)):
                theirs.execute(statement)
            tally.filled += len(made)
            before, schema = snapshot(ours) if made else after, new_schema
            if number % every == 0:
                _same(bench, f"after {name}", tally)
        _same(bench, f"at the end of {where.name}", tally)


def _refused(bench: Bench, name: str, sql: str, text: str, tally: Tally) -> None:
    """What the tool refuses, psql must refuse for the same reason; else it is a mismatch."""
    code = re.search(r"SQLSTATE:? (\w{5})", text)
    try:
        complaint = bench.psql(sql)
    except NeonBranchError:
        complaint = "no script for psql either"
    if code and f"ERROR:  {code[1]}" in complaint:
        tally.both_refused.append(f"{name}: {text.splitlines()[0][:150]}")
    elif "holds no statement" in text:
        tally.both_refused.append(f"{name}: empty")
    else:
        tally.wrong.append(f"{name}: refused: {text[:200]} | psql: {complaint.strip()[:200] or 'fine'}")


def _same(bench: Bench, when: str, tally: Tally) -> None:
    for what, ours, theirs in (
        ("schema", bench.dump(OURS, "-s"), bench.dump(THEIRS, "-s")),
        ("data", bench.data(OURS), bench.data(THEIRS)),
    ):
        if ours != theirs:
            tally.wrong.append(f"{when}: the {what} is not what psql makes of it")
            tally.wrong += [f"    {line}" for line in _different(theirs, ours)]


def _different(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [line[:200] for line in lines if not line.startswith(("---", "+++", "@@"))][:12]


def main(arguments: Sequence[str]) -> int:
    """Run; 0 when every database is what psql makes of it and every report is true."""
    parser = argparse.ArgumentParser(prog="tools/migrations-corpus")
    parser.add_argument("sources", nargs="+", type=Path, help="folder of migrations, or a .list file that names them")
    parser.add_argument(
        "--every", type=int, default=50, help="compare with psql's database after so many; and at the end"
    )
    options = parser.parse_args(arguments)
    bad = 0
    with (
        tempfile.TemporaryDirectory(prefix="migrations-corpus-") as folder,
        branch_of(Path(folder) / "data", BRANCH) as (peer, uri),
    ):
        for where in options.sources:
            tally = Tally()
            project(Bench(peer, uri, Path(folder)), where, tally, every=options.every)
            bad += len(tally.wrong)
            _tell(where, tally)
    return 1 if bad else 0


def _tell(where: Path, tally: Tally) -> None:
    sys.stdout.write(
        f"{where.name}: {tally.applied} migrations, {tally.statements} statements applied, {tally.filled} rows filled in; "
        f"{tally.losses} losses told; {len(tally.both_refused)} refused by both; {len(tally.wrong)} wrong; "
        f"ours {tally.ours:.1f} s, psql {tally.psql:.1f} s\n"
    )
    for title, lines in (
        ("refused by both", tally.both_refused),
        ("to look at", tally.doubtful),
        ("WRONG", tally.wrong),
    ):
        for line in lines:
            sys.stdout.write(f"  {title}: {line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
