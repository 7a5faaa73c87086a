"""Locks between processes: flock on files of ours. The kernel frees them when a process ends, however it ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import TimedOut


class FileLock:
    """A held lock; `release()` or the end of the process frees it. The file stays."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def release(self) -> None:
        """Give the lock back. Calling it again does nothing."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def try_lock(path: Path, *, shared: bool = False) -> FileLock | None:
    """The lock, or None when somebody holds it in a way that excludes us."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return FileLock(fd)


def take_lock(path: Path, *, shared: bool = False, timeout: float = 60) -> FileLock:
    """The lock, waited for. Raises TimedOut when `timeout` seconds were not enough."""
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        lock = try_lock(path, shared=shared)
        if lock is not None:
            return lock
        if time.monotonic() > deadline:
            raise TimedOut(f"Another process held {path} for {timeout:.0f} s; end it, or use another data directory.")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


@contextmanager
def locked(path: Path, *, timeout: float = 60) -> Iterator[None]:
    """Hold the exclusive lock for a block."""
    lock = take_lock(path, timeout=timeout)
    try:
        yield
    finally:
        lock.release()
