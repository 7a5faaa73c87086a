"""From what was measured to a verdict. Pure: no query runs here.

| what happened to a stored column or row of the base | verdict |
|---|---|
| equal on the branch, by key or as a multiset | preserved |
| proven by a passed check (see verify_coverage) | preserved |
| the column is gone, but held only nulls; the table is gone, but was empty | preserved |
| gone, and found with its keys under its own name in something new; rows found whole in tables that gained them | preserved |
| renamed, known by the catalogue of two physical copies, and equal | preserved |
| gone, and found under another name; gone, and something is new on the branch where it might be | unproven, with a check to pass |
| could not be read, not reached in time, of a type whose equality proves nothing when texts differ | unproven |
| gone, and nothing on the branch is new: there is no place where it could be | lost |
| rows missing, where the key's type, or without a key a column's, changed so that no difference proves anything | unproven |
| numbers that are all the old ones in another unit (times 100) | unproven, with the factor |
| times changed to later ones in a table with a trigger before each UPDATE (updated_at) | unproven |
| rows missing, and a table gained their keys, or a new one packs rows in another shape | unproven |
| values changed, and the old ones are in a new column | unproven, with a check to pass |
| values changed, rows missing | lost, or unproven where the base is the parent now and it may have changed there |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .compare import Difference
from .verify_catalogue import TableColumn
from .verify_coverage import Coverage
from .verify_report import ALL_EQUAL, ColumnFinding, SuggestedCheck, TableFinding, Verdict, worst
from .verify_search import ColumnFound
from .verify_side import BaseIs
from .verify_suggest import suggest
from .verify_tables import ColumnPair, TableOutcome


@dataclass(frozen=True)
class Evidence:
    """What is known beyond one table. `somewhere_new`: the branch has rows or columns that the base does not have."""

    coverage: Coverage
    base_is: BaseIs
    somewhere_new: tuple[str, ...]
    columns: Mapping[tuple[int, str], ColumnFound] = field(default_factory=dict)
    rows: Mapping[int, str] = field(default_factory=dict)
    perhaps: Mapping[int, str] = field(default_factory=dict)
    """Of tables with missing rows: a table that may hold them in another shape."""


def judge(outcome: TableOutcome, evidence: Evidence) -> TableFinding:
    """The finding about one table of the base."""
    table = outcome.tables.base
    if outcome.failure:
        return TableFinding(table.label, "unproven", f"could not be compared: {outcome.failure}", outcome.rows_base)
    findings = [*_changed(outcome, evidence), *_gone(outcome, evidence)]
    rows = _rows(outcome, evidence)
    whole = evidence.coverage.whole_table(table)
    if whole:
        findings = [ColumnFinding(f.column, "preserved", f.reason) for f in findings]
        rows = ("preserved", f"every row is proven by check {whole}") if rows[1] else rows
    verdict = worst([rows[0], *(f.verdict for f in findings)])
    diff = outcome.difference or Difference()
    return TableFinding(
        table.label,
        verdict,
        _reason(outcome, rows[1], findings),
        outcome.rows_base,
        diff.rows_branch if outcome.difference else None,
        diff.removed,
        diff.added,
        diff.changed,
        not diff.complete,
        tuple(findings),
        tuple(_notes(outcome)),
        tuple(p.base.name for p in outcome.tables.pairs) if diff.samples else (),
        tuple(diff.samples),
        _suggestion(outcome, findings, evidence) if verdict != "preserved" else None,
    )


def _reason(outcome: TableOutcome, rows: str, findings: list[ColumnFinding]) -> str:
    if rows or findings:
        return rows
    if outcome.difference is not None and outcome.difference.added:
        return f"every row is there unchanged; {outcome.difference.added:,} rows were added"
    return ALL_EQUAL


def _rows(outcome: TableOutcome, evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict on the rows themselves and why; an empty reason when none is missing."""
    diff, table = outcome.difference, outcome.tables.base
    if outcome.tables.branch is None:
        return _table_gone(outcome, evidence)
    if diff is None:
        # No column in common: only the columns' own findings speak.
        return "preserved", ""
    if not diff.removed:
        return (
            ("preserved", "")
            if diff.complete or diff.changed or diff.added
            else ("unproven", "differs in too many places to count")
        )
    count = f"{'at least ' if not diff.complete else ''}{diff.removed:,} of {diff.rows_base:,} rows"
    if where := evidence.rows.get(table.oid):
        return "preserved", f"{count} are now in {where}, unchanged"
    if evidence.base_is == "parent now":
        return "unproven", f"{count} of the parent are not on the branch; they may have been added there since"
    if untold := [
        p.base.name
        for p in outcome.tables.pairs
        if not p.how.conclusive and (not table.key or p.base.name in table.key)
    ]:
        return "unproven", f"{count} cannot be told from new ones: the type of {', '.join(untold)} changed"
    if where := evidence.perhaps.get(table.oid):
        return "unproven", f"{count} are missing; they may be in {where}, in another shape"
    extra = " or changed (there is no key to tell)" if not table.key else ""
    return "lost", f"{count} are missing{extra}"


