"""How a process of ours runs: its event loop and its log. Standard library only."""

import importlib.util
import logging
import sys


def event_loop() -> dict[str, bool]:
    """The faster event loop, where it is installed."""
    return {"use_uvloop": importlib.util.find_spec("uvloop") is not None}


def log_to_stderr() -> None:
    """Nothing but protocol goes to stdout."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
