"""One text on its way through a connection: its parameters, its notices, the channel it takes, and where its rows go."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq

from ..guard.functions import FunctionCatalogue
from ..guard.policy import Refuse, VettedSql
from . import params as parameters
from .errors import translate, translating
from .rows import Column, RowSet, RowSink, reader, type_name
from .wire import Statement, Wire, is_partial

CURSOR = "nbm"
PREFLIGHT = "EXPLAIN (VERBOSE, FORMAT JSON) "
DECLARE = f"DECLARE {CURSOR} NO SCROLL CURSOR FOR "
CHUNK = 100
FIRST_FETCH = 20
"""Rows that are asked for at once while their size is not known."""
AT_ONCE = 1 << 22
"""Bytes that a step of an answer should bring at most."""
NARROW = 1 << 16
"""Bytes of rows that are asked for at once by the planner's estimate alone, which takes a large value for the 18 bytes that point to it."""
_WIDTH = re.compile(r'"Plan Width": (\d+)')
MAX_NOTICES = 20


@dataclass
class Try:
    """One attempt at something, and how far it came."""

    reading: bool = True
    statements: int = 1
    reuse: bool = True
    """A kept connection will do."""
    connected: bool = False
    sent: bool = False
    """What may last beyond a lost connection is on its way."""


class Call(Try):
    """One statement or script on its way: its parameters, its notices, and where its rows go."""

    def __init__(
        self, vetted: VettedSql, params: Sequence[Any] | None, sink: RowSink, *, careful: bool = False
    ) -> None:
        """`careful`: a row at a time until their size is known."""
        super().__init__(reading=vetted.access == "read-only", statements=max(1, vetted.statements))
        self.vetted = vetted
        self._values = params
        self._params = [parameters.encode(value) for value in params or ()]
        self._types: list[int] = []
        self._sink = sink
        self._notices: list[str] = []
        self._careful = careful
        self.first_fetch = 1 if careful else FIRST_FETCH
        """Rows to ask for while none has come."""

    @property
    def sql(self) -> str:
        """What is sent: the caller's own text, after our EXPLAIN where that is asked for."""
        return self.vetted.prefix + self.vetted.text

    def hear(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """Keep a notice of the server."""
        if len(self._notices) < MAX_NOTICES:
            self._notices.append(f"{diagnostic.severity}: {diagnostic.message_primary}")

    def warn_of_lockout(self, user: str) -> None:
        """Say so when the text changes the login that this server itself uses on the branch."""
        if {user, "current_user", "session_user", "current_role"}.intersection(self.vetted.logins):
            self._notices.append(
                f"WARNING: this changes the login of {user}, with which this server works here. If it can no longer log in, "
                "reset_branch, or a password reset by Neon's API or console, lets it in again."
            )

    async def choose_types(self, wire: Wire) -> None:
        """Leave the types of the parameters to the statement; where it does not decide them, give those of the JSON values."""
        if not self._values:
            return
        try:
            await wire.parse(self.sql, [])
        except psycopg.Error as exc:
            if exc.sqlstate not in parameters.UNDECIDED_STATES:
                raise
            self._types = [parameters.type_of(value) for value in self._values]

    async def open(self, wire: Wire, opening: Sequence[Statement]) -> tuple[str | None, str | None]:
        """Send what opens the transaction, and with it EXPLAIN (VERBOSE) of the statement where there is a plan to judge: the plan, and
        what the last statement of the opening says in its second column.

        Raises psycopg.Error for the opening, and our error for the statement.
        """
        body = self.vetted.body
        if body is None:
            return None, _second((await wire.together(*opening)).all() if opening else ())
        explain = Statement(PREFLIGHT + self.vetted.text[body:], self._params, self._types)
        batch = await wire.together(*opening, explain)
        batch.check_first(len(opening))
        with translating(sql=self.vetted.text, prefix=len(PREFLIGHT) - body):
            *opened, plan = batch.all()
        told = (plan.get_value(0, 0) or b"[]").decode()
        if (width := _WIDTH.search(told)) is not None:
            self.foresee(NARROW // max(1, int(width[1])))
        return told, _second(opened)

    def foresee(self, rows: int) -> None:
        """So many rows may well be asked for at once."""
        if not self._careful:
            self.first_fetch = max(FIRST_FETCH, rows)

    def judge_plan(self, plan: str | None, catalogue: FunctionCatalogue) -> Refuse | None:
        """The guard's word on the plan that `open` brought."""
        return None if plan is None else self.vetted.judge_plan(plan, catalogue)

    @property
    def is_remembered(self) -> bool:
        """Whether the plan of its text, once judged, stands for as long as nothing is committed. With parameters it may be another each
        time.
        """
        vetted = self.vetted
        return vetted.channel == "cursor" and not vetted.prefix and vetted.body is not None and not self._values

    async def rows(self, wire: Wire, opening: Sequence[Statement] = ()) -> RowSet:
        """Through the channel that the guard chose, inside the transaction that is open; for a cursor, that `opening` opens.

        Raises psycopg.Error for the opening, and our error for the statement.
        """
        if self.vetted.channel == "cursor":
            return await self._through_cursor(wire, opening)
        if self.vetted.channel == "any" and not self._values:
            return await self.stream(wire, in_ours=True)
        result = await wire.extended(self.sql, self._params, self._types)
        self._take(result)
        return await self._row_set(wire, result, counted=result)

    async def _through_cursor(self, wire: Wire, opening: Sequence[Statement]) -> RowSet:
        sink, wanted = self._sink, self._wanted()
        declare = Statement(DECLARE + self.vetted.text, self._params, self._types)
        batch = await wire.together(*opening, declare, _fetch(wanted))
        batch.check_first(len(opening))
        with translating(sql=self.vetted.text, prefix=len(DECLARE)):
            result = batch.all()[-1]
        while True:
            self._take(result)
            if sink.full or result.ntuples < wanted:
                break
            wanted = self._wanted()
            result = (await wire.together(_fetch(wanted))).all()[-1]
        return await self._row_set(wire, result, counted=None)

    def _wanted(self) -> int:
        return min(self._batch(), self._sink.max_rows + 1 - len(self._sink.rows))

    def _batch(self) -> int:
        """How many rows to ask for next: about what the answer can still hold."""
        sink = self._sink
        if not sink.rows:
            return self.first_fetch
        per_row = max(1, sink.size // len(sink.rows))
        room = (sink.max_bytes - sink.size) // per_row + 1
        return max(1, min(1_000, room, AT_ONCE // max(1, sink.row_bytes)))

    async def stream(self, wire: Wire, *, in_ours: bool = False) -> RowSet:
        """All that the text returns, in one pass; only the last statement's rows are kept, and of those what the answer can hold.

        A transaction that the text leaves open is rolled back, unless it is `in_ours`.
        """
        last: pq.abc.PGresult | None = None
        tagged: pq.abc.PGresult | None = None
        done = unseen = 0
        fresh = True
        try:
            params = self._params if self._values else None
            async for result in wire.stream(self.sql, params, self._types, chunk=CHUNK):
                if fresh:
                    self._sink.clear()
                    tagged = None
                    unseen += last is not None and last.nfields > 0
                self._take(result)
                # libpq puts the command tag on the last chunk of rows, or on the empty result after it.
                tagged = result if result.command_status else tagged
                fresh = not is_partial(result)
                done += fresh
                last = result
        except psycopg.Error as exc:
            index = done if self.vetted.statements > 1 else None
            raise translate(exc, sql=self.vetted.text, statement_index=index, prefix=len(self.vetted.prefix)) from exc
        if not in_ours and wire.status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
            await roll_back(wire)
            self._notices.append(
                "WARNING: the text left a transaction open; it was rolled back. Send BEGIN … COMMIT in one call."
            )
        if last is None:
            return RowSet((), [], None, "", statements=0)
        if unseen:
            self._notices.append(
                f"NOTE: this is the result of the last statement; {unseen} before it returned rows too. Send those in calls of their own."
            )
        return await self._row_set(wire, last, counted=tagged or last, statements=max(1, done))

    def _take(self, result: pq.abc.PGresult) -> None:
        columns = range(result.nfields)
        readers = [reader(result.ftype(column)) for column in columns]
        rows = range(result.ntuples)
        taken = [[result.get_value(row, column) for row in rows] for column in columns]
        self._sink.add_all(readers, taken, len(rows))

    async def _row_set(
        self, wire: Wire, result: pq.abc.PGresult, *, counted: pq.abc.PGresult | None, statements: int = 1
    ) -> RowSet:
        """The answer: columns of `result`, and the command tag of `counted`; without one, that of a SELECT of the rows taken."""
        columns = await _columns(wire, result)
        shown = len(self._sink.rows)
        return RowSet(
            columns=columns,
            rows=self._sink.rows,
            row_count=shown if counted is None else counted.command_tuples,
            command=f"SELECT {shown}" if counted is None else (counted.command_status or b"").decode(),
            truncated=self._sink.full,
            note=self._sink.note(),
            statements=statements,
            warnings=tuple(self._notices),
        )


def _second(results: Sequence[pq.abc.PGresult]) -> str | None:
    """The second column of the last result; None where there is none, or it is NULL."""
    if not results or results[-1].nfields < 2:
        return None
    value = results[-1].get_value(0, 1)
    return None if value is None else value.decode()


def _fetch(rows: int) -> Statement:
    return Statement(f"FETCH FORWARD {rows} FROM {CURSOR}")


async def _columns(wire: Wire, result: pq.abc.PGresult) -> tuple[Column, ...]:
    """Names and types; the catalogue is asked only for types that are not built in."""
    oids = [result.ftype(i) for i in range(result.nfields)]
    names = [(result.fname(i) or b"").decode("utf-8", "replace") for i in range(result.nfields)]
    unknown = sorted({oid for oid in oids if type_name(oid) is None})
    found: dict[int, str] = {}
    if unknown and wire.status != pq.TransactionStatus.INERROR:
        listed = ",".join(map(str, unknown))
        answer = await wire.extended(
            f"SELECT o, pg_catalog.format_type(o, NULL) FROM pg_catalog.unnest(ARRAY[{listed}]::pg_catalog.oid[]) AS o"
        )
        for row in range(answer.ntuples):
            found[int(answer.get_value(row, 0) or b"0")] = (answer.get_value(row, 1) or b"").decode()
    return tuple(
        Column(name, type_name(oid) or found.get(oid, str(oid))) for name, oid in zip(names, oids, strict=True)
    )


async def roll_back(wire: Wire) -> None:
    """Leave no transaction. A connection that cannot say so is closed by its owner, and the server rolls back."""
    if wire.status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
        with suppress(psycopg.Error):
            await wire.ours("ROLLBACK")
