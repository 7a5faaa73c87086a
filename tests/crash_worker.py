"""A process of test_local_crash.py: works on a data directory without end, to be killed at a random moment."""

import contextlib
import random
import sys
from pathlib import Path

import psycopg

from neon_branch_mcp.config import LocalConfig
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.local.changes import Changed, NewBranch
from neon_branch_mcp.local.plane import Opened
from neon_branch_mcp.local.service import Service


def do(service: Service, changed: Changed) -> None:
    service.submit(changed).result()


def work(opened: Opened, dice: random.Random) -> None:
    """One step: create, write, reset, change a password, suspend, or delete."""
    plane, service = opened.plane, opened.plane.service
    project = plane.project_id
    branches = [b for b in service.branches(project) if not b.is_default and b.state == "ready"]
    kind = dice.choice(["create", "write", "write", "reset", "password", "suspend", "delete", "project"])
    if kind == "create" or not branches:
        if len(branches) < 4:
            # A child of a child begins its parent's history.
            parent = dice.choice([None, None, *(b.id for b in branches)])
            empty = parent is None and dice.random() < 0.5
            asked = NewBranch(parent_id=parent, init_source="schema-only" if empty else "parent-data")
            do(service, service.create_branch(project, asked))
        return
    branch = dice.choice(branches)
    if kind == "write":
        uri = service.connection_uri(project, "shop", "shop_owner", branch_id=branch.id, endpoint_id=None)
        with psycopg.connect(uri, connect_timeout=20) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS moves (a int, b int)")
            for _ in range(20):
                n = dice.randrange(1000)
                conn.execute("INSERT INTO moves VALUES (%s, %s)", [n, -n])
                conn.execute("INSERT INTO moves VALUES (%s, %s)", [-n, n])
                conn.commit()
    elif kind == "reset" and branch.parent_id:
        do(service, service.restore_branch(project, branch.id, branch.parent_id))
    elif kind == "password":
        do(service, service.reset_password(project, branch.id, "shop_owner"))
    elif kind == "suspend":
        endpoint = service.endpoints(project, branch.id)[0]
        do(service, service.compute(project, endpoint.id, "suspend"))
    elif kind == "delete":
        do(service, service.delete_branch(project, branch.id))
    elif kind == "project" and dice.random() < 0.2:
        made = service.create_project("second")
        do(service, made)
        assert made.project is not None
        do(service, service.delete_project(made.project.id))


def main(folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    opened = Opened(LocalConfig(data_dir=folder, suspend_after=1, spares=dice.random() < 0.5))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    while True:
        # Busy, while a job that a kill cut short is taken up again; or the other worker was killed, and with it the relay,
        # or has just reset this password; or both make the table at the same moment, which IF NOT EXISTS does not cover.
        with contextlib.suppress(NeonBranchError, psycopg.OperationalError, psycopg.errors.UniqueViolation):
            work(opened, dice)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
