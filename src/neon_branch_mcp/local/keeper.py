"""What goes on in the background while a data directory is open: one of its processes, the leader, does it for all.

The leader serves the ports, takes over the jobs of processes that ended, puts idle computes to sleep, deletes what has expired, and
keeps history and spares.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping

import psycopg

from ..errors import Cancelled, NeonBranchError
from .clone import certificate
from .core import Core, endpoint_of
from .history import keep_history
from .jobs import Jobs
from .lease import Lease
from .lifecycle import suspend, wake
from .lookup import is_busy
from .ports import move_port
from .problems import Problem
from .recovery import sweep, take_over_jobs, undo_imports
from .relay import Direct, Relay, Traffic
from .service import Service
from .spares import drop_stray_spares, keep_spare
from .store import BranchRow, EndpointRow, ProjectRow, now

log = logging.getLogger(__name__)
TICK = 0.1
TAKE_OVER_TICK = 1.0
CHORES_TICK = 0.5
WATCHDOG_TICK = 5.0
PORT_PATIENCE = 2.0
PORT_RETRY = 60.0
"""Seconds until another port is looked for again, where there was none."""
YIELD = 2.0


class Keeper:
    """Two threads: one keeps the ports and takes over jobs at once, the other does what may take long. Only the leader does either."""

    def __init__(self, core: Core, lease: Lease, jobs: Jobs, service: Service) -> None:
        self._core = core
        self._lease = lease
        self._jobs = jobs
        self._service = service
        self._relay: Relay | None = None
        self._port_trouble: dict[int, float] = {}
        self._stopping = threading.Event()
        self._last: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=self._loop, args=(self._keep_ports, TICK), name="keeper", daemon=True),
            threading.Thread(target=self._loop, args=(self._chores, CHORES_TICK), name="chores", daemon=True),
        ]

    def start(self) -> None:
        """Lead if nobody does, with all that was left put right, then go on in threads."""
        self._lead_if_possible()
        if self._relay is not None:
            self._settle_ports()
        for thread in self._threads:
            thread.start()

    def direct(self, port: int) -> Direct | None:
        """The way past the relay to the branch of this port, woken; None where another process serves it, or nobody."""
        relay = self._relay
        return None if relay is None else relay.direct(port)

    def close(self) -> None:
        """End the threads and free the ports."""
        self._stopping.set()
        self._core.nudge.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        if self._relay is not None:
            self._relay.close()

    def _loop(self, task: Callable[[], None], tick: float) -> None:
        while not self._stopping.is_set():
            try:
                task()
            except Cancelled:
                return
            except Exception:
                log.exception("the keeper goes on after an error")
            # The nudge is for the ports; the chores have time.
            if tick == TICK:
                self._core.nudge.wait(tick)
                self._core.nudge.clear()
            else:
                self._stopping.wait(tick)

    def _interrupt(self) -> None:
        """Between the files of a copy: end it when we close, and let a change that somebody waits for have the disk first."""
        patience = time.monotonic() + YIELD
        while not self._stopping.is_set() and self._jobs.is_busy and time.monotonic() < patience:
            self._stopping.wait(0.01)
        if self._stopping.is_set():
            raise Cancelled("the control plane is closing")

    def _lead_if_possible(self) -> None:
        if self._relay is not None or not self._lease.try_lead():
            return
        self._relay = Relay(self._port_of, self._tls())
        self._serve_ports()
        self._lease.remove_stale_files()
        sweep(self._core)
        take_over_jobs(self._core, self._lease, self._jobs)
        undo_imports(self._core, self._lease, self._service)

    def _tls(self) -> ssl.SSLContext | None:
        if not self._core.binaries.has_openssl:
            return None
        folder = certificate(self._core.places)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        return context

    def _port_of(self, branch_id: str) -> int:
        with self._core.store.read() as tx:
            endpoint = endpoint_of(tx, branch_id)
        if endpoint is not None and endpoint.disabled:
            raise Problem(422, "endpoint is disabled; enable it, then connect again")
        running = wake(self._core, branch_id).running()
        return 0 if running is None else running.port

    def _is_due(self, task: str, seconds: float) -> bool:
        moment = time.monotonic()
        if moment - self._last.get(task, 0) < seconds:
            return False
        self._last[task] = moment
        return True

    def _keep_ports(self) -> None:
        self._lead_if_possible()
        if self._is_due("watchdog", WATCHDOG_TICK):
            self._lease.keep_watchdog()
        if self._relay is not None:
            self._serve_ports()
            if self._is_due("jobs", TAKE_OVER_TICK):
                take_over_jobs(self._core, self._lease, self._jobs)
                undo_imports(self._core, self._lease, self._service)

    def _chores(self) -> None:
        if self._relay is None:
            return
        self._delete_expired()
        self._suspend_idle(self._relay.traffic())
        with self._core.store.read() as tx:
            branches = tx.all(BranchRow, "cluster_id IS NOT NULL AND pending_state IS NULL")
            windows = {p.id: p.history_seconds for p in tx.all(ProjectRow)}
        drop_stray_spares(self._core, {b.cluster_id for b in branches if b.is_default})
        for branch in branches:
            self._interrupt()
            try:
                self._keep_copies(branch, windows.get(branch.project_id, 0))
            except (NeonBranchError, psycopg.Error, OSError) as exc:
                # A branch may be reset, suspended or deleted under a copy that is being made of it; the next round sees what is.
                self._interrupt()
                log.info("copying branch %s was cut short: %s", branch.id, exc)

    def _keep_copies(self, branch: BranchRow, window: float) -> None:
        # First the history: a branch that a spare becomes begins none.
        keep_history(self._core, branch, window, interrupt=self._interrupt)
        if branch.is_default:
            keep_spare(self._core, branch, interrupt=self._interrupt)

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
                try:
                    moved = move_port(self._core, endpoints[port])
                except Problem as exc:
                    self._port_trouble[port] = moment + PORT_RETRY
                    log.warning("port %d of %s is taken by another program: %s", port, endpoints[port].id, exc)
                    continue
                log.warning("port %d of %s is taken by another program; it is %d now", port, endpoints[port].id, moved)

    def _settle_ports(self) -> None:
        """Before anybody is told of a port, or sends a password to it: one that another program took is moved."""
        deadline = time.monotonic() + 2 * PORT_PATIENCE
        while self._port_trouble and time.monotonic() < deadline:
            time.sleep(TICK)
            self._serve_ports()

    def _delete_expired(self) -> None:
        with self._core.store.read() as tx:
            expired = tx.all(BranchRow, "expires_at < ? AND pending_state IS NULL", [now()])
        for branch in expired:
            log.info("branch %s has expired", branch.id)
            try:
                self._service.submit(self._service.delete_branch(branch.project_id, branch.id))
            except NeonBranchError as exc:
                log.info("it will be tried again: %s", exc)

    def _suspend_idle(self, traffic: Mapping[str, Traffic]) -> None:
        after = self._core.config.suspend_after
        if not after:
            return
        with self._core.store.read() as tx:
            branches = tx.all(BranchRow, "cluster_id IS NOT NULL")
        for branch in branches:
            seen = traffic.get(branch.id)
            if seen is not None and (seen.open or seen.direct or time.monotonic() - seen.last < after):
                continue
            cluster = self._core.cluster_of(branch)
            started = cluster.started_at()
            if started is None or now() - started <= after or cluster.running() is None or self._is_at_work(branch):
                continue
            log.info("suspending branch %s", branch.id)
            suspend(self._core, branch.id)

    def _is_at_work(self, branch: BranchRow) -> bool:
        """Whether an operation of its project, or a session of ours, may need it now."""
        with self._core.store.read() as tx:
            return bool(self._core.in_use[branch.id]) or is_busy(tx, branch.project_id)
