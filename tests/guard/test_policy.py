"""Who may do what where, as a table."""

import pytest

from neon_branch_mcp.config import PolicyConfig
from neon_branch_mcp.guard.functions import EXTENSION, FunctionCatalogue, judge_calls, judge_plan
from neon_branch_mcp.guard.functions_hidden import Body, find_hidden
from neon_branch_mcp.guard.policy import Allow, BranchAccess, Intent, Refuse, VettedSql, access_of, decide, may_delete
from neon_branch_mcp.guard.statements import Mode, Report, inspect
from neon_branch_mcp.guard.statements_parse import parse
from neon_branch_mcp.models import Branch

from .conftest import DEV, MAIN, branch_named

PROTECTED = branch_named("prod", protected=True)
ROOT = branch_named("other-root", parent=None)
CATALOGUE = FunctionCatalogue(
    volatile={"nextval": "built in", "mine": "public.mine(integer)", "random": "built in", "pgstattuple": EXTENSION},
    operators=frozenset({"###"}),
    types=frozenset({"trapped"}),
    foreign=frozenset({"far"}),
)


@pytest.mark.parametrize(
    ("branch", "policy", "ours", "access"),
    [
        (MAIN, PolicyConfig(), True, "read-only"),
        (PROTECTED, PolicyConfig(), True, "read-only"),
        (DEV, PolicyConfig(), False, "read-write"),
        (DEV, PolicyConfig(write="own"), False, "read-only"),
        (DEV, PolicyConfig(write="own"), True, "read-write"),
        (DEV, PolicyConfig(write="none"), True, "read-only"),
        (DEV, PolicyConfig(read_only=("de*",)), True, "read-only"),
        (DEV, PolicyConfig(read_only=("De*",)), True, "read-write"),
    ],
)
def test_access(branch: Branch, policy: PolicyConfig, ours: bool, access: str) -> None:
    found = access_of(branch, policy, ours)
    assert found.access == access
    assert bool(found.reason) == (access == "read-only")


@pytest.mark.parametrize(
    ("branch", "policy", "ours", "rule"),
    [
        (DEV, PolicyConfig(), True, None),
        (DEV, PolicyConfig(), False, "delete-own"),
        (DEV, PolicyConfig(delete="any"), False, None),
        (DEV, PolicyConfig(delete="none"), True, "delete-none"),
        (DEV, PolicyConfig(read_only=("dev",)), True, "delete-pattern"),
        (MAIN, PolicyConfig(delete="any"), True, "delete-default"),
        (PROTECTED, PolicyConfig(delete="any"), True, "delete-protected"),
        (ROOT, PolicyConfig(delete="any"), True, "delete-root"),
    ],
)
def test_deleting(branch: Branch, policy: PolicyConfig, ours: bool, rule: str | None) -> None:
    refused = may_delete(branch, [MAIN, DEV], policy, ours)
    assert (refused.rule if refused else None) == rule


def test_a_branch_with_children_is_not_deleted() -> None:
    child = branch_named("child", parent=DEV.id)
    refused = may_delete(DEV, [MAIN, DEV, child], PolicyConfig(), True)
    assert refused is not None
    assert "child" in refused.reason


def verdict(sql: str, branch: Branch, intent: Intent = "run_sql", policy: PolicyConfig | None = None) -> Allow | Refuse:
    policy = policy or PolicyConfig()
    access = access_of(branch, policy, True)
    mode: Mode = "read" if access.access == "read-only" or intent == "query" else "write"
    return decide(
        sql,
        inspect(sql, mode, parse),
        branch=branch,
        access=access,
        intent=intent,
        policy=policy,
        catalogue=CATALOGUE,
        elsewhere=("ep-prod-1234",),
    )


