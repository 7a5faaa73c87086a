"""The console command `neon-branch-mcp`, also as `python -m neon_branch_mcp`."""

import sys
from collections.abc import Callable

from .front import Handover, read_flags, serve_behind_front

__all__ = ["main"]

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended, as the rest of the command line gives it."""


def main() -> None:
    """Run the command line; `serve` over stdio answers its first requests before the rest is imported."""
    try:
        if sys.argv[1:2] == ["serve"] and serve_behind_front(sys.argv[2:], _load):
            return
    except KeyboardInterrupt:  # at a terminal; whoever asked for it needs no account of where we were
        sys.exit(INTERRUPTED)
    from .cli.main import main as command_line  # imported late: the front is there because this takes most of a second

    command_line()


def _load(call_waits: bool) -> Callable[[Handover], None]:
    from .guard.statements_process import spawn

    # The parser is imported there while the server is imported here; a session that calls nothing needs none.
    spawned = spawn() if call_waits else None
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # its command line, and with that all of Rich, Click and Pygments
    from .cli.serve_direct import prepared
    from .errors import ConfigError

    try:
        return prepared(read_flags(sys.argv[2:]) or {}, spawned)
    except ConfigError:
        # The whole command line meets the same fault, and says it.
        if spawned is not None:
            spawned.pipe.close()
            spawned.process.wait()
        from .cli.main import main as command_line

        return command_line


if __name__ == "__main__":
    main()
