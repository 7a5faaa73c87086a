"""What verification answers: verdicts, each with what it rests on."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["preserved", "unproven", "lost"]
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

    `columns` holds only those about which there is something to say.
    """

    table: str
    verdict: Verdict
    reason: str
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
    base_is: Literal["as branched", "parent now"]
    branch: str
    tables: tuple[TableFinding, ...]
    checks: tuple[CheckFinding, ...]
    notes: tuple[str, ...] = ()
    complete: bool = True
    seconds: float = 0.0
