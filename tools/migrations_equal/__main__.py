"""Two versions of the code, the same scripts over the same data: are the reports the same but for their timings?"""

import argparse
import difflib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from ..benchmarks.databases import branch_of
from .cases import SETUPS, Case, known, made, mixtures

ROOT = Path(__file__).parents[2]
REPLAY = Path(__file__).with_name("replay.py")
KEEP_DEAD_ROWS = """DO $$ DECLARE t regclass; BEGIN
FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace LOOP
EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', t); END LOOP; END $$"""
TIMES = ("seconds", "held_ms", "ms")


class Side:
    """The code of one version, and its databases."""

    def __init__(self, name: str, source: Path, uri: str) -> None:
        self.name, self._uri = name, uri
        self.process = subprocess.Popen(
            [sys.executable, str(REPLAY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(source)},
        )
        self._kept: set[str] = set()

    def report(self, case: Case) -> str:
        """What this version says of a case, as text that can be compared."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"uri": self._database(case), "name": case.name, "sql": case.sql, "dry_run": case.dry_run}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return comparable(json.loads(self.process.stdout.readline()))

    def _database(self, case: Case) -> str:
        name = f"{self.name}_{case.setup}" if case.dry_run else f"{self.name}_alone"
        if name not in self._kept:
            create(self._uri, name, template=case.setup)
        if case.dry_run:
            self._kept.add(name)
        return make_conninfo(self._uri, dbname=name)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def create(uri: str, name: str, *, template: str) -> None:
    with psycopg.connect(make_conninfo(uri, dbname="postgres"), autocommit=True) as admin:
        admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        admin.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(f"template_{template}"))
        )


def comparable(answer: dict[str, Any]) -> str:
    """Without what is measured in time."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if k not in TIMES}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    text = json.dumps(timeless(answer), indent=1, ensure_ascii=False)
    return re.sub(r"\b(under )?[\d.]+ m?s\b", "TIME", text)


@contextmanager
def sides(commit: str, folder: Path, uri: str) -> Iterator[tuple[Side, Side]]:
    """The commit's code and this tree's, each in a process of its own."""
    archive = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive, check=True)
    with ExitStack() as stack:
        shutil.copytree(ROOT / "src", folder / "now")  # what is edited meanwhile changes nothing
        found = [Side("was", folder / "src", uri), Side("now", folder / "now", uri)]
        for side in found:
            stack.callback(side.close)
        yield found[0], found[1]


def prepare(uri: str) -> None:
    """A template database for each of the setups."""
    for name, sql in SETUPS.items():
        with psycopg.connect(make_conninfo(uri, dbname="postgres"), autocommit=True) as admin:
            admin.execute(SQL("CREATE DATABASE {}").format(Identifier(f"template_{name}")))
        with psycopg.connect(make_conninfo(uri, dbname=f"template_{name}"), autocommit=True) as conn:
            conn.execute(sql.encode())
            # Else rows that were rolled back would be there for one side and not for the other, and scans read them.
            conn.execute(KEEP_DEAD_ROWS)
            conn.execute("ANALYZE")


def main(arguments: Sequence[str]) -> int:
    """Run; 0 when no report differs."""
    parser = argparse.ArgumentParser(prog="tools/migrations-equal")
    parser.add_argument("commit", help="the version to compare with")
    parser.add_argument("--rounds", type=int, default=100, help="scripts made at random, of each sort")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="cases whose name says this")
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    cases = [*known(), *mixtures(chance, options.rounds), *made(chance, options.rounds)]
    differing, failed, count = 0, 0, 0
    with (
        tempfile.TemporaryDirectory(prefix="migrations-equal-") as folder,
        branch_of(Path(folder) / "data", "equal") as (_, uri),
        sides(options.commit, Path(folder), uri) as (was, now),
    ):
        prepare(uri)
        for case in cases:
            if options.only not in case.name:
                continue
            old, new = was.report(case), now.report(case)
            count += 1
            failed += '"error"' in old
            if old != new:
                differing += 1
                lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "was", "now", lineterm="", n=2)
                sys.stdout.write(f"DIFFERENT: {case.name}\n{case.sql}\n" + "\n".join(lines) + "\n\n")
    sys.stdout.write(f"{count} scripts, {failed} of them refused or failed; {differing} reports differ\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
