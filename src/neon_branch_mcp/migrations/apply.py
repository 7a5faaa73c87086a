"""Run a migration and say what it did.

One transaction unless the script says otherwise; the ledger's row is written in it. Nothing is retried: after an error the report says
what is left, and that is nothing wherever the script was one transaction.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import anyio
import psycopg
from psycopg import AsyncConnection

from ..errors import TimedOut
from ..postgres.errors import translating
from ..postgres.target import Target
from ..postgres.waiting import uninterrupted
from .ledger import LedgerEntry, conflict, find
from .measure import Measured, look_up, measure
from .plan import plan
from .report import MigrationReport
from .run import Request, Run
from .schema_change import SchemaChange, read_before
from .trace import Tracer
from .watch import Progress, watching

ADVISORY_KEY = 0x6E626D  # "nbm": one migration at a time in a database


class SessionFactory(Protocol):
    """Where the connections to a branch come from."""

    def session(self, target: Target, *, purpose: str) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """Opens a fresh, direct, autocommit connection and closes it afterwards."""

    def looking(self, target: Target) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """A direct, autocommit connection that only reads."""


async def apply(
    sessions: SessionFactory,
    target: Target,
    *,
    name: str,
    sql: str,
    version: str | None = None,
    dry_run: bool = False,
    lock_timeout: float = 5,
    statement_timeout: float = 120,
    who: str = "",
    progress: Progress | None = None,
    stay: bool = True,
) -> MigrationReport:
    """Apply the script `sql` under `name` and measure what it does.

    Returns a report whose `applied` says whether the changes are in the database. The same name with the same SQL is not run again; with
    other SQL it raises Conflict. `dry_run` runs everything and rolls back. With `stay`, a transaction of it that reached another server is
    rolled back and Refused. Raises MigrationFailed (code `sql`) with the failed report,
    TimedOut with the holder when a lock or the time ran out, Cancelled, Unreachable; each says what is left.
    """
    planned = await asyncio.to_thread(plan, sql)
    request = Request(target, planned, name, version, dry_run, lock_timeout, statement_timeout, who, progress, stay)
    return await uninterrupted(_apply(sessions, request))


async def _apply(sessions: SessionFactory, request: Request) -> MigrationReport:
    async with (
        sessions.session(request.target, purpose="migration") as migrating,
        sessions.looking(request.target) as watcher,
    ):
        with translating():
            await _settings(migrating, request)
            await _alone(migrating, watcher, request)
            if (entry := await find(migrating, request.name)) is not None and entry.state == "applied":
                return _already(request, entry)
            await _watch_settings(watcher)
            known = await look_up(watcher, request.plan)
        return await _traced(request, migrating, watcher, known)


async def _traced(
    request: Request, migrating: AsyncConnection[Any], watcher: AsyncConnection[Any], known: Measured
) -> MigrationReport:
    """The schema as it was is read where that keeps nobody waiting: beside statements that meet nothing of it, else beside the counting."""
    upper = request.plan.sql.upper()
    at_once = known.meets_old(request.plan.statements[0])
    change = SchemaChange(asyncio.create_task(read_before(migrating))) if at_once else None
    try:
        with translating():
            measured = await measure(watcher, request.plan, known)
        if change is None:
            change = SchemaChange(asyncio.create_task(read_before(watcher)))
        else:
            await change.watch_free()
        tracer = Tracer(
            migrating,
            watcher,
            measured,
            prepare="DEALLOCATE" not in upper and "DISCARD" not in upper,
            watch_free=change.watch_free,
        )
        return await Run(request, migrating, watcher, tracer, change).run()
    finally:
        if change is not None:
            with anyio.CancelScope(shield=True):
                await change.abandon()


async def _settings(conn: AsyncConnection[Any], request: Request) -> None:
    settings = {
        "lock_timeout": f"{round(request.lock_timeout * 1000)}ms",
        "statement_timeout": f"{round(request.statement_timeout * 1000)}ms",
        "standard_conforming_strings": "on",
        "idle_in_transaction_session_timeout": "0",
    }
    pairs = [part for pair in settings.items() for part in pair]
    calls = ", ".join(["pg_catalog.set_config(%s, %s, false)"] * len(settings))
    await conn.execute(f"SELECT {calls}", pairs)


async def _watch_settings(conn: AsyncConnection[Any]) -> None:
    """The watch never waits long for what the migration holds, and never takes rows that a policy hides for rows that are not there."""
    settings = "set_config('lock_timeout', '200ms', false), set_config('row_security', 'off', false)"
    await conn.execute(f"SELECT {settings}, set_config('statement_timeout', '20s', false)")


async def _alone(conn: AsyncConnection[Any], watcher: AsyncConnection[Any], request: Request) -> None:
    """Two migrations of one database never run at once. The lock ends with the connection."""
    async with watching(watcher, conn.info.backend_pid, label="waiting", progress=request.progress) as watch:
        try:
            await conn.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [ADVISORY_KEY])
        except psycopg.errors.LockNotAvailable as exc:
            holder = watch.blockers[0] if watch.blockers else "another connection"
            raise TimedOut(
                f"Another migration of this database is running ({holder}); it did not end within {request.lock_timeout:g} s. "
                "Nothing was applied."
            ) from exc


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
