"""What a vetted statement returns, and what becomes of it: rows, parameters, scripts, limits, cancelling."""

import asyncio
import time
from functools import partial
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from neon_branch_mcp.config import SqlConfig
from neon_branch_mcp.errors import LimitExceeded, Refused, SqlError, TimedOut
from neon_branch_mcp.guard.guard import Guard
from neon_branch_mcp.guard.policy import Layers, access_of, two_statements
from neon_branch_mcp.postgres import sessions
from neon_branch_mcp.postgres.catalogue import Opening, openings
from neon_branch_mcp.postgres.wire import Moment, Statement

from .conftest import DEV, MAIN, Client, MakeClient
from .world import Probe

pytestmark = pytest.mark.anyio


def one(probe: Probe, query: str) -> Any:
    """What another session sees."""
    row = probe.conn.execute(query.encode()).fetchone()
    return None if row is None else row[0]


@pytest.mark.parametrize(
    ("sql", "params", "answer"),
    [
        ("SELECT $1", [41], "41"),
        ("SELECT $1::int + 1", [41], 42),
        ("SELECT $1 + $2", [1, 2], 3),
        ("SELECT count(*) FROM users WHERE id = $1", ["7"], 1),
        ("SELECT count(*) FROM users WHERE id = ANY ($1)", [[1, 2, 3]], 3),
        ("SELECT jsonb_build_object('a', $1)", [True], {"a": True}),
        ("SELECT $1::jsonb -> 'b'", [{"b": [1, None, "x"]}], [1, None, "x"]),
        ("SELECT name LIKE '100%' OR name = $1 FROM orgs WHERE id = 1", ["one"], True),
        ("SELECT $1::text IS NULL", [None], True),
        ("SELECT $1::text", ["'; DROP TABLE canary; --"], "'; DROP TABLE canary; --"),
        ("SELECT $1::date + 1", ["2026-01-31"], "2026-02-01"),
        ("SELECT ($1::text[])[2]", [['a"b', "c\\d,{}"]], "c\\d,{}"),
        ("SELECT 1 LIMIT $1", [1], 1),
        ("SELECT $1::numeric", ["123456789012345678901234567890.5"], "123456789012345678901234567890.5"),
    ],
)
async def test_parameters_take_the_type_that_the_statement_needs(
    client: Client, sql: str, params: list[Any], answer: Any
) -> None:
    for branch in (MAIN, DEV):
        assert (await client(sql, branch=branch, params=params)).rows == [[answer]]


@pytest.mark.parametrize(
    ("sql", "params", "state"),
    [
        ("SELECT $1::text", ["a\x00b"], "22021"),
        ("SELECT $1::text", ["\ud800"], "22021"),
        ("SELECT 1", [1], "08P01"),
        ("SELECT $1::int", ["x"], "22P02"),
    ],
)
async def test_wrong_parameters_are_errors_of_sql(client: Client, sql: str, params: list[Any], state: str) -> None:
    for branch in (MAIN, DEV):
        with pytest.raises(SqlError) as caught:
            await client(sql, branch=branch, params=params)
        assert caught.value.fields.sqlstate == state


async def test_errors_point_into_the_callers_own_text(client: Client) -> None:
    for branch in (MAIN, DEV):
        with pytest.raises(SqlError) as caught:
            await client("SELECT id,\n  nmae FROM users", branch=branch)
        position = caught.value.fields.position
        assert position is not None
        assert (position.line, position.column, position.text) == (2, 3, "  nmae FROM users")
    with pytest.raises(SqlError) as caught:
        await client("EXPLAIN ANALYZE\nSELECT nmae FROM users")
    assert caught.value.fields.position is not None
    assert (caught.value.fields.position.line, caught.value.fields.position.column) == (2, 8)


async def test_a_script_returns_its_last_result_and_says_how_many(client: Client, probe: Probe) -> None:
    answer = await client("UPDATE canary SET v = v + 1; SELECT 1; SELECT count(*) AS n FROM canary", branch=DEV)
    assert (answer.rows, answer.columns[0].name, answer.statements) == ([[3]], "n", 3)
    assert one(probe, "SELECT sum(v) FROM canary") == 63


