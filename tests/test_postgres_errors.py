"""Every error of psycopg leaves as one of ours, says what Postgres said, and holds no credential."""

import inspect
from typing import cast

import psycopg
import pytest
from psycopg import errors as pg

from neon_branch_mcp.errors import (
    AuthError,
    Cancelled,
    ConfigError,
    InternalError,
    LimitExceeded,
    NeonBranchError,
    NotFound,
    SqlError,
    TimedOut,
    Unreachable,
)
from neon_branch_mcp.postgres.errors import STATES, clean, translate, translating

ALL = sorted(
    {c for _, c in inspect.getmembers(pg, inspect.isclass) if issubclass(c, psycopg.Error)}, key=lambda c: c.__name__
)


@pytest.mark.parametrize("kind", ALL, ids=lambda c: c.__name__)
def test_every_class_of_psycopg_becomes_ours(kind: type[psycopg.Error]) -> None:
    ours = translate(kind("something went wrong"), sql="SELECT 1")
    assert isinstance(ours, NeonBranchError)
    assert "something went wrong" in ours.message or isinstance(ours, InternalError)


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_mapped_state_is_one_psycopg_knows(state: str) -> None:
    known = {c.sqlstate for c in ALL if c.sqlstate}
    assert any(s.startswith(state) for s in known)
    example = next(c for c in ALL if c.sqlstate and c.sqlstate.startswith(state))
    assert isinstance(translate(example("x")), STATES.get(cast(str, example.sqlstate), STATES[state]))


@pytest.mark.parametrize(
    ("exc", "ours"),
    [
        (pg.QueryCanceled("canceling statement due to statement timeout"), TimedOut),
        (pg.QueryCanceled("canceling statement due to user request"), Cancelled),
        (pg.LockNotAvailable("canceling statement due to lock timeout"), TimedOut),
        (pg.LockNotAvailable('could not obtain lock on relation "t"'), SqlError),
        (pg.UndefinedTable('relation "x" does not exist'), SqlError),
        (pg.InsufficientPrivilege("permission denied"), SqlError),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "u"'), AuthError),
        (psycopg.OperationalError('FATAL:  database "nope" does not exist'), NotFound),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), LimitExceeded),
        (psycopg.OperationalError("connection refused"), Unreachable),
        (psycopg.OperationalError("server does not support SSL, but SSL was required"), ConfigError),
        (psycopg.OperationalError('FATAL:  no pg_hba.conf entry for host "h", user "u", no encryption'), ConfigError),
        (psycopg.OperationalError("SSL error: certificate verify failed"), ConfigError),
        (psycopg.InterfaceError("the cursor is closed"), InternalError),
        (psycopg.ProgrammingError("cannot adapt type"), Unreachable),
    ],
)
def test_map(exc: psycopg.Error, ours: type[NeonBranchError]) -> None:
    assert type(translate(exc)) is ours


def test_no_message_repeats_a_connection_string() -> None:
    bad = 'missing "=" after "postgresql://app:hunter2@h/db?sslmode=require" in connection info string'
    for exc in (
        psycopg.ProgrammingError(bad),
        psycopg.OperationalError(bad),
        psycopg.OperationalError("password=hunter2 x"),
    ):
        assert "hunter2" not in translate(exc).render()
    assert clean("to postgres://u:p@h/d now") == "to … now"


def test_translating_keeps_the_cause() -> None:
    with pytest.raises(SqlError) as caught, translating(sql="SELECT"):
        raise pg.SyntaxError("syntax error")
    assert isinstance(caught.value.__cause__, pg.SyntaxError)
