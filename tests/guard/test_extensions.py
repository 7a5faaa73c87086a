"""Functions of extensions that are VOLATILE by label and only read: they run, and leave nothing; those that do more are refused."""

import pytest

from neon_branch_mcp.errors import Refused
from neon_branch_mcp.guard.functions import BUILT_IN, EXTENSION, FunctionCatalogue, judge_calls

from .conftest import MakeClient
from .world import Probe, rest

pytestmark = pytest.mark.anyio
EXTENSIONS = "pageinspect pg_visibility pgrowlocks amcheck pg_walinspect sslinfo pg_surgery cube"
READS = (
    "SELECT lp, t_ctid, t_infomask::bit(16) FROM heap_page_items(get_raw_page('users', 0)) LIMIT 3",
    "SELECT lower, upper FROM page_header(get_raw_page('users', 'main', 0))",
    "SELECT * FROM bt_metap('users_pkey')",
    "SELECT itemoffset, ctid FROM bt_page_items('users_pkey', 1) LIMIT 3",
    "SELECT * FROM pg_visibility_map_summary('users')",
    "SELECT count(*) FILTER (WHERE all_visible) FROM pg_visibility('users')",
    "SELECT * FROM pg_check_visible('users')",
    "SELECT * FROM pgrowlocks('users')",
    "SELECT * FROM verify_heapam('users')",
    "SELECT count(*) FROM pg_get_wal_stats(pg_current_wal_lsn() - 1000, pg_current_wal_lsn())",
    "SELECT ssl_is_used(), ssl_version()",
    "SELECT '(1,2)'::cube <-> '(3,4)'::cube",
)
WRITES = (
    "SELECT pg_truncate_visibility_map('users')",
    "SELECT heap_force_kill('users', ARRAY['(0,1)']::tid[])",
    "SELECT heap_force_freeze('users', ARRAY['(0,1)']::tid[])",
    "SELECT bt_index_parent_check('users_pkey')",  # locks out writers
    "SELECT bt_index_check('users_pkey', true)",  # computes the index's expressions, which the text does not name
)


@pytest.fixture
def extended(probe: Probe) -> Probe:
    for name in EXTENSIONS.split():
        probe.conn.execute(f"CREATE EXTENSION {name}".encode())
    return probe


async def test_what_only_reads_runs_and_what_does_more_is_refused(
    extended: Probe, superuser_uri: str, make_client: MakeClient
) -> None:
    client = await make_client(superuser_uri)
    before = extended.state()
    for text in READS:
        await client(text)
    for text in WRITES:
        with pytest.raises(Refused):
            await client(text)
    await rest()
    assert extended.state().changed_since(before) == set()


def test_a_function_of_the_users_own_is_not_believed_for_its_name() -> None:
    for whose, harmless in ((EXTENSION, True), (BUILT_IN, True), ("public.get_raw_page(text)", False)):
        facts = FunctionCatalogue(volatile={"get_raw_page": whose})
        assert (judge_calls({"get_raw_page"}, facts) is None) == harmless
