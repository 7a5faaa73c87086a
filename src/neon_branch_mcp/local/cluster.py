"""One Postgres cluster on this machine: start, stop, adopt, and a superuser's connection to it.

Several processes may work on one cluster: its lock file lets one of them at a time start or stop it. A postmaster that somebody else
started, even a process long dead, is adopted by its postmaster.pid after checking that it is ours. Everything here blocks.
"""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg

from ..errors import ConfigError, Unreachable
from .binaries import Binaries
from .locks import locked
from .places import Places
from .settings import SUPERUSER

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
LOG_KEPT = 5_000_000

_children: dict[int, subprocess.Popen[bytes]] = {}
_children_lock = threading.Lock()


@dataclass(frozen=True)
class Running:
    """A live postmaster: its process and the ports (TCP on loopback, and the unix socket's number)."""

    pid: int
    port: int


def major_of(places: Places) -> int | None:
    """The one major version of Postgres that all clusters there were made by; None where there is none yet, or several."""
    made_by = {_made_by(cluster / "data") for cluster in places.clusters.glob("*")} - {None}
    return made_by.pop() if len(made_by) == 1 else None


def _made_by(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Cluster:
    """A cluster by its id; whether it exists on disk is another question."""

    id: str
    places: Places
    binaries: Binaries

    @property
    def folder(self) -> Path:
        return self.places.clusters / self.id

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def lock(self) -> Path:
        return self.places.locks / f"cluster-{self.id}"

    def exists(self) -> bool:
        return (self.data / "PG_VERSION").is_file()

    def running(self) -> Running | None:
        """The live postmaster of this cluster, ready or still starting; None when there is none."""
        return _read_pid_file(self.data)

    def is_ready(self) -> bool:
        """Whether it runs and accepts connections, by its own word."""
        return _says_ready(self.data) and self.running() is not None

    def started_at(self) -> float | None:
        """When the postmaster that has or had it was started, in seconds since the epoch."""
        try:
            return (self.data / "postmaster.pid").stat().st_mtime
        except FileNotFoundError:
            return None

    def start(self) -> Running:
        """Start it, or adopt the running one; returns once it accepts connections.

        Raises Unreachable with the last lines of the log when it does not come up.
        """
        with locked(self.lock):
            return self.start_locked()

    def start_locked(self) -> Running:
        """The same for a caller who holds the cluster's lock."""
        found = self.running()
        if found is not None and self._wait_ready(None, found.pid):
            return self.running() or found
        if not self.exists():
            raise Unreachable(
                f"Cluster {self.id} has no files: {self.data} is gone. Reset its branch from its parent, or delete it."
            )
        self._check_version()
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            _remove_misleading_pid_file(self.data)
            process = self._spawn(free_port())
            if self._wait_ready(process, process.pid):
                running = self.running()
                if running is not None:
                    return running
            tail = self.log_tail()
            # A port taken a moment ago, or a backend of a killed postmaster that still holds the shared memory: both pass.
            passing = "in use" in tail or "lock file" in tail
            if not passing or time.monotonic() > deadline:
                raise Unreachable(f"Postgres of cluster {self.id} did not start. The end of {self.log}:\n{tail}")
            time.sleep(0.1)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it if it runs: fast (sessions are cut, all is written), or immediate (for what will be deleted)."""
        with locked(self.lock):
            self.stop_locked(immediate=immediate)

    def stop_locked(self, *, immediate: bool = False) -> None:
        """The same for a caller who holds the cluster's lock."""
        running = self.running()
        if running is None:
            return
        sent = signal.SIGQUIT if immediate else signal.SIGINT
        if not _signal_and_wait(running.pid, sent, STOP_TIMEOUT) and not _signal_and_wait(
            running.pid, signal.SIGQUIT, STOP_TIMEOUT
        ):
            raise Unreachable(
                f"Postgres of cluster {self.id} (pid {running.pid}) did not stop within {STOP_TIMEOUT} s."
            )

    def connect(self, database: str = "postgres", **settings: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's session in autocommit, over the private unix socket. The cluster has to run."""
        running = self.running()
        if running is None:
            raise Unreachable(f"Postgres of cluster {self.id} is not running.")
        return psycopg.connect(
            host=str(self.places.sockets),
            port=running.port,
            user=SUPERUSER,
            dbname=database,
            autocommit=True,
            connect_timeout=20,
            **settings,
        )

    def execute(self, sql: LiteralString, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser and fetch its rows."""
        with self.connect(database) as conn:
            cursor = conn.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the server's log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 8_000))
                return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def _check_version(self) -> None:
        """A cluster belongs to one major version for good. Raises ConfigError for another one's."""
        made_by = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if made_by != str(self.binaries.major):
            raise ConfigError(
                f"Cluster {self.id} was made by Postgres {made_by}, and {self.binaries.folder} ({self.binaries.source}) "
                f"holds {self.binaries.version}; set local.bin_dir to a Postgres {made_by}, or name another --data-dir."
            )

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_KEPT:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.places.keep_sockets()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [self.binaries.tool("postgres"), "-D", str(self.data), "-p", str(port), "-k", str(self.places.sockets)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"},
                start_new_session=True,
                **self.places.spawn_as,
            )
        with _children_lock:
            _children[process.pid] = process
        return process

    def _wait_ready(self, process: subprocess.Popen[bytes] | None, pid: int) -> bool:
        """Poll until it says that it accepts connections, as pg_ctl does; False when it ended instead.

        A SELECT of ours would cost half as much as the start: the first session of a fresh postmaster reads the catalogue.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if process is not None and process.poll() is not None:
                _forget(pid)
                return False
            if process is None and not _is_postmaster(pid, self.data):
                return False
            # A killed postmaster's file still says ready: it has to be this one's.
            if _says_ready(self.data, pid):
                return True
            time.sleep(0.001)
        raise Unreachable(f"Postgres of cluster {self.id} did not answer in time. Its log:\n{self.log_tail()}")


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago, from the system's ephemeral range."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _pid_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _says_ready(data: Path, pid: int | None = None) -> bool:
    lines = _pid_lines(data)
    if pid is not None and lines[:1] != [str(pid)]:
        return False
    # "standby" is a recovery that takes no connections; a hot standby says ready.
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _read_pid_file(data: Path) -> Running | None:
    lines = _pid_lines(data)
    if len(lines) < 4 or not lines[0].strip().isdigit() or not lines[3].strip().isdigit():
        return None
    pid = int(lines[0])
    return Running(pid, int(lines[3])) if _is_postmaster(pid, data) else None


def _is_postmaster(pid: int, data: Path) -> bool:
    """Whether the process is a live postgres that was started on this folder; pids are reused."""
    _reap(pid)
    try:
        process = psutil.Process(pid)
        arguments = process.cmdline()
        return bool(
            process.status() != psutil.STATUS_ZOMBIE
            and len(arguments) > 2
            and Path(arguments[0]).name == "postgres"
            and arguments[1:3] == ["-D", str(data)]
        )
    except psutil.NoSuchProcess:
        return False


def _remove_misleading_pid_file(data: Path) -> None:
    """A file left by a killed postmaster whose pid now belongs to another process would block every start.

    Only then: while the pid is dead, Postgres itself also checks for backends that are left, by this very file.
    """
    lines = _pid_lines(data)
    if lines and lines[0].strip().isdigit():
        pid = int(lines[0])
        if psutil.pid_exists(pid) and not _is_postmaster(pid, data):
            (data / "postmaster.pid").unlink(missing_ok=True)


def _signal_and_wait(pid: int, sent: signal.Signals, timeout: float) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sent)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        _reap(pid)
        if not _alive(pid):
            return True
        time.sleep(0.001)
    return False


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _reap(pid: int) -> None:
    """Collect the exit status if it was our child, so that it does not stay as a zombie."""
    with _children_lock:
        process = _children.get(pid)
        if process is not None and process.poll() is not None:
            del _children[pid]


def reap_all() -> None:
    """Collect the exit statuses of all our postmasters that have ended."""
    for pid in list(_children):
        _reap(pid)


def _forget(pid: int) -> None:
    with _children_lock:
        _children.pop(pid, None)
