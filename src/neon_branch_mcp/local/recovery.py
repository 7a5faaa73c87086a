"""Putting right what ended processes left: their jobs are taken over, and what nothing points at is removed."""

import contextlib
import logging
import shutil

import psutil

from . import watchdog
from .clone import remove
from .core import IMPORTING, Core
from .jobs import Jobs
from .lease import Lease
from .lifecycle import discard
from .locks import locked
from .places import sweep_elsewhere
from .problems import Problem
from .service import Service
from .store import BaseRow, BranchRow, ClusterRow, JobRow, OperationRow, SpareRow

log = logging.getLogger(__name__)


def take_over_jobs(core: Core, lease: Lease, jobs: Jobs) -> int:
    """Run the jobs whose worker is dead again, here. Returns how many there were. For the leader."""
    with core.store.read() as tx:
        active = tx.all(JobRow, "status = 'active'")
    dead = [j for j in active if not lease.is_alive(j.worker)]
    for job in dead:
        log.warning("taking over job %s (%s) of a process that ended", job.id, job.kind)
        with core.store.write() as tx:
            tx.change(JobRow, job.id, worker=core.worker)
            for operation in tx.all(OperationRow, "job_id = ? AND status = 'running'", [job.id]):
                tx.change(OperationRow, operation.id, status="scheduling", failures=operation.failures + 1)
        jobs.submit(job.id)
    return len(dead)


def undo_imports(core: Core, lease: Lease, service: Service) -> None:
    """Delete the projects whose import was cut short by the end of its process. For the leader."""
    with core.store.read() as tx:
        importing = tx.metas(IMPORTING)
    for project_id in [p for p, worker in importing.items() if not lease.is_alive(worker)]:
        try:
            service.delete_project(project_id)
        except Problem as exc:
            if exc.status != 404:  # busy: the next time
                continue
        else:
            log.warning("deleting project %s, whose import was cut short", project_id)
        with core.store.write() as tx:
            tx.drop_meta(IMPORTING + project_id)


def sweep(core: Core) -> None:
    """Remove clusters, folders and processes that no branch and no job has a use for. For the leader."""
    with core.store.read() as tx:
        rows = tx.all(ClusterRow)
        copies = {c.id: c.of_cluster for c in tx.all(BaseRow)} | {c.id: c.of_cluster for c in tx.all(SpareRow)}
        used = {b.cluster_id for b in tx.all(BranchRow)}
        active = {j.id for j in tx.all(JobRow, "status = 'active'")}
    for row in rows:
        # A base or a spare whose making was cut short is described by no row of its own.
        needed = copies.get(row.id) in used if row.id in copies else row.id in used or row.job_id in active
        if not needed:
            log.warning("removing cluster %s, which belongs to nothing", row.id)
            discard(core, row.id)
    _sweep_folders(core)
    _sweep_half_made(core)
    sweep_elsewhere(core.places)


def _sweep_folders(core: Core) -> None:
    """A folder gets its row before it is made, so one without a row is garbage; the rows are read after the folders."""
    found = [path.name for path in core.places.clusters.iterdir()]
    with core.store.read() as tx:
        known = {row.id for row in tx.all(ClusterRow)}
    for name in found:
        if name not in known:
            log.warning("removing the folder of cluster %s, which is not in the state", name)
            remove(core.cluster(name))
    for folder, process in watchdog.running_below(core.places.clusters):
        if not folder.exists():
            log.warning("ending a postmaster whose folder %s is gone", folder)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()


def _sweep_half_made(core: Core) -> None:
    with locked(core.places.locks / "template"):
        for path in core.places.root.glob("initdb-*"):
            shutil.rmtree(path, ignore_errors=True)
