"""Run a migration and say what it did.

One transaction unless the script says otherwise; the ledger's row is written in it. Nothing is retried: after an error the report says
what is left, and that is nothing wherever the script was one transaction.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import anyio
import psycopg
from psycopg import AsyncConnection

from ..errors import NeonBranchError, SqlError, SqlFields, SqlPosition, TimedOut
from ..postgres.ddl import statements
from ..postgres.errors import translate, translating
from ..postgres.introspect import introspect
from ..postgres.schema import Schema
from ..postgres.target import Target
from ..postgres.waiting import uninterrupted
from .advice import Facts, advise
from .diff import diff
from .ledger import LedgerEntry, conflict, find, record
from .lone import LoneWatch
from .measure import Measured, measure
from .plan import Group, Plan, PlannedStatement, plan, without_concurrently
from .report import Advice, Failure, MigrationReport, State, verdict_of
from .trace import Evidence, Tracer
from .watch import Progress, Sample, watching

ADVISORY_KEY = 0x6E626D  # "nbm": one migration at a time in a database


class SessionFactory(Protocol):
    """Opens a fresh, direct, autocommit connection and closes it afterwards."""

    def __call__(self, target: Target, *, purpose: str) -> AbstractAsyncContextManager[AsyncConnection[Any]]: ...


class MigrationFailed(SqlError):
    """Postgres refused a statement of the script; `report` has the verdict `failed` and says what is left."""

    def __init__(self, message: str, fields: SqlFields, report: MigrationReport) -> None:
        super().__init__(message, fields)
        self.report = report

    def render(self) -> str:
        assert self.report.failure is not None
        return f"{super().render()}\nMigration {self.report.name!r}, verdict failed: {self.report.failure.left}"


@dataclass(frozen=True)
class Request:
    """What is to be applied where, and by whom."""

    target: Target
    plan: Plan
    name: str
    version: str | None
    dry_run: bool
    lock_timeout: float
    statement_timeout: float
    who: str
    progress: Progress | None


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
) -> MigrationReport:
    """Apply the script `sql` under `name` and measure what it does.

    Returns a report whose `applied` says whether the changes are in the database. The same name with the same SQL is not run again; with
    other SQL it raises Conflict. `dry_run` runs everything and rolls back. Raises MigrationFailed (code `sql`) with the failed report,
    TimedOut with the holder when a lock or the time ran out, Cancelled, Unreachable; each says what is left.
    """
    planned = await asyncio.to_thread(plan, sql)
    request = Request(target, planned, name, version, dry_run, lock_timeout, statement_timeout, who, progress)
    return await uninterrupted(_apply(sessions, request))


async def _apply(sessions: SessionFactory, request: Request) -> MigrationReport:
    async with (
        sessions(request.target, purpose="migration") as migrating,
        sessions(request.target, purpose="migration watch") as watcher,
    ):
        with translating():
            await _settings(migrating, request)
            await _alone(migrating, watcher, request)
            if (entry := await find(migrating, request.name)) is not None and entry.state == "applied":
                return _already(request, entry)
            await _watch_settings(watcher)
            measured = await measure(watcher, request.plan)
        return await _traced(request, migrating, watcher, measured)


async def _traced(
    request: Request, migrating: AsyncConnection[Any], watcher: AsyncConnection[Any], measured: Measured
) -> MigrationReport:
    upper = request.plan.sql.upper()
    change = _SchemaChange(asyncio.create_task(_schema(watcher)))
    tracer = Tracer(
        migrating,
        watcher,
        measured,
        prepare="DEALLOCATE" not in upper and "DISCARD" not in upper,
        watch_free=change.watch_free,
    )
    try:
        return await _Run(request, migrating, watcher, tracer, change).run()
    finally:
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


async def _schema(conn: AsyncConnection[Any]) -> Schema | None:
    """The schema as `conn` sees it; inside a transaction in a savepoint, so that a failure leaves only the question open."""
    try:
        async with conn.transaction():
            return await introspect(conn, lock_timeout=1)
    except NeonBranchError:
        return None


@dataclass
class _SchemaChange:
    """What the script does to the schema, as short DDL."""

    reading: asyncio.Task[Schema | None]
    diff: str = ""
    fingerprint_before: str = ""
    fingerprint_after: str = ""
    notes: tuple[str, ...] = ()

    async def watch_free(self) -> None:
        """Wait until the watching connection has read the schema: it does so while statements run that meet nothing of before."""
        await asyncio.wait([self.reading])

    async def abandon(self) -> None:
        """Wait for a reading that nobody asked for any more."""
        await asyncio.wait([self.reading])
        if not self.reading.cancelled():
            self.reading.exception()

    async def complete(self, conn: AsyncConnection[Any]) -> None:
        """Compare with what `conn` sees now."""
        before, after = await self.reading, await _schema(conn)
        if before is None or after is None:
            self.notes = ("The schema could not be read before and after: no schema diff.",)
            return
        self.diff = diff(before, after, same_database=True).ddl.rstrip()
        self.fingerprint_before, self.fingerprint_after = fingerprint(before), fingerprint(after)


def fingerprint(schema: Schema) -> str:
    """Equal for two schemas that the same DDL makes, whoever owns them and whatever their OIDs."""
    text = "\n".join(sorted(statements(schema, owners=False)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Stopped(Exception):
    """A statement did not succeed; the cause is psycopg's error. Never leaves this module."""

    def __init__(self, statement: PlannedStatement, blockers: list[str]) -> None:
        super().__init__()
        self.statement = statement
        self.blockers = blockers
        self.left: list[str] = []


