"""The one tree of errors.

    NeonBranchError
     ├── ConfigError     a setting is missing, unknown or wrong
     ├── AuthError       the key or token is missing, wrong or revoked
     ├── NotPermitted    the key is good, but may not do this
     ├── NotFound        there is no such project, branch, database or object
     ├── Ambiguous       more than one thing fits, and the caller did not say which
     ├── Conflict        what is asked for is already there, in another form
     ├── Refused         the guard does not allow it
     ├── SqlError        Postgres answered with an error
     ├── TimedOut        a deadline passed
     ├── Cancelled       the caller, or an operator, stopped it
     ├── LimitExceeded   a limit of ours or of the plan was reached
     ├── ApiError        Neon's API answered with an error that none of the above describes
     ├── Unreachable     no answer: network, DNS, TLS, a server that is down
     │    └── UnknownOutcome    a change was sent, its answer was lost: it may or may not be done
     └── InternalError   a bug of ours; the log has the rest under its id

Every class has a stable `code`. `render()` is the text that a model or a person reads: what was asked, what was found, what would
work. No message may hold a secret.
"""

from dataclasses import dataclass
from typing import ClassVar


class NeonBranchError(Exception):
    """Base of everything this package raises on purpose."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def add(self, sentence: str) -> None:
        """Says more: what was found out after the error was raised."""
        self.message = f"{self.message} {sentence}"
        self.args = (self.message,)

    def render(self) -> str:
        """The whole story as text, beginning with `[code]`."""
        return f"[{self.code}] {self.message}"


class ConfigError(NeonBranchError):
    """A setting is missing, unknown or wrong."""

    code = "config"


class AuthError(NeonBranchError):
    """The key or token is missing, wrong or revoked."""

    code = "auth"


class NotPermitted(NeonBranchError):
    """The key is good, but its scope or rights do not reach this."""

    code = "not_permitted"


class NotFound(NeonBranchError):
    """There is no such project, branch, database or object; the message names what there is."""

    code = "not_found"


class Ambiguous(NeonBranchError):
    """More than one thing fits; the message lists them."""

    code = "ambiguous"


class Conflict(NeonBranchError):
    """What is asked for exists already, in another form."""

    code = "conflict"


class Refused(NeonBranchError):
    """The guard does not allow it. Nothing was executed."""

    code = "refused"

    def __init__(self, message: str, *, rule: str, remedy: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.remedy = remedy

    def render(self) -> str:
        tail = f" {self.remedy}" if self.remedy else ""
        return f"[{self.code}] {self.message}{tail} (rule: {self.rule})"


@dataclass(frozen=True)
class SqlPosition:
    """Where in the caller's text Postgres points, counted from 1, with that line."""

    line: int
    column: int
    text: str

    @classmethod
    def find(cls, sql: str, offset: int) -> "SqlPosition":
        """The position of `offset`, the 1-based character index that Postgres reports for `sql`."""
        before = sql[: max(0, offset - 1)]
        line = before.count("\n") + 1
        start = before.rfind("\n") + 1
        end = sql.find("\n", start)
        return cls(line, len(before) - start + 1, sql[start : end if end >= 0 else None].rstrip("\r"))


@dataclass(frozen=True)
class SqlFields:
    """What Postgres says about an error, in its own terms (manual: Error and Notice Message Fields)."""

    sqlstate: str | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    position: SqlPosition | None = None
    schema: str | None = None
    table: str | None = None
    column: str | None = None
    constraint: str | None = None
    statement_index: int | None = None


class SqlError(NeonBranchError):
    """Postgres answered with an error; `fields` holds what it said."""

    code = "sql"

    def __init__(self, message: str, fields: SqlFields) -> None:
        super().__init__(message)
        self.fields = fields

    def render(self) -> str:
        return "\n".join([f"[{self.code}] {self.message}", *sql_field_lines(self.fields)])


def sql_field_lines(f: SqlFields) -> list[str]:
    """One line for each field that Postgres filled in; the position with its line of SQL and a caret below it."""
    named = [
        ("SQLSTATE", f.sqlstate),
        ("statement", None if f.statement_index is None else str(f.statement_index)),
        ("detail", f.detail),
        ("hint", f.hint),
        ("schema", f.schema),
        ("table", f.table),
        ("column", f.column),
        ("constraint", f.constraint),
        ("context", f.context),
    ]
    lines = [f"{name}: {value}" for name, value in named if value]
    if f.position is not None:
        # A line of a generated script can be very long: show the part around the error.
        start = max(0, f.position.column - 80)
        shown = f.position.text[start : start + 160]
        lines.append(f"at {f.position.line}:{f.position.column}: {shown}")
        lines.append(" " * (len(f"at {f.position.line}:{f.position.column}: ") + f.position.column - 1 - start) + "^")
    return lines


class TimedOut(NeonBranchError):
    """A deadline passed; the message says which, and what state is left."""

    code = "timeout"


class Cancelled(NeonBranchError):
    """The caller, or an operator, stopped it; the message says what state is left."""

    code = "cancelled"


class LimitExceeded(NeonBranchError):
    """A limit of ours or of the plan was reached; the message says which and what to do."""

    code = "limit"


class TooMuchAtOnce(LimitExceeded):
    """What one step of an answer brings is more than is taken in; smaller steps may bring it."""


class ApiError(NeonBranchError):
    """Neon's API answered with an error that no other class describes."""

    code = "api"

    def __init__(self, message: str, *, status: int, api_code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.api_code = api_code
        self.request_id = request_id


class Unreachable(NeonBranchError):
    """No usable answer: network, DNS, TLS, a server that is down."""

    code = "unreachable"


class UnknownOutcome(Unreachable):
    """A change was sent and its answer was lost: it may or may not be done. It was not sent again; the message says how to find out."""


class InternalError(NeonBranchError):
    """A bug of ours; the log has the rest under `error_id`. `began`: a change may have been made."""

    code = "internal"

    def __init__(self, error_id: str, *, began: bool = False) -> None:
        done = "It may have taken effect: look before you repeat it." if began else "Nothing is known to be done."
        super().__init__(f"An internal error happened; the server's log has it under {error_id}. {done}")
        self.error_id = error_id