async def test_a_script_that_fails_leaves_nothing_and_says_where(client: Client, probe: Probe) -> None:
    with pytest.raises(SqlError) as caught:
        await client("UPDATE canary SET v = 0;\nSELECT 1/0", branch=DEV)
    assert caught.value.fields.statement_index == 1
    assert one(probe, "SELECT sum(v) FROM canary") == 60


async def test_what_cannot_run_in_a_transaction_runs(client: Client) -> None:
    assert (await client("VACUUM canary", branch=DEV)).command == "VACUUM"
    await client("CREATE INDEX CONCURRENTLY some_index ON canary (v)", branch=DEV)


async def test_a_transaction_left_open_is_rolled_back_with_a_warning(client: Client, probe: Probe) -> None:
    answer = await client("BEGIN; DELETE FROM canary", branch=DEV)
    assert any("rolled back" in warning for warning in answer.warnings)
    assert one(probe, "SELECT count(*) FROM canary") == 3


async def test_copy_is_refused_with_its_reason(client: Client) -> None:
    for text in ("COPY canary FROM STDIN", "COPY canary TO STDOUT", "SELECT 1; COPY canary FROM STDIN"):
        with pytest.raises(SqlError, match="COPY needs a stream"):
            await client(text, branch=DEV)


async def test_ten_million_rows_cost_what_a_hundred_do(client: Client) -> None:
    await client("SELECT 1", branch=DEV)
    for branch in (MAIN, DEV):
        begin = time.perf_counter()
        answer = await client("SELECT generate_series(1, 10000000), repeat('x', 100)", branch=branch)
        assert time.perf_counter() - begin < 3
        assert (len(answer.rows), answer.truncated) == (100, True)
        assert "max_rows" in answer.note


async def test_a_write_that_returns_many_rows_is_done_whole(client: Client, probe: Probe) -> None:
    answer = await client(
        "INSERT INTO legacy SELECT g FROM generate_series(100, 20000) g RETURNING id", branch=DEV, max_rows=5
    )
    assert (len(answer.rows), answer.truncated, answer.row_count, answer.command) == (5, True, 19901, "INSERT 0 19901")
    assert one(probe, "SELECT count(*) FROM legacy") == 19951


async def test_a_select_with_effects_is_run_to_its_end_on_a_branch(client: Client, probe: Probe) -> None:
    await client("SELECT nextval('counter') FROM generate_series(1, 500)", branch=DEV, max_rows=5)
    assert one(probe, "SELECT last_value FROM counter") == 500


async def test_an_answer_stays_under_its_bytes_whatever_its_shape(client: Client) -> None:
    for text in (
        "SELECT repeat('é', 100000) FROM generate_series(1, 50)",
        "SELECT " + ", ".join(f"repeat('x', 3000) AS c{i}" for i in range(40)),
        "SELECT repeat('x', 5000000)",
    ):
        answer = await client(text, max_bytes=10_000)
        assert answer.rows
        assert len(repr(answer.rows)) < 12_000


async def test_json_with_half_a_surrogate_pair_or_very_deep_is_answered_as_text(client: Client) -> None:
    deep = "[" * 300 + "]" * 300
    answer = await client(rf"""SELECT '"\ud800"'::json AS half, '{deep}'::jsonb AS deep, '[1]'::json AS plain""")
    assert answer.rows == [[r'"\ud800"', deep, [1]]]


async def test_a_gigantic_value_is_cut_off_before_it_is_taken_in(client: Client) -> None:
    with pytest.raises(LimitExceeded, match="64 MB"):
        await client("SELECT repeat('x', 70000000)")


