"""One run of a migration: statement by statement, group by group, measured on the way, recorded at the end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import psycopg
from psycopg import AsyncConnection

from ..errors import NeonBranchError, Refused, SqlError
from ..guard.policy import MAY_REACH
from ..postgres.beyond import Connections, connections, reached
from ..postgres.errors import translating
from ..postgres.in_flight import InFlight
from ..postgres.target import Target
from ..postgres.wire import Wire
from .advice import Facts, advise
from .ahead import Sent, is_unforeseen
from .failing import Stopped, failed_in, failure_of, stopped_outside, stopping_at, what_is_left
from .ledger import record
from .lone import LoneWatch
from .plan import Group, Plan, PlannedStatement, without_concurrently
from .relations import Answer, Step
from .report import Advice, Failure, MigrationReport, State, verdict_of
from .schema_change import SchemaChange
from .trace import Evidence, Tracer
from .watch import Progress, Sample, watching

TOGETHER = 100
"""Statements sent together at most."""


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
    stay: bool = True


@dataclass
class _Arrived:
    """What has come of a stretch: how many statements ended well, what was answered about them, and the one that surprised."""

    statements: int = 0
    answers: list[Answer] = field(default_factory=list)
    waiting: list[tuple[Step, str]] = field(default_factory=list)
    """Statements about which a later one's answer will tell, and the tables that they reach."""
    surprise: Step | None = None


