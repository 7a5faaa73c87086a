"""A process of test_local_crash.py: works on a data directory without end, to be killed at a random moment."""

import contextlib
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from neon_branch_mcp.config import LocalConfig
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.local.changes import Changed, NewBranch
from neon_branch_mcp.local.plane import Opened
from neon_branch_mcp.local.service import Service
from neon_branch_mcp.local.store import BranchRow
from neon_branch_mcp.local.transfer import import_project

MOST_BRANCHES = 6
PRESERVED = "kept-"
"""How the names of branches begin that a restore left behind: they have no compute."""
PORTS = {"first_port": 12_000, "last_port": 12_999}
"""Another plane's tests must not take a port while nobody of ours serves it."""
COPY = "copied"
"""The name of imported projects, and of their database."""
OWNER = "neondb_owner"
DUMP = """\
CREATE TABLE numbers AS SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 20000) n;
CREATE TABLE last AS SELECT count(*) AS n FROM numbers;
"""


class Worker:
    """One open data directory, and the dice that say what is done with it next."""

    def __init__(self, service: Service, project: str, dice: random.Random) -> None:
        self.service = service
        self.project = project
        self.dice = dice

    def do(self, changed: Changed) -> None:
        """Wait for a change's end, whatever it is."""
        if changed.job_id:
            self.service.submit(changed).result()

    def step(self) -> None:
        """Do one thing to one branch, or to the project."""
        ready = [b for b in self.service.branches(self.project) if b.state == "ready"]
        others = [b for b in ready if not b.is_default]
        kind = self.dice.choice(list(STEPS))
        if kind in ("create", "past", "expiring") or not others:
            if len(ready) <= MOST_BRANCHES:
                STEPS[kind if kind in ("past", "expiring") else "create"](self, self.dice.choice(ready))
        else:
            STEPS[kind](self, self.dice.choice(others))

    def create(self, parent: BranchRow) -> None:
        """A child of a child begins its parent's history; the default branch's may be a spare."""
        empty = self.dice.random() < 0.2
        asked = NewBranch(parent_id=parent.id, init_source="schema-only" if empty else "parent-data")
        self.do(self.service.create_branch(self.project, asked))

    def past(self, parent: BranchRow) -> None:
        self.do(
            self.service.create_branch(self.project, NewBranch(parent_id=parent.id, parent_timestamp=self.moment()))
        )

    def moment(self) -> float:
        """A time that may lie in a branch's history."""
        return time.time() - self.dice.uniform(0, 4)

    def expiring(self, parent: BranchRow) -> None:
        end = time.time() + self.dice.uniform(0.5, 2)
        self.do(self.service.create_branch(self.project, NewBranch(parent_id=parent.id, expires_at=end)))

    def write(self, branch: BranchRow) -> None:
        service = self.service
        uri = service.connection_uri(self.project, "shop", "shop_owner", branch_id=branch.id, endpoint_id=None)
        with psycopg.connect(uri, connect_timeout=20) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS moves (a int, b int)")
            for _ in range(20):
                n = self.dice.randrange(1000)
                conn.execute("INSERT INTO moves VALUES (%s, %s)", [n, -n])
                conn.execute("INSERT INTO moves VALUES (%s, %s)", [-n, n])
                conn.commit()

    def reset(self, branch: BranchRow) -> None:
        if branch.parent_id:
            self.do(
                self.service.restore_branch(self.project, branch.id, branch.parent_id, preserve_under_name=self.name())
            )

    def back(self, branch: BranchRow) -> None:
        """To its own past."""
        name, moment = self.name() or f"{PRESERVED}back", self.moment()
        self.do(
            self.service.restore_branch(
                self.project, branch.id, branch.id, preserve_under_name=name, source_timestamp=moment
            )
        )

    def name(self) -> str | None:
        """For what a restore replaces; at most five of it are kept at once."""
        return f"{PRESERVED}{self.dice.randrange(5)}" if self.dice.random() < 0.3 else None

    def password(self, branch: BranchRow) -> None:
        self.do(self.service.reset_password(self.project, branch.id, "shop_owner"))

    def suspend(self, branch: BranchRow) -> None:
        for endpoint in self.service.endpoints(self.project, branch.id):
            self.do(self.service.compute(self.project, endpoint.id, "suspend"))

    def delete(self, branch: BranchRow) -> None:
        self.do(self.service.delete_branch(self.project, branch.id))

    def default(self, branch: BranchRow) -> None:
        self.do(self.service.set_default(self.project, branch.id))

    def copy(self, _: BranchRow) -> None:
        """An import, by way of a dump or of a live database, and its end."""
        dump = self.service.core.places.data_dir / f"{COPY}.{os.getpid()}.sql"
        dump.write_text(DUMP, encoding="utf-8")
        made = [import_project(self.service, str(dump), COPY)[0]]
        if self.dice.random() < 0.5:
            (branch,) = self.service.branches(made[0])
            source = self.service.connection_uri(made[0], COPY, OWNER, branch_id=branch.id, endpoint_id=None)
            made.append(import_project(self.service, source, COPY)[0])
        for project_id in made:
            self.do(self.service.delete_project(project_id))

    def second_project(self, _: BranchRow) -> None:
        made = self.service.create_project("second")
        self.do(made)
        assert made.project is not None
        self.do(self.service.delete_project(made.project.id))


STEPS: Mapping[str, Callable[[Worker, BranchRow], None]] = {
    "create": Worker.create,
    "past": Worker.past,
    "expiring": Worker.expiring,
    "write": Worker.write,
    "write more": Worker.write,
    "reset": Worker.reset,
    "back": Worker.back,
    "password": Worker.password,
    "suspend": Worker.suspend,
    "delete": Worker.delete,
    "delete more": Worker.delete,
    "default": Worker.default,
    "project": Worker.second_project,
    "copy": Worker.copy,
}


def main(folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    opened = Opened(LocalConfig(data_dir=folder, suspend_after=1, spares=dice.random() < 0.5, **PORTS))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    worker = Worker(opened.plane.service, opened.plane.project_id, dice)
    while True:
        # Busy, while a job that a kill cut short is taken up again; or the other worker was killed, and with it the relay,
        # or has just reset this password; or both make the table at the same moment, which IF NOT EXISTS does not cover.
        with contextlib.suppress(NeonBranchError, psycopg.OperationalError, psycopg.errors.UniqueViolation):
            worker.step()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
