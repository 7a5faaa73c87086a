"""What goes on in the background while a data directory is open: one of its processes, the leader, does it for all.

The leader serves the ports, puts sleeping computes to sleep, deletes what has expired, and takes over the jobs of processes that ended.
"""

import logging
import threading
import time
from collections.abc import Callable

import psycopg

from ..errors import NeonBranchError
from .core import Core
from .jobs import Jobs
from .lease import Lease
from .ports import move_port
from .recovery import sweep, take_over_jobs
from .relay import Relay
from .service import Service
from .store import BranchRow, EndpointRow, OperationRow, now
from .work import suspend, wake

log = logging.getLogger(__name__)
TICK = 0.1
SLOW_TICK = 1.0
WATCHDOG_TICK = 5.0
PORT_PATIENCE = 2.0


class Keeper:
    """One thread; most of what it does is only done while this process leads."""

    def __init__(self, core: Core, lease: Lease, jobs: Jobs, service: Service) -> None:
        self._core = core
        self._lease = lease
        self._jobs = jobs
        self._service = service
        self._relay: Relay | None = None
        self._port_trouble: dict[int, float] = {}
        self._stopping = threading.Event()
        self._done: dict[Callable[[], None], float] = {}
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Lead if nobody does, with all that was left put right, then go on in a thread."""
        self._lead_if_possible()
        self._thread.start()

    def close(self) -> None:
        """End the thread and free the ports."""
        self._stopping.set()
        self._core.nudge.set()
        self._thread.join()
        if self._relay is not None:
            self._relay.close()

    def _lead_if_possible(self) -> None:
        if self._relay is not None or not self._lease.try_lead():
            return
        self._relay = Relay(self._port_of)
        self._serve_ports()
        self._lease.remove_stale_files()
        sweep(self._core)
        take_over_jobs(self._core, self._lease, self._jobs)

    def _port_of(self, branch_id: str) -> int:
        running = wake(self._core, branch_id).running()
        return 0 if running is None else running.port

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._core.nudge.wait(TICK)
            self._core.nudge.clear()
            if self._stopping.is_set():
                return
            try:
                self._tick()
            except (NeonBranchError, psycopg.Error, OSError):
                log.exception("the keeper goes on after an error")

    def _tick(self) -> None:
        self._lead_if_possible()
        self._every(WATCHDOG_TICK, self._lease.keep_watchdog)
        if self._relay is not None:
            self._serve_ports()
            self._every(SLOW_TICK, self._take_over)
            self._every(SLOW_TICK, self._delete_expired)
            self._every(min(SLOW_TICK, self._core.config.suspend_after or SLOW_TICK), self._suspend_idle)

    def _every(self, seconds: float, task: Callable[[], None]) -> None:
        moment = time.monotonic()
        if moment - self._done.get(task, 0) >= seconds:
            self._done[task] = moment
            task()

    def _serve_ports(self) -> None:
        assert self._relay is not None
        with self._core.store.read() as tx:
            endpoints = {e.port: e for e in tx.all(EndpointRow)}
        failed = self._relay.listen({port: e.branch_id for port, e in endpoints.items()})
        moment = time.monotonic()
        self._port_trouble = {port: self._port_trouble.get(port, moment) for port in failed}
        for port, since in self._port_trouble.items():
            # The last leader may be about to close it; a stranger will not.
            if moment - since > PORT_PATIENCE:
                moved = move_port(self._core, endpoints[port])
                log.warning("port %d of %s is taken by another program; it is %d now", port, endpoints[port].id, moved)

    def _take_over(self) -> None:
        take_over_jobs(self._core, self._lease, self._jobs)

    def _delete_expired(self) -> None:
        with self._core.store.read() as tx:
            expired = tx.all(BranchRow, "expires_at < ? AND pending_state IS NULL", [now()])
        for branch in expired:
            log.info("branch %s has expired", branch.id)
            try:
                self._service.submit(self._service.delete_branch(branch.project_id, branch.id))
            except NeonBranchError as exc:
                log.info("it will be tried again: %s", exc)

    def _suspend_idle(self) -> None:
        assert self._relay is not None
        after = self._core.config.suspend_after
        if not after:
            return
        traffic = self._relay.traffic()
        with self._core.store.read() as tx:
            branches = tx.all(BranchRow, "cluster_id IS NOT NULL")
            busy = {o.project_id for o in tx.all(OperationRow, "status IN ('scheduling', 'running')")}
        for branch in branches:
            seen = traffic.get(branch.id)
            if branch.project_id in busy or (seen is not None and (seen.open or time.monotonic() - seen.last < after)):
                continue
            cluster = self._core.cluster_of(branch)
            started = cluster.started_at()
            if started is not None and now() - started > after and cluster.running() is not None:
                log.info("suspending branch %s", branch.id)
                suspend(self._core, branch.id)
