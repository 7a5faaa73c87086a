"""Whatever is put together from reads, writes, calls and comments: what the guard lets run changes nothing."""

import os
from collections.abc import Iterator
from functools import partial

import pytest
from anyio.from_thread import BlockingPortal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neon_branch_mcp.config import PolicyConfig, SqlConfig
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.guard.guard import Guard
from neon_branch_mcp.guard.policy import Intent
from neon_branch_mcp.postgres.executor import Executor

from .conftest import Client
from .world import Probe

EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "150"))
INTENTS: st.SearchStrategy[Intent] = st.sampled_from(("run_sql", "query", "explain", "explain_analyze"))
GAPS = st.sampled_from([" ", "\n", "/**/", " /* ; */ ", "-- '\n", "\t", '/* /* " */ */'])
VALUES = st.sampled_from(
    [
        "1",
        "'a; DROP TABLE canary'",
        "$$x$$",
        "E'\\''",
        "trap(1)",
        '"trap"/**/(2)',
        "nextval('counter')",
        "setval('counter', 7)",
        "(SELECT max(v) FROM canary)",
        "1 ### 2",
        "5::trapped",
        "pg_notify('deploy', 'x')",
        "pg_advisory_lock(9)",
        "lo_create(0)",
        "random()",
        "ARRAY[1, 2]",
        "f_drop()",
        "(SELECT c.evil_field FROM canary c LIMIT 1)",
        "pg_stat_reset()",
        "query_to_xml('SELECT trap(3)', true, true, '')",
        "liar(1)",
        "lying_default()",
        "('(1,2,3)'::triple).lying_field",
        "uses_a_field()",
        "gives_a_quad()::int",
        "dynamic(5)",
        "json_populate_record(NULL::typed, '{\"trapped\": 5}')",
        "pg_terminate_backend((SELECT pid FROM pg_stat_activity WHERE application_name = 'bystander'))",
        "set_config('transaction_read_only', 'off', false)",
        "lo_unlink((SELECT o FROM lobs))",
        "lo_get((SELECT o FROM lobs))",
        "XMLSERIALIZE(CONTENT '5' AS trapped)",
        "sum(1) OVER (ORDER BY trap(4))",
        "CASE WHEN true THEN 1. ELSE 2 END",
        "ARRAY(WITH d AS (DELETE FROM canary RETURNING id) SELECT id FROM d)",
        "$a$ ; COMMIT; $a$",
        "U&'d\\0061t'",
        "1 LIKE 'a'",
        "ROW(1, 2)::pair::int",
        "current_setting('search_path')",
    ]
)
TABLES = st.sampled_from(
    [
        "canary",
        "legacy",
        "trap_view",
        "orgs",
        "no_arguments()",
        "generate_series(1, 3) g",
        "kill_view",
        "with_statistics",
        "with_parent",
        "calls_a_liar",
        "plain_view",
        "shows_indexed",
        "pairs2",
        "ROWS FROM (trap(1), generate_series(1, 2)) r",
        "canary TABLESAMPLE system (trap(1))",
        "orgs, LATERAL (WITH d AS (DELETE FROM canary RETURNING 1) SELECT * FROM d) x",
        "json_to_record('{\"a\": 5}') AS x(a trapped)",
        "users u JOIN orgs o USING (id)",
    ]
)
TAILS = st.sampled_from(
    [
        "",
        " FOR UPDATE",
        " LIMIT 1",
        ";",
        "; COMMIT",
        "; DROP TABLE canary",
        " INTO evil",
        "--",
        "/*",
        "'",
        " RETURNING 1",
        " ORDER BY trap(1)",
        " LIMIT liar(2)",
        " GROUP BY ROLLUP (1)",
        " OFFSET 0 FOR NO KEY UPDATE SKIP LOCKED",
        "; SELECT 1",
        " -- ;",
        " UNION ALL SELECT trap(6)",
    ]
)
HEADS = st.sampled_from(
    [
        "",
        "EXPLAIN ",
        "EXPLAIN ANALYZE ",
        "EXPLAIN (ANALYZE, VERBOSE) ",
        'EXPLAIN ("analyze") ',
        "EXPLAIN (ANALYZE off) ",
        "WITH d AS (DELETE FROM legacy RETURNING *) ",
        "WITH a AS (SELECT 1) ",
        "CREATE TABLE evil AS ",
        "COMMIT; ",
        "BEGIN; ",
        "INSERT INTO legacy (id) ",
        "COPY (",
        "DECLARE c CURSOR WITH HOLD FOR ",
        "PREPARE p AS ",
        "EXPLAIN (ANALYZE, SERIALIZE, FORMAT XML) ",
        "EXPLAIN (ANALYZE off, ANALYZE 'on') ",
        "WITH m AS (MERGE INTO canary c USING orgs o ON c.id = o.id WHEN MATCHED THEN DELETE RETURNING c.id) ",
        "WITH RECURSIVE r AS (SELECT 1 UNION SELECT 2), d AS (UPDATE canary SET v = 0) ",
        "SET transaction_read_only = off; ",
        "CREATE VIEW evil AS ",
        "REFRESH MATERIALIZED VIEW with_stored; ",
        "(",
    ]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    gap = draw(GAPS)
    select = f"SELECT{gap}{', '.join(draw(st.lists(VALUES, min_size=1, max_size=3)))}"
    if draw(st.booleans()):
        select += f"{gap}FROM{draw(GAPS)}{draw(TABLES)}"
        if draw(st.booleans()):
            select += f" WHERE {draw(VALUES)} IS NOT NULL"
    core = draw(
        st.sampled_from(
            [
                select,
                f"{select} UNION ALL {select}",
                "DELETE FROM canary",
                "UPDATE canary SET v = 0",
                "TABLE canary",
                "TRUNCATE canary",
                "VALUES (trap(7))",
                "INSERT INTO legacy (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET u = NULL",
                "MERGE INTO canary c USING orgs o ON c.id = o.id WHEN MATCHED THEN DELETE",
                f"({select}) INTERSECT {select}",
                f"{select} WINDOW w AS (ORDER BY 1)",
            ]
        )
    )
    return draw(HEADS) + core + draw(TAILS)


@pytest.fixture
def run(portal: BlockingPortal, superuser_uri: str, probe: Probe) -> Iterator[Client]:
    """As superuser, in the loop of the portal's thread."""
    policy = PolicyConfig(unparsed_reads=True)

    async def make() -> Client:
        return Client(Guard(policy), Executor(SqlConfig(read_timeout=3, lock_timeout=1)), superuser_uri, policy)

    client = portal.call(make)
    yield client
    portal.call(client.guard.aclose)
    portal.call(client.executor.aclose)


def test_never_allowed_and_changed(run: Client, probe: Probe, portal: BlockingPortal) -> None:
    before = probe.state()
    answered: list[str] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(texts(), INTENTS)
    def attempt(text: str, intent: Intent) -> None:
        try:
            portal.call(partial(run, text, intent=intent))
            answered.append(text)
        except NeonBranchError:
            pass
        if len(answered) % 10 == 1:
            assert probe.state().changed_since(before) == set(), text

    attempt()
    assert probe.state().changed_since(before) == set()
    assert answered, "nothing ran: the property says nothing"
