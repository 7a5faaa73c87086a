"""The process that reads SQL text: `python -m neon_branch_mcp.guard.statements_worker`, frames of JSON on stdin and stdout.

It holds nothing and opens nothing, so that it can be killed at any moment. It ends when its stdin does.
"""

import json
import resource
import sys
from typing import BinaryIO

from . import statements_parse
from .statements import HEADER, Mode, Report, inspect

MEMORY = 1 << 30
WARM = "SELECT a.x, count(*) FROM t a JOIN u USING (id) WHERE a.y = 1 GROUP BY 1 ORDER BY 2 LIMIT 5"


def answer(sql: str, mode: Mode) -> Report:
    """The report on one text; whatever goes wrong in the parser is a report too."""
    try:
        return inspect(sql, mode, statements_parse.parse)
    except MemoryError:
        return Report("bad", "parse", "reading it takes too much memory")
    except Exception as exc:  # noqa: BLE001 - sqlglot raises whatever its code trips over; a text that does it is refused
        return Report("bad", "parse", f"it could not be read ({type(exc).__name__})")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer frames until the source ends."""
    while len(header := source.read(HEADER.size)) == HEADER.size:
        request = json.loads(source.read(HEADER.unpack(header)[0]))
        data = json.dumps(answer(request["sql"], request["mode"]).to_json()).encode()
        sink.write(HEADER.pack(len(data)) + data)
        sink.flush()


def main() -> None:
    """Bound the memory, warm the parser, serve."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    statements_parse.parse(WARM)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
