"""Did every record survive? The data of a branch against the data of its base, with a verdict that can be trusted.

    preserved   proven: every value of the base is on the branch, as it was
    unproven    neither proven nor refuted; the finding says what is missing and, where it can, holds the check that would prove it
    lost        refuted: values or rows of the base are not on the branch

`verify` reads only: on each side one REPEATABLE READ, READ ONLY transaction, rolled back at the end. Both servers work at the same time and
send sums of hashes, not rows (fingerprint.py); what counts as the same value is in canonical.py, what each verdict rests on in
verify_judge.py, what a check proves in verify_coverage.py.

The base is best the parent as it was when the branch was taken ("as branched"). When only the parent as it is now can be had ("parent
now"), differences of rows and values may be the parent's own, made since, and no key tells how old a row is: they are unproven, never
lost. What is equal is preserved all the same, and a column or table that is gone is judged as ever.

Compared are plain and partitioned tables (a partitioned one as a whole, partitions may come and go); generated columns are derived and are
left out. Large objects are compared as a table of them. Views, sequences, foreign and temporary tables are not looked at.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from ..errors import Conflict, NeonBranchError, TimedOut
from ..postgres.waiting import uninterrupted
from .fingerprint import new_seed
from .verify_catalogue import Catalogue, read_catalogue
from .verify_checks import Check, PreparedCheck, key_places, named, prepare, run
from .verify_coverage import Coverage, cover
from .verify_judge import Evidence, judge
from .verify_moved import RowFinder
from .verify_report import CheckFinding, TableFinding, VerifyReport, worst
from .verify_search import ColumnFound, Finder, Place, places
from .verify_side import BaseIs, Side, SideRun, both, opened
from .verify_tables import TableOutcome, measure, pair_tables
from .verify_units import find_units

Progress = Callable[[str], Awaitable[None]]


async def _silent(_message: str) -> None:
    return None


async def verify(
    base: Side,
    branch: Side,
    *,
    checks: Sequence[Check] = (),
    base_is: BaseIs = "as branched",
    seconds: float = 240,
    ledger_schema: str = "neon_branch_mcp",
    progress: Progress = _silent,
) -> VerifyReport:
    """The report on `branch` against `base`.

    After `seconds` the queries are stopped, and what was not reached is unproven (`complete` is false). When the caller is cancelled the
    queries stop too. Raises SqlError and its kin when a check fails, naming check and side; Conflict when its columns do not
    fit or two share a name.
    """
    if twice := [n for n, times in Counter(c.name for c in checks).items() if times > 1]:
        raise Conflict(f"Two checks are named {twice[0]!r}; give each a name of its own.")
    loop = asyncio.get_running_loop()
    began = loop.time()
    deadline = began + seconds
    async with AsyncExitStack() as stack:
        sides = (
            await stack.enter_async_context(opened(base, "base", deadline)),
            await stack.enter_async_context(opened(branch, "branch", deadline)),
        )
        work = _Verification(*sides, base_is, ledger_schema, progress)
        await uninterrupted(work.run(checks))
    return work.report(loop.time() - began)


class _Verification:
    """One call's state: what has been found so far is kept when time runs out."""

    def __init__(self, base: SideRun, branch: SideRun, base_is: BaseIs, ledger_schema: str, progress: Progress) -> None:
        self._base = base
        self._branch = branch
        self._base_is: BaseIs = base_is
        self._ledger = ledger_schema
        self._progress = progress
        self._seed = new_seed()
        self._coverage = Coverage()
        self._checks: list[CheckFinding] = []
        self._tables: list[TableFinding] = []
        self._outcomes: list[TableOutcome] = []
        self._columns: dict[tuple[int, str], ColumnFound] = {}
        self._rows: dict[int, str] = {}
        self._perhaps: dict[int, str] = {}
        self._new: tuple[str, ...] = ()
        self._late = ""
        self._notes: list[str] = []

    async def run(self, checks: Sequence[Check]) -> None:
        ours, theirs = await both(read_catalogue(self._base), read_catalogue(self._branch))
        shared = bool(ours.lineage) and ours.lineage == theirs.lineage and self._base_is == "as branched"
        pairs = [p for p in pair_tables(ours, theirs, shared=shared) if p.base.schema != self._ledger]
        waiting = sorted(pairs, key=lambda p: p.base.bytes)
        try:
            await self._run_checks([await prepare(self._base, self._branch, check) for check in checks], ours)
            while waiting:
                await self._progress(
                    f"comparing {waiting[0].base.label} ({len(pairs) - len(waiting) + 1} of {len(pairs)})"
                )
                self._outcomes.append(await measure(self._base, self._branch, waiting[0], self._seed))
                del waiting[0]
            await self._search(theirs)
        except TimedOut as exc:
            self._late = exc.message
            known = {f.name for f in self._checks}
            self._checks += [
                CheckFinding(c.name, "unproven", "not finished in time") for c in checks if c.name not in known
            ]
            self._outcomes += [TableOutcome(p, failure="not reached in time") for p in waiting]
            self._new = self._new or ("not all tables were looked at",)
        evidence = Evidence(self._coverage, self._base_is, self._new, self._columns, self._rows, self._perhaps)
        self._tables = sorted((judge(o, evidence) for o in self._outcomes), key=lambda f: f.table)

    async def _run_checks(self, checks: Sequence[PreparedCheck], catalogue: Catalogue) -> None:
        passed: list[PreparedCheck] = []
        for check in checks:
            await self._progress(f"running check {check.name}")
            finding = await self._check(check, catalogue)
            self._checks.append(finding)
            if finding.verdict == "preserved":
                passed.append(check)
        self._coverage = await cover(self._base, self._branch, catalogue, passed, self._seed)
        self._checks = [_with_coverage(f, self._coverage, catalogue) for f in self._checks]

    async def _check(self, check: PreparedCheck, catalogue: Catalogue) -> CheckFinding:
        try:
            diff = await run(self._base, self._branch, check, key_places(check, catalogue), self._seed)
        except TimedOut:
            raise
        except NeonBranchError as exc:
            raise named(exc, check.name) from exc
        only_base, only_branch = diff.removed + diff.changed, diff.added + diff.changed
        if diff.equal:
            return CheckFinding(
                check.name, "preserved", f"the same {diff.rows_base:,} rows", diff.rows_base, diff.rows_branch
            )
        least = "" if diff.complete else "at least "
        return CheckFinding(
            check.name,
            "lost",
            f"{least}{only_base:,} rows only on the base, {least}{only_branch:,} only on the branch",
            diff.rows_base,
            diff.rows_branch,
            only_base,
            only_branch,
            not diff.complete,
            sample_columns=tuple(c.name for c in check.columns),
            samples=tuple(diff.samples),
        )

    async def _search(self, theirs: Catalogue) -> None:
        where = places(self._outcomes, theirs, self._ledger)
        self._new = (*_labels(where), *_grown(self._outcomes))
        where = [p for p in where if await self._readable(p)]
        finder = Finder(self._base, self._branch, where, theirs.references, self._seed)
        rows = RowFinder(self._branch, finder, where, self._outcomes)
        for outcome in self._outcomes:
            if outcome.failure:
                continue
            try:
                async with self._base.savepoint(), self._branch.savepoint():
                    await find_units(self._base, self._branch, outcome, self._seed)
                    if self._new:
                        await self._search_for(outcome, finder, rows)
            except TimedOut:
                raise
            except NeonBranchError as exc:
                self._notes.append(f"What is gone from {outcome.tables.base.label} was not looked for: {exc.message}")

    async def _readable(self, place: Place) -> bool:
        """Whether anything can be looked for there; if not, a note says why. It may hold what is gone all the same."""
        try:
            async with self._branch.savepoint():
                await self._branch.rows(f"SELECT FROM {place.table.from_sql} LIMIT 0")
        except TimedOut:
            raise
        except NeonBranchError as exc:
            self._notes.append(f"Nothing was looked for in {place.table.label}: {exc.message}")
            return False
        return True

    async def _search_for(self, outcome: TableOutcome, finder: Finder, rows: RowFinder) -> None:
        table = outcome.tables.base
        removed = outcome.difference.removed if outcome.difference else outcome.rows_base
        if removed and (found := await rows.rows(outcome)):
            self._rows[table.oid] = ", ".join(t.label for t in found)
            return
        if removed and outcome.difference:
            self._perhaps[table.oid] = await rows.may_be_in(outcome)
        for column in outcome.missing():
            if not self._coverage.proven.get((table.oid, column.name)):
                await self._progress(f"looking for {table.label}.{column.name}")
                if (place := await finder.column(outcome, column)) is not None:
                    self._columns[table.oid, column.name] = place

    def report(self, seconds: float) -> VerifyReport:
        notes = [*([self._late] if self._late else []), *self._notes]
        if self._base_is == "parent now":
            notes.append(
                "The base is the parent as it is now; what changed there since the branch was taken cannot always be told apart."
            )
        return VerifyReport(
            worst([*(t.verdict for t in self._tables), *(c.verdict for c in self._checks)]),
            self._base.name,
            self._base_is,
            self._branch.name,
            tuple(self._tables),
            tuple(self._checks),
            tuple(notes),
            not self._late,
            round(seconds, 3),
        )