@pytest.mark.parametrize(
    ("sql", "intent", "rule", "says"),
    [
        ("DELETE FROM t", "run_sql", "statement", "this is a DELETE"),
        ("INSERT INTO t VALUES (1)", "query", "statement", "this is an INSERT"),
        (
            "WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT 1",
            "run_sql",
            "statement",
            "WITH contains an INSERT",
        ),
        ("SELECT 1 INTO t", "run_sql", "creates", "creates a table"),
        ("SELECT 1 FOR UPDATE", "run_sql", "statement", "locks rows"),
        ("SELECT 1; SELECT 2", "run_sql", "one-statement", "2 statements in one call"),
        ("SELECT pg_terminate_backend(1)", "run_sql", "function", "pg_terminate_backend"),
        ("SELECT mine(1)", "run_sql", "function", "mark it STABLE if it only reads"),
        ("SELECT nextval('s')", "run_sql", "function", "nextval"),
        ("SELECT a ### b FROM t", "run_sql", "operator", "###"),
        ("SELECT 1::trapped", "run_sql", "type", "trapped"),
        ("SELECT * FROM far", "run_sql", "foreign", "another server"),
        ("SELECT FROM WHERE (", "run_sql", "parse", "line 1, column"),
        ("CHECKPOINT", "run_sql", "statement", "CHECKPOINT"),
        ("EXPLAIN ANALYZE DELETE FROM t", "run_sql", "statement", "EXPLAIN ANALYZE runs"),
        ("EXPLAIN SELECT 1", "explain", "statement", "without EXPLAIN"),
        ("DELETE FROM t", "explain_analyze", "statement", "DELETE"),
    ],
)
def test_refusals_on_a_read_only_branch_name_the_rule_and_the_way_out(
    sql: str, intent: Intent, rule: str, says: str
) -> None:
    found = verdict(sql, MAIN, intent)
    assert isinstance(found, Refuse)
    assert found.rule == rule
    assert says in found.reason
    told = found.error().render()
    assert told.startswith('[refused] Refused on "main", the default branch (read-only here): ')
    assert "Nothing was executed." in told
    assert "run_sql" in told


@pytest.mark.parametrize(
    ("sql", "intent", "channel", "prefix"),
    [
        ("SELECT random()", "run_sql", "cursor", False),
        ("SELECT pgstattuple('t')", "query", "cursor", False),
        ("SHOW work_mem", "run_sql", "exec", False),
        ("EXPLAIN DELETE FROM t", "run_sql", "exec", False),
        ("DELETE FROM t", "explain", "exec", True),
        ("SELECT 1", "explain_analyze", "exec", True),
    ],
)
def test_what_runs_on_a_read_only_branch_and_how(sql: str, intent: Intent, channel: str, prefix: bool) -> None:
    found = verdict(sql, MAIN, intent)
    assert isinstance(found, Allow)
    assert (found.vetted.access, found.vetted.channel, bool(found.vetted.prefix)) == ("read-only", channel, prefix)
    assert found.vetted.text == sql


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE t; CREATE TABLE t (i int)",
        "VACUUM t",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "SELECT nextval('s'), mine(1)",
        'DROP TABLE U&"\\006Cegacy"',
        "DROP SERVER s",
        "INSERT INTO notes VALUES ('CREATE SERVER is a statement')",
        "ALTER TABLE t ADD c text; SELECT 'weird \x1b'",
        "this is not SQL",
    ],
)
def test_on_a_branch_everything_else_runs(sql: str) -> None:
    found = verdict(sql, DEV)
    assert isinstance(found, Allow)
    assert found.vetted.access == "read-write"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
        "/* a */ alter /* b */ subscription s ENABLE",
        "DROP SUBSCRIPTION s",
        "SELECT 1; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER s",
        "IMPORT FOREIGN SCHEMA public FROM SERVER s INTO x",
        "SELECT dblink_exec('x', 'DROP TABLE t')",
        "SELECT * FROM dblink /* a */ ('x', 'y') AS t(a int)",
        "SELECT \"dblink\"('x')",
        "SELECT U&\"\\0064blink\"('x')",
        "DO $$ BEGIN PERFORM dblink('x', 'y'); END $$",
        "DO $$ BEGIN EXECUTE 'CREATE  SUBSCRIPTION s CONNECTION ''x'' PUBLICATION p'; END $$",
        "SELECT http_get('https://example.org')",
        "DELETE FROM far",
        "DO $$ BEGIN DELETE FROM far; END $$",
        "COPY t TO PROGRAM 'curl example.org'",
        "ALTER DATABASE d SET x = 'host=EP-PROD-1234.aws.neon.tech'",
    ],
)
def test_what_reaches_beyond_a_branch_is_refused_unless_the_operator_allows_it(sql: str) -> None:
    found = verdict(sql, DEV)
    assert isinstance(found, Refuse)
    assert found.rule == "reach-beyond"
    assert "policy.reach_beyond" in found.remedy
    assert isinstance(verdict(sql, DEV, policy=PolicyConfig(reach_beyond=True)), Allow)


