"""Reads the audit back as calls: the beginning and the end of a change become one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import audit_chain


@dataclass(frozen=True)
class Call:
    """One call. `result` is "ok", the code of the error, or "" while no end is on record."""

    time: str
    tool: str
    effect: str
    client: str
    project: str
    branch: str
    branch_id: str
    database: str
    sql: str
    result: str
    rule: str
    rows: int | None
    ms: int | None

    @property
    def refused(self) -> bool:
        """The guard did not allow it."""
        return self.result == "refused"


def calls(records: Iterable[Mapping[str, Any]], *, pending: dict[str, Mapping[str, Any]]) -> Iterator[Call]:
    """The calls that `records` complete. Changes that have not ended stay in `pending`, by call id."""
    for record in records:
        if record.get("event") == "begin":
            pending[str(record.get("call"))] = record
        elif record.get("event") in ("end", "call"):
            begun = pending.pop(str(record.get("call")), {})
            yield call_of({**record, **begun, **_outcome(record)})


def _outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("result", "rule", "rows", "ms") if key in record}


def call_of(record: Mapping[str, Any]) -> Call:
    """A record, or a joined pair of them, as a call."""

    def text(key: str) -> str:
        value = record.get(key)
        return value if isinstance(value, str) else ""

    def number(key: str) -> int | None:
        value = record.get(key)
        return value if isinstance(value, int) else None

    return Call(
        time=text("time"),
        tool=text("tool"),
        effect=text("effect"),
        client=text("client"),
        project=text("project"),
        branch=text("branch"),
        branch_id=text("branch_id"),
        database=text("database"),
        sql=text("sql") or (f"sha256:{text('sql_sha256')[:16]}…" if text("sql_sha256") else ""),
        result=text("result"),
        rule=text("rule"),
        rows=number("rows"),
        ms=number("ms"),
    )


def records(path: Path, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """The whole records of the log with a number above `after`, oldest first. Files that end before it are not read."""
    for _, stream in audit_chain.streams(path, after=after):
        for line in stream:
            record = audit_chain.parse(line) if line.endswith(b"\n") else None
            if record is not None and record["seq"] > after:
                yield record