def _labels(where: Sequence[Place]) -> list[str]:
    return [p.table.label if p.new else ", ".join(f"{p.table.label}.{c.name}" for c in p.columns) for p in where]


def _grown(outcomes: Sequence[TableOutcome]) -> list[str]:
    return [f"rows of {o.tables.base.label}" for o in outcomes if o.difference is not None and o.difference.added]


def _with_coverage(finding: CheckFinding, coverage: Coverage, catalogue: Catalogue) -> CheckFinding:
    covers: list[str] = []
    partly: list[str] = []
    for (oid, column), (n, of) in coverage.reads.get(finding.name, {}).items():
        label = catalogue.label(oid, column)
        if finding.name in coverage.proven.get((oid, column), "").split(" + "):
            covers.append(label)
        else:
            children = " (read those of its children by themselves: select … from only …)" if n > of else ""
            partly.append(f"{label}: {n:,} of {of:,} values{children}")
    reason = finding.reason
    if finding.verdict == "preserved" and not covers and not partly:
        reason = f"{reason}, which proves no column of the base: {coverage.silent.get(finding.name, '')}"
    if written := [catalogue.label(*at) for at in coverage.literal.get(finding.name, ())]:
        reason = f"{reason}; {', '.join(written)} not proven: branch_sql writes the value itself, it is not read from the branch"
    return replace(finding, reason=reason, covers=tuple(covers), partly=tuple(partly))
