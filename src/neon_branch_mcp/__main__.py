"""The console command `neon-branch-mcp`, also as `python -m neon_branch_mcp`."""

import sys
from collections.abc import Callable

from .front import Handover, serve_behind_front

__all__ = ["main"]


def main() -> None:
    """Run the command line; `serve` over stdio answers its first requests before the rest is imported."""
    if sys.argv[1:2] == ["serve"] and serve_behind_front(sys.argv[2:], _load):
        return
    from .cli.main import main as command_line  # imported late: the front is there because this takes most of a second

    command_line()


def _load() -> Callable[[Handover], None]:
    # serve is imported with the rest: it runs as soon as this returns.
    from .cli import serve  # noqa: F401
    from .cli.main import main as command_line

    return command_line


if __name__ == "__main__":
    main()
