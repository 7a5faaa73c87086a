"""Reports of one build of the parser: `python -m tests.guard.one_build pure|compiled`, a JSON list of texts on stdin, reports on stdout.

`pure` hides the compiled modules, as where the extra `fast` is not installed.
"""

import json
import sys
from collections.abc import Callable
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any


def hide_compiled() -> None:
    """From now on sqlglot is imported from its source."""
    source: Callable[[str], Any] = FileFinder.path_hook((SourceFileLoader, SOURCE_SUFFIXES))

    def only_source(path: str) -> Any:
        if "sqlglot" not in Path(path).parts:
            raise ImportError
        return source(path)

    sys.path_hooks.insert(0, only_source)


def main() -> None:
    """Read, judge, print; the first line says which build it was."""
    if sys.argv[1] == "pure":
        hide_compiled()
    from neon_branch_mcp.guard.statements_worker import answer  # after what is to be hidden

    json.dump({"parser": sys.modules["sqlglot.parser"].__file__}, sys.stdout)
    for text in json.load(sys.stdin):
        report = answer(text, "read")
        # Where a text stops making sense, the two may see at different places.
        offset = None if report.kind == "unparsed" else report.offset
        sys.stdout.write("\n" + json.dumps([report.kind, report.rule, report.reason, offset, report.body]))


if __name__ == "__main__":
    main()
