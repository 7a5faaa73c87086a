"""Stops the clusters of a data directory when no process has it open any more, however the last one ended.

Every process that opens a data directory holds a shared lock on `locks/open`; the kernel frees it even after a kill -9. This program,
one per data directory, waits for the exclusive one: when it gets that, nobody is left, and whatever still runs is stopped. It is started
as a file of its own, so it imports nothing of the package.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil

STOP_TIMEOUT = 30.0
SETTLE = 0.1  # a postmaster that a killed process had just forked shows itself within this time


def postmasters_below(folder: Path) -> list[psutil.Process]:
    """The live postmasters whose data lie below `folder`."""
    return [process for _, process in running_below(folder)]


def running_below(folder: Path) -> list[tuple[Path, psutil.Process]]:
    """The same, each with the folder of its data: a process that ends meanwhile could not be asked for it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            arguments = process.cmdline()
            if (
                len(arguments) > 2
                and os.path.basename(arguments[0]) == "postgres"
                and arguments[1] == "-D"
                and Path(arguments[2]).is_relative_to(folder)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append((Path(arguments[2]), process))
    return found


def stop_all(folder: Path) -> int:
    """Stop every postmaster below `folder`: fast, and after a while immediately. Returns how many there were."""
    processes = postmasters_below(folder)
    left = processes
    for sent in (signal.SIGINT, signal.SIGQUIT):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sent)
        deadline = time.monotonic() + STOP_TIMEOUT
        while left and time.monotonic() < deadline:
            left = [p for p in left if _runs(p)]
            time.sleep(0.002)
    return len(processes)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def main(locks: Path, clusters: Path, sockets: Path) -> None:
    """Wait until nobody has the data directory open, then stop its clusters."""
    own = os.open(locks / "watchdog", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # there is one already
    try:
        shared = os.open(locks / "open", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(shared, fcntl.LOCK_EX)
    except FileNotFoundError:
        return  # the data directory is gone
    stop_all(clusters)
    time.sleep(SETTLE)
    stop_all(clusters)
    shutil.rmtree(sockets, ignore_errors=True)
    # Ours first: who opens the directory next must not take us for a watchdog of theirs.
    os.close(own)
    os.close(shared)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
