"""psycopg's errors → our tree, at this one border.

By SQLSTATE where there is one (manual: appendix A), else by what libpq says while connecting. What Postgres says about a statement
stays whole in `SqlError.fields`; what it says about the connection becomes AuthError, NotFound, LimitExceeded or Unreachable.
No message repeats a connection string.
"""

import logging
import re
import uuid
from collections.abc import Mapping

import psycopg
from psycopg import errors as pg

from ..errors import (
    AuthError,
    Cancelled,
    ConfigError,
    InternalError,
    LimitExceeded,
    NeonBranchError,
    NotFound,
    SqlError,
    SqlFields,
    SqlPosition,
    TimedOut,
    Unreachable,
)

log = logging.getLogger(__name__)

# SQLSTATE (or its class, two characters) → our class. All others are the statement's own fault: SqlError.
STATES: Mapping[str, type[NeonBranchError]] = {
    "08": Unreachable,  # connection exception
    "08P01": SqlError,  # protocol violation: more parameters than the statement has
    "28": AuthError,  # invalid authorization specification
    "3D": NotFound,  # the database does not exist
    "53": LimitExceeded,  # insufficient resources: connections, disk (Neon's size limit), memory
    "25P03": TimedOut,  # idle_in_transaction_session_timeout
    "25P04": TimedOut,  # transaction_timeout
    "57P01": Unreachable,  # admin_shutdown: also a compute that suspends
    "57P02": Unreachable,  # crash_shutdown
    "57P03": Unreachable,  # cannot_connect_now: starting up
    "57P04": NotFound,  # database_dropped
    "57P05": TimedOut,  # idle_session_timeout
    "58030": Unreachable,  # io_error
}
ADVICE: Mapping[type[NeonBranchError], str] = {
    Unreachable: "Whether a statement that was under way took effect is not known; look before you repeat a write.",
    AuthError: "The API was asked for the login again and gave no better one; reset the role's password at Neon.",
    ConfigError: "The server and the connection string (sslmode, channel_binding) do not agree on encryption.",
    LimitExceeded: "Close connections or free space, then try again.",
}
TIMEOUT_MESSAGES = ("statement timeout", "lock timeout", "transaction timeout")
CONNECT_PATTERNS: tuple[tuple[re.Pattern[str], type[NeonBranchError]], ...] = (
    (re.compile(r"SSL off|no encryption|does not support SSL|certificate|channel binding"), ConfigError),
    (re.compile(r"password authentication failed|no pg_hba\.conf entry|role \".*\" does not exist|"
                r"no password supplied|is not permitted to log in|authentication method"), AuthError),
    (re.compile(r"database \".*\" does not exist"), NotFound),
    (re.compile(r"too many clients|too many connections|remaining connection slots"), LimitExceeded),
)  # fmt: skip
CREDENTIALS = re.compile(r"(?i)(?<=://)[^\s/@]*@|\bpassword\s*=\s*('[^']*'|\S+)|\b(?:postgres|postgresql)://\S+")


def translate(
    exc: psycopg.Error, *, sql: str | None = None, statement_index: int | None = None, prefix: int = 0
) -> NeonBranchError:
    """The error of our tree that says what `exc` says.

    `sql` is the caller's text, for the position; `prefix` counts the characters that we sent before it. `statement_index` counts
    from 0 within a script.
    """
    if exc.sqlstate is None:
        return _without_state(exc, in_statement=sql is not None)
    message = _primary(exc)
    if isinstance(exc, (pg.QueryCanceled, pg.LockNotAvailable)):
        if any(reason in message for reason in TIMEOUT_MESSAGES):
            return TimedOut(f"Postgres gave up: {message} (SQLSTATE {exc.sqlstate}). The statement was rolled back.")
        if isinstance(exc, pg.QueryCanceled):
            return Cancelled(f"The statement was stopped: {message}. It was rolled back.")
    kind = STATES.get(exc.sqlstate) or STATES.get(exc.sqlstate[:2])
    if kind is None or kind is SqlError:
        return SqlError(message, fields_of(exc, sql=sql, statement_index=statement_index, prefix=prefix))
    detail = f" {exc.diag.message_detail}" if exc.diag.message_detail else ""
    return _of_connection(kind, f"{message} (SQLSTATE {exc.sqlstate}).{detail}")


def fields_of(exc: psycopg.Error, *, sql: str | None, statement_index: int | None = None, prefix: int = 0) -> SqlFields:
    """Every field Postgres filled in. The position is the one in `sql`; one inside a function's body goes into the context."""
    diag = exc.diag
    position = None
    if sql is not None and diag.statement_position:
        # Postgres points one past the end for «at end of input».
        offset = int(diag.statement_position) - prefix
        position = SqlPosition.find(sql, offset) if 1 <= offset <= len(sql) + 1 else None
    context = diag.context
    if diag.internal_query:
        context = "\n".join(part for part in (f"internal query: {diag.internal_query}", context) if part)
    return SqlFields(
        sqlstate=exc.sqlstate,
        detail=diag.message_detail,
        hint=diag.message_hint,
        context=context,
        position=position,
        schema=diag.schema_name,
        table=diag.table_name,
        column=diag.column_name,
        constraint=diag.constraint_name,
        statement_index=statement_index,
    )


class translating:
    """Inside, psycopg's errors leave as errors of our tree, with psycopg's as their cause. A class, not a generator: this is on the way
    of every read, twice.
    """

    def __init__(self, *, sql: str | None = None, statement_index: int | None = None, prefix: int = 0) -> None:
        self._sql = sql
        self._statement_index = statement_index
        self._prefix = prefix

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, exc: BaseException | None, _: object) -> None:
        if isinstance(exc, psycopg.Error):
            raise translate(exc, sql=self._sql, statement_index=self._statement_index, prefix=self._prefix) from exc


def _primary(exc: psycopg.Error) -> str:
    return exc.diag.message_primary or clean(str(exc))


def _without_state(exc: psycopg.Error, *, in_statement: bool) -> NeonBranchError:
    """Errors that did not come from the server, and those of connecting, for which libpq gives text only."""
    message = clean(str(exc))
    if isinstance(exc, (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError)):
        if in_statement:
            return SqlError(message, SqlFields())
        return Unreachable("The connection string could not be understood by libpq.")
    if isinstance(exc, pg.ConnectionTimeout):
        return Unreachable(f"Postgres did not answer in time: {message}.")
    if isinstance(exc, psycopg.OperationalError):
        for pattern, kind in CONNECT_PATTERNS:
            if pattern.search(message):
                return _of_connection(kind, f"{message}.")
        return _of_connection(Unreachable, f"{message}.")
    error_id = uuid.uuid4().hex[:12]
    log.error("psycopg error %s: %s", error_id, clean(repr(exc)), exc_info=exc)
    return InternalError(error_id)


def _of_connection(kind: type[NeonBranchError], message: str) -> NeonBranchError:
    advice = ADVICE.get(kind)
    return kind(f"Postgres: {message} {advice}" if advice else f"Postgres: {message}")


def clean(message: str) -> str:
    """One line, without anything that looks like a credential."""
    return " ".join(CREDENTIALS.sub("…", message).split()).rstrip(".")
