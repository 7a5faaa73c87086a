"""Who has a data directory open: a shared lock for each process, a lock under each worker's name, and one leader among them.

The leader owns the relay's ports and the background tasks. When a process ends, even by kill -9, the kernel frees its locks: another
process becomes leader, its jobs are taken over, and when it was the last one the watchdog stops the clusters.
"""

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from . import watchdog
from .locks import FileLock, take_lock, try_lock
from .places import Places

CLOSE_TIMEOUT = 60.0
STALE_AFTER = 60.0

# -I keeps the caller's environment out; psutil may stand where only the caller's sys.path leads.
RUN_FILE = "import runpy, sys; sys.path.append(sys.argv.pop(2)); del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"

_watchdogs: list[subprocess.Popen[bytes]] = []  # kept until the interpreter ends: they outlive whoever started them


@atexit.register
def _reap_watchdogs() -> None:
    """Take note of those that have ended: Python says of every other one that it still runs."""
    for process in _watchdogs:
        process.poll()


class Lease:
    """This process's part in a data directory, from opening to `close()`."""

    def __init__(self, places: Places, worker: str) -> None:
        self._places = places
        self._worker = worker
        # The watchdog, or a process that is leaving, may be stopping the clusters: it holds the exclusive lock meanwhile.
        self._open = take_lock(places.locks / "open", shared=True, timeout=120)
        self._mine = take_lock(self._worker_file(worker))
        self._leader: FileLock | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.keep_watchdog()

    def _worker_file(self, worker: str) -> Path:
        return self._places.locks / f"worker-{worker}"

    @property
    def is_leader(self) -> bool:
        """Whether this process owns the ports and the background tasks."""
        return self._leader is not None

    def try_lead(self) -> bool:
        """Become the leader if there is none."""
        if self._leader is None:
            self._leader = try_lock(self._places.locks / "leader")
        return self._leader is not None

    def is_alive(self, worker: str) -> bool:
        """Whether the process of that name still has the data directory open."""
        if worker == self._worker:
            return True
        path = self._worker_file(worker)
        if not path.exists():
            return False
        lock = try_lock(path)
        if lock is None:
            return True
        path.unlink(missing_ok=True)
        lock.release()
        return False

    def remove_stale_files(self) -> None:
        """Worker files of processes that were killed."""
        for path in self._places.locks.glob("worker-*"):
            with contextlib.suppress(FileNotFoundError):
                # Young ones may belong to a process that is about to lock its own.
                if time.time() - path.stat().st_mtime > STALE_AFTER:
                    self.is_alive(path.name.removeprefix("worker-"))

    def keep_watchdog(self) -> None:
        """Start the watchdog if there is none."""
        free = try_lock(self._places.locks / "watchdog")
        if free is None:
            return
        free.release()
        places = self._places
        arguments = [watchdog.__file__, str(Path(psutil.__file__).parents[1])]
        arguments += [str(places.locks), str(places.clusters), str(places.sockets)]
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-c", RUN_FILE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
            start_new_session=True,
        )
        _watchdogs[:] = [*(p for p in _watchdogs if p.poll() is None), self._watchdog]

    def give_up_leadership(self) -> None:
        """Let another process lead; call it after the ports are closed."""
        if self._leader is not None:
            self._leader.release()
            self._leader = None

    def close(self) -> None:
        """Leave. The last to leave stops the clusters; when this returns they are stopped, or others have the directory open."""
        self.give_up_leadership()
        self._worker_file(self._worker).unlink(missing_ok=True)
        self._mine.release()
        self._open.release()
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while time.monotonic() < deadline:
            alone = try_lock(self._places.locks / "open")
            if alone is not None:
                watchdog.stop_all(self._places.clusters)
                shutil.rmtree(self._places.sockets, ignore_errors=True)
                alone.release()
                break
            if self._others():
                return
            time.sleep(0.005)  # the watchdog has it, and is doing the same
        if self._watchdog is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._watchdog.wait(5)

    def _others(self) -> bool:
        for path in self._places.locks.glob("worker-*"):
            lock = try_lock(path)
            if lock is None:
                return True
            lock.release()
        return False
