"""Running what was promised: a job's operations go scheduling → running → finished, and each job can be run again from its beginning."""

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from ..errors import NeonBranchError
from . import ids
from .core import Core
from .problems import DiskFull, Problem
from .store import JobRow, OperationRow, Transaction, now

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 3
END_ATTEMPTS, END_PAUSE = 120, 0.5
UNENDED = "('scheduling', 'running')"


@dataclass(frozen=True)
class Work:
    """How a kind of job is done, and what undoes it when it cannot be."""

    do: Callable[["Job"], None]
    undo: Callable[["Job"], None]


@dataclass(frozen=True)
class Job:
    """A job that runs: its row, and the steps that the API shows."""

    row: JobRow
    core: Core

    @contextmanager
    def step(self, action: str) -> Iterator[None]:
        """Mark the operation running for the block, then finished; the last one finishes with the job."""
        with self.core.store.write() as tx:
            operations = tx.all(OperationRow, "job_id = ?", [self.row.id], order="seq")
            operation = next(o for o in operations if o.action == action)
            tx.change(OperationRow, operation.id, status="running", updated_at=now())
        yield
        if operation.id != operations[-1].id:
            with self.core.store.write() as tx:
                tx.change(OperationRow, operation.id, status="finished", updated_at=now())

    def remember(self, tx: Transaction, **facts: object) -> None:
        """Add to the payload, for a run after a kill."""
        tx.change(JobRow, self.row.id, payload={**self.row.payload, **facts})


def schedule(
    tx: Transaction,
    core: Core,
    kind: str,
    project_id: str,
    *,
    branch_id: str | None = None,
    endpoint_id: str | None = None,
    actions: list[str],
    payload: Mapping[str, object] | None = None,
) -> tuple[str, list[OperationRow]]:
    """Write down a job and its operations in the transaction that also writes what they are about; `Jobs.submit` comes after it."""
    moment = now()
    job_id = ids.operation_id()
    tx.add(JobRow(job_id, kind, project_id, branch_id, payload or {}, "active", core.worker, 0, moment))
    for action in actions:
        # Computes have endpoints, branches have none of their own.
        about = endpoint_id if action.endswith("compute") or action == "apply_config" else None
        tx.add(
            OperationRow(
                0,
                ids.operation_id(),
                job_id,
                project_id,
                branch_id,
                about,
                action,
                "scheduling",
                None,
                0,
                moment,
                moment,
            )
        )
    return job_id, tx.all(OperationRow, "job_id = ?", [job_id], order="seq")


class Jobs:
    """The threads of this process that do jobs."""

    def __init__(self, core: Core, kinds: Mapping[str, Work]) -> None:
        self._core = core
        self._kinds = kinds
        self._pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="job")
        self._lock = threading.Lock()
        self._running: dict[str, Future[None]] = {}

    def submit(self, job_id: str) -> Future[None]:
        """Run it in a thread, unless it runs already; the future ends when the job has, well or badly."""
        with self._lock:
            future = self._running.get(job_id)
            if future is None:
                future = self._running[job_id] = self._pool.submit(self._run, job_id)
        future.add_done_callback(lambda _: self._running.pop(job_id, None))
        return future

    @property
    def is_busy(self) -> bool:
        """Whether a job of this process is under way."""
        return bool(self._running)

    def close(self) -> None:
        """Let what runs end."""
        self._pool.shutdown(wait=True)

    def _run(self, job_id: str) -> None:
        with self._core.store.write() as tx:
            row = tx.one(JobRow, "id = ? AND status = 'active' AND worker = ?", job_id, self._core.worker)
            if row is None:
                return
            tx.change(JobRow, job_id, attempts=row.attempts + 1)
        job = Job(row, self._core)
        work = self._kinds[row.kind]
        try:
            if row.attempts >= MAX_ATTEMPTS:
                raise Problem(500, f"given up after {row.attempts} attempts that the end of a process cut short")
            work.do(job)
        except (NeonBranchError, psycopg.Error, OSError) as exc:
            self._fail(job, work, _reason(exc))
        except Exception:
            log.exception("job %s (%s) hit a bug", job_id, row.kind)
            self._fail(job, work, "internal error; the log of the control plane has it")
        else:
            self._end(job_id, "finished", "done")

    def _fail(self, job: Job, work: Work, error: str) -> None:
        log.warning("job %s (%s) failed: %s", job.row.id, job.row.kind, error)
        try:
            work.undo(job)
        except (NeonBranchError, psycopg.Error, OSError):
            log.exception("undoing job %s (%s) failed; the next sweep goes on with it", job.row.id, job.row.kind)
        self._end(job.row.id, "failed", "failed", error)

    def _end(self, job_id: str, operations: str, status: str, error: str | None = None) -> None:
        """Write down how it ended. A disk that is full meanwhile must not leave the project busy: it is tried for a while."""
        for attempt in range(END_ATTEMPTS):
            try:
                with self._core.store.write() as tx:
                    _end_operations(tx, job_id, operations, error)
                    _end_job(tx, job_id, status)
                return
            except DiskFull:
                if attempt == END_ATTEMPTS - 1:
                    raise
                time.sleep(END_PAUSE)


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull().message
    return str(exc)


def _end_operations(tx: Transaction, job_id: str, status: str, error: str | None = None) -> None:
    """End what has not ended; after a failed operation the later ones are cancelled."""
    for operation in tx.all(OperationRow, f"job_id = ? AND status IN {UNENDED}", [job_id], order="seq"):
        failures = operation.failures + (status == "failed")
        tx.change(OperationRow, operation.id, status=status, error=error, failures=failures, updated_at=now())
        if status == "failed":
            status, error = "cancelled", None


def _end_job(tx: Transaction, job_id: str, status: str) -> None:
    tx.change(JobRow, job_id, status=status, payload={})  # it may hold a password
