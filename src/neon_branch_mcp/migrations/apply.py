"""Run a migration and say what it did.

One transaction unless the script says otherwise; the ledger's row is written in it. Nothing is retried: after an error the report says
what is left, and that is nothing wherever the script was one transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ..postgres.target import Target
from ..postgres.waiting import uninterrupted
from .beginning import Beginning, Begun, SessionFactory
from .ledger import LedgerEntry, conflict
from .plan import Plan, plan
from .report import MigrationReport
from .run import Request, Run
from .trace import Tracer
from .watch import Progress


async def apply(
    sessions: SessionFactory,
    target: Target,
    *,
    name: str,
    sql: str,
    permit: Callable[[Plan], Awaitable[None]] | None = None,
    version: str | None = None,
    dry_run: bool = False,
    lock_timeout: float = 5,
    statement_timeout: float = 120,
    who: str = "",
    progress: Progress | None = None,
    stay: bool = True,
) -> MigrationReport:
    """Apply the script `sql` under `name` and measure what it does.

    Nothing of the script is sent before `permit` has returned; what that raises is raised. Beside it the connections are opened and what is
    there is read.

    Returns a report whose `applied` says whether the changes are in the database. The same name with the same SQL is not run again; with
    other SQL it raises Conflict. `dry_run` runs everything and rolls back. With `stay`, a transaction of it that reached another server is
    rolled back and Refused. Raises MigrationFailed (code `sql`) with the failed report,
    TimedOut with the holder when a lock or the time ran out, Cancelled, Unreachable; each says what is left.
    """
    async with Beginning(sessions, target) as beginning:
        planned = await asyncio.to_thread(plan, sql)
        request = Request(target, planned, name, version, dry_run, lock_timeout, statement_timeout, who, progress, stay)
        beginning.look(request)
        if permit is not None:
            await permit(planned)
        return await uninterrupted(_apply(request, beginning))


async def _apply(request: Request, beginning: Beginning) -> MigrationReport:
    begun = await beginning.ready(request)
    if (entry := begun.found.entry) is not None and entry.state == "applied":
        return _already(request, entry)
    return await _traced(request, begun)


async def _traced(request: Request, begun: Begun) -> MigrationReport:
    """The schema as it was may still be read while statements run that meet nothing of it."""
    upper, change = request.plan.sql.upper(), begun.found.change
    tracer = Tracer(
        begun.migrating,
        begun.watcher,
        await begun.measured(),
        prepare="DEALLOCATE" not in upper and "DISCARD" not in upper,
        watch_free=change.watch_free,
    )
    return await Run(request, begun.migrating, begun.watcher, tracer, change).run()


def _already(request: Request, entry: LedgerEntry) -> MigrationReport:
    when = entry.applied_at.strftime("%Y-%m-%d %H:%M:%S %Z")
    if entry.checksum != request.plan.checksum:
        raise conflict(request.name, f"{entry.applied_by or 'somebody'} at {when}")
    return MigrationReport(
        name=request.name,
        version=entry.version,
        branch=request.target.branch_name,
        database=request.target.database,
        verdict="ok",
        applied=True,
        state="already_applied",
        statements=len(request.plan.statements),
        grouping=request.plan.grouping,
        seconds=0.0,
        data_loss=(),
        locks=(),
        rewrites=(),
        scans=(),
        advice=(),
        schema_diff="",
        checksum=entry.checksum,
        notes=(f"Applied at {when}; the same name and the same SQL, so nothing was done.",),
    )
