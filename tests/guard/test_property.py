"""Whatever is put together from reads, writes, calls and comments: what the guard lets run changes nothing."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neon_branch_mcp.config import PolicyConfig, SqlConfig
from neon_branch_mcp.errors import NeonBranchError
from neon_branch_mcp.guard.guard import Guard
from neon_branch_mcp.postgres.executor import Executor

from .conftest import Client
from .world import Probe

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
    ]
)
TABLES = st.sampled_from(
    ["canary", "legacy", "trap_view", "orgs", "no_arguments()", "generate_series(1, 3) g", "kill_view"]
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

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(texts())
    def attempt(text: str) -> None:
        try:
            portal.call(run, text)
            answered.append(text)
        except NeonBranchError:
            pass
        if len(answered) % 10 == 1:
            assert probe.state().changed_since(before) == set(), text

    attempt()
    assert probe.state().changed_since(before) == set()
    assert answered, "nothing ran: the property says nothing"