def test_explain_analyze_on_a_branch_is_always_rolled_back() -> None:
    found = verdict("DELETE FROM t", DEV, "explain_analyze")
    assert isinstance(found, Allow)
    assert found.vetted.rollback


def test_only_the_policy_makes_vetted_sql() -> None:
    with pytest.raises(TypeError):
        VettedSql("SELECT 1", "read-only", "cursor", "query", "")


def test_text_that_cannot_be_parsed_is_refused_unless_the_setting_says_otherwise() -> None:
    report = Report("unparsed", "parse", "could not be parsed", 3, 1, ("SELECT",))
    access = BranchAccess("read-only", "the default branch")
    for relaxed in (False, True):
        found = decide(
            "SELECT ?",
            report,
            branch=MAIN,
            access=access,
            intent="query",
            policy=PolicyConfig(unparsed_reads=relaxed),
            catalogue=CATALOGUE,
        )
        assert isinstance(found, Allow) == relaxed
        if isinstance(found, Allow):
            assert found.vetted.channel == "cursor"


def test_a_plan_is_judged_by_what_it_calls() -> None:
    plan = '[{"Plan": {"Node Type": "%s", "Alias": "nextval", "Output": ["%s"]}}]'
    assert judge_plan(plan % ("Seq Scan", "lower(x)"), CATALOGUE) is None
    assert judge_plan(plan % ("Seq Scan", "mine((x)::integer)"), CATALOGUE) is not None
    assert judge_plan(plan % ("Seq Scan", "'mine(1)'::text"), CATALOGUE) is None
    assert judge_plan(plan % ("Foreign Scan", "x"), CATALOGUE) is not None
    assert judge_plan(plan % ("Seq Scan", "(a ### b)"), CATALOGUE) is not None
    assert judge_plan(plan % ("Seq Scan", "t.trapped"), CATALOGUE) is not None
    assert judge_plan(plan % ("Seq Scan", "t.x"), CATALOGUE) is None


def test_a_label_is_only_a_claim() -> None:
    found = find_hidden(
        [
            Body("liar", "public.liar()", "SELECT pg_terminate_backend(1)", "sql"),
            Body("friend", "public.friend()", "BEGIN RETURN liar(); END", "plpgsql"),
            Body("honest", "public.honest()", "SELECT lower('x') || random()", "sql"),
            Body("assembled", "public.assembled()", "BEGIN EXECUTE 'SELECT ' || 1; END", "plpgsql"),
            Body("script", "public.script()", "return plv8.execute('SELECT pg_' + x)", "plv8"),
            Body("counts", "public.counts()", "-- EXECUTE nothing\nSELECT count(*) FROM t WHERE x = 'EXECUTE'", "sql"),
        ],
        [],
        CATALOGUE.volatile,
    ).functions
    assert set(found) == {"liar", "friend", "assembled", "script"}
    assert judge_calls(["friend"], FunctionCatalogue(mislabelled=found)) is not None
