"""What a migration did, as one frozen value, and as short text that a person or a model decides from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["ok", "ok_with_warnings", "destructive", "failed"]
State = Literal["applied", "already_applied", "dry_run", "rolled_back", "partly_applied"]
LossKind = Literal["rows deleted", "rows updated", "table dropped", "table truncated", "column dropped", "type changed"]

TEXT_BUDGET = 2_400
"""Characters of the text of an ordinary report: 600 tokens."""


@dataclass(frozen=True)
class DataLoss:
    """Something that was there before and is not any more.

    `rows` is how many: rows deleted, updated, or in the table before; for a column its values that were not NULL. None: not known.
    `exact` is False for Postgres' own estimate or an upper bound; `note` says what else is known.
    """

    kind: LossKind
    object: str
    rows: int | None
    statement: int = 0
    exact: bool = True
    note: str = ""

    def __str__(self) -> str:
        unit = {"column dropped": "non-null values", "type changed": "non-null values"}.get(self.kind, "rows")
        count = "an unknown number of" if self.rows is None else f"{'' if self.exact else 'about '}{self.rows:,}"
        note = f" ({self.note})" if self.note else ""
        return f"{self.kind}: {self.object}, {count} {unit}{note} [{self.statement}]"


@dataclass(frozen=True)
class LockHeld:
    """The strongest lock above RowExclusive on a relation that was there before, held from `statement` to the end of its transaction.

    `held_ms` is how long others would have waited at most, had there been any; it is a hold time, never a wait.
    """

    statement: int
    relation: str
    mode: str
    blocks: str = ""
    held_ms: float = 0.0
    sampled: bool = False

    def __str__(self) -> str:
        sampled = " (sampled)" if self.sampled else ""
        return f"{self.relation} {self.mode}, {_ms(self.held_ms)}{sampled}, blocks {self.blocks} [{self.statement}]"


@dataclass(frozen=True)
class Rewrite:
    """A table or index that got a new file: every row was written again."""

    statement: int
    relation: str
    ms: float = 0.0
    indexes: int = 0

    def __str__(self) -> str:
        indexes = f" + {self.indexes} index{'es' if self.indexes > 1 else ''}" if self.indexes else ""
        return f"{self.relation}{indexes}, {_ms(self.ms)} [{self.statement}]"


@dataclass(frozen=True)
class Scan:
    """Rows read from a table that was there before, by a statement that changes the schema."""

    statement: int
    relation: str
    rows: int

    def __str__(self) -> str:
        return f"{self.relation}, {self.rows:,} rows [{self.statement}]"


@dataclass(frozen=True)
class Advice:
    """What measurement on a quiet branch cannot show, with the safer way. One that `warns` makes the verdict ok_with_warnings."""

    rule: str
    problem: str = ""
    instead: str = ""
    statement: int | None = None
    warns: bool = True

    def __str__(self) -> str:
        where = "" if self.statement is None else f" [{self.statement}]"
        return f"{self.rule}: {self.problem} {self.instead}{where}"


@dataclass(frozen=True)
class Failure:
    """Where and why a script stopped; `left` says what remains in the database."""

    statement: int
    line: int
    column: int
    sql: str
    message: str
    left: str
    sqlstate: str | None = None
    detail: str | None = None
    hint: str | None = None
    constraint: str | None = None


@dataclass(frozen=True)
class MigrationReport:
    """What a migration did, measured while it ran. Numbers in `[ ]` in the text are statements, counted from 1.

    `applied` is True only when the changes are in the database now. `schema_before` and `schema_after` are fingerprints of the schema:
    a run elsewhere that shows the same pair and `checksum` did what was rehearsed here.
    """

    verdict: Verdict
    applied: bool
    state: State
    data_loss: tuple[DataLoss, ...]
    locks: tuple[LockHeld, ...]
    rewrites: tuple[Rewrite, ...]
    scans: tuple[Scan, ...]
    advice: tuple[Advice, ...]
    schema_diff: str
    checksum: str
    # What has a default is told, but not announced in the tool's output schema, which every client pays for.
    name: str = ""
    branch: str = ""
    database: str = ""
    statements: int = 0
    grouping: str = ""
    seconds: float = 0.0
    version: str | None = None
    schema_before: str = ""
    schema_after: str = ""
    failure: Failure | None = None
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The report in the order in which a person decides; an ordinary one stays within 600 tokens."""
        lines = [self._headline(), *_failure_lines(self.failure)]
        lines += _section("data loss", self.data_loss, 12, empty="none")
        if self.data_loss:
            lines.append("  verify_migration shows whether the values live on elsewhere on the branch.")
        lines += _section("locks above RowExclusive", self.locks, 8, empty="none")
        lines += _section("rewrites", self.rewrites, 6, empty="none")
        lines += _section("scans", self.scans, 5)
        lines += _section("advice", self.advice, 5)
        if self.schema_diff:
            used = sum(map(len, lines)) + len(lines)
            lines += ["schema diff:", *_indented(self.schema_diff, max(300, TEXT_BUDGET - used - 160))]
        lines += list(self.notes)
        fingerprints = f"; schema {self.schema_before} → {self.schema_after}" if self.schema_after else ""
        lines.append(f"checksum: sha256 {self.checksum}{fingerprints}")
        return "\n".join(lines)

    def _headline(self) -> str:
        state = {
            "applied": "applied",
            "already_applied": "already applied before, nothing done now",
            "dry_run": "dry run: rolled back",
            "rolled_back": "rolled back, nothing applied",
            "partly_applied": "PARTLY applied",
        }[self.state]
        how = f"{self.statements} statement{'s' if self.statements != 1 else ''}, {self.grouping}"
        return f"verdict: {self.verdict} · {self.name} on {self.branch}/{self.database}: {state}; {how}; {_seconds(self.seconds)}"