def _table_gone(outcome: TableOutcome, evidence: Evidence) -> tuple[Verdict, str]:
    table, rows = outcome.tables.base, outcome.rows_base or 0
    if not rows:
        return "preserved", "the table is gone; it was empty"
    gone = f"the table is gone with its {rows:,} rows"
    if where := evidence.rows.get(table.oid):
        return "preserved", f"{gone}; all are in {where}, unchanged"
    if evidence.somewhere_new:
        return "unproven", f"{gone}; {_new(evidence)}"
    return "lost", f"{gone}, and nothing is new on the branch that could hold them"


def _new(evidence: Evidence) -> str:
    shown = ", ".join(evidence.somewhere_new[:4])
    more = f" and {len(evidence.somewhere_new) - 4} more" if len(evidence.somewhere_new) > 4 else ""
    return f"new on the branch: {shown}{more}"


def _changed(outcome: TableOutcome, evidence: Evidence) -> list[ColumnFinding]:
    diff = outcome.difference
    if diff is None:
        return []
    return [f for p in outcome.tables.pairs if (f := _column(outcome, p, diff.columns.get(p.base.name, 0), evidence))]


def _column(outcome: TableOutcome, pair: ColumnPair, changed: int, evidence: Evidence) -> ColumnFinding | None:
    name, notes = pair.base.name, [pair.how.note] if pair.how.note else []
    if pair.renamed:
        notes.insert(0, f"renamed to {pair.branch.name}")
    if not changed:
        return ColumnFinding(name, "preserved", "; ".join(notes)) if notes else None
    reason = "; ".join([f"{changed:,} values changed", *notes])
    if proof := evidence.coverage.proven.get((outcome.tables.base.oid, name)):
        return ColumnFinding(name, "preserved", f"{reason}; proven by check {proof}")
    if not pair.how.conclusive:
        return ColumnFinding(name, "unproven", reason)
    if trigger := outcome.touched.get(name):
        told = f"{reason}, each to a time after all of the base's: trigger {trigger} runs before every UPDATE; disable it to keep them"
        return ColumnFinding(name, "unproven", told)
    if unit := outcome.units.get(name):
        return ColumnFinding(name, "unproven", f"{reason}; each is {unit}")
    if evidence.base_is == "parent now":
        return ColumnFinding(name, "unproven", f"{reason}, on the branch or on the parent since")
    if found := evidence.columns.get((outcome.tables.base.oid, name)):
        return ColumnFinding(name, "unproven", f"{reason}; the old ones are in {found.table.label}.{found.column}")
    return ColumnFinding(name, "lost", reason)


def _gone(outcome: TableOutcome, evidence: Evidence) -> list[ColumnFinding]:
    if not outcome.rows_base or evidence.rows.get(outcome.tables.base.oid):
        return []
    return [_gone_column(outcome, c, evidence) for c in outcome.tables.gone]


def _gone_column(outcome: TableOutcome, column: TableColumn, evidence: Evidence) -> ColumnFinding:
    at = (outcome.tables.base.oid, column.name)
    values = outcome.non_null.get(column.name, 0)
    if not values:
        return ColumnFinding(column.name, "preserved", "gone; it held only nulls")
    gone = f"gone with {values:,} values"
    if proof := evidence.coverage.proven.get(at):
        return ColumnFinding(column.name, "preserved", f"{gone}; proven by check {proof}")
    if (found := evidence.columns.get(at)) is not None:
        place = f"{found.table.label}.{found.column}"
        if found.same_name(column.name):
            by = ", ".join(found.by)
            return ColumnFinding(column.name, "preserved", f"{gone}; all are in {place}, each with its key ({by})")
        return ColumnFinding(column.name, "unproven", f"{gone}; the same values are in {place}")
    partly = [
        f"check {name} reads {n:,} of {of:,}"
        for name, reads in evidence.coverage.reads.items()
        if at in reads
        for n, of in [reads[at]]
    ]
    if evidence.somewhere_new or partly:
        return ColumnFinding(
            column.name, "unproven", "; ".join([gone, *partly, *([_new(evidence)] if evidence.somewhere_new else [])])
        )
    return ColumnFinding(column.name, "lost", f"{gone}, and nothing is new on the branch that could hold them")


def _notes(outcome: TableOutcome) -> list[str]:
    table, branch = outcome.tables.base, outcome.tables.branch
    notes = []
    if branch is not None and (branch.schema, branch.name) != (table.schema, table.name):
        notes.append(f"renamed to {branch.label}")
    if derived := [c.name for c in table.columns if c.generated]:
        notes.append(f"generated, so not compared: {', '.join(derived)}")
    if branch is not None and not table.key:
        notes.append("no key: compared as a multiset of rows")
    return notes


def _suggestion(outcome: TableOutcome, findings: list[ColumnFinding], evidence: Evidence) -> SuggestedCheck | None:
    if outcome.tables.base.read:
        return None
    wanting = {f.column for f in findings if f.verdict != "preserved"}
    changed = [p.base for p in outcome.tables.pairs if (outcome.tables.base.oid, p.base.name) in evidence.columns]
    asked = [c for c in (*outcome.tables.gone, *changed) if c.name in wanting]
    return suggest(outcome, asked, evidence.columns, evidence.somewhere_new)
