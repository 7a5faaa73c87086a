"""The connection that our own questions go through beside a caller's work: kept, clean, and replaced when it is lost."""

import pytest

from neon_branch_mcp.config import SqlConfig
from neon_branch_mcp.postgres.executor import Executor

from .migration_kit import ask, target_of

pytestmark = pytest.mark.anyio


async def looked(executor: Executor, uri: str, *questions: str) -> list[object]:
    async with executor.looking(target_of(uri)) as conn:
        answers = []
        for question in questions:
            row = await (await conn.execute(question)).fetchone()
            answers.append(row[0] if row else None)
        return answers


async def test_a_connection_is_kept_and_nothing_of_the_last_look_remains_in_it(database_uri: str) -> None:
    executor = Executor(SqlConfig())
    pid, limit = "SELECT pg_backend_pid()", "SELECT current_setting('lock_timeout')"
    try:
        first = await looked(executor, database_uri, *[pid] * 9, limit)
        changed = await looked(executor, database_uri, "SELECT set_config('lock_timeout', '7ms', false)", limit, pid)
        second = await looked(executor, database_uri, *[pid] * 9, limit)
    finally:
        await executor.aclose()
    assert changed[1:] == ["7ms", first[0]]
    assert second == first


async def test_it_cannot_write(database_uri: str) -> None:
    executor = Executor(SqlConfig())
    try:
        assert await looked(executor, database_uri, "SELECT current_setting('transaction_read_only')") == ["on"]
    finally:
        await executor.aclose()


async def test_one_that_was_lost_meanwhile_is_replaced(database_uri: str) -> None:
    executor = Executor(SqlConfig())
    try:
        [pid] = await looked(executor, database_uri, "SELECT pg_backend_pid()")
        assert ask(database_uri, f"SELECT pg_terminate_backend({pid}, 5000)") == [(True,)]
        [other] = await looked(executor, database_uri, "SELECT pg_backend_pid()")
    finally:
        await executor.aclose()
    assert other != pid