@contextlib.contextmanager
def _stopping_at(statement: PlannedStatement) -> Iterator[None]:
    """What goes wrong while measuring (the connection is lost, say) is told with the statement that was measured."""
    try:
        yield
    except psycopg.Error as exc:
        raise _Stopped(statement, []) from exc


@dataclass
class _Run:
    """One run of one script. `committed` counts the statements whose changes are there for good."""

    request: Request
    conn: AsyncConnection[Any]
    watcher: AsyncConnection[Any]
    tracer: Tracer
    change: "_SchemaChange"
    started: float = field(default_factory=time.perf_counter)
    committed: int = 0

    async def run(self) -> MigrationReport:
        try:
            if self.request.dry_run:
                return await self._dry_run()
            report: MigrationReport | None = None
            for group in self.request.plan.groups:
                report = await self._group(group, last=group is self.request.plan.groups[-1])
            return report or await self._record_alone("applied")
        except _Stopped as stopped:
            cause = stopped.__cause__
            assert isinstance(cause, psycopg.Error)
            with anyio.CancelScope(shield=True):
                error = await self._failed(stopped, cause)
            raise error from cause
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self._abandon()
            raise

    async def _group(self, group: Group, *, last: bool) -> MigrationReport | None:
        """Run a group to its end; the report when it was the last and could record itself."""
        if not group.transactional:
            await self._lone(group.statements[0])
            return None
        await self._begin(group)
        for statement in group.statements:
            await self._statement(statement)
        return await self._end(group, last=last)

    async def _begin(self, group: Group) -> None:
        with translating():
            await self.tracer.begin_transaction()
        own = group.begin is not None and group.begin.kind in ("begin", "start")
        text = group.begin.text if own and group.begin else "BEGIN"
        await self._send(group.begin or group.statements[0], text)

    async def _end(self, group: Group, *, last: bool) -> MigrationReport | None:
        final = group.end or group.statements[-1]
        if group.ending == "rollback":
            await self._send(final, "ROLLBACK")
            self.tracer.end_transaction(kept=False)
            return None
        await self._check_deferred(final)
        report = None
        with translating():
            if last:
                await self.change.complete(self.conn)
                report = self._report("applied")
                await record(
                    self.conn,
                    report,
                    sql=self.request.plan.sql,
                    done=self.committed + len(group.statements),
                    who=self.request.who,
                    timeline=self.tracer.timeline(),
                )
        await self.change.watch_free()
        await self._send(final, "COMMIT")
        self.tracer.end_transaction(kept=True)
        self.committed += len(group.statements)
        return report

    async def _check_deferred(self, final: PlannedStatement) -> None:
        """Deferred constraints and triggers run now, where they are seen, and in a dry run too; COMMIT would run them next."""
        started = time.perf_counter()
        await self._send(final, "SET CONSTRAINTS ALL IMMEDIATE")
        with _stopping_at(final):
            await self.tracer.after(final, started, always=True)
            if "REFERENCES" in self.request.plan.sql.upper():
                await self.tracer.before_commit()

    async def _dry_run(self) -> MigrationReport:
        """Everything in one transaction that is rolled back; what Postgres refuses there is left out, and said."""
        notes: list[str] = []
        with translating():
            await self.tracer.begin_transaction()
        await self._send(self.request.plan.statements[0], "BEGIN")
        for group in self.request.plan.groups:
            if group.transactional:
                await self._try_group(group)
            else:
                notes.append(await self._try_lone(group.statements[0]))
        await self.change.complete(self.conn)
        report = self._report("dry_run", notes)
        await self.conn.rollback()
        return report

    async def _try_lone(self, statement: PlannedStatement) -> str:
        """What only runs outside a transaction is tried without its CONCURRENTLY; the rest is not tried."""
        tried = replace(statement, text=without_concurrently(statement))
        if tried.text == statement.text:
            return (
                f"Statement {statement.index} ({statement.kind}) cannot run in a transaction: not tried in a dry run."
            )
        await self._statement(tried)
        return f"Statement {statement.index} was tried without CONCURRENTLY, so its locks are stronger here."

    async def _try_group(self, group: Group) -> None:
        first, undone = group.statements[0], group.ending == "rollback"
        if undone:
            await self._send(first, "SAVEPOINT neon_branch_mcp_group")
            self.tracer.save("neon_branch_mcp_group")
        for statement in group.statements:
            await self._statement(statement)
        if undone:
            await self._send(first, "ROLLBACK TO neon_branch_mcp_group")
            with _stopping_at(first):
                await self.tracer.back_to("neon_branch_mcp_group")
        else:
            await self._check_deferred(group.statements[-1])

    async def _statement(self, statement: PlannedStatement) -> None:
        if self.tracer.meets_old(statement):
            # Its locks could keep the reading of the schema as it was before waiting, and that one would give up.
            await self.change.watch_free()
        with _stopping_at(statement):
            await self.tracer.before(statement)
        started = time.perf_counter()
        await self._send(statement, statement.text)
        with _stopping_at(statement):
            await self.tracer.after(statement, started)

    async def _lone(self, statement: PlannedStatement) -> None:
        watch = LoneWatch(self.conn, self.watcher, self.tracer.measured)
        await self.change.watch_free()
        with _stopping_at(statement):
            await watch.begin()
        started = watch.started = time.perf_counter()
        try:
            await self._send(statement, statement.text, sample=watch.sample)
        except _Stopped as stopped:
            with contextlib.suppress(psycopg.Error):
                stopped.left = await watch.left_behind()
            raise
        step = self.tracer.step(statement, started)
        self.committed += 1
        with _stopping_at(statement):
            self.tracer.take_lone(await watch.end(step))

    async def _send(self, statement: PlannedStatement, text: str, sample: Sample | None = None) -> None:
        """Execute in the extended protocol, where the server itself refuses a second statement in the text."""
        label = f"statement {statement.index}, {statement.summary}"
        pid, progress = self.conn.info.backend_pid, self.request.progress
        async with watching(self.watcher, pid, label=label, progress=progress, sample=sample) as watch:
            try:
                # Binary results are asked for because psycopg then never falls back to the simple protocol; nothing is decoded.
                await self.conn.cursor(binary=True).execute(text, prepare=False)
            except psycopg.Error as exc:
                raise _Stopped(statement, watch.blockers) from exc

    async def _record_alone(self, state: State) -> MigrationReport:
        await self.change.complete(self.conn)
        report = self._report(state)
        with translating():
            async with self.conn.transaction():
                await record(
                    self.conn,
                    report,
                    sql=self.request.plan.sql,
                    done=self.committed,
                    who=self.request.who,
                    timeline=self.tracer.timeline(),
                )
        return report

    async def _abandon(self) -> None:
        """Roll back what is open; the connection may be gone, which rolls back too."""
        with contextlib.suppress(psycopg.Error):
            if self.conn.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                await self.conn.cancel_safe(timeout=5)
            await self.conn.rollback()
        self.tracer.end_transaction(kept=False)

    async def _failed(self, stopped: _Stopped, cause: psycopg.Error) -> NeonBranchError:
        await self._abandon()
        statement, sql = stopped.statement, self.request.plan.sql
        error = translate(cause, sql=sql, statement_index=statement.index, prefix=-statement.offset)
        left = " ".join([self._left(statement), *(f"Left behind: {what}" for what in stopped.left)])
        if not isinstance(error, SqlError):
            return self._stopped_outside(error, stopped, left)
        position = error.fields.position or SqlPosition.find(sql, statement.offset + 1)
        failure = Failure(
            statement=statement.index,
            line=position.line,
            column=position.column,
            sql=statement.summary,
            message=error.message,
            left=left,
            sqlstate=error.fields.sqlstate,
            detail=error.fields.detail,
            hint=error.fields.hint,
            constraint=error.fields.constraint,
        )
        partly = self.committed or stopped.left
        report = self._report("partly_applied" if partly else "rolled_back", failure=failure)
        if self.committed:
            await self._record_alone("partly_applied")
        return MigrationFailed(error.message, replace(error.fields, position=position), report)

    def _left(self, statement: PlannedStatement) -> str:
        if not self.committed:
            return "rolled back; nothing applied." if statement.transactional else "nothing applied."
        total = len(self.request.plan.statements)
        return f"{self.committed} of {total} statements are applied and committed; statement {statement.index} and what follows is not."

    def _stopped_outside(self, error: NeonBranchError, stopped: _Stopped, left: str) -> NeonBranchError:
        """A deadline, a cancellation or a lost connection: not the script's fault, so the same class with the whole story."""
        s = stopped.statement
        holder = f" The lock is held by {'; '.join(stopped.blockers)}." if stopped.blockers else ""
        where = f"Migration {self.request.name!r} stopped at statement {s.index} (line {s.line}: {s.summary})."
        return type(error)(f"{where} {error.message}{holder} State: {left}")

    def _report(self, state: State, notes: Sequence[str] = (), failure: Failure | None = None) -> MigrationReport:
        request, found, now = self.request, self.tracer.evidence(), time.perf_counter()
        advice = () if failure else self._advice(found)
        return MigrationReport(
            name=request.name,
            version=request.version,
            branch=request.target.branch_name,
            database=request.target.database,
            verdict=verdict_of(found.losses, advice, failure),
            applied=state == "applied",
            state=state,
            statements=len(request.plan.statements),
            grouping=request.plan.grouping,
            seconds=round(now - self.started, 3),
            data_loss=tuple(found.losses),
            locks=tuple(h.told(self.tracer.clock) for h in found.locks),
            rewrites=tuple(found.rewrites),
            scans=tuple(found.scans),
            advice=advice,
            schema_diff=self.change.diff,
            schema_before=self.change.fingerprint_before,
            schema_after=self.change.fingerprint_after,
            checksum=request.plan.checksum,
            failure=failure,
            notes=(*notes, *self.change.notes),
        )

    def _advice(self, found: Evidence) -> tuple[Advice, ...]:
        facts = []
        for s in self.request.plan.statements:
            taken = frozenset(found.taken.get(s.index, ()))
            if taken or s.index in found.backfills or s.kind in ("alter type", "create table"):
                rewritten = tuple(r for r in found.rewrites if r.statement == s.index)
                facts.append(Facts(s, tuple(s.words()), taken, rewritten, found.backfills.get(s.index, "")))
        sets = any(s.kind == "set" and "lock_timeout" in s.text.lower() for s in self.request.plan.statements)
        return advise(facts, found.unindexed, sets_lock_timeout=sets)