async def test_rows_that_are_larger_than_the_planner_takes_them_for_are_answered_cut(
    client: Client, probe: Probe
) -> None:
    """Large values lie outside of their row, which keeps 18 bytes of each: a hundred narrow rows bring 150 MB."""
    probe.conn.execute(
        "CREATE TABLE docs AS SELECT g AS id, repeat(g::text, 1500000) AS doc FROM generate_series(1, 9) g"
    )
    probe.conn.execute("INSERT INTO docs SELECT g, repeat('0123456789', 150000) FROM generate_series(10, 120) g")
    probe.conn.execute("ANALYZE docs")
    for _ in range(3):
        answer = await client("SELECT id, doc FROM docs ORDER BY id")
        assert [row[0] for row in answer.rows] == list(range(1, len(answer.rows) + 1))
        assert 10 < len(answer.rows) < 20
        assert answer.truncated
        assert answer.rows[3][1].endswith("(1,500,000 characters)")


async def test_statements_end_at_their_time_out_and_the_session_is_gone(
    probe: Probe, make_client: MakeClient, database_uri: str
) -> None:
    client = await make_client(database_uri, sql=SqlConfig(read_timeout=0.5, statement_timeout=0.5))
    for branch, text in ((MAIN, "SELECT count(*) FROM generate_series(1, 1000000000)"), (DEV, "SELECT pg_sleep(10)")):
        with pytest.raises(TimedOut, match="statement timeout"):
            await client(text, branch=branch)
    await nothing_runs(probe)


RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name LIKE 'neon-branch-mcp%'"


async def nothing_runs(probe: Probe) -> None:
    """A request to cancel has no answer: the backend reacts to it a moment later. The statements would go on for longer."""
    for _ in range(250):
        if not one(probe, RUNNING):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a statement goes on")


async def test_cancelling_the_call_cancels_the_statement_in_postgres(client: Client, probe: Probe) -> None:
    for branch, text in ((MAIN, "SELECT count(*) FROM generate_series(1, 1000000000)"), (DEV, "SELECT pg_sleep(60)")):
        task = asyncio.create_task(client(text, branch=branch))
        for _ in range(200):
            await asyncio.sleep(0.02)
            if one(probe, f"{RUNNING} AND (query LIKE 'FETCH %' OR query = 'SELECT pg_sleep(60)')"):
                break  # the statement itself, not what the guard asks before it
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_runs(probe)


async def test_explain_analyze_of_a_write_on_a_branch_changes_nothing(client: Client, probe: Probe) -> None:
    answer = await client("DELETE FROM legacy", branch=DEV, intent="explain_analyze")
    assert '"Operation": "Delete"' in answer.rows[0][0]
    assert one(probe, "SELECT count(*) FROM legacy") == 50


async def test_query_only_reads_on_every_branch(client: Client) -> None:
    assert (await client("SELECT count(*) FROM legacy", branch=DEV, intent="query")).rows == [[50]]
    with pytest.raises(Refused, match="query only reads"):
        await client("DELETE FROM legacy", branch=DEV, intent="query")


@pytest.mark.parametrize("reads", [1, 4], ids=["among others' changes", "after a time in which nobody wrote"])
async def test_a_function_that_turns_volatile_is_refused_at_once_and_allowed_again_when_mended(
    client: Client, probe: Probe, reads: int
) -> None:
    for _ in range(reads):
        assert (await client("SELECT harmless(1)")).rows == [[2]]
    probe.conn.execute("ALTER FUNCTION harmless(int) VOLATILE")
    with pytest.raises(Refused, match="mark it STABLE"):
        await client("SELECT harmless(1)")
    probe.conn.execute("ALTER FUNCTION harmless(int) STABLE")
    assert (await client("SELECT harmless(1)")).rows == [[2]]


async def test_what_may_have_changed_is_read_again_only_where_it_did(client: Client, probe: Probe) -> None:
    target = client.target(DEV)
    first = await client.executor.catalogue(target)
    client.executor.forget(target)
    probe.conn.execute(b"CREATE TABLE not_of_functions (n int)")
    assert await client.executor.catalogue(target) is first
    probe.conn.execute(b"CREATE FUNCTION made_meanwhile() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1'")
    assert await client.executor.catalogue(target) is first
    client.executor.forget(target)
    assert "made_meanwhile" in (await client.executor.catalogue(target)).volatile


