"""The start of a process that reads SQL text. Standard library only: a server starts it before it imports what it needs itself."""

import socket
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Spawned:
    """A worker's process, which may not be ready yet, and our end of its pipe. It ends when that end is closed."""

    process: "subprocess.Popen[bytes]"
    pipe: socket.socket


def spawn() -> Spawned:
    """Start a process. Raises OSError."""
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            # -P: nothing is imported from the working directory, which an agent may write
            [sys.executable, "-P", "-m", f"{__package__}.statements_worker"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the server's terminal is the server's to handle
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Spawned(process, ours)
