"""A branch's migrations as scripts again: to be applied on fresh data, or written to files. Pure but for `keep`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .ledger import LedgerEntry
from .plan import Plan, plan


@dataclass(frozen=True)
class Replayed:
    """One migration that was applied again. `state` is "already_applied" where the parent had it too."""

    name: str
    state: str
    database: str = ""
    verdict: str = ""


def executed_sql(entry: LedgerEntry) -> str:
    """The part of the script that is in the database: all of it, or the transactions that were committed before it failed."""
    if entry.state == "applied":
        return entry.sql
    return _prefix(plan(entry.sql), entry.statements_done)


def _prefix(planned: Plan, done: int) -> str:
    for group in planned.groups:
        if done <= 0:
            return planned.sql[: (group.begin or group.statements[0]).offset]
        done -= len(group.statements)
    return planned.sql


def keep(folder: Path, branch: str, ledgers: Mapping[str, Sequence[LedgerEntry]]) -> Path:
    """Write the ledgers (by database) to a file of the user's alone, before what they are kept in is thrown away."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / f"replay-{branch}-{number}.json"
        try:
            path.touch(mode=0o600, exist_ok=False)
            break
        except FileExistsError:
            number += 1
    path.write_text(
        json.dumps({database: [_entry(e) for e in entries] for database, entries in ledgers.items()}, indent=1)
    )
    return path


def _entry(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "version": entry.version,
        "checksum": entry.checksum,
        "state": entry.state,
        "sql": executed_sql(entry),
    }


def files(entries: Sequence[LedgerEntry]) -> dict[str, bytes]:
    """File name → content: each migration's exact text, numbered in order, and `SHA256SUMS`, which `sha256sum -c` checks.

    The checksum of a migration's file is the checksum that its report shows.
    """
    found: dict[str, bytes] = {}
    sums: list[str] = []
    width = max(4, len(str(len(entries))))
    for number, entry in enumerate(entries, start=1):
        name = f"{number:0{width}}_{_slug(entry.name)}.sql"
        found[name] = entry.sql.encode("utf-8")
        sums.append(f"{entry.checksum}  {name}\n")
    return found | {"SHA256SUMS": "".join(sums).encode()}


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:80] or "migration"