async def test_a_change_whose_transaction_is_older_than_the_last_read_is_seen_once_it_is_committed(
    client: Client, probe: Probe
) -> None:
    """Its number was given out before: that no new one is, proves nothing."""
    probe.conn.execute("BEGIN")
    probe.conn.execute("ALTER FUNCTION harmless(int) VOLATILE")
    for _ in range(4):
        assert (await client("SELECT 1 AS steady")).rows == [[1]]
    probe.conn.execute("COMMIT")
    with pytest.raises(Refused, match="mark it STABLE"):
        await client("SELECT harmless(1)")


@pytest.mark.parametrize("reads", [1, 4])
async def test_nothing_of_a_statement_runs_where_the_catalogue_is_another_than_the_one_it_was_judged_by(
    client: Client, probe: Probe, reads: int
) -> None:
    body = "CREATE OR REPLACE FUNCTION planned() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN {}; END'"
    probe.conn.execute(b"CREATE SEQUENCE planned_seq")
    probe.conn.execute(body.format("1").encode())
    for _ in range(reads):
        assert (await client("SELECT planned()")).rows == [[1]]
    # Planning would call it: only a refusal that comes before shows that it was not planned.
    probe.conn.execute(body.format("nextval(''planned_seq'')").encode())
    with pytest.raises(Refused, match="its body calls nextval"):
        await client("SELECT planned()")


def test_the_catalogue_is_taken_for_unchanged_only_where_nothing_was_committed_from_read_to_read() -> None:
    def last(before: Moment | None, *, stamp: str = "s") -> Opening:
        return list(openings(stamp, ("1", "1", "1"), before))[-1]

    def is_quick(before: Moment | None, *, stamp: str = "s") -> bool:
        return next(openings(stamp, ("1", "1", "1"), before)).is_quick

    first = last(None).moment("7:7:")
    assert not is_quick(first)
    second = last(first).moment("7:7:")
    assert is_quick(second)
    assert not is_quick(second, stamp="another")
    assert next(openings("s", ("1", "1", "1"), second)).moment(None) == second
    assert not is_quick(last(second).moment("7:8:"))
    assert last(second).moment(None) is None  # a standby does not tell which transactions still run


async def test_what_postgres_says_while_it_cleans_a_session_is_no_warning_to_the_next_caller(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CLEAN", Statement("DO $$ BEGIN RAISE NOTICE 'of the one before'; END $$"))
    for read in ("SELECT 1", "SELECT 2", "SHOW lock_timeout", "SELECT 3"):
        for pause in (0, 10 * sessions.LINGER):
            assert (await client(read)).warnings == ()
            await asyncio.sleep(pause)
    assert client.executor.sessions.opened == 1


async def test_the_self_test_passes_here_and_fails_where_two_statements_pass(client: Client) -> None:
    target = client.target(MAIN)
    await client.executor.self_test(target, two_statements())
    with pytest.raises(Exception, match="accepted two statements"):
        await client.executor.self_test(target, two_statements(Layers(protocol=False)))


async def test_changing_the_servers_own_login_is_warned_of(client: Client) -> None:
    same = conninfo_to_dict(client.uri)["password"]
    answer = await client(f"ALTER ROLE CURRENT_USER PASSWORD '{same}'", branch=DEV)
    assert any("login" in warning for warning in answer.warnings)


async def test_a_worker_that_dies_is_a_refusal_and_the_next_call_is_served(client: Client) -> None:
    guard: Guard = client.guard
    catalogue = partial(client.executor.catalogue, client.target(MAIN))
    access = access_of(MAIN, client.policy, True)
    hostile = [client("SELECT " + "int(" * 30 + "1" + ")" * 30) for _ in range(3)]
    ends = await asyncio.gather(*hostile, return_exceptions=True)
    assert all(isinstance(end, Refused) for end in ends)
    await guard.vet("SELECT 1", branch=MAIN, access=access, intent="query", catalogue=catalogue)
