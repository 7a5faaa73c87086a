"""A branch's cluster from outside a job: waking it, putting it to sleep, and removing one for good."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from ..errors import Unreachable
from .clone import remove
from .cluster import Cluster
from .core import Core
from .problems import Problem, not_found
from .store import BaseRow, ClusterRow, EndpointRow, SpareRow, now

SESSION_ATTEMPTS = 5


def wake(core: Core, branch_id: str) -> Cluster:
    """The branch's cluster, running."""
    for _ in range(3):
        cluster = core.cluster_of(core.branch(branch_id))
        try:
            if not cluster.is_ready():
                cluster.start()
                _note_started(core, branch_id)
        except (Unreachable, FileNotFoundError):
            branch = core.branch(branch_id)
            if branch.pending_state == "deleting":
                raise not_found("branch") from None
            if core.cluster_of(branch).id == cluster.id:
                raise
            continue  # a reset has put another cluster in its place
        return cluster
    raise Problem(503, f"the branch {branch_id} is being replaced over and over")


@contextmanager
def session(core: Core, branch_id: str, database: str = "postgres") -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A superuser's session on the branch, woken for it and kept awake. A branch that goes to sleep at this very moment is woken again."""
    with _counted(core, branch_id), _connected(core, branch_id, database) as connection:
        yield connection


@contextmanager
def _counted(core: Core, branch_id: str) -> Iterator[None]:
    with core.counting:
        core.in_use[branch_id] += 1
    try:
        yield
    finally:
        with core.counting:
            core.in_use[branch_id] -= 1


def _connected(core: Core, branch_id: str, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    for attempt in range(1, SESSION_ATTEMPTS):
        try:
            return wake(core, branch_id).connect(database)
        except (psycopg.OperationalError, Unreachable):
            time.sleep(0.02 * attempt)
    return wake(core, branch_id).connect(database)


def _note_started(core: Core, branch_id: str) -> None:
    with core.store.write() as tx:
        for endpoint in tx.all(EndpointRow, "branch_id = ?", [branch_id]):
            tx.change(EndpointRow, endpoint.id, started_at=now(), last_active=now())


def discard(core: Core, cluster_id: str | None) -> None:
    """Remove a cluster with its files and its history, then forget it."""
    if cluster_id is None:
        return
    with core.store.read() as tx:
        copies = [base.id for base in tx.all(BaseRow, "of_cluster = ?", [cluster_id])]
        copies += [spare.id for spare in tx.all(SpareRow, "of_cluster = ?", [cluster_id])]
    for copy in copies:
        discard(core, copy)
    remove(core.cluster(cluster_id))
    with core.store.write() as tx:
        tx.drop(ClusterRow, "id = ?", cluster_id)


def discard_of_job(core: Core, job_id: str) -> None:
    """Remove what an earlier or failed run of this job made and did not hand over."""
    with core.store.read() as tx:
        left = tx.all(ClusterRow, "job_id = ?", [job_id])
    for row in left:
        discard(core, row.id)


def suspend(core: Core, branch_id: str) -> None:
    """Stop the branch's cluster if it runs, and note when."""
    core.cluster_of(core.branch(branch_id)).stop()
    with core.store.write() as tx:
        for endpoint in tx.all(EndpointRow, "branch_id = ?", [branch_id]):
            tx.change(EndpointRow, endpoint.id, suspended_at=now())
