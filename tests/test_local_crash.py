"""`kill -9` of every process at a random moment, again and again: the next start finds a consistent state, and nothing is left behind.

NEON_BRANCH_MCP_CRASH_ROUNDS sets the number of rounds; the suite runs a few, 200 take a quarter of an hour and more.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from neon_branch_mcp.config import LocalConfig
from neon_branch_mcp.local.changes import NewBranch
from neon_branch_mcp.local.core import IMPORTING
from neon_branch_mcp.local.history import lsn_number
from neon_branch_mcp.local.lifecycle import session
from neon_branch_mcp.local.plane import Opened
from neon_branch_mcp.local.ports import is_served
from neon_branch_mcp.local.service import Service
from neon_branch_mcp.local.store import BaseRow, BranchRow, ClusterRow, EndpointRow, JobRow, ProjectRow, SpareRow
from neon_branch_mcp.local.watchdog import postmasters_below, running_below

from .conftest import data_folder
from .crash_worker import COPY, OWNER, PORTS, PRESERVED

ROUNDS = int(os.environ.get("NEON_BRANCH_MCP_CRASH_ROUNDS", "3"))
WORKER = Path(__file__).with_name("crash_worker.py")


def start_worker(folder: Path, seed: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(folder), str(seed)], stdout=subprocess.PIPE, env=environment
    )


def kill_later(process: subprocess.Popen[bytes], seconds: float, *, opened: bool = True) -> None:
    """Kill it so long after it has opened the data directory, or after it was started."""
    assert process.stdout is not None
    with process.stdout:
        assert not opened or process.stdout.readline() == b"open\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            raise AssertionError("the worker ended by itself")
    process.send_signal(signal.SIGKILL)
    process.wait()


def kill_all_else(folder: Path) -> None:
    """As the machine's memory killer may: every Postgres, its backends and the watchdog."""
    postmasters = postmasters_below(folder)
    for process in [*postmasters, *(c for p in postmasters for c in p.children()), *watchdogs_of(folder)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def wait_until_nothing_runs(folder: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (postmasters_below(folder) or watchdogs_of(folder)):
        time.sleep(0.02)
    assert postmasters_below(folder) == []
    assert watchdogs_of(folder) == []


def watchdogs_of(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(folder / "locks") in process.cmdline():
                found.append(process)
    return found


def check(opened: Opened) -> None:
    """The state is consistent, at the latest when all that was cut short has been taken up again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            branches = check_state(opened)
            break
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    for branch in branches:
        if branch.project_id == opened.plane.project_id:
            check_branch(opened.plane.service, branch, users_of(branch, branches))
        elif opened.plane.service.project(branch.project_id).name == COPY:
            check_import(opened.plane.service, branch)
    check_history(opened, branches)


def check_branch(service: Service, branch: BranchRow, expected: int) -> None:
    """Its data, as a client of its connection string sees them; what has no compute is looked at from inside."""
    if not service.endpoints(branch.project_id, branch.id):
        with session(service.core, branch.id, "shop") as conn:
            check_data(conn, expected)
        return
    uri = service.connection_uri(branch.project_id, "shop", "shop_owner", branch_id=branch.id, endpoint_id=None)
    with psycopg.connect(uri, connect_timeout=20) as conn:
        check_data(conn, expected)


def check_import(service: Service, branch: BranchRow) -> None:
    """It is all there."""
    uri = service.connection_uri(branch.project_id, COPY, OWNER, branch_id=branch.id, endpoint_id=None)
    with psycopg.connect(uri, connect_timeout=20) as conn:
        assert conn.execute("SELECT n, (SELECT count(*) FROM numbers) FROM last").fetchone() == (20_000, 20_000)


def users_of(branch: BranchRow, branches: list[BranchRow]) -> int:
    """None in a schema-only branch and its children."""
    parents = {b.id: b for b in branches}
    while branch.parent_id is not None:
        branch = parents[branch.parent_id]
    return 0 if branch.init_source == "schema-only" else 10_000


def check_history(opened: Opened, branches: list[BranchRow]) -> None:
    """What a grandchild was made of can be had again, where its parent's history reaches back to it."""
    service = opened.plane.service
    with service.core.store.read() as tx:
        bases = {base.of_cluster: base for base in reversed(tx.all(BaseRow, order="taken_at"))}
    parents = {b.id: b for b in branches if b.parent_id is not None}
    for branch in branches:
        base = bases.get(parents[branch.parent_id].cluster_id or "") if branch.parent_id in parents else None
        if base is None or lsn_number(base.end_lsn) > lsn_number(branch.parent_lsn or "0/0"):
            continue
        project = branch.project_id
        made = service.create_branch(project, NewBranch(parent_id=branch.parent_id, parent_lsn=branch.parent_lsn))
        service.submit(made).result()
        assert made.branch is not None
        check_branch(service, made.branch, users_of(branch, branches))
        service.submit(service.delete_branch(project, made.branch.id)).result()
        return


def check_state(opened: Opened) -> list[BranchRow]:
    core = opened.plane.service.core
    with core.store.read() as tx:
        assert tx.all(JobRow, "status = 'active'") == []
        assert tx.metas(IMPORTING) == {}
        branches, endpoints = tx.all(BranchRow), tx.all(EndpointRow)
        copies = {c.id for c in tx.all(BaseRow)} | {c.id for c in tx.all(SpareRow)}
        clusters, projects = tx.all(ClusterRow), tx.all(ProjectRow)
    assert {b.project_id for b in branches} == {p.id for p in projects}
    assert [(b.state, b.pending_state) for b in branches] == [("ready", None)] * len(branches)
    # Nothing without an owner, and nothing missing.
    used = {b.cluster_id for b in branches} | copies
    assert {c.id for c in clusters} == used
    assert {p.name for p in core.places.clusters.iterdir()} == used
    assert {data.parent.name for data, _ in running_below(core.places.clusters)} <= used
    assert sorted(e.branch_id for e in endpoints) == sorted(b.id for b in branches if not b.name.startswith(PRESERVED))
    assert [b.name for b in branches if b.expires_at is not None] == []  # all that should end has ended
    assert [sum(b.is_default for b in branches if b.project_id == p.id) for p in projects] == [1] * len(projects)
    assert {b.parent_id for b in branches} - {None} <= {b.id for b in branches}
    assert all(is_served(e.port) for e in endpoints)
    return branches


def check_data(conn: psycopg.Connection[tuple[object, ...]], expected: int) -> None:
    assert conn.execute("SELECT count(*) FROM users").fetchone() == (expected,)
    if conn.execute("SELECT to_regclass('moves')").fetchone() != (None,):
        assert conn.execute("SELECT coalesce(sum(a), 0), coalesce(sum(b), 0) FROM moves").fetchone() == (0, 0)


@pytest.mark.parametrize("seed", [int(os.environ.get("NEON_BRANCH_MCP_CRASH_SEED", "1"))])
def test_kill_9_at_any_moment_leaves_a_consistent_state_and_nothing_behind(seed: int) -> None:
    dice = random.Random(seed)
    with data_folder() as folder:
        for turn in range(ROUNDS):
            workers = [start_worker(folder, dice.randrange(1 << 30)) for _ in range(1 + (turn % 3 == 2))]
            try:
                for worker in workers:
                    kill_later(worker, dice.uniform(0, 2.5), opened=turn % 5 != 4)
                if turn % 7 == 3:
                    kill_all_else(folder)
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
            if turn % 2:
                wait_until_nothing_runs(folder, 10)
            opened = Opened(LocalConfig(data_dir=folder, **PORTS))
            try:
                check(opened)
            finally:
                opened.close()
            wait_until_nothing_runs(folder, 1)