def text_of(recorded: Mapping[str, Any]) -> str:
    """The text of a report as the ledger keeps it."""
    fields: dict[str, Any] = {k: recorded[k] for k in MigrationReport.__dataclass_fields__ if k in recorded}
    parts = {"data_loss": DataLoss, "locks": LockHeld, "rewrites": Rewrite, "scans": Scan, "advice": Advice}
    for name, part in parts.items():
        fields[name] = tuple(part(**item) for item in fields.get(name) or ())
    if fields.get("failure"):
        fields["failure"] = Failure(**fields["failure"])
    return MigrationReport(**fields).text()


def verdict_of(losses: Sequence[DataLoss], advice: Sequence[Advice], failure: Failure | None) -> Verdict:
    """failed, else destructive where anything is lost, else ok_with_warnings where something should be looked at."""
    if failure is not None:
        return "failed"
    if any(loss.rows != 0 for loss in losses):
        return "destructive"
    return "ok_with_warnings" if losses or any(a.warns for a in advice) else "ok"


def _section(title: str, items: Iterable[object], most: int, *, empty: str = "") -> list[str]:
    found = [str(i) for i in items]
    if not found:
        return [f"{title}: {empty}"] if empty else []
    more = [f"  … and {len(found) - most} more"] if len(found) > most else []
    return [f"{title}:", *(f"  {line}" for line in found[:most]), *more]


def _failure_lines(failure: Failure | None) -> list[str]:
    if failure is None:
        return []
    fields = [("detail", failure.detail), ("hint", failure.hint), ("constraint", failure.constraint)]
    state = f" (SQLSTATE {failure.sqlstate})" if failure.sqlstate else ""
    return [
        f"failed: statement {failure.statement} at {failure.line}:{failure.column}: {failure.message}{state}",
        f"  {failure.sql}",
        *(f"  {name}: {value}" for name, value in fields if value),
        f"left behind: {failure.left}",
    ]


def _indented(text: str, budget: int) -> list[str]:
    out: list[str] = []
    lines = text.splitlines()
    for i, line in enumerate(lines):
        budget -= len(line) + 3
        if budget < 0:
            return [*out, f"  … and {len(lines) - i} more lines"]
        out.append(f"  {line}")
    return out


def _ms(ms: float) -> str:
    return f"{ms:.0f} ms" if ms >= 1 else "under 1 ms"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
