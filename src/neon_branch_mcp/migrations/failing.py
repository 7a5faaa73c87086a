"""When a migration stops: where, why, and what is left."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import psycopg

from ..errors import NeonBranchError, SqlError, SqlFields, SqlPosition, UnknownOutcome, Unreachable
from ..postgres.errors import translate
from .plan import PlannedStatement
from .report import Failure, MigrationReport


class MigrationFailed(SqlError):
    """Postgres refused a statement of the script; `report` has the verdict `failed` and says what is left."""

    def __init__(self, message: str, fields: SqlFields, report: MigrationReport) -> None:
        super().__init__(message, fields)
        self.report = report

    def render(self) -> str:
        assert self.report.failure is not None
        return f"{super().render()}\nMigration {self.report.name!r}, verdict failed: {self.report.failure.left}"


class Stopped(Exception):
    """A statement did not succeed; the cause is psycopg's error. Never leaves this package.

    `left` names what a statement outside a transaction left behind; `committing` says that it was the COMMIT that got no good answer.
    """

    def __init__(self, statement: PlannedStatement, blockers: list[str], *, committing: bool = False) -> None:
        super().__init__()
        self.statement = statement
        self.blockers = blockers
        self.committing = committing
        self.left: list[str] = []

    @property
    def error(self) -> psycopg.Error:
        """What psycopg raised."""
        cause = self.__cause__
        assert isinstance(cause, psycopg.Error)
        return cause

    def translated(self, sql: str) -> NeonBranchError:
        """The error of our own tree, with its place in the whole script."""
        s = self.statement
        return translate(self.error, sql=sql, statement_index=s.index, prefix=-s.offset)


@contextlib.contextmanager
def stopping_at(statement: PlannedStatement) -> Iterator[None]:
    """What goes wrong while measuring (the connection is lost, say) is told with the statement that was measured."""
    try:
        yield
    except psycopg.Error as exc:
        raise Stopped(statement, []) from exc


def what_is_left(stopped: Stopped, *, committed: int, total: int) -> str:
    """What remains in the database, in words; `committed` statements are there for good."""
    s = stopped.statement
    if committed:
        left = (
            f"{committed} of {total} statements are applied and committed; statement {s.index} and what follows is not."
        )
    else:
        left = "rolled back; nothing applied." if s.transactional else "nothing applied."
    return " ".join([left, *(f"Left behind: {what}" for what in stopped.left)])


def failure_of(error: SqlError, stopped: Stopped, sql: str, left: str) -> Failure:
    """The failure as the report tells it."""
    s = stopped.statement
    position = error.fields.position or SqlPosition.find(sql, s.offset + 1)
    return Failure(
        statement=s.index,
        line=position.line,
        column=position.column,
        sql=s.summary,
        message=error.message,
        left=left,
        sqlstate=error.fields.sqlstate,
        detail=error.fields.detail,
        hint=error.fields.hint,
        constraint=error.fields.constraint,
    )


def failed_in(error: SqlError, stopped: Stopped, sql: str, report: MigrationReport) -> MigrationFailed:
    """The error that carries the report, with the position in the whole script."""
    position = error.fields.position or SqlPosition.find(sql, stopped.statement.offset + 1)
    return MigrationFailed(error.message, replace(error.fields, position=position), report)


def stopped_outside(error: NeonBranchError, stopped: Stopped, name: str, left: str, *, whole: bool) -> NeonBranchError:
    """A deadline, a full disk, a lost connection: not the script's fault, so the same class with the whole story.

    `whole` says that the script is one transaction.
    """
    s = stopped.statement
    holder = f" The lock is held by {'; '.join(stopped.blockers)}." if stopped.blockers else ""
    where = f"Migration {name!r} stopped at statement {s.index} (line {s.line}: {s.summary})."
    if isinstance(error, Unreachable) and (stopped.committing or not s.transactional):
        # The ledger's row is written in a script's last transaction: only a script that is one transaction is there with it or not at all.
        if stopped.committing and whole:
            then = "Call again with the same name and SQL: what is applied is not run twice."
        else:
            then = f"Before it: {left} Look at the schema before you go on."
        what = "its COMMIT" if stopped.committing else "a statement outside a transaction"
        return UnknownOutcome(
            f"{where} {error.message} The connection was lost in {what}: whether that is done is not known. {then}"
        )
    return type(error)(f"{where} {error.message}{holder} State: {left}")