@dataclass
class Run:
    """One run of one script. `committed` counts the statements whose changes are there for good."""

    request: Request
    conn: AsyncConnection[Any]
    watcher: AsyncConnection[Any]
    tracer: Tracer
    change: SchemaChange
    started: float = field(default_factory=time.perf_counter)
    committed: int = 0
    leads: Connections | None = None
    """What led to other servers before the open transaction."""

    async def run(self) -> MigrationReport:
        try:
            if self.request.dry_run:
                return await self._dry_run()
            report: MigrationReport | None = None
            for group in self.request.plan.groups:
                report = await self._group(group, last=group is self.request.plan.groups[-1])
            return report or await self._record_alone("applied")
        except Stopped as stopped:
            with anyio.CancelScope(shield=True):
                error = await self._failed(stopped)
            raise error from stopped.error
        except Refused as refused:
            with anyio.CancelScope(shield=True):
                error = await self._refused(refused)
            raise error from refused
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
        await self._statements(group.statements)
        return await self._end(group, last=last)

    async def _begin(self, group: Group) -> None:
        with translating():
            await self.tracer.begin_transaction()
        own = group.begin is not None and group.begin.kind in ("begin", "start")
        text = group.begin.text if own and group.begin else "BEGIN"
        await self._stand()
        await self._send(group.begin or group.statements[0], text)

    async def _end(self, group: Group, *, last: bool) -> MigrationReport | None:
        final = group.end or group.statements[-1]
        if group.ending == "rollback":
            await self._send(final, "ROLLBACK")
            self.tracer.end_transaction(kept=False)
            return None
        await self._check_deferred(final)
        await self._look()
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
        try:
            await self._send(final, "COMMIT")
        except Stopped as stopped:
            stopped.committing = True
            raise
        self.tracer.end_transaction(kept=True)
        self.committed += len(group.statements)
        return report

    async def _stand(self) -> None:
        """Remember what leads to other servers. Not inside the transaction, whose first statement may have to be SET TRANSACTION."""
        if self.request.stay:
            with translating():
                self.leads = await connections(Wire(self.conn))

    async def _look(self) -> None:
        """Raises Refused when the open transaction reached another server; what was not in a transaction cannot be seen so."""
        if self.leads is None:
            return
        try:
            await Wire(self.conn).ours(self.leads.stayed())
        except psycopg.Error as exc:
            if how := reached(exc):
                raise Refused(f"It {how}.", rule="reach-beyond", remedy=MAY_REACH) from exc
            with translating():
                raise

    async def _refused(self, refused: Refused) -> Refused:
        """Rolled back, recorded where something is committed, and told with what is left."""
        await self._abandon()
        left = "Rolled back; nothing applied."
        if self.committed:
            await self._record_alone("partly_applied")
            left = f"{self.committed} of {len(self.request.plan.statements)} statements are applied and committed; the rest is rolled back."
        name = self.request.target.branch_name
        return Refused(f'Refused on "{name}": {refused.message} {left}', rule=refused.rule, remedy=refused.remedy)

    async def _check_deferred(self, final: PlannedStatement) -> None:
        """Deferred constraints and triggers run now, where they are seen, and in a dry run too; COMMIT would run them next."""
        started = time.perf_counter()
        await self._send(final, "SET CONSTRAINTS ALL IMMEDIATE")
        with stopping_at(final):
            await self.tracer.after(final, started, deferred=True)
            if "REFERENCES" in self.request.plan.sql.upper():
                await self.tracer.before_commit()

    async def _dry_run(self) -> MigrationReport:
        """Everything in one transaction that is rolled back; what Postgres refuses there is left out, and said."""
        notes: list[str] = []
        with translating():
            await self.tracer.begin_transaction()
        await self._stand()
        await self._send(self.request.plan.statements[0], "BEGIN")
        for group in self.request.plan.groups:
            if group.transactional:
                await self._try_group(group)
            else:
                notes.append(await self._try_lone(group.statements[0]))
        await self._look()
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
        await self._statements(group.statements)
        if undone:
            await self._send(first, "ROLLBACK TO neon_branch_mcp_group")
            with stopping_at(first):
                await self.tracer.back_to("neon_branch_mcp_group")
        else:
            await self._check_deferred(group.statements[-1])

    async def _statements(self, statements: Sequence[PlannedStatement]) -> None:
        """One after the other; those between which nothing has to be asked are on their way together."""
        i = 0
        while i < len(statements):
            stretch = self.tracer.stretch(statements[i : i + TOGETHER])
            if len(stretch) > 1 or self.tracer.goes_along(statements[i]):
                i += await self._together(stretch)
            else:
                await self._statement(statements[i])
                i += 1

    async def _together(self, stretch: Sequence[Sent]) -> int:
        """Send a stretch, and take in what it did; how many of its statements have run."""
        first, last = stretch[0].statement, stretch[-1].statement
        await self._ready(first, disturbing=any(sent.disturbs(self.tracer.measured) for sent in stretch))
        arrived = _Arrived()
        try:
            async with InFlight(self.conn) as flight:
                with stopping_at(first):
                    self.tracer.send(flight, stretch)
                    flight.go()
                    await self.tracer.begun(flight, stretch)
                await self._arriving(flight, stretch, arrived)
        except Stopped:
            # The report of the failure tells the locks of what went before.
            with contextlib.suppress(psycopg.Error):
                await self.tracer.take(arrived.answers)
                await self.tracer.take_unasked(arrived.waiting)
            raise
        with stopping_at(last):
            await self.tracer.take(arrived.answers)
            if arrived.surprise is not None:
                await self.tracer.surprised(arrived.surprise, arrived.waiting)
        return arrived.statements

    async def _arriving(self, flight: InFlight, stretch: Sequence[Sent], arrived: "_Arrived") -> None:
        started = time.perf_counter()
        for sent in stretch:
            async with self._watched(sent.statement):
                await flight.next()
            step = self.tracer.step(sent.statement, started)
            arrived.statements += 1
            if sent.later and sent.reaches is not None:
                arrived.waiting.append((step, sent.reaches))
            if sent.question is not None:
                try:
                    answer = await self.tracer.answer(flight, sent.question)
                    arrived.answers.append(Answer(step, answer, arrived.waiting))
                    arrived.waiting = []
                except psycopg.Error as exc:
                    if not is_unforeseen(exc):
                        raise Stopped(sent.statement, []) from exc
                    arrived.surprise = step
                    return
            started = time.perf_counter()

    async def _ready(self, first: PlannedStatement, *, disturbing: bool) -> None:
        if disturbing:
            # Its locks could keep the reading of the schema as it was before waiting, and that one would give up.
            await self.change.watch_free()
        with stopping_at(first):
            await self.tracer.before(first)

    async def _statement(self, statement: PlannedStatement) -> None:
        await self._ready(statement, disturbing=self.tracer.measured.meets_old(statement))
        started = time.perf_counter()
        await self._send(statement, statement.text)
        with stopping_at(statement):
            await self.tracer.after(statement, started)

    async def _lone(self, statement: PlannedStatement) -> None:
        watch = LoneWatch(self.conn, self.watcher, self.tracer.measured)
        await self.change.watch_free()
        with stopping_at(statement):
            await watch.begin()
        started = watch.started = time.perf_counter()
        try:
            await self._send(statement, statement.text, sample=watch.sample)
        except Stopped as stopped:
            with contextlib.suppress(psycopg.Error):
                stopped.left = await watch.left_behind()
            raise
        step = self.tracer.step(statement, started)
        self.committed += 1
        with stopping_at(statement):
            self.tracer.take_lone(await watch.end(step))

    async def _send(self, statement: PlannedStatement, text: str, sample: Sample | None = None) -> None:
        """Execute in the extended protocol, where the server itself refuses a second statement in the text."""
        async with self._watched(statement, sample):
            # Binary results are asked for because psycopg then never falls back to the simple protocol; nothing is decoded.
            await self.conn.cursor(binary=True).execute(text, prepare=False)

    @contextlib.asynccontextmanager
    async def _watched(self, statement: PlannedStatement, sample: Sample | None = None) -> AsyncIterator[None]:
        """Around the waiting for a statement: who blocks it is seen, and told when it fails."""
        label = f"statement {statement.index}, {statement.summary}"
        pid, progress = self.conn.info.backend_pid, self.request.progress
        free = self.change.reading.done
        async with watching(self.watcher, pid, label=label, progress=progress, sample=sample, free=free) as watch:
            try:
                yield
            except psycopg.Error as exc:
                raise Stopped(statement, watch.blockers) from exc

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

    async def _failed(self, stopped: Stopped) -> NeonBranchError:
        await self._abandon()
        sql = self.request.plan.sql
        error = stopped.translated(sql)
        left = what_is_left(stopped, committed=self.committed, total=len(self.request.plan.statements))
        if not isinstance(error, SqlError):
            # A full disk or a lost connection may refuse this as well; the error says what is committed.
            with contextlib.suppress(psycopg.Error, NeonBranchError):
                if self.committed and not self.conn.closed:
                    await self._record_alone("partly_applied")
            return stopped_outside(error, stopped, self.request.name, left, whole=len(self.request.plan.groups) == 1)
        partly = self.committed or stopped.left
        report = self._report(
            "partly_applied" if partly else "rolled_back", failure=failure_of(error, stopped, sql, left)
        )
        if self.committed:
            await self._record_alone("partly_applied")
        return failed_in(error, stopped, sql, report)

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
