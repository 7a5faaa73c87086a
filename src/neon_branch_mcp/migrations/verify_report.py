"""What verification answers: verdicts, each with what it rests on."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["preserved", "unproven", "lost"]
ALL_EQUAL = "all rows and columns are equal"
MOST_SAID = 4
"""Columns of a table that the text tells of."""
RANK: dict[Verdict, int] = {"preserved": 0, "unproven": 1, "lost": 2}


def worst(verdicts: "list[Verdict]") -> Verdict:
    """The worst of them; preserved when there is none."""
    return max(verdicts, key=RANK.__getitem__, default="preserved")


@dataclass(frozen=True)
class Sample:
    """One differing row as text, values in the order of the finding's `sample_columns`; null is None. A changed row has both sides."""

    kind: Literal["changed", "removed", "added"]
    base: tuple[str | None, ...] | None
    branch: tuple[str | None, ...] | None


@dataclass(frozen=True)
class SuggestedCheck:
    """A check to pass as `checks=[…]`. Where `fill_in` is true, `branch_sql` holds <…> parts that only its author knows."""

    name: str
    base_sql: str
    branch_sql: str
    fill_in: bool


@dataclass(frozen=True)
class ColumnFinding:
    """A column of the base that is not simply the same: what became of it and why the verdict is what it is."""

    column: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class TableFinding:
    """One table of the base. Counts are None where they were not read; `at_least` says that there were too many to count.

    `columns` holds only those about which there is something to say; `reason` speaks of the rows, and is empty when all there is to say is
    said of the columns.
    """

    table: str
    verdict: Verdict
    reason: str = ALL_EQUAL
    rows_base: int | None = None
    rows_branch: int | None = None
    removed: int = 0
    added: int = 0
    changed: int = 0
    at_least: bool = False
    columns: tuple[ColumnFinding, ...] = ()
    notes: tuple[str, ...] = ()
    sample_columns: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    suggested_check: SuggestedCheck | None = None


@dataclass(frozen=True)
class CheckFinding:
    """One check: preserved when both results are the same multiset of rows, lost when not, unproven when it did not end.

    `covers` names the base's columns whose every value it was shown to read; `partly` those it reads in part, with the counts.
    """

    name: str
    verdict: Verdict
    reason: str
    rows_base: int | None = None
    rows_branch: int | None = None
    only_base: int = 0
    only_branch: int = 0
    at_least: bool = False
    covers: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()
    sample_columns: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class VerifyReport:
    """The verdict over everything, the worst of its parts. `complete` is false when time ran out before all was looked at."""

    verdict: Verdict
    base: str
    base_is: Literal["as branched", "parent now", "as named"]
    branch: str
    tables: tuple[TableFinding, ...]
    checks: tuple[CheckFinding, ...]
    notes: tuple[str, ...] = ()
    complete: bool = True
    seconds: float = 0.0

    def text(self) -> str:
        """The report as a person or a model reads it: the verdict, then what is not preserved, then the rest in one line."""
        head = f"{self.verdict}: {self.branch!r} against {self.base!r} ({self.base_is}), {self.seconds:.1f} s"
        lines = [head, *self.notes]
        lines += [line for check in self.checks for line in _check_lines(check)]
        lines += [line for table in self.tables if table.verdict != "preserved" for line in _table_lines(table)]
        if kept := [_kept(t) for t in self.tables if t.verdict == "preserved"]:
            lines.append(f"preserved: {', '.join(kept)}")
        return "\n".join(lines)


def _kept(table: TableFinding) -> str:
    return table.table if table.reason == ALL_EQUAL else f"{table.table} ({_why(table)})"


def _why(table: TableFinding) -> str:
    """The reason in one line: of the rows, then of the columns that decide."""
    decide = [c for c in table.columns if c.verdict == table.verdict] or table.columns
    parts = ([table.reason] if table.reason else []) + [f"{c.column}: {c.reason}" for c in decide[:MOST_SAID]]
    more = [f"and {len(decide) - MOST_SAID} more columns"] if len(decide) > MOST_SAID else []
    return "; ".join(parts + more)


def _check_lines(check: CheckFinding) -> list[str]:
    covers = f"; proves {', '.join(check.covers)}" if check.covers else ""
    partly = f"; reads only {', '.join(check.partly)}" if check.partly else ""
    head = f"check {check.name}: {check.verdict}, {check.reason}{covers}{partly}"
    return [head, *_sample_lines(check.sample_columns, check.samples)]


def _table_lines(table: TableFinding) -> list[str]:
    lines = [
        f"table {table.table}: {table.verdict}, {_why(table)}",
        *_sample_lines(table.sample_columns, table.samples),
    ]
    if (check := table.suggested_check) is not None:
        lines.append(
            f"  to prove it{', filled in' if check.fill_in else ''}: base_sql={check.base_sql!r} branch_sql={check.branch_sql!r}"
        )
    return lines


def _sample_lines(columns: tuple[str, ...], samples: tuple[Sample, ...]) -> list[str]:
    return [f"  {sample.kind} {_row(columns, sample)}" for sample in samples]


def _row(columns: tuple[str, ...], sample: Sample) -> str:
    if sample.base is None or sample.branch is None:
        row = sample.base or sample.branch or ()
        return "(" + ", ".join(f"{c}={v!r}" for c, v in zip(columns, row, strict=False)) + ")"
    cells = zip(columns, sample.base, sample.branch, strict=False)
    return "(" + ", ".join(f"{c}={a!r} -> {b!r}" if a != b else f"{c}={a!r}" for c, a, b in cells) + ")"
