"""Applies scripts through whichever neon_branch_mcp stands first on the path, and writes what it reported, a JSON line for each.

A file of its own that imports nothing of `tools`: the code beside it may be of another commit.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from neon_branch_mcp.config import Secret, SqlConfig
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.migrations.apply import apply
from neon_branch_mcp.postgres.executor import Executor
from neon_branch_mcp.postgres.target import Target


async def replay(case: dict[str, Any]) -> dict[str, Any]:
    """The report, or the error that came instead."""
    executor = Executor(SqlConfig())
    sessions: Any = executor if hasattr(executor, "looking") else executor.session  # older code
    target = Target("p", "br", "dev", "db", "read-write", Secret(case["uri"]))
    try:
        report = await apply(sessions, target, name=case["name"], sql=case["sql"], dry_run=case["dry_run"], who="equal")
        return {"report": asdict(report), "text": report.text()}
    except NeonBranchError as exc:
        failed = getattr(exc, "report", None)
        return {"error": exc.render(), "report": asdict(failed) if failed else None}
    finally:
        await executor.aclose()


def main() -> None:
    """A case on each line of stdin, an answer on each line of stdout."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asyncio.run(replay(json.loads(line)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
